"""What kind of picture bytes are, told from the bytes themselves."""

import codecs

from imaging.errors import UnreadableImage

_READ_SUFFIXES = {
    *(".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg"),
    *(".png", ".tif", ".tiff", ".webp"),
}
_HEIF_SUFFIXES = {".heic", ".heics", ".heif", ".heifs", ".hif"}
_RAW_SUFFIXES = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
    *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
    *(".srf", ".srw", ".x3f"),
}

PICTURE_SUFFIXES = frozenset(_READ_SUFFIXES | _HEIF_SUFFIXES | _RAW_SUFFIXES)
"""Lower-case suffixes of files that claim to be a picture, read by us or not."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_CONTAINER_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf"}

_STARTS = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    # Camera RAW: Fujifilm, Olympus, Panasonic, Minolta, Sigma.
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\x00", "raw"),
    (b"\x00MRM", "raw"),
    (b"FOVb", "raw"),
)

_OTHER_PICTURES = (
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
)
_NO_PICTURES = (
    (b"\xff\xfe", "plain text"),
    (b"\xfe\xff", "plain text"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def sniff_format(head: bytes) -> str | None:
    """The format that the first bytes (32 or more where the file has them) declare.

    One of jpeg, png, gif, webp, tiff, bmp, avif, heif, raw; None for anything else. Most camera
    RAW files are TIFFs: `imaging/raw.py` tells them apart by their first directory.
    """
    if head[:4] in (b"II*\x00", b"MM\x00*") and head[8:10] == b"CR":
        return "raw"
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and _is_bmp_header(head):
        return "bmp"
    return _sniff_ftyp(head) if head[4:8] == b"ftyp" else None


def _is_bmp_header(head: bytes) -> bool:
    """ "BM" alone begins many a text; the size of the second header is one of a few."""
    return int.from_bytes(head[14:18], "little") in {12, 16, 40, 52, 56, 64, 108, 124}


def _sniff_ftyp(head: bytes) -> str | None:
    """ISO media files: the brands, the major one first, say which codec the picture uses."""
    if head[8:12] == b"crx ":
        return "raw"
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    if brands[0] in _AVIF_BRANDS:
        return "avif"
    if brands[0] in _HEIF_BRANDS:
        return "heif"
    if brands[0] not in _HEIF_CONTAINER_BRANDS:
        return None
    return "avif" if _AVIF_BRANDS.intersection(brands) else "heif"


def unreadable_by_content(head: bytes) -> UnreadableImage:
    """Why bytes are not read, told from the first of them; for formats that we do not decode."""
    if not head:
        return UnreadableImage("empty", "is empty: it has no bytes at all")
    other = _other_picture(head)
    if other is not None:
        return UnreadableImage(
            "unsupported_format", f"is {other}, which is not read: convert it to JPEG, PNG or WebP"
        )
    return UnreadableImage("not_an_image", f"is not a picture: it begins like {_look(head)}")


def _other_picture(head: bytes) -> str | None:
    """The kind of picture that is known by sight only."""
    for start, kind in _OTHER_PICTURES:
        if head.startswith(start):
            return kind
    text = _as_text(head)
    return "an SVG drawing" if text.startswith(("<svg", "<?xml")) and "<svg" in text else None


def _look(head: bytes) -> str:
    for start, kind in _NO_PICTURES:
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp":
        return "a video"
    if not any(head):
        return "a hole in a file, with nothing but zero bytes"
    text = _as_text(head)
    if text.startswith(("<!doctype html", "<html")):
        return "a web page"
    return "plain text" if text else "no picture format that is known here"


def _as_text(head: bytes) -> str:
    """Lower-case text without leading white space; empty where the bytes are no text."""
    try:
        # Not the plain `decode`: the last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head).lstrip().lower()
    except UnicodeDecodeError:
        return ""
    readable = all(letter.isprintable() or letter.isspace() for letter in text)
    return text if readable else ""
