"""Static files under URLs that change with their content, so that they may be kept for ever."""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask, Response, request, url_for

FOR_EVER = "public, max-age=31536000, immutable"


def version_assets(app: Flask) -> None:
    assert app.static_folder is not None
    folder = Path(app.static_folder)

    @cache
    def digest(name: str) -> str:
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]

    @app.template_global()
    def asset(name: str) -> str:
        return url_for("static", filename=name, v=digest(name))

    @app.after_request
    def _keep(response: Response) -> Response:
        if request.endpoint == "static" and "v" in request.args and response.status_code < 400:
            response.headers["Cache-Control"] = FOR_EVER
        return response
