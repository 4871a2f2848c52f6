"""Light or dark: as the system says, or by hand."""

from flask import Blueprint, Flask, abort, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webui.languages import back_with_choice

COOKIE = "polyglance_theme"
THEMES = ("system", "light", "dark")


def add_themes(app: Flask) -> None:
    app.register_blueprint(_make_choice())

    @app.context_processor
    def _on_every_page() -> dict[str, object]:
        chosen = request.cookies.get(COOKIE, "")
        return {"theme": chosen if chosen in THEMES else "system", "themes": THEMES}


def _make_choice() -> Blueprint:
    choice = Blueprint("themes", __name__)

    @choice.post("/theme")
    def choose() -> AnyResponse:
        theme = request.form.get("theme", "")
        if theme not in THEMES:
            abort(400)
        return back_with_choice(COOKIE, theme)

    @choice.get("/theme")
    def choose_again() -> AnyResponse:
        return redirect(url_for("pages.search"))

    return choice
