"""IPTC-IIM: captions and keywords as news agencies and older programs write them."""

from collections.abc import Iterator

from imaging.texts import FactText

MAX_IPTC_BYTES = 1024 * 1024

_CHARSET = (1, 90)
_UTF_8 = b"\x1b%G"
_LANGUAGE = (2, 135)
_KINDS = {
    (2, 5): "title",  # object name
    (2, 105): "title",  # headline
    (2, 120): "description",  # caption
    (2, 25): "keyword",
}


def read_iptc_texts(block: bytes) -> list[FactText]:
    """The texts of a block of datasets, as far as it can be followed."""
    datasets = list(_datasets(block[:MAX_IPTC_BYTES]))
    first = dict(reversed(datasets))
    is_utf_8 = first.get(_CHARSET, b"").startswith(_UTF_8)
    language = first.get(_LANGUAGE, b"").decode("ascii", "ignore").strip().lower()
    return [
        FactText(
            _KINDS[number],
            _decoded(value, is_utf_8),
            "iptc",
            language if language.isalpha() and 2 <= len(language) <= 3 else None,
        )
        for number, value in datasets
        if number in _KINDS
    ]


def _datasets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((record, dataset), value), each; ends at the first that is none."""
    at = 0
    while block[at : at + 1] == b"\x1c" and at + 5 <= len(block):
        number = (block[at + 1], block[at + 2])
        size = int.from_bytes(block[at + 3 : at + 5], "big")
        if size & 0x8000:  # the length of a length: for values that hold pictures
            return
        yield number, block[at + 5 : at + 5 + size]
        at += 5 + size


def _decoded(value: bytes, is_utf_8: bool) -> str:
    """The declared character set is often wrong or none, and UTF-8 hardly ever read by mistake."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace") if is_utf_8 else value.decode("latin-1")
