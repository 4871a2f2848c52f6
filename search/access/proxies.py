"""What a reverse proxy says of the client, believed only from those that were named."""

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from search.access.hosts import address_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class TrustedProxies:
    """Takes the client's address and scheme from X-Forwarded-For and X-Forwarded-Proto.

    Of a list of addresses the last is taken, the only one that the proxy has seen itself. The
    name asked for stays that of the Host header, which proxies pass on.
    """

    def __init__(self, app: "WSGIApplication", proxies: tuple[str, ...]) -> None:
        """proxies: addresses or networks. Raises ValueError for anything else."""
        self._app = app
        self._through_proxy = ProxyFix(app, x_for=1, x_proto=1, x_host=0, x_port=0, x_prefix=0)
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in proxies]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        peer = address_of(environ.get("REMOTE_ADDR", ""))
        trusted = peer is not None and any(peer in network for network in self._trusted)
        return (self._through_proxy if trusted else self._app)(environ, start_response)
