"""Files as cameras write them: a HEIC, and DNGs put together byte by byte."""

import base64
import struct

import numpy as np

# `quadrants()` as x265 has encoded it, with EXIF (camera, time, orientation 6) and an XMP title.
_HEIC = """
0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0006KZDn*}000000000XXk=`10000000000aA{+7000000000000000
00000MrmwsV*mgE07O6l0{{U400002HUI$t00000007kh0ssI200RpE0RR9100000egFdi00003i2wlr0000000Ace
003fXX>Mi!000000{{R36=`l}WdZ;I000310BCk&F#rGn02OI&W@Q2Z00963002dJX=VTb001g!Zf0cy000310{{SR
X>DZyVQ_G4X=7n@X>V>Xa%5&Jcx`L|000004sdC7Z2$lO00031009SSaB^?}008D`aAR)(004Gqc4I>U18@KU0FVFx
0000U@BsY%`1k+-4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx&lC90096hLID8-Z~y=U0FVFx0{{R603M(qfd!W8
<fgf}2xu@M00096AOHXZ03l)k0RRR>0l{;?i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L8000000000$0000$0000e
V{Bn?0000$000010000m000010000000002|NsB+000020000GaA|mH000000|*ER00009X>xCL0{{R38EJ5BVE_OC
000000RRC8fdT^sgoXeB04Qm4Wo7^X0000001jhhb7KGk009620000EV`Ot<00RI4009610)lO1VRQfh0MRG`uL<BI
H7)<{+5i6iZz1d_q;&4@)T94mW4qus|N5_Oefm4ofA*?7_~LK+W(lf+B{yIHC9J&2#cn+SGotIR^a<!P8qd?ae@!VH
wM3pF;iL#GbcK(pX&vEBkTQmcmyC!U6%89EWV~UmhQysDZAqN}b3Z2(p^3BuFfL~Dj-{)ziVaaYb2Ld-Geo9D4!x((
T6TNplxp>TYPZCO>xvf1h~qS?5R8l9d{-58*!=#W7Joks|8{HEyh(NSuWj+e4h5epMvXtXY@4_M000I>cxh$;08LE*
DgXcg2mk~D4*&uH000I6002G#5C8%I000UA002Y*5&#1L000311^@tuX#fNO00031002$^0000%aBys80BKNYZ*FBE
F*N`H0gwX#0ssI26aWAKU;qFB05UK#G&(RfIx{gKF*rIfG&(go06cg)cx`ZPWprU6cx`NMb2@lEB4K22Vr4pRb2@Eh
bYU+dK0I<{W;#+tMj&`?Y;JQpa%5&bB4~7Ua5^t9cXxL#cQY<;a%V3wIXO8mFfuPPGA(jsW-W7hZggRIEpBroB0fBF
WM(=<WpiV4X>fFDZ*CxRWM(>HVsCYHJt86?cx`NMb2?;WJtAmybZ|N^FK~5oY%XtdXD?)9FJ)|HZDnqBb1yM2F)t!M
JY-`!bZK;KWj;J|WM(=+Y;-<6a%5&YY-u2PZEQMhVQyzVB6evaK25`@Zy>~xWo|q#a%5&YY-v6`FLGpNIzeo7K0GgE
V>)zcbZlilJTG!&W;#S=b7OL8aCB*JZazFOa%5&YQba~RJTG`Ucx`ZPWprUa
"""

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 10: 8}
_Tags = dict[int, tuple[int, bytes]]


def heic_file() -> bytes:
    """48 × 64 once it is upright: blue, red / white, green."""
    return base64.b85decode(_HEIC.replace("\n", ""))


def dng_file(
    width: int = 64, height: int = 48, orientation: int = 1, preview: bytes | None = None
) -> bytes:
    """Red, green / blue, white, as a sensor sees it; with `preview` (a JPEG) before the sensor's
    pixels, as cameras have it."""
    sensor = _sensor_tags(width, height) | {274: (3, _shorts(orientation))}
    about = {
        271: (2, b"Polyglance\0"),
        272: (2, b"Test Camera\0"),
        50706: (1, bytes([1, 4, 0, 0])),
        50708: (2, b"Polyglance Test Camera\0"),
        50721: (10, _rationals(1, 0, 0, 0, 1, 0, 0, 0, 1)),
        50728: (10, _rationals(1, 1, 1)),
        50778: (3, _shorts(21)),
    }
    pixels = _mosaic(width, height)
    if preview is None:
        return b"II*\0" + struct.pack("<I", 8) + _directory(8, sensor | about, pixels)
    shown = {
        254: (4, _longs(1)),
        256: (4, _longs(width)),
        257: (4, _longs(height)),
        258: (3, _shorts(8, 8, 8)),
        259: (3, _shorts(7)),
        262: (3, _shorts(6)),
        273: (4, _longs(0)),
        274: (3, _shorts(orientation)),
        277: (3, _shorts(3)),
        278: (4, _longs(height)),
        279: (4, _longs(len(preview))),
        330: (4, _longs(0)),
    }
    first_size = len(_directory(8, shown | about, preview))
    shown[330] = (4, _longs(8 + first_size))
    first = _directory(8, shown | about, preview)
    return b"II*\0" + struct.pack("<I", 8) + first + _directory(8 + first_size, sensor, pixels)


def _sensor_tags(width: int, height: int) -> _Tags:
    return {
        254: (4, _longs(0)),
        256: (4, _longs(width)),
        257: (4, _longs(height)),
        258: (3, _shorts(16)),
        259: (3, _shorts(1)),
        262: (3, _shorts(32803)),
        273: (4, _longs(0)),
        277: (3, _shorts(1)),
        278: (4, _longs(height)),
        279: (4, _longs(2 * width * height)),
        33421: (3, _shorts(2, 2)),
        33422: (1, bytes([0, 1, 1, 2])),
        50714: (3, _shorts(0)),
        50717: (3, _shorts(65535)),
    }


def _mosaic(width: int, height: int) -> bytes:
    colors = np.zeros((height, width, 3), np.uint16)
    half, middle = height // 2, width // 2
    colors[:half, :middle, 0] = colors[:half, middle:, 1] = colors[half:, :middle, 2] = 60000
    colors[half:, middle:] = 60000
    seen = colors[..., 1].copy()
    seen[0::2, 0::2], seen[1::2, 1::2] = colors[0::2, 0::2, 0], colors[1::2, 1::2, 2]
    return seen.astype("<u2").tobytes()


def _directory(at: int, tags: _Tags, strip: bytes) -> bytes:
    """A TIFF directory that begins at `at`, its strip and its values behind it."""
    behind = at + 2 + 12 * len(tags) + 4
    entries, outside = b"", strip + bytes(len(strip) % 2)
    for tag, (kind, value) in sorted(tags.items()):
        count = len(value) // _TYPE_BYTES[kind]
        inline = struct.pack("<I", behind) if tag == 273 else value
        if len(inline) > 4:
            inline = struct.pack("<I", behind + len(outside))
            outside += value + bytes(len(value) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + inline.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + outside


def _shorts(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def _longs(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def _rationals(*values: int) -> bytes:
    return b"".join(struct.pack("<ii", value * 10000, 10000) for value in values)
