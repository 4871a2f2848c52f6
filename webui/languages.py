"""The languages that the pages speak, and which of them a reader gets."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from flask import Blueprint, Flask, Response, abort, redirect, request, url_for
from flask_babel import Babel, get_locale
from werkzeug.wrappers import Response as AnyResponse

COOKIE = "polyglance_language"
"""Holds the tag of the language that was picked by hand."""
COOKIE_S = 365 * 24 * 60 * 60
PAGE_HERE = re.compile(r"/(?:[^/\\\x00-\x20][^\\\x00-\x20]*)?")
"""A path and query of this site: "//" or "/\\" would lead to another."""
IN_TRADITIONAL = {"hant", "tw", "hk", "mo"}
"""Scripts and regions whose Chinese is written in traditional characters."""


@dataclass(frozen=True)
class Language:
    tag: str
    """BCP 47, as in `lang`."""
    name: str
    """Its own."""

    @property
    def locale(self) -> str:
        """As Babel writes it; also the folder of its catalog."""
        return self.tag.replace("-", "_")


ENGLISH = Language("en", "English")
LANGUAGES = (
    ENGLISH,
    Language("id", "Bahasa Indonesia"),
    Language("de", "Deutsch"),
    Language("es", "Español"),
    Language("fr", "Français"),
    Language("pt", "Português"),
    Language("vi", "Tiếng Việt"),
    Language("ru", "Русский"),
    Language("ar", "العربية"),
    Language("hi", "हिन्दी"),
    Language("th", "ไทย"),
    Language("ko", "한국어"),
    Language("ja", "日本語"),
    Language("zh-Hans", "简体中文"),
    Language("zh-Hant", "繁體中文"),
)
"""As the reader is offered them. English is in the code itself, so it has no catalog."""
BY_TAG = {language.tag: language for language in LANGUAGES}


def best_for(tag: str) -> Language | None:
    """The language that a reader of `tag` can read: zh-TW → zh-Hant, pt-BR → pt."""
    primary, *rest = tag.lower().replace("_", "-").split("-")
    if primary == "zh":
        # A script that is named outweighs the region: zh-Hans-HK.
        traditional = "hans" not in rest and not IN_TRADITIONAL.isdisjoint(rest)
        return BY_TAG["zh-Hant" if traditional else "zh-Hans"]
    return BY_TAG.get("id" if primary == "in" else primary)  # "in": what Java still says


def chosen_language() -> Language:
    """Picked by hand, else the first that the browser asks for and we have, else English."""
    picked = BY_TAG.get(request.cookies.get(COOKIE, ""))
    if picked:
        return picked
    wanted = (best_for(tag) for tag, quality in request.accept_languages if quality > 0)
    return next((language for language in wanted if language), ENGLISH)


def this_page() -> str:
    """The path and query that the reader is at, to come back to."""
    path = quote(request.script_root + request.path)
    query = request.query_string.decode("latin-1")
    return f"{path}?{query}" if query else path


def add_languages(app: Flask) -> None:
    Babel(app, locale_selector=lambda: chosen_language().locale)
    app.register_blueprint(_make_choice())

    @app.context_processor
    def _on_every_page() -> dict[str, object]:
        return {
            "language": chosen_language(),
            "languages": LANGUAGES,
            "locale": get_locale(),
            "this_page": this_page(),
        }

    @app.after_request
    def _tell(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers["Content-Language"] = chosen_language().tag
            response.vary.update(["Accept-Language", "Cookie"])
        return response


def back_with_choice(cookie: str, value: str) -> AnyResponse:
    """To the page that the form stands on, which is shown as chosen from now on."""
    page = request.form.get("page", "")
    here = page if PAGE_HERE.fullmatch(page) else url_for("pages.search")
    response = redirect(here, 303)
    response.set_cookie(
        cookie,
        value,
        max_age=COOKIE_S,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _make_choice() -> Blueprint:
    choice = Blueprint("languages", __name__)

    @choice.post("/language")
    def choose() -> AnyResponse:
        language = BY_TAG.get(request.form.get("language", ""))
        if language is None:
            abort(400)
        return back_with_choice(COOKIE, language.tag)

    @choice.get("/language")
    def choose_again() -> AnyResponse:
        return redirect(url_for("pages.search"))

    return choice
