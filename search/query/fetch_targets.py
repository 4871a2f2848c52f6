"""Where a server may be sent to fetch: which addresses, found how.

What a name means is decided by whoever owns the name. So it is looked up once, every address it
has is looked at, and the connection goes to the very address that was looked at: a name that
means something else a moment later (DNS rebinding) changes nothing.
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from search.errors import FieldError, InvalidRequest

FIELD = "image.url"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int, float], list[str]]
"""(name, port, seconds to take at most) → addresses. Raises OSError."""

PORTS = {"http": 80, "https": 443}
_WILD = re.compile(r"[\x00-\x20\x7f\\]")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CLOSED: tuple[Network, ...] = (
    # What the standard library calls global, or knows only in its later versions.
    ipaddress.IPv4Network("100.64.0.0/10"),  # shared behind a provider (CGNAT), and Alibaba's
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's own services to its machines
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments, and Oracle's metadata
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays to IPv6
    ipaddress.IPv6Network("::/96"),  # IPv4 in a form long given up
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a site's own
    ipaddress.IPv6Network("2001::/32"),  # Teredo: leads to an IPv4 address
    ipaddress.IPv6Network("2002::/16"),  # 6to4: the same
    ipaddress.IPv6Network("fec0::/10"),  # site-local, given up
)


@dataclass(frozen=True)
class Target:
    """One request to make: to these addresses, as that name."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""
    addresses: tuple[str, ...]


def resolve(host: str, port: int, timeout_s: float) -> list[str]:
    """By the system. The look-up itself can't be stopped; nobody waits for it any longer."""
    found: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(answer[4][0]) for answer in answers])
        except (OSError, UnicodeError) as error:
            found.put(OSError(str(error)))

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"the name {host} took too long to look up") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def find_target(
    url: str, allowed: tuple[Network, ...], resolver: Resolver, timeout_s: float
) -> Target:
    """Raises InvalidRequest for what may not be fetched, OSError where the name leads nowhere.

    allowed: networks that may be reached, on any port, though they are not public.
    """
    scheme, host, port, path = _parts(url)
    addresses = resolver(host, port, timeout_s)
    if not addresses:
        raise OSError(f"the name {host} has no address")
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if any(address in network for network in allowed):
            continue
        if not is_public(address):
            raise refused(
                f"leads to {address}, which is no public address; if this server may fetch "
                "from there, add its network to search.fetch_allowed_networks"
            )
        if port != PORTS[scheme]:
            raise refused(f"names the port {port}: only 80 (http) and 443 (https) are fetched from")
    return Target(scheme, host, port, path, tuple(addresses))


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port, path with query. Raises InvalidRequest."""
    if _WILD.search(url):
        raise refused("holds a space or another sign that no address has")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = parts.port
    except ValueError as error:  # UnicodeError is one
        raise refused(f"is no address: {error}") from None
    if parts.scheme not in PORTS:
        raise refused("begins with neither http:// nor https://")
    if "@" in parts.netloc:
        raise refused("names a user: an address with a name or password in it is not fetched")
    if not host:
        raise refused("names no server")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    whole = f"{path}?{query}" if query else path
    return parts.scheme, host, PORTS[parts.scheme] if port is None else port, whole


def is_public(address: Address) -> bool:
    """Whether the address is one of the open internet, and not this machine, its network, its
    provider's or its cloud's."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:  # how a network without IPv4 reaches it
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    closed = any(address in network for network in _CLOSED)
    return address.is_global and not address.is_multicast and not closed


def refused(message: str) -> InvalidRequest:
    return InvalidRequest(FieldError(FIELD, message))
