"""Bytes → an upright RGB picture, its facts and its thumbnail, guarded. Imports nothing of ours."""

from imaging.decode import DecodedImage, decode_image
from imaging.errors import UnreadableImage
from imaging.facts import ImageFacts
from imaging.formats import PICTURE_SUFFIXES, sniff_format
from imaging.guards import DecodeLimits
from imaging.texts import FactText, cleaned_texts
from imaging.thumbnail import THUMBNAIL_MIME, dominant_color, make_thumbnail
from imaging.xmp import XmpFacts, read_xmp

__all__ = [
    "PICTURE_SUFFIXES",
    "THUMBNAIL_MIME",
    "DecodeLimits",
    "DecodedImage",
    "FactText",
    "ImageFacts",
    "UnreadableImage",
    "XmpFacts",
    "cleaned_texts",
    "decode_image",
    "dominant_color",
    "make_thumbnail",
    "read_xmp",
    "sniff_format",
]
