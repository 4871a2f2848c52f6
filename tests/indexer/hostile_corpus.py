"""Files that no decoder should meet: cut off, damaged, lying, without end, or oddly named."""

import os
import random
import socket
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import ExifTags, Image

sys.path.append(str(Path(__file__).parents[1] / "imaging"))
from imaging_pictures import (
    bmp_of_runs,
    drawn,
    encoded,
    grey_tiff_tags,
    png_chunk,
    png_file,
    tiff_file,
)

SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "AVIF": ".avif",
}
CUTS = (0, 1, 2, 3, 4, 7, 8, 12, 16, 20, 25, 30, 40, 64, 100, 150, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97)


def hostile_files() -> Iterator[tuple[str, bytes]]:
    """(path below the corpus, content), the same at every call."""
    whole = {name: encoded(drawn(), name, **_facts(name)) for name in SUFFIXES}
    yield from _truncated(whole)
    yield from _damaged(whole)
    yield from _misnamed(whole)
    for name, content in _bombs():
        yield f"bombs/{name}", content
    for name, content in _bad_metadata():
        yield f"metadata/{name}", content
    for name, content in _endless():
        yield f"endless/{name}", content
    for at, name in enumerate(_ODD_NAMES):
        # Content of its own, so that no two of them are one picture.
        yield f"names/{name}.png", encoded(drawn(width=40 + at), "PNG")


def _facts(file_format: str) -> dict[str, bytes]:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Orientation] = 6
    return {"exif": exif.tobytes()} if file_format in {"JPEG", "WEBP", "TIFF", "AVIF"} else {}


def _truncated(whole: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in whole.items():
        for cut in CUTS:
            kept = cut if isinstance(cut, int) else int(len(data) * cut)
            yield f"truncated/{name} {kept}{SUFFIXES[name]}", data[:kept]


def _damaged(whole: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(4)
    for name, data in whole.items():
        for turn in range(14):
            wounded = bytearray(data)
            for _ in range(1 + turn % 5):
                wounded[chance.randrange(8, len(data))] = chance.randrange(256)
            if turn % 3 == 0:
                at = chance.randrange(8, len(data))
                del wounded[at : at + chance.randrange(1, 50)]
            yield f"damaged/{name} {turn}{SUFFIXES[name]}", bytes(wounded)


def _misnamed(whole: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in whole.items():
        wrong = ".gif" if name != "GIF" else ".jpg"
        yield f"misnamed/{name}{wrong}", data + b"\0"
    others = {
        "text": b"only text, and not much of it",
        "page": b"<!doctype html><title>404</title>",
        "archive": b"PK\x03\x04" + bytes(200),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "video": b"\0\0\0\x20ftypisom" + bytes(300),
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(300),
        "jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100),
        "zeros": bytes(5000),
        "ones": b"\xff" * 5000,
        "random": random.Random(1).randbytes(5000),
        "elf": b"\x7fELF" + bytes(100),
    }
    for name, content in others.items():
        yield f"misnamed/{name}.jpg", content


def _bombs() -> Iterator[tuple[str, bytes]]:
    yield "wide.png", png_file((2**31 - 1, 1), b"")
    yield "square.png", png_file((60_000, 60_000), b"")
    yield "rows.png", png_file((9000, 9000), zlib.compress(bytes(10)))
    yield "text.png", png_file((1, 1), b"\0\1\2\3", png_chunk(b"zTXt", _bomb(b"k\0\0")))
    yield "profile.png", png_file((1, 1), b"\0\1\2\4", png_chunk(b"iCCP", _bomb(b"k\0\0")))
    yield "screen.gif", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";"
    payload = b"WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff" * 6 + bytes(40)
    yield "canvas.webp", b"RIFF" + struct.pack("<I", len(payload)) + payload
    yield "runs.bmp", bmp_of_runs(30_000, 30_000, b"\xff\0" * 1000)
    yield "size.bmp", bmp_of_runs(2**31 - 1, 2**31 - 1, b"")
    yield "strips.tif", tiff_file(grey_tiff_tags(10, 2) | {273: (4, [0] * 50_000)}, bytes(20))
    yield "size.tif", tiff_file(grey_tiff_tags(65_535, 65_535), bytes(9))


def _bomb(before: bytes) -> bytes:
    return before + zlib.compress(bytes(1 << 25))


def _bad_metadata() -> Iterator[tuple[str, bytes]]:
    chance = random.Random(9)
    for at in range(20):
        exif = b"Exif\0\0" + (b"II*\0" if at % 2 else b"MM\0*") + chance.randbytes(60 + 40 * at)
        yield f"exif {at}.jpg", encoded(drawn(width=50 + at), "JPEG", exif=exif)
    circle = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    yield "exif circle.jpg", encoded(drawn(width=80), "JPEG", exif=circle)
    for at in range(10):
        profile = b"\0\0\2\x0clcms" + chance.randbytes(128 + 30 * at)
        yield f"icc {at}.jpg", encoded(drawn(width=90 + at), "JPEG", icc_profile=profile)
    for at, xmp in enumerate(
        (
            b"<x:xmpmeta" * 500,
            b"<a>" * 20_000,
            b"<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>",
            b"\xff\xfe\0\0" + bytes(100),
            b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF/></x:xmpmeta>",
        )
    ):
        yield f"xmp {at}.jpg", encoded(drawn(width=100 + at), "JPEG", xmp=xmp)


def _endless() -> Iterator[tuple[str, bytes]]:
    frame = b"!\xf9\4\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    yield "frames.gif", screen + frame * 100_000
    yield "comments.gif", screen + b"!\xfe\xff" + b"x" * 255 + (b"\xff" + b"y" * 255) * 2000
    chunk = png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "apng frames.png", png_file((1, 1), b"\0\1\2\5", chunk)
    yield "apng none.png", png_file((1, 1), b"\0\1\2\6", png_chunk(b"acTL", bytes(8)))
    control = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 0, 0, 1, 1, 0, 0)
    yield "apng huge.png", png_file((1, 1), b"\0\1\2\7", chunk, png_chunk(b"fcTL", control))
    progressive = encoded(drawn(), "JPEG", progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    yield "scans.jpg", progressive[:-2] + scan * 3000 + b"\xff\xd9"
    yield "markers.jpg", b"\xff\xd8" + b"\xff\xfe\0\2" * 50_000
    looped = bytearray(tiff_file(grey_tiff_tags(4, 4), bytes(16)))
    entries = 8 + 2 + 12 * 9
    looped[entries : entries + 4] = struct.pack("<I", 8)
    yield "pages.tif", bytes(looped)
    yield "directory.tif", b"II*\0" + struct.pack("<I", 8) + b"\xff\xff" + bytes(2000)
    yield "chunks.png", png_file((1, 1), b"\0\1\2\x08", *[png_chunk(b"juNk", b"")] * 20_000)
    yield "boxes.avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0\0\0\x08free" * 20_000


_ODD_NAMES = (
    "new\nline",
    "tab\tand\rreturn",
    "'single' and \"double\"",
    "back\\slash",
    "$(touch x); `id` | & < >",
    "%s%n%00 {0}",
    " leading and trailing ",
    "-rf",
    "~",
    "*?[]",
    os.fsdecode(b"caf\xe9 \xff\xfe"),
    os.fsdecode(b"\xed\xa0\x80"),
    "\u202eright to left\u202c",
    "e\u0301 and é",
    "🦊",
    "a" * 250,
    "<script>alert(1)</script>".replace("/", "⁄"),
    "\x01\x1b[31m",
    "a⁄..⁄..⁄b",
    "'; DROP TABLE image; --",
)


def make_corpus(folder: Path) -> int:
    """Writes all of it. Returns how many files that may be pictures there are."""
    files = dict(hostile_files())
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    deep = folder / "/".join(["deep" * 25] * 8)
    deep.mkdir(parents=True)
    (deep / f"{'z' * 200}.png").write_bytes(encoded(drawn(width=39), "PNG"))
    _make_what_is_no_file(folder / "no files")
    return len(files) + 1


def _make_what_is_no_file(folder: Path) -> None:
    (folder / "folder.jpg").mkdir(parents=True)
    os.mkfifo(folder / "fifo.jpg")
    here = Path.cwd()
    os.chdir(folder)  # the address of a socket has 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket.jpg")
    finally:
        os.chdir(here)
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "up").symlink_to(folder.parent)
    for device in ("zero", "full", "tty"):
        (folder / f"{device}.jpg").symlink_to(f"/dev/{device}")
    if os.geteuid() == 0:
        try:
            os.mknod(folder / "device.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:  # a container may forbid it to root too
            (folder / "device.jpg").symlink_to("/dev/urandom")
