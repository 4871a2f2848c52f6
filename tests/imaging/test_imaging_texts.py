import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from imaging_pictures import drawn, encoded, grey_tiff_tags, tiff_file
from PIL import ExifTags, Image

from imaging import FactText, ImageFacts, decode_image, read_xmp

Base = ExifTags.Base

NAMESPACES = " ".join(
    f'xmlns:{name}="{address}"'
    for name, address in {
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "dc": "http://purl.org/dc/elements/1.1/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "aux": "http://ns.adobe.com/exif/1.0/aux/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
    }.items()
)


def xmp(body: str = "", attributes: str = "", before: str = "") -> bytes:
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}>'
        f'<rdf:Description rdf:about="" {attributes}>{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc(*datasets: tuple[int, int, bytes]) -> bytes:
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in datasets
    )


def jpeg_with_iptc(block: bytes) -> bytes:
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + bytes(len(block) % 2)
    segment = b"Photoshop 3.0\0" + resource
    jpeg = encoded(drawn(), "JPEG")
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def exif_facts(main: dict[int, Any], details: dict[int, Any] | None = None) -> ImageFacts:
    exif = Image.Exif()
    exif.update(main)
    exif.get_ifd(ExifTags.IFD.Exif).update(details or {})
    return decode_image(encoded(drawn(), "JPEG", exif=exif.tobytes())).facts


def said(facts: ImageFacts) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in facts.texts]


def facts_with(packet: bytes, **options: Any) -> ImageFacts:
    return decode_image(encoded(drawn(), "JPEG", xmp=packet, **options)).facts


def test_exif_gives_its_descriptions_titles_and_keywords() -> None:
    facts = exif_facts(
        {
            Base.ImageDescription: "Con mèo đen".encode(),
            Base.XPTitle: "Mèo\0".encode("utf-16-le"),
            Base.XPKeywords: "mèo; đen ;;\0".encode("utf-16-le"),
            Base.XPSubject: "Trên sofa\0".encode("utf-16-le"),
        }
    )

    assert said(facts) == [
        ("description", "Con mèo đen"),
        ("title", "Mèo"),
        ("description", "Trên sofa"),
        ("keyword", "mèo"),
        ("keyword", "đen"),
    ]
    assert {(each.source, each.language) for each in facts.texts} == {("exif", None)}


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0A red boat", "A red boat"),
        (b"UNICODE\0" + "红色的船".encode("utf-16-le"), "红色的船"),
        (b"UNICODE\0" + "红色的船".encode("utf-16-be"), "红色的船"),
        (b"UNICODE\0" + "A boat".encode("utf-16-be"), "A boat"),
        (b"UNICODE\0" + "лодка".encode("utf-16"), "лодка"),
        (b"JIS\0\0\0\0\0" + "赤い船".encode("iso2022_jp"), "赤い船"),
        (bytes(8) + "Thuyền đỏ".encode(), "Thuyền đỏ"),
        (b"no code at all", "no code at all"),
    ],
)
def test_a_user_comment_is_read_in_the_encoding_that_it_names(comment: bytes, text: str) -> None:
    assert said(exif_facts({}, {Base.UserComment: comment})) == [("description", text)]


@pytest.mark.parametrize(
    "description",
    ["OLYMPUS DIGITAL CAMERA         ", "SAMSUNG CAMERA PICTURES", "default", "   ", "DSC_0042",
     "Created with GIMP", '{"filter": 0}', "12345", "---"],
)  # fmt: skip
def test_what_a_camera_writes_by_itself_is_no_description(description: str) -> None:
    assert exif_facts({Base.ImageDescription: description}).texts == ()


def test_iptc_gives_titles_captions_and_keywords() -> None:
    block = iptc(
        (1, 90, b"\x1b%G"),
        (2, 5, "Bến tàu".encode()),
        (2, 25, "thuyền".encode()),
        (2, 25, "biển".encode()),
        (2, 120, "Thuyền ở bến".encode()),
        (2, 135, b"vi"),
    )

    assert decode_image(jpeg_with_iptc(block)).facts.texts == (
        FactText("title", "Bến tàu", "iptc", "vi"),
        FactText("keyword", "thuyền", "iptc", "vi"),
        FactText("keyword", "biển", "iptc", "vi"),
        FactText("description", "Thuyền ở bến", "iptc", "vi"),
    )


@pytest.mark.parametrize(
    "value", ["Straße im Schnee".encode("latin-1"), "Straße im Schnee".encode()]
)
def test_iptc_without_a_declared_character_set_is_utf_8_or_latin_1(value: bytes) -> None:
    assert said(decode_image(jpeg_with_iptc(iptc((2, 120, value)))).facts) == [
        ("description", "Straße im Schnee")
    ]


def test_iptc_in_a_tiff_is_read_also_where_it_is_declared_as_numbers_of_four() -> None:
    block = iptc((2, 105, b"A harbour")).ljust(16, b"\0")
    as_bytes = encoded(drawn(), "TIFF", tiffinfo={33723: block})
    numbers = (4, list(struct.unpack("<4I", block)))
    as_numbers = tiff_file({**grey_tiff_tags(8, 8), 33723: numbers}, bytes(64))

    for data in (as_bytes, as_numbers):
        assert said(decode_image(data).facts) == [("title", "A harbour")]


def test_xmp_gives_its_texts_with_their_languages() -> None:
    alt = "<rdf:Alt>{}</rdf:Alt>"
    packet = xmp(
        "<dc:title>"
        + alt.format(
            '<rdf:li xml:lang="x-default">A boat</rdf:li><rdf:li xml:lang="vi">Thuyền</rdf:li>'
        )
        + "</dc:title><dc:description>"
        + alt.format('<rdf:li xml:lang="de-AT">Am <b>Hafen</b> &amp; See</rdf:li>')
        + "</dc:description><dc:subject><rdf:Bag><rdf:li>boat</rdf:li><rdf:li>2024</rdf:li>"
        "</rdf:Bag></dc:subject>",
        'photoshop:Headline="In the harbour"',
    )

    assert facts_with(packet).texts == (
        FactText("title", "A boat", "xmp"),
        FactText("title", "Thuyền", "xmp", "vi"),
        FactText("title", "In the harbour", "xmp"),
        FactText("description", "Am Hafen & See", "xmp", "de-AT"),
        FactText("keyword", "boat", "xmp"),
        FactText("keyword", "2024", "xmp"),
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_found_in_every_format_that_holds_it(file_format: str) -> None:
    packet = xmp(attributes='photoshop:Headline="Thuyền"')
    if file_format == "TIFF":
        data = encoded(drawn(), "TIFF", tiffinfo={700: packet})
    elif file_format == "PNG":
        from PIL import PngImagePlugin

        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded(drawn(), "PNG", pnginfo=chunks)
    else:
        data = encoded(drawn(), file_format, xmp=packet)

    assert said(decode_image(data).facts) == [("title", "Thuyền")]


def test_one_text_in_three_places_is_one_with_its_language() -> None:
    exif = Image.Exif()
    exif[Base.ImageDescription] = "A boat"
    packet = xmp(
        '<dc:description><rdf:Alt><rdf:li xml:lang="en">A boat</rdf:li></rdf:Alt></dc:description>',
        'exif:UserComment="A boat"',
    )

    assert facts_with(packet, exif=exif.tobytes()).texts == (
        FactText("description", "A boat", "xmp", "en"),
    )


@pytest.mark.parametrize(
    ("attributes", "taken_at"),
    [
        ('xmp:CreateDate="2024-05-31T18:04:59+07:00"',
         datetime(2024, 5, 31, 18, 4, 59, tzinfo=timezone(timedelta(hours=7)))),
        ('exif:DateTimeOriginal="2020-01-02T03:04:05.25Z" xmp:CreateDate="2024-05-31T18:04:59"',
         datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('photoshop:DateCreated="2019-12-31T23:59"', datetime(2019, 12, 31, 23, 59)),  # noqa: DTZ001
        ('xmp:CreateDate="2024-13-31T18:04:59"', None),
        ('xmp:CreateDate="2024-05-31"', None),
        ('xmp:CreateDate="soon"', None),
    ],
)  # fmt: skip
def test_without_exif_the_time_is_that_of_the_xmp(
    attributes: str, taken_at: datetime | None
) -> None:
    assert facts_with(xmp(attributes=attributes)).taken_at == taken_at


@pytest.mark.parametrize(
    ("in_xmp", "offset"),
    [("2024-05-31T18:04:59+07:00", timedelta(hours=7)), ("2024-05-31T19:00:00+07:00", None)],
)
def test_exif_time_takes_its_offset_from_xmp_of_the_same_time_only(
    in_xmp: str, offset: timedelta | None
) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[Base.DateTimeOriginal] = "2024:05:31 18:04:59"
    packet = xmp(attributes=f'xmp:CreateDate="{in_xmp}"')

    taken_at = facts_with(packet, exif=exif.tobytes()).taken_at

    assert taken_at is not None
    assert (taken_at.hour, taken_at.utcoffset()) == (18, offset)


def test_camera_lens_and_place_come_from_xmp_where_exif_has_none() -> None:
    facts = facts_with(
        xmp(
            attributes='tiff:Make="小米" tiff:Model="14 Ultra" aux:Lens="Summilux 1:1.6" '
            'exif:GPSLatitude="21,1.8N" exif:GPSLongitude="105,51,36E"'
        )
    )

    assert (facts.camera, facts.lens) == ("小米 14 Ultra", "Summilux 1:1.6")
    assert (facts.latitude, facts.longitude) == (pytest.approx(21.03), pytest.approx(105.86))


@pytest.mark.parametrize("place", ["91,0.0N", "x", "21,1.8E", ""])
def test_a_place_that_is_none_is_left_out(place: str) -> None:
    facts = facts_with(xmp(attributes=f'exif:GPSLatitude="{place}" exif:GPSLongitude="105,51,36E"'))

    assert (facts.latitude, facts.longitude) == (None, None)


HEADLINE = 'photoshop:Headline="A boat"'


@pytest.mark.parametrize(
    "packet",
    [
        xmp(attributes=HEADLINE, before='<!DOCTYPE x [<!ENTITY a "b">]>'),
        xmp(attributes=HEADLINE, before='<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'),
        xmp("<dc:title>&unknown;</dc:title>", HEADLINE),
        xmp(attributes=HEADLINE)[:-30],
        xmp("<dc:a>" * 60 + "</dc:a>" * 60, HEADLINE),
        xmp("<dc:title>" + "a " * 600_000 + "</dc:title>", HEADLINE),
        b"\xff\xfe\x00",
        b"",
        b"no XML",
    ],
)
def test_xml_that_is_a_trap_or_no_xmp_is_refused(packet: bytes) -> None:
    assert read_xmp(xmp(attributes=HEADLINE)) is not None
    assert read_xmp(packet) is None


def test_a_picture_with_broken_metadata_is_still_read() -> None:
    facts = facts_with(xmp(attributes=HEADLINE)[:200])
    assert facts.texts == ()
    cut = iptc((2, 105, b"kept"), (2, 120, b"x" * 40))[:20]
    assert said(decode_image(jpeg_with_iptc(cut)).facts)[0] == ("title", "kept")


def test_texts_are_bounded() -> None:
    long = facts_with(xmp("<dc:title>" + "boat " * 9_000 + "</dc:title>")).texts[0].text
    assert 9_000 < len(long) <= 10_000
    keywords = "".join(f"<rdf:li>boat {n}</rdf:li>" for n in range(700))
    many = facts_with(xmp(f"<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>"))
    assert len(many.texts) == 500
