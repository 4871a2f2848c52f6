"""Filters, chips and housekeeping, as a browser without JavaScript gets them."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from storage.jobs import start_job
from storage.library import Library
from webui.library_pages import MOST_STREAMS

TILE = re.compile(
    r'<li class="tile[^"]*" id="p(\d+)"><a class="open" href="([^"]*)" title="([^"]*)"'
)


def titles(html: str) -> list[str]:
    return [unescape(title) for _, _, title in TILE.findall(html)]


def choice(html: str, label: str) -> tuple[str, int]:
    """URL and count of a choice in the panel."""
    found = re.search(
        rf'<a href="([^"]*)"[^>]*><bdi>{re.escape(label)}</bdi><span>([\d,]+)</span>', html
    )
    assert found, label
    return unescape(found[1]), int(found[2].replace(",", ""))


def shown(html: str) -> int:
    found = re.search(r'class="took"[^>]*>([\d,]+) picture', html)
    assert found
    return int(found[1].replace(",", ""))


class TestPanel:
    @pytest.mark.parametrize(
        ("label", "count"), [("drawn", 192), ("red", 24), ("Lumière No. 1", 8), ("Square", 48)]
    )
    def test_a_choice_finds_as_many_pictures_as_it_says(
        self, client: FlaskClient, label: str, count: int
    ) -> None:
        url, said = choice(client.get("/?panel=1").text, label)
        assert said == count
        assert shown(client.get(url).text) == count

    def test_choices_add_up_and_each_is_a_chip_that_can_be_taken_away(
        self, client: FlaskClient
    ) -> None:
        url, _ = choice(client.get("/?q=red&panel=1").text, "PNG")
        url, _ = choice(client.get(url).text, "Portrait")
        html = client.get(url).text
        assert shown(html) == 48
        chips = re.findall(
            r'class="chip only"><span><bdi>([^<]*)</bdi></span><a href="([^"]*)"', html
        )
        assert [label for label, _ in chips] == ["PNG", "Portrait"]
        without = client.get(unescape(chips[0][1])).text
        assert 'class="chip only"><span><bdi>Portrait' in without
        assert "PNG</bdi></span><a" not in without
        assert 'value="red"' in without

    def test_a_month_of_the_histogram_and_a_place_of_the_map_can_be_chosen(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/?panel=1").text
        month = re.search(r'<a href="([^"]*)" title="May 2024: 8"', html)
        assert month
        may = client.get(unescape(month[1])).text
        assert shown(may) == 8
        assert "<bdi>May 2024</bdi>" in may
        dot = re.search(r'<a href="([^"]*)" aria-label="8 pictures"><circle cx="([\d.]+)"', html)
        assert dot
        assert round(float(dot[2])) == 286
        near = client.get(unescape(dot[1])).text
        assert shown(near) == 8
        assert "within 5 km of 21° N, 105.9° E" in near

    def test_without_words_the_newest_come_first_and_one_can_page_through_them(
        self, client: FlaskClient
    ) -> None:
        url: str | None = "/?orientation=square"
        ids: list[int] = []
        while url:
            html = client.get(url).text
            ids += [int(number) for number, _, _ in TILE.findall(html)]
            more = re.search(r'rel="next" href="([^"]*)"', html)
            url = unescape(more[1]) if more else None
        assert len(ids) == 48
        assert ids == sorted(ids, reverse=True)

    def test_a_picture_opened_from_a_filter_turns_over_to_its_neighbours(
        self, client: FlaskClient
    ) -> None:
        tiles = TILE.findall(client.get("/?orientation=square").text)
        html = client.get(unescape(tiles[1][1])).text
        assert f'rel="prev" href="{tiles[0][1]}"' in html
        assert f'rel="next" href="{tiles[2][1]}"' in html
        assert f'href="/?orientation=square#p{tiles[1][0]}"' in html

    def test_a_filter_nothing_passes_says_so(self, client: FlaskClient) -> None:
        for url in ("/?camera=nobodys", "/?q=red&camera=nobodys"):
            assert "No picture passes these filters." in client.get(url).text

    @pytest.mark.parametrize(
        "filters",
        ["orientation=round", "min_width=-1", "near=1", "near=x,y,z", "taken_after=May&panel=1"],
    )
    def test_a_mistyped_filter_is_refused_in_words(self, client: FlaskClient, filters: str) -> None:
        for url in (f"/?{filters}", f"/?q=red&{filters}"):
            answer = client.get(url)
            assert answer.status_code == 422
            assert "One of the filters can" in answer.text


class TestChips:
    def test_not_like_this_takes_such_pictures_away(self, client: FlaskClient) -> None:
        html = client.get("/?q=red+blue").text
        assert {title.split("/")[0] for title in titles(html)[:8]} == {"red", "blue"}
        red = next(n for n, _, title in TILE.findall(html) if title.startswith("red/"))
        found = re.search(rf'href="(/\?q=red\+blue&amp;unlike={red})">Not like this', html)
        assert found
        after = client.get(unescape(found[1])).text
        assert {title.split("/")[0] for title in titles(after)[:8]} == {"blue"}
        assert "Not like this picture" in after

    def test_more_like_this_adds_a_picture_and_keeps_the_words(self, client: FlaskClient) -> None:
        html = client.get("/?q=red&image=30").text
        assert "/?q=red&amp;image=30&amp;image=" in html
        assert client.get("/?image=1&image=30&unlike=60").status_code == 200

    def test_a_pictures_weight_decides_what_comes_first(self, client: FlaskClient) -> None:
        html = client.get("/?q=red&image=30").text
        heavier = re.search(r'href="([^"]*)" aria-label="Count it more"', html)
        lighter = re.search(r'href="([^"]*)" aria-label="Count it less"', html)
        assert heavier and lighter
        assert unescape(heavier[1]) == "/?q=red&image=30~2"
        assert titles(client.get(unescape(heavier[1])).text)[0].startswith("orange/")
        assert titles(client.get(unescape(lighter[1])).text)[0].startswith("red/")

    def test_what_the_words_leave_out_is_a_chip_whose_removal_leaves_the_rest(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/?q=red+without+grey").text
        chip = re.search(
            r'class="chip not read"><span>without <bdi>grey</bdi>.*?href="([^"]*)"', html
        )
        assert chip
        assert unescape(chip[1]) == "/?q=red"

    def test_sorting_and_folding_are_in_the_url_and_stay_in_the_form(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/?q=red&sort=date&diversify=1").text
        assert titles(html)[0].startswith("red/red 00.jpg")
        assert '<input type="hidden" name="sort" value="date">' in html
        assert '<input type="hidden" name="diversify" value="1">' in html


class TestHousekeeping:
    def test_collections_show_their_counts_and_lead_to_their_pictures(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/collections").text
        assert re.search(r'href="/\?collection=drawn"><bdi>drawn</bdi></a> 192 pictures', html)
        assert len(titles(html)) == 8

    def test_a_jobs_failures_are_told_in_the_readers_language(self, client: FlaskClient) -> None:
        html = client.get("/jobs/1", headers={"Accept-Language": "de"}).text
        assert "broken/cut.jpg" in html
        assert "<span>Beschädigt</span>" in html
        assert client.get("/jobs/99").status_code == 404

    def test_changes_of_jobs_are_streamed_to_few_and_others_ask(
        self, client: FlaskClient, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("webui.library_pages.LOOK_EVERY_S", 0)
        streams = [client.get("/jobs/events", buffered=False) for _ in range(MOST_STREAMS)]
        try:
            events = iter(streams[0].response)
            first = next(events).decode()
            assert first.startswith("data: <ul")
            assert next(events) == b":\n\n"
            assert client.get("/jobs/events").status_code == 204
            start_job(library.engine, "reindex", "colors", [])
            assert "Indexing anew" in next(events).decode()
            assert "Indexing anew" in client.get("/jobs/list").text
        finally:
            for stream in streams:
                stream.close()
        again = client.get("/jobs/events")
        assert again.status_code == 200
        again.close()

    def test_the_starter_is_explained_only_where_it_is_in_use(self, client: FlaskClient) -> None:
        assert "What is the starter?" in client.get("/starter").text
        assert 'href="/starter"' in client.get("/").text


class TestTheme:
    def test_it_is_kept_and_comes_back_to_the_page(self, client: FlaskClient) -> None:
        answer = client.post("/theme", data={"theme": "dark", "page": "/?q=red"})
        assert (answer.status_code, answer.location) == (303, "/?q=red")
        cookie = client.get_cookie("polyglance_theme")
        assert cookie
        assert (cookie.value, cookie.same_site, cookie.http_only) == ("dark", "Lax", True)
        assert 'data-theme="dark"' in client.get("/").text
        client.post("/theme", data={"theme": "system", "page": "/"})
        assert "data-theme" not in client.get("/").text

    @pytest.mark.parametrize(("theme", "page"), [("pink", "/"), ("dark", "//elsewhere.test")])
    def test_neither_another_theme_nor_another_site(
        self, client: FlaskClient, theme: str, page: str
    ) -> None:
        answer = client.post("/theme", data={"theme": theme, "page": page})
        assert answer.status_code == 400 or answer.location == "/"
