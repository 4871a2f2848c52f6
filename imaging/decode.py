"""Bytes → an upright RGB picture."""

import io
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from imaging import pillow_quiet  # noqa: F401  (imported for its effect)
from imaging.color import to_rgb
from imaging.errors import UnreadableImage
from imaging.facts import ORIENTATION, ImageFacts, read_facts, read_orientation
from imaging.failures import explain_failure
from imaging.formats import sniff_format, unreadable_by_content
from imaging.guards import DecodeLimits, check_bytes, check_opened, check_unopened
from imaging.packets import BROKEN_METADATA, Packets, read_packets
from imaging.raw import RawFile, is_raw_tiff, opened_raw, read_raw_packets


class _JpegImageFile(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Nobody asks for the resolution, and broken EXIF could fail the opening over it."""


# The plugins are called by name: `Image.open` tries several, lets a JPEG become an MPO, and warns.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": _JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}


def _plugin(format_name: str) -> type[ImageFile.ImageFile]:
    if format_name == "heif":
        # It turns the picture upright, and takes the orientation out of its EXIF.
        from pi_heif.as_plugin import HeifImageFile

        return HeifImageFile  # type: ignore[no-any-return]
    return _PLUGINS[format_name]


_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_NO_LIMITS_GIVEN = DecodeLimits()


@dataclass(frozen=True)
class DecodedImage:
    """A picture as a person sees it.

    `image` is upright RGB, what is transparent over white, and perhaps shrunk; `width` and
    `height` are of the full upright picture; `format` is as `sniff_format` says it.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    facts: ImageFacts


def decode_image(
    data: bytes, *, min_side: int | None = None, limits: DecodeLimits = _NO_LIMITS_GIVEN
) -> DecodedImage:
    """The first (or only) picture in `data`.

    With `min_side` a JPEG may be shrunk while it is decoded (by 2, 4 or 8), to no fewer than that
    many pixels on either side, and the preview in a RAW file may stand for it. Raises
    UnreadableImage, and nothing else but MemoryError, whatever the bytes are. Safe to call from
    many threads.
    """
    check_bytes(data, limits)
    head = data[:256]
    format_name = sniff_format(head)
    if format_name is None:
        raise unreadable_by_content(head)
    try:
        if format_name == "tiff" and is_raw_tiff(data):
            format_name = "raw"
        if format_name == "raw":
            return _decode_raw(data, min_side, limits)
        return _decode(data, format_name, min_side, limits)[0]
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:
        # Pillow's plugins raise what they like for bad bytes: OSError, SyntaxError, ValueError,
        # struct.error, IndexError, AttributeError and more.
        raise explain_failure(data, format_name, error) from error


def _decode(
    data: bytes, format_name: str, min_side: int | None, limits: DecodeLimits
) -> tuple[DecodedImage, Packets]:
    check_unopened(data, format_name, limits)
    with _plugin(format_name)(io.BytesIO(data)) as opened:
        check_opened(opened, data, limits)
        width, height = opened.size
        # A TIFF lets go of its EXIF when loaded; a PNG may have it behind the pixels, and loads
        # itself, errors unheard, when asked for it before.
        packets = read_packets(opened) if format_name == "tiff" else None
        if min_side is not None:
            opened.draft(opened.mode, (min_side, min_side))
        opened.load()
        packets = read_packets(opened) if packets is None else packets
        facts, orientation = read_facts(packets), read_orientation(packets.exif)
        image = to_rgb(opened)
        if image is opened:
            # The same pixels in a plain picture: lets go of the encoded bytes and of the decoder.
            image = opened._new(opened.im)
    if format_name == "tiff":
        # Pillow has turned it upright already.
        width, height = image.size
    elif orientation in _UPRIGHT_BY:
        image = image.transpose(_UPRIGHT_BY[orientation])
        if orientation >= 5:
            width, height = height, width
    # Orientation and colour profile are applied; nobody may apply them again.
    image.info = {}
    return DecodedImage(image, width, height, format_name, facts), packets


def _decode_raw(data: bytes, min_side: int | None, limits: DecodeLimits) -> DecodedImage:
    """The camera's preview, where it is large enough: that is the picture as the photographer saw
    it, at a hundredth of the cost. Otherwise what the sensor saw, plainly developed."""
    facts = read_facts(read_raw_packets(data))
    with opened_raw(data, limits) as raw:
        shown = _decode_preview(raw, min_side, limits)
        if shown is None:
            return DecodedImage(raw.develop(), *raw.size, "raw", facts)
        decoded, packets = shown
        image = decoded.image
        if ORIENTATION not in packets.exif:
            image = raw.turned_upright(image)
        if facts.camera is None:
            facts = decoded.facts
        return DecodedImage(image, *raw.size, "raw", facts)


def _decode_preview(
    raw: RawFile, min_side: int | None, limits: DecodeLimits
) -> tuple[DecodedImage, Packets] | None:
    """None where it is too small, or damaged: there are still the sensor's pixels."""
    preview = raw.preview()
    if preview is None:
        return None
    try:
        decoded, packets = _decode(preview, "jpeg", min_side, limits)
    except (*BROKEN_METADATA, UnreadableImage):
        return None
    return (decoded, packets) if raw.is_enough((decoded.width, decoded.height), min_side) else None
