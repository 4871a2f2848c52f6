"""A list of files, as `find` prints it, and the folders that it belongs to."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import SourceError
from storage.sources.containers import is_container_name
from storage.sources.remote import is_url

TOO_HIGH = 2
"""Folders of fewer steps ("/", "/home") are no root that anyone would want."""


@dataclass(frozen=True)
class ListedFiles:
    """Files of one list that have a folder in common."""

    folder: str
    paths: tuple[str, ...]
    """Absolute, each once. A file that is not there is named all the same."""

    def __str__(self) -> str:
        return f"{len(self.paths):,} listed files"


def split_list(data: bytes, *, by_null: bool = False) -> list[str]:
    """The names in a list: divided by NUL bytes if there are any (`find -print0`), else by line."""
    divider = b"\0" if by_null or b"\0" in data else b"\n"
    return [os.fsdecode(name) for name in data.split(divider) if name]


def group_listed(names: Sequence[str]) -> tuple[list[ListedFiles], list[str]]:
    """(files in groups, the names of folders and containers). Raises SourceError if nothing in
    the list is there."""
    files, missing, others = _sorted_out(names)
    if not files and not others:
        if not names:
            raise SourceError(
                "-: no names came on standard input. Try: find PICTURES -name '*.jpg' -print0 | "
                "polyglance index -"
            )
        raise SourceError(
            f"-: none of the {len(names):,} files listed is there; the first is {names[0]}."
        )
    groups = [ListedFiles(folder, tuple(paths)) for folder, paths in _common_folders(files)]
    if missing and not groups:
        groups = [ListedFiles(os.path.dirname(others[0]), ())]  # noqa: PTH120
    return _with_missing(groups, missing), others


def _sorted_out(names: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """Absolute paths of files, of what is not there, and of folders and containers."""
    files: list[str] = []
    missing: list[str] = []
    others: list[str] = []
    for name in dict.fromkeys(names):
        if is_url(name):
            others.append(name)
            continue
        path = Path(os.path.abspath(name))  # noqa: PTH100  (resolve() would follow links)
        if path.is_dir() or (is_container_name(name) and path.is_file()):
            others.append(str(path))
        else:
            (files if path.exists() else missing).append(str(path))
    return files, missing, others


def _common_folders(files: list[str]) -> list[tuple[str, list[str]]]:
    """The lowest folder above all files; or some, where they have nothing but "/" in common."""
    if not files:
        return []
    folder = os.path.commonpath([os.path.dirname(path) for path in files])  # noqa: PTH120
    depth = len(Path(folder).parts)
    if depth > TOO_HIGH or any(os.path.dirname(path) == folder for path in files):  # noqa: PTH120
        return [(folder, files)]
    parts: dict[str, list[str]] = {}
    for path in files:
        parts.setdefault(Path(path).parts[depth], []).append(path)
    return [group for inside in parts.values() for group in _common_folders(inside)]


def _with_missing(groups: list[ListedFiles], missing: list[str]) -> list[ListedFiles]:
    """Each missing file goes to the group whose folder it would be in, else to the first."""
    more: list[list[str]] = [[] for _ in groups]
    for path in missing:
        at = next((at for at, group in enumerate(groups) if _is_below(path, group.folder)), 0)
        more[at].append(path)
    return [
        ListedFiles(group.folder, (*group.paths, *added))
        for group, added in zip(groups, more, strict=True)
    ]


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
