"""The pages as a browser without JavaScript gets them."""

import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_library import COPIES, SHAPES, draw, make_library
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from search.config import SearchConfig
from search.engine import SearchEngine
from storage.pictures import get_images
from webui.app import create_app
from webui.config import WebConfig
from webui.query_pictures import PictureForgotten, QueryPicture, QueryPictures
from webui.tiles import Tile

OF_A_COLOR = COPIES * len(SHAPES)
TILE = re.compile(
    r'<li class="tile[^"]*" id="p(\d+)"><a class="open" href="([^"]*)" title="([^"]*)"'
)


def tiles(html: str) -> list[tuple[int, str, str]]:
    """(id, URL, title) of every picture in the page's rows."""
    return [
        (int(number), unescape(url), unescape(title)) for number, url, title in TILE.findall(html)
    ]


def matching(html: str) -> str:
    """The rows above the line."""
    return html.partition('id="hits"')[2].partition('id="rest"')[0]


def words(response: TestResponse) -> str:
    """What a page says beside its pictures."""
    return " ".join(
        unescape(each) for each in re.findall(r'class="word"[^>]*>([^<]*)<', response.text)
    )


def link(html: str, pattern: str, tag: str = "a") -> str:
    found = re.search(rf"<{tag} [^>]*{pattern}[^>]*>", html)
    assert found, f"no link {pattern}"
    href = re.search(r'href="([^"]*)"', found.group())
    assert href
    return unescape(href.group(1))


def png(color: str = "red", size: tuple[int, int] = (80, 60)) -> bytes:
    out = io.BytesIO()
    draw(color, size, 0.1).save(out, "PNG")
    return out.getvalue()


def send(client: FlaskClient, data: bytes, **asked: str) -> TestResponse:
    fields = {"picture": (io.BytesIO(data), "mine.png")}
    return client.post("/by-picture", query_string=asked, data=fields)


class TestSearchPage:
    def test_the_start_page_shows_the_newest_pictures_first_and_examples_in_many_languages(
        self, client: FlaskClient
    ) -> None:
        page = client.get("/")
        assert page.status_code == 200
        shown = [number for number, _, _ in tiles(page.text)]
        assert shown == list(range(192, 168, -1))
        examples = re.findall(r'<a href="/\?q=[^"]*" lang="([^"]*)"', page.text)
        assert {"en", "vi", "ar", "hi", "ja", "th", "zh-Hans"} <= set(examples)

    @pytest.mark.parametrize("query", ["red", "màu đỏ", "红色", "أحمر", "लाल", "สีแดง"])
    def test_a_query_in_any_language_finds_its_pictures(
        self, client: FlaskClient, query: str
    ) -> None:
        page = client.get("/", query_string={"q": query})
        above = tiles(matching(page.text))
        assert len(above) > 15
        assert all(title.startswith("red/") for _, _, title in above)
        assert f'value="{query}"' in page.text

    def test_a_tile_tells_path_relevance_and_score_and_leads_to_the_picture(
        self, client: FlaskClient
    ) -> None:
        number, url, title = tiles(client.get("/?q=green").text)[0]
        assert re.fullmatch(r"green/green \d\d\.(jpg|png), relevance \d+%, score \d\.\d{3}", title)
        assert url == f"/pictures/{number}?q=green&at=0"

    def test_thumbnails_keep_their_place_and_come_in_three_sizes(self, client: FlaskClient) -> None:
        html = client.get("/?q=red").text
        number, *_ = next(tile for tile in tiles(html) if "red 00.jpg" in tile[2])
        image = re.search(rf'id="p{number}">.*?(<img [^>]*>)', html)
        assert image
        assert 'width="640" height="480"' in image.group(1)
        thumbnail = rf"/api/v1/images/{number}/thumbnail\?size="
        content = r"&amp;v=([0-9a-f]{8})"
        named = re.search(
            rf'srcset="{thumbnail}256{content} 256w, {thumbnail}512{content} 512w, '
            rf'{thumbnail}1024{content} 640w"',
            image.group(1),
        )
        assert named
        kept = client.get(f"/api/v1/images/{number}/thumbnail?size=512&v={named[1]}")
        assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert kept.headers["ETag"].strip('"').startswith(named[1])
        assert re.search(rf"#p{number}\{{--r:1.333;--c:#[0-9a-f]{{6}};--m:0\.\d{{3}}\}}", html)

    def test_pictures_wait_until_their_rows_are_painted(self, client: FlaskClient) -> None:
        images = re.findall(r'<img src="/api[^>]*>', client.get("/?q=red").text)
        assert len(images) == 24
        assert all('loading="lazy"' in image for image in images)

    def test_what_matches_badly_is_folded_under_a_line(self, engine: SearchEngine) -> None:
        client = create_app(engine, WebConfig(hits_per_page=40)).test_client()
        html = client.get("/?q=red").text
        above, line, below = html.partition('<details id="rest">')
        assert line
        assert "Below this line nothing matches well" in below
        assert {title.split("/")[0] for _, _, title in tiles(above)} == {"red"}
        assert len(tiles(above)) + len(tiles(below)) == 40

    def test_nothing_relevant_is_a_sentence_and_three_things_to_try(
        self, client: FlaskClient
    ) -> None:
        page = client.get("/?q=zebra")
        assert page.status_code == 200
        assert words(page) == "No picture here is what you asked for."
        assert page.text.partition('class="nothing"')[2].partition("</ul>")[0].count("<li>") == 3
        assert 'id="hits"' not in page.text
        assert '<details id="rest">' in page.text

    def test_next_pages_show_every_picture_once_and_end(self, client: FlaskClient) -> None:
        url: str | None = "/?q=blue"
        seen: list[int] = []
        while url:
            html = client.get(url).text
            seen += [number for number, _, _ in tiles(html)]
            more = re.search(r'<a rel="next" href="([^"]*)"', html)
            url = unescape(more.group(1)) if more else None
        assert sorted(seen) == list(range(1, 193))

    def test_a_later_page_shows_what_is_below_the_line_unfolded(self, client: FlaskClient) -> None:
        later = client.get(link(client.get("/?q=red").text, 'rel="next"')).text
        assert '<details id="rest" open>' in later

    def test_what_is_left_out_is_a_chip_that_can_be_removed(self, client: FlaskClient) -> None:
        html = client.get("/?q=red&not=grey&not=white").text
        assert '<input type="hidden" name="not" value="grey">' in html
        assert link(html, 'aria-label="No longer without grey"') == "/?q=red&not=white"
        assert tiles(html)[0][2].startswith("red/red 00.jpg")

    def test_more_like_a_picture_is_a_chip_and_leaves_the_picture_itself_out(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/?image=30").text
        found = tiles(html)
        assert 30 not in [number for number, _, _ in found]
        assert found[0][2].startswith("orange/")
        assert "Like this picture" in html
        assert link(html, 'aria-label="Remove the picture from the search"') == "/"

    def test_spaces_alone_get_a_hint(self, client: FlaskClient) -> None:
        page = client.get("/?q=+++")
        assert page.status_code == 200
        assert words(page) == "Say what to look for: type a few words, or choose a picture."
        assert tiles(page.text)

    def test_line_breaks_in_a_query_are_spaces(self, client: FlaskClient) -> None:
        assert 'value="a red apple"' in client.get("/?q=a%0D%0A+red%09apple").text

    def test_warnings_of_the_encoder_are_shown(self, client: FlaskClient) -> None:
        page = client.get("/", query_string={"q": "red " * 25})
        assert "25 words: only the colours among them count." in words(page)

    def test_a_query_is_shown_as_text_and_nothing_else(self, client: FlaskClient) -> None:
        html = client.get("/", query_string={"q": '"><script>alert(1)</script>'}).text
        assert "<script>alert" not in html
        assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in html


class TestErrorsInWords:
    @pytest.mark.parametrize(
        ("url", "status", "said"),
        [
            ("/?q=red&image=99999", 404, "There is no picture 99999 in this library"),
            ("/?q=red&image=seven", 422, "That is no picture's number"),
            ("/?q=red&image=99999999999999999999999", 422, "That is no picture's number"),
            ("/?q=red&cursor=nonsense", 422, "That page of results can't be found"),
            ("/?q=red&not=red", 422, "What is left out is all that was asked for"),
            ("/?q=red&picture=gone", 422, "The picture you searched by is no longer at hand"),
        ],
    )
    def test_a_search_that_cannot_be_done_says_why_and_keeps_the_query(
        self, client: FlaskClient, url: str, status: int, said: str
    ) -> None:
        page = client.get(url)
        assert page.status_code == status
        assert said in words(page)
        assert 'value="red"' in page.text

    def test_a_query_that_is_too_long_says_how_long_it_may_be(self, client: FlaskClient) -> None:
        page = client.get("/", query_string={"q": "a" * 2001})
        assert page.status_code == 422
        assert "shorten it to 2,000 characters" in words(page)

    def test_a_picture_that_is_gone_is_not_asked_for_again(self, client: FlaskClient) -> None:
        html = client.get("/?q=red&image=99999").text
        assert '<input type="hidden" name="image"' not in html

    @pytest.mark.parametrize("url", ["/nope", "/pictures/99999", "/pictures/x", "/static/nope.css"])
    def test_what_is_not_there_is_a_page_with_a_way_out(
        self, client: FlaskClient, url: str
    ) -> None:
        page = client.get(url)
        assert page.status_code == 404
        assert page.mimetype == "text/html"
        assert words(page)
        assert 'href="/"' in page.text

    def test_a_method_that_is_not_meant_is_refused_with_those_that_are(
        self, client: FlaskClient
    ) -> None:
        page = client.post("/status")
        assert page.status_code == 405
        assert "GET" in page.headers["Allow"]

    @pytest.mark.parametrize(
        ("method", "url", "status"),
        [("GET", "/api/nope", 404), ("PUT", "/api/v1/search", 405), ("GET", "/api/v1/nope", 404)],
    )
    def test_the_api_answers_with_problems_not_pages(
        self, client: FlaskClient, method: str, url: str, status: int
    ) -> None:
        answer = client.open(url, method=method)
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")

    @pytest.mark.parametrize("query", ["%00", "%ff%fe", "%F0%9F%8D%8E", "%E2%80%AE", "'%20OR%201"])
    def test_odd_characters_are_no_fault(self, client: FlaskClient, query: str) -> None:
        assert client.get(f"/?q={query}").status_code == 200


class TestSearchByPicture:
    def test_a_picture_that_is_sent_finds_what_looks_like_it(self, client: FlaskClient) -> None:
        sent = send(client, png("violet"))
        assert sent.status_code == 303
        page = client.get(sent.location)
        assert tiles(page.text)[0][2].startswith("violet/")
        assert "Like your picture" in page.text
        chip = re.search(r'<img src="(/by-picture/[^"]*)"', page.text)
        assert chip
        thumbnail = client.get(chip.group(1))
        assert thumbnail.mimetype == "image/webp"
        assert Image.open(io.BytesIO(thumbnail.data)).size == (80, 60)

    def test_words_and_what_is_left_out_stay_with_the_picture(self, client: FlaskClient) -> None:
        page = client.get(send(client, png("red"), q="blue", **{"not": "grey"}).location)
        assert 'value="blue"' in page.text
        assert "No longer without grey" in page.text
        assert {title.split("/")[0] for _, _, title in tiles(page.text)[:4]} <= {"red", "blue"}

    def test_its_results_have_next_pages(self, client: FlaskClient) -> None:
        first = client.get(send(client, png()).location).text
        second = client.get(link(first, 'rel="next"')).text
        assert tiles(second)
        assert not {number for number, _, _ in tiles(first)} & {
            number for number, _, _ in tiles(second)
        }

    @pytest.mark.parametrize(
        ("data", "status", "said"),
        [
            (b"just a letter to a friend", 415, "That file is not a picture"),
            (b"", 415, "That file is empty"),
            (png()[:60], 415, "damaged"),
            (png() + b"\0" * 310_000, 413, "at most 300 kB"),
            (b"%PDF-1.7 and so on", 415, "That file is not a picture"),
        ],
    )
    def test_what_is_no_picture_is_refused_in_words(
        self, client: FlaskClient, data: bytes, status: int, said: str
    ) -> None:
        page = send(client, data, q="red")
        assert page.status_code == status
        assert said in words(page) or "cut off" in words(page)
        assert 'value="red"' in page.text

    def test_sending_no_picture_gets_a_hint(self, client: FlaskClient) -> None:
        page = client.post("/by-picture?q=red")
        assert page.status_code == 400
        assert 'value="red"' in page.text
        assert "choose a picture" in words(page)

    def test_a_body_beyond_all_measure_is_refused_in_words(self, client: FlaskClient) -> None:
        body = b"--x\r\nContent-Disposition: form-data; name=q\r\n\r\n" + b"a" * 2_000_000
        page = client.post("/by-picture", data=body, content_type="multipart/form-data; boundary=x")
        assert page.status_code == 413
        assert "too large" in words(page)

    def test_its_address_asked_for_again_leads_to_the_search(self, client: FlaskClient) -> None:
        assert client.get("/by-picture").location == "/"
        assert client.get("/by-picture/unknown/thumbnail").status_code == 404


class TestPicturePage:
    def test_it_shows_the_file_itself_and_its_facts(self, client: FlaskClient) -> None:
        html = client.get("/pictures/1").text
        assert '<img id="shown" src="/api/v1/images/1/file" width="640" height="480"' in html
        for fact in (
            "red/red 00.jpg",
            "drawn",
            "640 × 480",
            "JPEG",
            "May 17, 2024, 2:30\u202fPM",
            "Lumière No. 1",
            "21.0285° N, 105.8542° E",
        ):
            assert fact in html, fact
        with client.get("/api/v1/images/1/file") as file:
            assert (file.status_code, file.mimetype) == (200, "image/jpeg")

    def test_it_leads_back_to_its_search_and_on_to_its_neighbours(
        self, client: FlaskClient
    ) -> None:
        found = tiles(client.get("/?q=yellow&not=grey").text)
        html = client.get(found[1][1]).text
        assert link(html, 'rel="prev"') == found[0][1]
        assert link(html, 'rel="next"') == found[2][1]
        assert f'href="/?q=yellow&amp;not=grey#p{found[1][0]}"' in html
        assert "2 of 192" in html
        assert re.search(r"<dt>Relevance</dt><dd>\d+% · score \d\.\d{3}</dd>", html)

    def test_the_first_picture_has_none_before_and_the_last_none_after(
        self, client: FlaskClient
    ) -> None:
        first = tiles(client.get("/?q=yellow").text)[0]
        assert 'rel="prev"' not in client.get(first[1]).text
        page = client.get("/?q=yellow").text
        while 'rel="next"' in page:
            page = client.get(link(page, 'rel="next"')).text
        last = client.get(tiles(page)[-1][1]).text
        assert "192 of 192" in last
        assert 'rel="prev"' in last
        assert 'rel="next"' not in last

    def test_turning_over_goes_across_pages_of_results(self, client: FlaskClient) -> None:
        second_page = link(client.get("/?q=yellow").text, 'rel="next"')
        number, url, _ = tiles(client.get(second_page).text)[0]
        html = client.get(url).text
        last_of_first = tiles(client.get("/?q=yellow").text)[-1][0]
        assert link(html, 'rel="prev"').startswith(f"/pictures/{last_of_first}?")
        assert f"{second_page}#p{number}" in unescape(html)

    def test_without_a_search_there_is_no_way_back_and_no_neighbour(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/pictures/5").text
        assert 'class="back"' not in html
        assert 'class="turn' not in html
        assert "<dt>Relevance</dt>" not in html

    @pytest.mark.parametrize(
        "search", ["q=red&at=-5", "q=red&at=x", "q=red&at=9999999999", "image=x"]
    )
    def test_a_mistyped_search_in_its_address_does_no_harm(
        self, client: FlaskClient, search: str
    ) -> None:
        assert client.get(f"/pictures/5?{search}").status_code == 200

    def test_similar_pictures_are_of_its_colour(self, client: FlaskClient) -> None:
        strip = client.get("/pictures/30").text.partition('class="similar"')[2]
        assert {title.split("/")[0] for _, _, title in tiles(strip)[:8]} == {"orange"}

    def test_a_file_out_of_reach_is_said_and_its_thumbnail_shown(self, tmp_path: Path) -> None:
        library = make_library(tmp_path)
        engine = SearchEngine(library, ColorEncoder(), SearchConfig())
        (tmp_path / "photos/red/red 00.jpg").unlink()
        html = create_app(engine, WebConfig()).test_client().get("/pictures/1").text
        library.close()
        assert "The file is out of reach" in html
        assert 'src="/api/v1/images/1/thumbnail?size=2048"' in html
        assert "Save the file" not in html


class TestStatusPage:
    def test_it_tells_counts_model_space_failures_and_jobs(
        self, client: FlaskClient, engine: SearchEngine
    ) -> None:
        html = client.get("/status").text
        assert "<dt>Pictures</dt><dd>192</dd>" in html
        assert engine.encoder.space.checkpoint in html
        assert engine.space.fingerprint[:16] in html
        assert "2 files could not be read" in html
        assert "broken/cut.jpg" in html
        assert "is cut off: only part of the JPEG is there" in html
        assert "--retry-failed" in html
        assert re.search(r"Indexing</a></b> done", html)
        assert "embedded 192" in html


class TestEveryPage:
    @pytest.mark.parametrize("url", ["/", "/?q=red", "/pictures/1", "/status", "/nope"])
    def test_it_says_what_the_model_is_and_where_the_library_is_described(
        self, client: FlaskClient, url: str
    ) -> None:
        html = client.get(url).text
        assert "This is an encoder for tests" in html
        assert 'href="/status"' in html
        assert '<html lang="en" dir="ltr">' in html

    def test_no_notice_is_no_line(self, engine: SearchEngine) -> None:
        assert 'class="notice"' not in create_app(engine, WebConfig()).test_client().get("/").text

    @pytest.mark.parametrize(
        "url", ["/", "/?q=red", "/pictures/1", "/status", "/nope", "/api/v1/x"]
    )
    def test_it_keeps_to_itself(self, client: FlaskClient, url: str) -> None:
        answer = client.get(url)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"

    @pytest.mark.parametrize("url", ["/", "/?q=red", "/pictures/1", "/status"])
    def test_it_has_no_inline_script_or_style_but_the_one_its_policy_names(
        self, client: FlaskClient, url: str
    ) -> None:
        answer = client.get(url)
        assert not re.search(r"<script(?![^>]*\bsrc=)", answer.text)
        assert not re.search(r"<[^>]* (style|on\w+)=", answer.text)
        for nonce in re.findall(r'<style nonce="([^"]+)"', answer.text):
            assert f"'nonce-{nonce}'" in answer.headers["Content-Security-Policy"]
        assert answer.text.count("<style") <= 1

    def test_assets_may_be_kept_for_ever_and_are_named_by_their_content(
        self, client: FlaskClient
    ) -> None:
        sheet = link(client.get("/").text, 'rel="stylesheet"', tag="link")
        assert re.fullmatch(r"/static/page\.css\?v=[0-9a-f]{12}", sheet)
        with client.get(sheet) as kept, client.get("/static/page.css") as unversioned:
            assert "immutable" in kept.headers["Cache-Control"]
            assert "immutable" not in unversioned.headers["Cache-Control"]

    def test_the_first_page_with_all_it_loads_but_pictures_is_under_60_kb(
        self, engine: SearchEngine
    ) -> None:
        client = create_app(engine, WebConfig()).test_client()
        page = client.get("/")
        loaded = set(re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text))
        assert len(loaded) >= 4
        sizes = {}
        for url in loaded:
            with client.get(url) as asset:
                sizes[url] = len(asset.data)
        assert len(page.data) + sum(sizes.values()) < 60_000, (len(page.data), sizes)

    def test_two_answers_never_share_a_nonce(self, client: FlaskClient) -> None:
        answers = [client.get("/").text for _ in range(5)]
        assert len({nonce for html in answers for nonce in re.findall(r'nonce="(.+?)"', html)}) == 5


def test_a_name_that_is_no_utf_8_can_be_shown(engine: SearchEngine) -> None:
    image = replace(get_images(engine.library.engine, [1])[1], path="caf\udce9/\udce9t\u00e9.jpg")
    tile = Tile(image, "/pictures/1")
    assert (tile.path, tile.name) == ("caf\ufffd/\ufffdt\u00e9.jpg", "\ufffdt\u00e9.jpg")


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(20_000, 100, 2.6), (3, 3000, 0.5), (4, 3, 1.333)]
)
def test_no_tile_is_wider_or_narrower_than_a_row_can_bear(
    engine: SearchEngine, width: int, height: int, ratio: float
) -> None:
    image = get_images(engine.library.engine, [1])[1]
    assert Tile(replace(image, width=width, height=height), "/").ratio == ratio


def test_the_oldest_pictures_to_search_by_are_forgotten_first() -> None:
    pictures = QueryPictures(max_bytes=100)
    first, second = (pictures.keep(QueryPicture(bytes([n]) * 40, b"")) for n in range(2))
    assert pictures.get(first).data == b"\0" * 40
    third = pictures.keep(QueryPicture(b"3" * 40, b""))
    with pytest.raises(PictureForgotten):
        pictures.get(second)
    assert pictures.get(first) and pictures.get(third)
    huge = pictures.keep(QueryPicture(b"x" * 500, b""))
    assert len(pictures.get(huge).data) == 500
    with pytest.raises(PictureForgotten):
        pictures.get(first)
