"""What a job would do, without doing any of it."""

from collections.abc import Iterator, Sequence

from indexer.config import IndexConfig
from indexer.report import Counts
from indexer.scan import Compared, known_below, pictures_compared
from indexer.sources.named import UNREGISTERED, Named, Source, find_sources
from storage.files import list_roots, root_holding
from storage.library import Library
from storage.records import KnownFile


def preview(
    library: Library | None,
    names: Sequence[str],
    config: IndexConfig,
    listed: Sequence[str] | None = None,
) -> Counts:
    """Compare sources with the catalog; None is a library that is yet to be made.

    Moved files count as new: telling them takes reading. listed: names from a list. Raises
    SourceError.
    """
    counts = Counts()
    for named in find_sources(names, listed):
        source, known = _source_and_known(library, named)
        for compared in pictures_compared(source, known, config.exclude, lambda _: None):
            _count(compared, counts)
    return counts


def _source_and_known(library: Library | None, named: Named) -> tuple[Source, Iterator[KnownFile]]:
    source = named.unregistered()
    if library is None:
        return source, iter(())
    root = root_holding(list_roots(library.engine), named.folder)
    if root is not None:
        source = named.within(root)
    space = library.active_space()
    space_id = UNREGISTERED if space is None else space.id
    return source, known_below(library.engine, source, space_id)


def _count(compared: Compared, counts: Counts) -> None:
    if compared.found is None:
        known = compared.known
        counts.removed += int(known is not None and known.location_id is not None)
        return
    counts.seen += 1
    if compared.verdict == "new":
        counts.new += 1
    elif compared.verdict == "changed":
        counts.changed += 1
    elif compared.verdict == "unchanged":
        counts.unchanged += 1
    else:
        counts.failed += 1
