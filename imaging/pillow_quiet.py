"""Pillow told not to warn: what it would warn of is checked, or does not matter, here.

A warning tells nobody anything when pictures are decoded by the thousand in threads, and
`warnings.catch_warnings` swaps global state, which threads must not do. Three settings replace
it, made once when this module is imported:

- Pillow's own pixel limit is off, for it warns (from its threshold to twice that); `guards`
  checks each header against the caller's limit before pixels are decoded.
- The two plugins that warn of odd metadata (in EXIF, TIFF tags and APNG chunks) and then go on
  get a `warnings` of their own that is silent.
- Pillow's log says nothing below critical: a damaged file is reported by UnreadableImage.
"""

import logging
from types import SimpleNamespace

from PIL import Image, PngImagePlugin, TiffImagePlugin


def _silently(*_: object, **__: object) -> None:
    """Takes the place of `warnings.warn` in the plugins."""


Image.MAX_IMAGE_PIXELS = None
for _plugin in (PngImagePlugin, TiffImagePlugin):
    vars(_plugin)["warnings"] = SimpleNamespace(warn=_silently)
logging.getLogger("PIL").setLevel(logging.CRITICAL)
