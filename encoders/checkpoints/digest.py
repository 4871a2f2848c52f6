"""What a checkpoint holds, as one digest: the same from the hub, a mirror or a folder."""

import contextlib
import hashlib
import json
import tempfile
from pathlib import Path

from encoders.checkpoints.files import SETTINGS_FILES, weight_names

READ_AT_ONCE_BYTES = 1 << 20
SHA256_DIGITS = 64


def content_digest(
    folder: Path, checkpoint: str, settings: dict[str, int], digest_cache: Path
) -> str:
    """SHA-256 over weights, tokenizer, picture settings and `settings`, but no name or revision.

    digest_cache: a JSON file that remembers what unchanged files hashed to.
    """
    present = {path.name for path in folder.iterdir()}
    names = {*weight_names(folder, checkpoint, present), *present.intersection(SETTINGS_FILES)}
    known = KnownDigests(digest_cache)
    content = {name: known.sha256(folder / name) for name in sorted(names)}
    known.save()
    facts = json.dumps({"files": content, "settings": settings}, sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


class KnownDigests:
    """SHA-256 of files, each hashed once: gigabytes of weights take seconds."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known = _read(store)
        self._news: dict[str, str] = {}

    def sha256(self, path: Path) -> str:
        if named := _hub_sha256(path):
            return named
        real = path.resolve()
        facts = real.stat()
        key = f"{real}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ino}"
        if key not in self._known:
            self._known[key] = self._news[key] = file_sha256(real)
        return self._known[key]

    def save(self) -> None:
        """Add what was hashed to the store. Where it can't be written, the next start hashes."""
        if not self._news:
            return
        content = json.dumps(_read(self._store) | self._news, indent=0, sort_keys=True)
        with contextlib.suppress(OSError):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._store.parent, prefix=".", suffix=".tmp", delete=False
            ) as temporary:
                temporary.write(content)
            Path(temporary.name).replace(self._store)


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_AT_ONCE_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _hub_sha256(path: Path) -> str | None:
    """What the hub's cache says: snapshots/<commit>/<file> links to blobs/<sha256> for LFS files.

    Only that one step counts; a blob may in turn link to a store that names by another hash.
    """
    if not path.is_symlink():
        return None
    target = path.readlink()
    is_sha256 = len(target.name) == SHA256_DIGITS and set(target.name) <= set("0123456789abcdef")
    in_cache = target.parent.name == "blobs" and path.parent.parent.name == "snapshots"
    return target.name if is_sha256 and in_cache else None


def _read(store: Path) -> dict[str, str]:
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
