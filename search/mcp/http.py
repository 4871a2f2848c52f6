"""The MCP server over HTTP: who may call it, and by which names."""

from collections.abc import Iterable

from anyio.to_thread import run_sync
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from search.engine import SearchEngine
from search.mcp.server import make_mcp_server
from storage.api_keys import active_key, has_active_keys

PATH = "/mcp"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def make_mcp_app(engine: SearchEngine, names: Iterable[str], *, open_without_keys: bool) -> ASGIApp:
    """names: hosts that the server goes by, beyond this machine's own.

    open_without_keys: whether all may come in while the library has no active key.
    """
    hosts = [*LOOPBACK_NAMES, *names]
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
    return KeysAsked(app, engine, open_without_keys)


class KeysAsked:
    """Lets in who has a key, as the API does; everybody, where there are no keys."""

    def __init__(self, app: ASGIApp, engine: SearchEngine, open_without_keys: bool) -> None:
        self._app = app
        self._catalog = engine.library.engine
        self._open_without_keys = open_without_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not await run_sync(self._may_come_in, Headers(scope=scope)):
            refusal = JSONResponse(
                {"error": "A key is needed: send `Authorization: Bearer KEY`."},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_come_in(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if given and active_key(self._catalog, given) is not None:
            return True
        return self._open_without_keys and not has_active_keys(self._catalog)
