"""What each route asks for, once a library has keys.

The API's routes say it in search/http/routes.py, where the document at /openapi.json takes it from;
here is what is not in that table, by endpoint. Whatever stands nowhere asks for `read`.
"""

import re
from collections.abc import Mapping

from flask import Request

from search.access.config import Scope
from search.http.routes import ROUTES

PAGES: Mapping[str, Scope] = {
    "static": "open",
    "languages.choose": "open",
    "languages.choose_again": "open",
    "sign_in.form": "open",
    "sign_in.sign_in": "open",
    "sign_in.sign_out": "open",
    "themes.choose": "open",
    "themes.choose_again": "open",
    # Name folders of the machine and what could not be read in them.
    "pages.status": "admin",
    "pages.jobs": "admin",
    "pages.jobs_list": "admin",
    "pages.jobs_events": "admin",
    "pages.job": "admin",
}
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?(\w+)>")
_BY_PATH: Mapping[str, Scope] = {route.path: route.scope for route in ROUTES}


def scope_of(request: Request) -> Scope:
    if request.url_rule is None:
        return "read"
    if request.url_rule.endpoint in PAGES:
        return PAGES[request.url_rule.endpoint]
    return _BY_PATH.get(_CONVERTER.sub(r"{\1}", request.url_rule.rule), "read")


def covers(held: Scope, wanted: Scope) -> bool:
    order = ("open", "read", "admin")
    return order.index(held) >= order.index(wanted)
