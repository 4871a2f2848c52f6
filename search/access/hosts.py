"""The names this server goes by.

A page of any site can have its own name lead to this machine (DNS rebinding), and would then be
of one origin with us; but its requests still bear that name. An address in numbers belongs to no
site, so it can't be misled.
"""

import ipaddress
import socket

from search.access.config import AccessConfig

LOOPBACK_NAME = "localhost"
EVERY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104  compared with, not bound
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """None where it is a name. IPv4 within IPv6 is taken as what it is."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to it."""
    address = address_of(host)
    return host.lower() == LOOPBACK_NAME if address is None else address.is_loopback


def without_port(host: str) -> str:
    """ "[::1]:7700" → "::1", "Localhost.:80" → "localhost"."""
    host = host.strip().lower()
    bare = host[1:].partition("]")[0] if host.startswith("[") else host
    address = address_of(bare) or address_of(bare.partition(":")[0])
    return str(address) if address else bare.partition(":")[0].removesuffix(".")


class KnownHosts:
    def __init__(self, config: AccessConfig) -> None:
        named = [without_port(each) for each in config.allowed_hosts]
        self._everywhere = config.bound_host in EVERY_ADDRESS
        if self._everywhere:
            named.append(socket.gethostname().lower())
        elif not is_loopback(config.bound_host):
            named.append(without_port(config.bound_host))
        self._names = frozenset(named)

    def know(self, host: str) -> bool:
        """host: as the Host header has it."""
        name = without_port(host)
        if name in self._names or is_loopback(name):
            return True
        return self._everywhere and address_of(name) is not None
