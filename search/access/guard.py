"""The rules in the order in which a request meets them."""

from flask import Flask, Response, g, request

from search.access.callers import Caller, Callers, current_caller, key_given, who
from search.access.config import AccessConfig
from search.access.cross_origin import CrossOrigin
from search.access.errors import HostUnknown, KeyRequired, ScopeTooNarrow, TooManyRequests
from search.access.hosts import KnownHosts, is_loopback
from search.access.proxies import TrustedProxies
from search.access.rate_limit import TokenBuckets
from search.access.scopes import covers, scope_of
from search.access.sessions import Sessions
from storage.library import Library

PROBES = "health"
"""The blueprint that is asked every second by whoever supervises the server, even while its
library is out of reach."""


def guard(
    app: Flask, library: Library, config: AccessConfig, api_paths: tuple[str, ...]
) -> Sessions:
    """Every request is looked at before its view. Returns the sessions that are believed.

    api_paths: how the paths begin that other sites' scripts may be allowed to use.
    """
    hosts = KnownHosts(config)
    cross_origin = CrossOrigin(config.cors_origins, api_paths)
    sessions = Sessions()
    callers = Callers(library.engine, sessions, open_without_keys=config.open_without_keys)
    limit = config.requests_per_minute
    buckets = None if limit is None else TokenBuckets(limit)
    if config.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, config.trusted_proxies)  # type: ignore[method-assign]

    @app.before_request
    def _check() -> Response | None:
        if not hosts.know(request.host):
            raise HostUnknown(request.host)
        answer = cross_origin.preflight(request)
        if answer is not None:
            return answer
        cross_origin.check(request)
        if request.endpoint == "static" or request.blueprint == PROBES:
            return None
        g.caller = callers.identify(request)
        check_rate(g.caller, buckets)
        _check_scope()
        return None

    @app.after_request
    def _tell(response: Response) -> Response:
        cross_origin.tell(request, response)
        caller = current_caller()
        if caller is not None and caller.keys_needed:
            # A proxy that keeps answers must not give them to who has no key.
            response.cache_control.public = False
            response.cache_control.private = True
        return response

    return sessions


def check_rate(caller: Caller, buckets: TokenBuckets | None) -> None:
    """This machine's own users, where they need no key, may ask as often as they like.

    Raises TooManyRequests.
    """
    if buckets is None or (caller.key is None and is_loopback(caller.address)):
        return
    wait_s = buckets.take(who(caller))
    if wait_s:
        raise TooManyRequests(wait_s, buckets.per_minute)


def _check_scope() -> None:
    caller = current_caller()
    wanted = scope_of(request)
    if caller is None or covers(caller.scope, wanted):
        return
    if caller.key is not None:
        raise ScopeTooNarrow(
            f"The key {caller.key.name!r} has the scope {caller.scope}; this needs {wanted}."
        )
    if key_given(request.headers) is not None:
        raise KeyRequired("That key is unknown here, or has been revoked.")
    raise KeyRequired(
        "This library needs a key: send it as 'Authorization: Bearer KEY'. "
        "On the server, polyglance keys create makes one."
    )
