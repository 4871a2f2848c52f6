"""The Flask app: pages and API over one engine."""

import logging

from flask import Flask, render_template, request
from flask_babel import gettext
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.wrappers import Response as AnyResponse

from encoders import EncoderError
from encoders.load import STARTER
from search.access.errors import AccessRefused, KeyRequired
from search.access.guard import guard
from search.access.request_log import log_requests
from search.engine import SearchEngine
from search.errors import SearchError
from search.http import clip_retrieval, health, metrics, openapi
from search.http.api import make_blueprint
from search.http.metrics import Metrics
from search.http.problems import headers_of, problem_of, status_of
from search.http.request_ids import add_request_ids, request_id
from search.http.routes import ROUTES
from storage.errors import LibraryError
from webui.api_docs import make_api_docs
from webui.asked import Asked
from webui.assets import version_assets
from webui.config import WebConfig
from webui.job_words import add_job_words
from webui.languages import add_languages
from webui.security import secure
from webui.sign_in import add_sign_in, to_sign_in
from webui.site import make_pages
from webui.themes import add_themes
from webui.words import add_words, explain

UPLOAD_SLACK_BYTES = 1024 * 1024
MOST_FORM_PARTS = 100
MOST_FORM_BYTES = 500_000
"""Of all parts of a form that are no files; they are held in memory."""
API_PATHS = ("/api/", *(route.path for route in ROUTES))
"""Where errors are problems, not pages."""
METRICS = "polyglance_metrics"
"""The app's extension that holds its figures."""

PageWithHeaders = tuple[str, int, dict[str, str]]
log = logging.getLogger(__name__)


def create_app(engine: SearchEngine, config: WebConfig) -> Flask:
    app = Flask(__name__)
    # A picture may come as base64, which takes 4 bytes for 3.
    most = engine.config.max_upload_bytes * 4 // 3 + UPLOAD_SLACK_BYTES
    app.config["MAX_CONTENT_LENGTH"] = most
    app.config["MAX_FORM_PARTS"] = MOST_FORM_PARTS
    app.config["MAX_FORM_MEMORY_SIZE"] = MOST_FORM_BYTES
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    figures = Metrics(engine)
    app.extensions[METRICS] = figures
    figures.count_requests(app)
    log_requests(app, queries=config.access.log_queries)
    add_request_ids(app)
    add_languages(app)
    add_themes(app)
    secure(app)
    sessions = guard(app, engine.library, config.access, API_PATHS)
    add_sign_in(app, engine.library, sessions)
    version_assets(app)
    add_words(app)
    add_job_words(app)
    app.register_blueprint(make_blueprint(engine))
    app.register_blueprint(metrics.make_blueprint(figures))
    app.register_blueprint(health.make_blueprint(engine))
    app.register_blueprint(clip_retrieval.make_blueprint(engine))
    app.register_blueprint(openapi.make_blueprint(engine.config))
    app.register_blueprint(make_api_docs(engine.config))
    app.register_blueprint(make_pages(engine, config))
    _add_error_pages(app, engine)

    @app.context_processor
    def _on_every_page() -> dict[str, object]:
        return {
            "asked": Asked(),
            "limits": engine.config,
            "model_notice": config.model_notice,
            "is_starter": engine.space.checkpoint == STARTER,
        }

    return app


def _add_error_pages(app: Flask, engine: SearchEngine) -> None:
    """For pages; what happens inside the API's views is answered there, as a problem."""

    @app.errorhandler(SearchError)
    def _search_error(error: SearchError) -> AnyResponse | PageWithHeaders:
        if request.path.startswith(API_PATHS):
            return problem_of(error)
        if isinstance(error, KeyRequired):
            return to_sign_in()
        status = status_of(error).value
        refused = isinstance(error, AccessRefused)
        words = _words_for(status) if refused else explain(error, engine.config)
        return _error_page(status, words), status, headers_of(error)

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> AnyResponse | PageWithHeaders:
        if request.path.startswith(API_PATHS):
            return problem_of(error)
        code = error.code or 500
        return _error_page(code, _words_for(code)), code, headers_of(error)

    @app.errorhandler(LibraryError)
    @app.errorhandler(EncoderError)
    def _not_ready(error: Exception) -> AnyResponse | PageWithHeaders:
        log.error("request %s: library or encoder failed", request_id(), exc_info=error)
        return _http_error(ServiceUnavailable(str(error)))

    @app.errorhandler(Exception)
    def _unexpected(error: Exception) -> AnyResponse | PageWithHeaders:
        log.error("request %s failed", request_id(), exc_info=error)
        return _http_error(InternalServerError())


def _error_page(code: int, words: str) -> str:
    return render_template("error.html", code=code, words=words)


def _words_for(code: int) -> str:
    known = {
        400: gettext("The page could not understand what was asked. Go back and try again."),
        403: gettext(
            "You may not do this here: your key does not allow it, or another site asked."
        ),
        404: gettext("There is no page here. The address may be mistyped, or the picture gone."),
        405: gettext("This address can't be used that way. Start from the search page."),
        413: gettext("That is too large to send. Choose a smaller picture."),
        421: gettext("This server does not go by this name. Who runs it can allow the name."),
        429: gettext("That was too often. Wait a little, then try again."),
        503: gettext("The library can't be read at the moment. The server's log says why."),
        500: gettext("Something went wrong here, not with you. Try again; the log says more."),
    }
    return str(known.get(code, gettext("That did not work. Start from the search page.")))
