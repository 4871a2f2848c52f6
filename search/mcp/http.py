"""The MCP server over HTTP: who may call it, how often, and by which names."""

from anyio.to_thread import run_sync
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from search.access.callers import Caller, key_given
from search.access.config import AccessConfig
from search.access.errors import AccessRefused, KeyRequired
from search.access.guard import check_rate
from search.access.rate_limit import TokenBuckets
from search.engine import SearchEngine
from search.http.problems import headers_of, status_of
from search.mcp.server import make_mcp_server
from storage.api_keys import active_key, has_active_keys

PATH = "/mcp"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def make_mcp_app(engine: SearchEngine, access: AccessConfig) -> ASGIApp:
    """By the rules of the API. That a client's address is its own, and no proxy's, is for whoever
    runs the app."""
    hosts = [*LOOPBACK_NAMES, *access.allowed_hosts, access.bound_host]
    security = TransportSecuritySettings(
        allowed_hosts=[form for host in hosts for form in (host, f"{host}:*")],
        allowed_origins=[
            f"{scheme}://{host}{port}"
            for scheme in ("http", "https")
            for host in hosts
            for port in ("", ":*")
        ],
    )
    app = make_mcp_server(engine).streamable_http_app(
        streamable_http_path=PATH, transport_security=security, stateless_http=True
    )
    return Guarded(app, engine, access)


class Guarded:
    """Lets in who has a key, as the API does, and as often; everybody, where there are no keys."""

    def __init__(self, app: ASGIApp, engine: SearchEngine, access: AccessConfig) -> None:
        self._app = app
        self._catalog = engine.library.engine
        self._open_without_keys = access.open_without_keys
        limit = access.requests_per_minute
        self._buckets = None if limit is None else TokenBuckets(limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await run_sync(self._let_in, scope)
            except AccessRefused as error:
                refusal = JSONResponse(
                    {"error": str(error)}, status_code=status_of(error), headers=headers_of(error)
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _let_in(self, scope: Scope) -> None:
        """Raises AccessRefused."""
        needed = not self._open_without_keys or has_active_keys(self._catalog)
        given = key_given(Headers(scope=scope)) if needed else None
        key = active_key(self._catalog, given) if given else None
        address, _ = scope.get("client") or ("", 0)
        check_rate(Caller(key, address, needed), self._buckets)
        if needed and key is None:
            raise KeyRequired("A key is needed: send `Authorization: Bearer KEY`.")
