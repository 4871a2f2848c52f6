"""The way in for people, where a library has keys: the key once, then a session."""

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from search.access.callers import current_caller
from search.access.sessions import Sessions
from storage.api_keys import active_key
from storage.library import Library
from webui.languages import PAGE_HERE

MOST_KEY_CHARACTERS = 200


def add_sign_in(app: Flask, library: Library, sessions: Sessions) -> None:
    app.register_blueprint(_make_sign_in(library, sessions))

    @app.context_processor
    def _on_every_page() -> dict[str, object]:
        caller = current_caller()
        return {"signed_in_as": caller.name if caller else None}


def to_sign_in() -> AnyResponse:
    """From a page that needs a key, to come back to it."""
    here = request.full_path.removesuffix("?") if request.method == "GET" else "/"
    return redirect(url_for("sign_in.form", page=here), 303)


def _make_sign_in(library: Library, sessions: Sessions) -> Blueprint:
    blueprint = Blueprint("sign_in", __name__)

    @blueprint.get("/sign-in")
    def form() -> str:
        return _form(request.args.get("page", ""))

    @blueprint.post("/sign-in")
    def sign_in() -> AnyResponse | tuple[str, int]:
        page = request.form.get("page", "")
        given = request.form.get("key", "")[:MOST_KEY_CHARACTERS].strip()
        key = active_key(library.engine, given) if given else None
        if key is None:
            return _form(page, wrong=True), 401
        response = redirect(_safe(page), 303)
        sessions.open(response, key.id, secure=request.is_secure)
        return response

    @blueprint.post("/sign-out")
    def sign_out() -> AnyResponse:
        response = redirect(url_for("sign_in.form"), 303)
        sessions.close(response)
        return response

    @blueprint.after_request
    def _not_kept(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    return blueprint


def _form(page: str, *, wrong: bool = False) -> str:
    """page: where to go from here. wrong: the key that was given does not count."""
    return render_template("sign_in.html", page=_safe(page), wrong=wrong)


def _safe(page: str) -> str:
    """A page of this site, whatever was asked for."""
    return page if PAGE_HERE.fullmatch(page) else url_for("pages.search")
