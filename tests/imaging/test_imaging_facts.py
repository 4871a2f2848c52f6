import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from imaging_pictures import drawn, encoded, png_chunk
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from imaging import ImageFacts, decode_image

Base, Gps = ExifTags.Base, ExifTags.GPS
NO_FACTS = ImageFacts(taken_at=None, camera=None, lens=None, latitude=None, longitude=None)


def facts_of(
    main: dict[int, Any] | None = None,
    details: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
    file_format: str = "JPEG",
) -> ImageFacts:
    """The facts of a picture saved with these EXIF tags."""
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(details or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    return decode_image(encoded(drawn(), file_format, exif=exif.tobytes())).facts


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_that_holds_exif_gives_its_facts(file_format: str) -> None:
    facts = facts_of(
        {Base.Make: "Canon", Base.Model: "Canon EOS 5D"},
        {
            Base.DateTimeOriginal: "2024:05:31 18:04:59",
            Base.OffsetTimeOriginal: "+07:00",
            Base.LensModel: "EF50mm f/1.8 STM",
        },
        {
            Gps.GPSLatitudeRef: "N",
            Gps.GPSLatitude: (21.0, 1.0, 48.0),
            Gps.GPSLongitudeRef: "E",
            Gps.GPSLongitude: (105.0, 51.0, 0.0),
        },
        file_format,
    )

    assert facts == ImageFacts(
        taken_at=datetime(2024, 5, 31, 18, 4, 59, tzinfo=timezone(timedelta(hours=7))),
        camera="Canon EOS 5D",
        lens="EF50mm f/1.8 STM",
        latitude=pytest.approx(21.03),
        longitude=pytest.approx(105.85),
    )


def test_exif_behind_the_pixels_of_a_png_is_read() -> None:
    exif = Image.Exif()
    exif[Base.Model], exif[Base.Orientation] = "Pixel 8", 6
    whole = encoded(drawn(), "PNG")
    data = whole[:-12] + png_chunk(b"eXIf", exif.tobytes()[6:]) + whole[-12:]

    decoded = decode_image(data)

    assert decoded.facts.camera == "Pixel 8"
    assert decoded.image.size == (43, 61)


def test_a_picture_without_exif_has_no_facts() -> None:
    assert decode_image(encoded(drawn(), "PNG")).facts == NO_FACTS


def test_the_moment_of_taking_wins_over_digitising_and_changing() -> None:
    original = {Base.DateTimeOriginal: "2001:01:01 01:01:01"}
    digitized = {Base.DateTimeDigitized: "2002:02:02 02:02:02"}
    changed = {Base.DateTime: "2003:03:03 03:03:03"}

    years = [
        facts_of(changed, original | digitized).taken_at,
        facts_of(changed, digitized).taken_at,
        facts_of(changed).taken_at,
    ]

    assert [moment.year for moment in years if moment] == [2001, 2002, 2003]


def test_a_moment_without_an_offset_is_local_and_naive() -> None:
    taken_at = facts_of(details={Base.DateTimeOriginal: "2024:05:31 18:04:59"}).taken_at

    assert taken_at is not None
    assert taken_at.tzinfo is None


@pytest.mark.parametrize(
    ("offset", "zone"),
    [
        ("-03:30", timezone(-timedelta(hours=3, minutes=30))),
        ("Z", UTC),
        ("+0900", timezone(timedelta(hours=9))),
        ("   :  ", None),
        ("+99:99", None),
        ("UTC", None),
    ],
)
def test_offsets_are_read_and_bad_ones_leave_local_time(offset: str, zone: timezone | None) -> None:
    taken_at = facts_of(
        details={Base.DateTimeOriginal: "2024:05:31 18:04:59", Base.OffsetTimeOriginal: offset}
    ).taken_at

    assert taken_at is not None
    assert taken_at.tzinfo == zone


def test_each_moment_goes_with_its_own_offset() -> None:
    taken_at = facts_of(
        {Base.DateTime: "2003:03:03 03:03:03"},
        {Base.OffsetTimeOriginal: "+05:00", Base.OffsetTime: "+01:00"},
    ).taken_at

    assert taken_at is not None
    assert taken_at.utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024:05:31 18:04:59\0", (2024, 5, 31, 18, 4, 59)),
        ("2024-05-31T18:04:59", (2024, 5, 31, 18, 4, 59)),
        ("2024/05/31 18:04", (2024, 5, 31, 18, 4, 0)),
        ("2016:12:31 23:59:60", (2016, 12, 31, 23, 59, 59)),
        ("2024:05:31 18:04:59.123", (2024, 5, 31, 18, 4, 59)),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2023:02:30 10:00:00", None),
        ("0001:01:01 00:00:00", None),
        ("9999:12:31 23:59:59", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_moments_are_read_as_cameras_write_them_and_nonsense_is_none(
    text: str, expected: tuple[int, ...] | None
) -> None:
    taken_at = facts_of(details={Base.DateTimeOriginal: text}).taken_at

    assert (taken_at.timetuple()[:6] if taken_at else None) == expected


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15 Pro", "Apple iPhone 15 Pro"),
        ("SONY    ", " ILCE-7M3 \0\0junk", "SONY ILCE-7M3"),
        ("Xiaomi", None, "Xiaomi"),
        (None, "Pixel 8", "Pixel 8"),
        ("", "   ", None),
        ("\x01\x02", "----", None),
        ("Make\nwith\ttabs", "M", "Make with tabs M"),
    ],
)
def test_make_and_model_are_one_name(
    make: str | None, model: str | None, camera: str | None
) -> None:
    tags = {Base.Make: make, Base.Model: model}

    assert facts_of({tag: text for tag, text in tags.items() if text is not None}).camera == camera


def test_names_that_cameras_write_in_utf_8_are_read() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", Base.Model, 2, 12, 26)
    exif += bytes(4) + "Máy ảnh".encode() + b"\0\0"

    assert decode_image(encoded(drawn(), "JPEG", exif=exif)).facts.camera == "Máy ảnh"


def test_an_endless_name_is_cut() -> None:
    camera = facts_of({Base.Make: "A" * 5000, Base.Model: "B" * 5000}).camera

    assert camera is not None
    assert len(camera) <= 100


def hanoi(**changes: Any) -> dict[int, Any]:
    gps: dict[str, Any] = {
        "GPSLatitudeRef": "N",
        "GPSLatitude": (21.0, 1.0, 48.0),
        "GPSLongitudeRef": "E",
        "GPSLongitude": (105.0, 51.0, 0.0),
    }
    return {Gps[name]: value for name, value in (gps | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "position"),
    [
        ({"GPSLatitudeRef": "S"}, (-21.03, 105.85)),
        ({"GPSLongitudeRef": "w"}, (21.03, -105.85)),
        ({"GPSLatitude": (21.03,), "GPSLongitude": (105.0, 51.0)}, (21.03, 105.85)),
        ({"GPSLatitude": (0.0, 0.0, 0.0)}, (0.0, 105.85)),
        ({"GPSLatitude": (0.0,) * 3, "GPSLongitude": (0.0,) * 3}, None),
        ({"GPSLatitude": (91.0, 0.0, 0.0)}, None),
        ({"GPSLongitude": (180.0, 0.0, 1.0)}, None),
        ({"GPSLatitude": (IFDRational(0, 0),) * 3}, None),
        ({"GPSLatitude": (21.0, IFDRational(1, 0), 0.0)}, None),
        ({"GPSLatitude": (21.0, 1.0, 48.0, 5.0)}, None),
        ({"GPSLatitude": None}, None),
        ({"GPSLatitudeRef": None}, None),
        ({"GPSLatitudeRef": "X"}, None),
    ],
)
def test_positions_are_signed_degrees_and_bad_ones_are_none(
    changes: dict[str, Any], position: tuple[float, float] | None
) -> None:
    facts = facts_of(gps=hanoi(**changes))

    found = (facts.latitude, facts.longitude)
    assert found == (pytest.approx(position) if position else (None, None))


def test_a_bad_position_leaves_the_other_facts() -> None:
    facts = facts_of({Base.Model: "Pixel 8"}, gps=hanoi(GPSLatitude=(99.0, 0.0, 0.0)))

    assert facts.latitude is None
    assert facts.camera == "Pixel 8"


def test_numbers_where_text_belongs_are_no_facts() -> None:
    # Model, DateTime and LensModel as numbers; the sub-directories behind the end of the EXIF.
    entries = [
        (Base.Model, 3, 1, 77),
        (Base.DateTime, 4, 1, 20240531),
        (ExifTags.IFD.Exif, 4, 1, 4_000_000_000),
        (ExifTags.IFD.GPSInfo, 4, 1, 4_000_000_000),
    ]
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    exif += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)

    assert decode_image(encoded(drawn(), "JPEG", exif=exif)).facts == NO_FACTS


def test_an_empty_resolution_does_not_stop_a_jpeg() -> None:
    # ResolutionUnit, and XResolution as a text of no letters.
    entries = [(0x0128, 3, 1, 2), (0x011A, 2, 1, 0)]
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    exif += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    image = drawn()

    with_jfif = encoded(image, "JPEG", exif=exif)
    without_jfif = with_jfif[:2] + with_jfif[with_jfif.index(b"\xff\xe1") :]

    assert decode_image(without_jfif).image.size == image.size


def test_exif_that_refers_to_itself_comes_to_an_end() -> None:
    entries = [
        (Base.Orientation, 3, 1, 6),
        (ExifTags.IFD.Exif, 4, 1, 8),
        (ExifTags.IFD.GPSInfo, 4, 1, 8),
    ]
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    exif += b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 8)

    decoded = decode_image(encoded(drawn(), "JPEG", exif=exif))

    assert (decoded.width, decoded.height) == (43, 61)
    assert decoded.facts == NO_FACTS


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0garbage", b"x", b"Exif\0\0MM\0*\xff\xff\xff\xff"]
)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_leaves_the_picture_readable(file_format: str, exif: bytes) -> None:
    decoded = decode_image(encoded(drawn(), file_format, exif=exif))

    assert decoded.image.size == (61, 43)
    assert decoded.facts == NO_FACTS
