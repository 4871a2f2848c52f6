"""What the access rules can be told."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["open", "read", "admin"]
"""open: needs no key. admin: may do all that read may."""


@dataclass(frozen=True)
class AccessConfig:
    bound_host: str = "127.0.0.1"
    """The address that the server listens on."""
    open_without_keys: bool = True
    """Whether all may come in while the library has no active key. Not where others than this
    machine's users can reach the server: revoking the last key must not open it."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the server goes by, beyond this machine's own and the bound address."""
    cors_origins: tuple[str, ...] = ()
    """Sites whose scripts may use the API, such as "https://shop.example"; "*" for all."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    requests_per_minute: int | None = 1200
    """For each key, and for each address beyond this machine; None for no limit."""
    log_queries: bool = False
    """Whether the log of requests says what was searched for."""
