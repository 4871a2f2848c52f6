"""Pictures drawn for the tests of `imaging`, and files put together byte by byte."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def drawn(mode: str = "RGB", width: int = 61, height: int = 43) -> Image.Image:
    """Gradients with a little noise, the same at every call."""
    y, x = np.mgrid[0:height, 0:width]
    levels = np.stack(
        [x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height), 255 - y * 3], -1
    )
    noise = np.random.default_rng(7).integers(-9, 9, levels.shape)
    pixels = (levels + noise).clip(0, 255).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(pixels[..., 0].astype(np.float32) * 3.5 - 20)
    if mode in {"L", "LA", "RGBA"}:
        bands = [Image.fromarray(band) for band in np.ascontiguousarray(pixels.transpose(2, 0, 1))]
        return Image.merge(mode, bands[: len(mode)])
    return Image.fromarray(pixels[..., :3].copy()).convert(mode)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def quadrants(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green / blue, white: no two of the eight orientations look alike."""
    image = Image.new("RGB", (width, height), "red")
    image.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    image.paste((0, 0, 255), (0, height // 2, width // 2, height))
    image.paste((255, 255, 255), (width // 2, height // 2, width, height))
    return image


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_file(
    size: tuple[int, int],
    rows: bytes,
    *chunks: bytes,
    depth: int = 8,
    color: int = 2,
    interlaced: bool = False,
) -> bytes:
    """A PNG of `rows` (each begins with its filter byte), with `chunks` before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, interlaced)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            *chunks,
            png_chunk(b"IDAT", zlib.compress(rows)),
            png_chunk(b"IEND", b""),
        ]
    )


def tiff_file(tags: dict[int, tuple[int, list[int]]], strip: bytes = b"") -> bytes:
    """A little-endian TIFF: tag → (type 3 or 4, values). StripOffsets are given from the strip."""
    letters = {3: "H", 4: "I"}
    directory_end = 8 + 2 + 12 * len(tags) + 4
    entries, outside = b"", strip
    for tag, (kind, values) in sorted(tags.items()):
        base = directory_end if tag in {273, 324} else 0
        packed = struct.pack(f"<{len(values)}{letters[kind]}", *(base + value for value in values))
        if len(packed) > 4:
            packed, outside = struct.pack("<I", directory_end + len(outside)), outside + packed
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8) + directory + outside


def grey_tiff_tags(width: int, height: int) -> dict[int, tuple[int, list[int]]]:
    """The tags of an uncompressed 8-bit grey TIFF of one strip."""
    return {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8]),
        259: (3, [1]),
        262: (3, [1]),
        273: (4, [0]),
        277: (3, [1]),
        278: (4, [height]),
        279: (4, [width * height]),
    }


def bmp_of_runs(width: int, height: int, runs: bytes) -> bytes:
    """A run-length encoded 8-bit BMP with a grey palette."""
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
    start = 14 + 40 + len(palette)
    file_header = struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return file_header + info + palette + runs


def icc_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 display profile of the colour space `space` ("RGB " or "GRAY")."""
    table, bodies = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        table += struct.pack(">4sII", name, start + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s", start + len(bodies), 0x02100000, b"mntr", space, b"XYZ ", b"acsp"
    )
    header = header.ljust(68, b"\0") + _fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + bodies


def icc_xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(x, y, z)


def icc_gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def icc_curve(shares: list[float]) -> bytes:
    levels = [round(share * 65535) for share in shares]
    return b"curv\0\0\0\0" + struct.pack(f">I{len(levels)}H", len(levels), *levels)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
