"""The languages of the pages: complete catalogs, and the right one for each reader."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

import webui
from webui.languages import COOKIE, LANGUAGES, best_for

HERE = Path(webui.__file__).parent
MAPPING = HERE.parent / "babel.cfg"
TRANSLATED = [language.locale for language in LANGUAGES if language.tag != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s")
Texts = dict[object, tuple[str, ...]]


def texts_of(catalog: Catalog) -> Texts:
    """Message → its translations, one per plural form."""
    return {key(message.id): forms(message) for message in messages(catalog)}


def key(message: str | list[str] | tuple[str, ...]) -> object:
    return message if isinstance(message, str) else tuple(message)


def forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def messages(catalog: Catalog) -> list[Message]:
    """Without the header."""
    return [message for message in catalog if message.id]


def source(locale: str) -> Catalog:
    path = HERE / "translations" / locale / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale=locale, abort_invalid=True)


@pytest.fixture(scope="module")
def extracted() -> set[object]:
    """What the code and the templates say, read anew."""
    with MAPPING.open() as file:
        mapping, options = parse_mapping_cfg(file)
    # The mapping's patterns begin at the folder that holds it.
    found = extract_from_dir(
        HERE,
        [(pattern.removeprefix("webui/"), method) for pattern, method in mapping],
        {pattern.removeprefix("webui/"): each for pattern, each in options.items()},
    )
    return {message for _, _, message, _, _ in found}


class TestCatalogs:
    def test_there_is_one_for_each_language_but_english_and_no_other(self) -> None:
        assert {folder.name for folder in (HERE / "translations").iterdir()} == set(TRANSLATED)
        assert len(TRANSLATED) == 14

    def test_the_templates_and_the_code_are_both_read(self, extracted: set[object]) -> None:
        assert {"Newest", "Indexing", "Search"} <= extracted
        assert ("%(shown)s picture", "%(shown)s pictures") in extracted

    @pytest.mark.parametrize("locale", TRANSLATED)
    def test_each_says_all_that_the_pages_say_and_nothing_else(
        self, locale: str, extracted: set[object]
    ) -> None:
        catalog = source(locale)
        assert set(texts_of(catalog)) == extracted
        assert not catalog.obsolete
        for message in messages(catalog):
            assert not message.fuzzy, message.id
            assert all(text.strip() for text in forms(message)), message.id

    @pytest.mark.parametrize("locale", TRANSLATED)
    def test_each_has_all_plural_forms(self, locale: str) -> None:
        catalog = source(locale)
        for message in messages(catalog):
            if message.pluralizable:
                assert len(forms(message)) == catalog.num_plurals, message.id

    @pytest.mark.parametrize("locale", TRANSLATED)
    def test_placeholders_are_those_of_the_english(self, locale: str) -> None:
        catalog = source(locale)
        for message in messages(catalog):
            english = message.id if isinstance(message.id, str) else message.id[-1]
            expected = sorted(PLACEHOLDER.findall(english))
            for form, text in enumerate(forms(message)):
                # Arabic has forms for one number alone, which say it in a word: "صورتان".
                if locale == "ar" and message.pluralizable and form < 3:
                    assert "%" not in text
                else:
                    assert sorted(PLACEHOLDER.findall(text)) == expected, text
                assert text.count("%") == len(PLACEHOLDER.findall(text)), text

    @pytest.mark.parametrize("locale", TRANSLATED)
    def test_the_compiled_catalog_is_as_its_source(self, locale: str) -> None:
        with (HERE / "translations" / locale / "LC_MESSAGES" / "messages.mo").open("rb") as file:
            compiled = read_mo(file)
        catalog = source(locale)
        assert texts_of(compiled) == texts_of(catalog)
        assert compiled.plural_forms == catalog.plural_forms

    def test_no_page_has_words_outside_the_catalogs(self) -> None:
        """Letters of a template that are neither in an expression nor in an attribute or tag."""
        same_everywhere = {"Polyglance", "polyglance index FOLDER", "polyglance jobs"}
        same_everywhere.add("polyglance keys create")
        same_everywhere.add("polyglance reindex --model google/siglip2-base-patch16-224")
        same_everywhere.add("polyglance index FOLDER --retry-failed")
        templates = set((HERE / "templates").iterdir())
        templates.remove(HERE / "templates" / "api_docs.html")  # in English, as the API itself is
        for template in sorted(templates):
            if template.name == "api_docs.html":
                continue  # for programmers, in English throughout, as the API itself is
            text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\0", template.read_text(), flags=re.S)
            text = re.sub(r"<style.*?</style>|\{#.*?#\}", "\0", text, flags=re.S)
            text = re.sub(r"<[^<>]*>", "\0", text)
            if template.name == "_parts.html":
                text = re.sub(r"#p\0\{--r.*", "", text)
            words = {part.strip() for part in re.split(r"[\0\n·]", text)}
            assert {each for each in words if re.search(r"[^\W\d_]{2}", each)} <= same_everywhere


def html_tag(client: FlaskClient, accept: str, url: str = "/") -> str:
    found = re.search(r"<html[^>]*>", client.get(url, headers={"Accept-Language": accept}).text)
    assert found
    return found[0]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-TW", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-Hant", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-Hans-HK", "zh-Hans"),
        ("ZH_tw", "zh-Hant"),
        ("pt-BR", "pt"),
        ("de-AT", "de"),
        ("in", "id"),
        ("sw", None),
        ("", None),
    ],
)
def test_a_region_or_script_leads_to_the_nearest_language(asked: str, given: str | None) -> None:
    best = best_for(asked)
    assert (best.tag if best else None) == given


class TestBrowsersChoice:
    @pytest.mark.parametrize(
        ("accept", "html"),
        [
            ("vi-VN,vi;q=0.9,en;q=0.8", '<html lang="vi" dir="ltr">'),
            ("ar-EG,ar;q=0.9", '<html lang="ar" dir="rtl">'),
            ("zh-TW,zh;q=0.9,en;q=0.8", '<html lang="zh-Hant" dir="ltr">'),
            ("en;q=0.5, fr-CA", '<html lang="fr" dir="ltr">'),
            ("sw, ja;q=0.5, en;q=0.4", '<html lang="ja" dir="ltr">'),
            ("de;q=0, es;q=0.1", '<html lang="es" dir="ltr">'),
            ("sw", '<html lang="en" dir="ltr">'),
            ("*", '<html lang="en" dir="ltr">'),
            ("", '<html lang="en" dir="ltr">'),
            (";;,q=;-", '<html lang="en" dir="ltr">'),
        ],
    )
    def test_the_first_that_is_known_is_spoken(
        self, client: FlaskClient, accept: str, html: str
    ) -> None:
        assert html_tag(client, accept) == html

    @pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
    def test_every_page_speaks_every_language(self, client: FlaskClient, language) -> None:
        pages = ("/", "/?q=red", "/?q=zebra", "/?image=999999", "/status", "/pictures/1", "/none")
        pages += ("/?panel=1&format=png", "/collections", "/jobs", "/jobs/1", "/starter")
        heading = texts_of(source(language.locale)) if language.tag != "en" else {}
        for url in pages:
            answer = client.get(url, headers={"Accept-Language": language.tag})
            assert f'<html lang="{language.tag}"' in answer.text, url
            assert answer.headers["Content-Language"] == language.tag
            assert {"Accept-Language", "Cookie"} <= set(answer.vary.as_set(preserve_casing=True))
            assert "%(" not in answer.text
            if heading:
                assert heading["Library"][0] in answer.text
                assert ">Library<" not in answer.text


class TestChoiceByHand:
    def test_it_returns_to_the_page_and_is_kept_whatever_the_browser_asks(
        self, client: FlaskClient
    ) -> None:
        page = re.search(r'name="page" value="([^"]*)"', client.get("/?q=m%C3%A8o&not=red").text)
        assert page
        here = page[1].replace("&amp;", "&")
        answer = client.post("/language", data={"language": "vi", "page": here})
        assert (answer.status_code, answer.location) == (303, "/?q=m%C3%A8o&not=red")
        cookie = client.get_cookie(COOKIE)
        assert cookie
        assert (cookie.value, cookie.http_only, cookie.same_site) == ("vi", True, "Lax")
        assert cookie.max_age
        assert html_tag(client, "ar") == '<html lang="vi" dir="ltr">'

    @pytest.mark.parametrize(
        "page",
        [
            "https://elsewhere.test/",
            "//elsewhere.test",
            "/\\elsewhere.test",
            "/\t/elsewhere.test",
            "",
        ],
    )
    def test_it_leads_to_no_other_site(self, client: FlaskClient, page: str) -> None:
        assert client.post("/language", data={"language": "vi", "page": page}).location == "/"

    @pytest.mark.parametrize("language", ["", "xx", "zh", "../vi"])
    def test_an_unknown_language_is_refused(self, client: FlaskClient, language: str) -> None:
        answer = client.post("/language", data={"language": language, "page": "/"})
        assert answer.status_code == 400
        assert client.get_cookie(COOKIE) is None

    def test_a_cookie_that_names_no_language_is_passed_over(self, client: FlaskClient) -> None:
        client.set_cookie(COOKIE, "tlh")
        assert html_tag(client, "th") == '<html lang="th" dir="ltr">'

    def test_the_control_names_every_language_in_itself_and_marks_the_one_spoken(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/", headers={"Accept-Language": "ko"}).text
        offered = re.findall(
            r'<button name="language" value="([^"]*)" lang="\1"[^>]*>([^<]*)', html
        )
        assert offered == [(language.tag, language.name) for language in LANGUAGES]
        assert re.findall(r'value="([^"]*)" lang="\S*" aria-current="true"', html) == ["ko"]


class TestNumbersAndDates:
    @pytest.mark.parametrize(
        ("language", "taken", "place"),
        [
            ("de", "17. Mai 2024, 14:30", "21,0285° N, 105,8542° O"),
            ("vi", "14:30 17 tháng 5, 2024", "21,0285° B, 105,8542° Đ"),
            ("ja", "2024年5月17日 14:30", "北緯 21.0285°、東経 105.8542°"),
            ("ru", "17 мая 2024 г., 14:30", "21,0285° с. ш., 105,8542° в. д."),
        ],
    )
    def test_a_pictures_facts_are_written_as_the_reader_writes_them(
        self, client: FlaskClient, language: str, taken: str, place: str
    ) -> None:
        html = client.get("/pictures/1", headers={"Accept-Language": language}).text
        html = html.replace("\xa0", " ").replace("\u202f", " ")
        assert f">{taken}</time>" in html
        assert f"<dd>{place}</dd>" in html

    def test_a_place_read_from_the_right_keeps_its_degrees_beside_their_numbers(
        self, client: FlaskClient
    ) -> None:
        html = client.get("/pictures/1", headers={"Accept-Language": "ar"}).text
        isolated = "\u2067{}°\u200e? [^\u2069]+\u2069"
        places = f"<dd>{isolated.format('21.0285')}، {isolated.format('105.8542')}</dd>"
        assert re.search(places, html)

    @pytest.mark.parametrize(
        ("language", "said"),
        [
            ("en", "192 pictures"),
            ("ru", "192 изображения"),
            ("ar", "192 صورة"),
            ("fr", "192 images"),
            ("zh-TW", "192 張圖片"),
        ],
    )
    def test_what_was_found_is_counted_in_the_right_form(
        self, client: FlaskClient, language: str, said: str
    ) -> None:
        assert f">{said} · " in client.get("/?q=red", headers={"Accept-Language": language}).text

    @pytest.mark.parametrize(
        ("language", "said"),
        [("en", "50 MB"), ("fr", "50\xa0Mo"), ("de", "1.234.567"), ("hi", "12,34,567")],
    )
    def test_grouping_and_marks_are_the_locales(self, app, language: str, said: str) -> None:
        numbers = "{{ 1234567|number }} {{ 0.125|percent }} {{ 50000000|file_size }}"
        with app.test_request_context(headers={"Accept-Language": language}):
            shown = app.jinja_env.from_string(numbers).render()
        assert said in shown.replace("\u202f", "\xa0")


class TestMonths:
    @pytest.mark.parametrize(
        ("language", "in_panel", "chip"),
        [
            ("ru", "янв. 2024", "май 2024"),
            ("ar", "يناير 2024", "مايو 2024"),
            ("th", "ม.ค. 2024", "พฤษภาคม 2024"),
            ("zh-CN", "2024年1月", "2024年5月"),
            ("de", "Jan. 2024", "Mai 2024"),
        ],
    )
    def test_they_are_the_readers_whoever_read_before(
        self, client: FlaskClient, language: str, in_panel: str, chip: str
    ) -> None:
        url = "/?panel=1&taken_after=2024-05-01&taken_before=2024-05-31"
        for other in ("zh-CN", "ja"):
            client.get(url, headers={"Accept-Language": other})
        html = client.get(url, headers={"Accept-Language": language}).text
        assert f"<span>{in_panel}" in html
        assert f"<bdi>{chip}" in html


class TestPlurals:
    @pytest.mark.parametrize(
        ("locale", "number", "said"),
        [
            ("ru", 1, "изображение"),
            ("ru", 3, "изображения"),
            ("ru", 11, "изображений"),
            ("ru", 21, "изображение"),
            ("ar", 1, "صورة واحدة"),
            ("ar", 2, "صورتان"),
            ("ar", 5, "صور"),
            ("ar", 40, "صورة"),
            ("fr", 0, "image"),
            ("fr", 2, "images"),
            ("ja", 7, "件の画像"),
        ],
    )
    def test_a_number_takes_its_form(self, app, locale: str, number: int, said: str) -> None:
        text = "{{ ngettext('%(shown)s picture', '%(shown)s pictures', n, shown=n) }}"
        with app.test_request_context(headers={"Accept-Language": locale}):
            shown = app.jinja_env.from_string(text).render(n=number)
        assert shown.removeprefix(f"{number} ") == said


def scrolls_sideways(page: Page) -> bool:
    wider: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wider


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_reader_switches_by_hand_and_stays_where_she_is(
    chromium: Browser, address: str, screenshots: Path, script: bool
) -> None:
    context = chromium.new_context(
        base_url=address,
        viewport={"width": 360, "height": 760},
        locale="en-US",
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto("/?q=red&not=grey")
    for tag, name, direction, count in (
        ("vi", "Tiếng Việt", "ltr", "192 ảnh"),
        ("ar", "العربية", "rtl", "192 صورة"),
    ):
        page.locator(".tongue summary").click()
        assert not scrolls_sideways(page)
        page.get_by_role("button", name=name).click()
        expect(page.locator("html")).to_have_attribute("lang", tag)
        expect(page.locator("html")).to_have_attribute("dir", direction)
        assert page.url.endswith("/?q=red&not=grey")
        expect(page.locator(".took")).to_contain_text(count)
        expect(page.locator("#hits .tile").first).to_be_visible()
    for tag in ("vi", "ar"):
        page.locator(".tongue summary").click()
        page.locator(f".language button[value={tag}]").click()
        expect(page.locator("html")).to_have_attribute("lang", tag)
        for state, url in (
            ("results", "/?q=red&not=grey"),
            ("picture", "/pictures/1?q=red"),
            ("status", "/status"),
        ):
            page.goto(url)
            assert not scrolls_sideways(page), (tag, state)
            page.screenshot(path=screenshots / f"{state}-{tag}.png")
    context.close()
