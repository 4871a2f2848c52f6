"""Fetching a picture by its address, for whoever asks: bounded in where, how long and how much.

Built on http.client, which takes no proxy from the environment, follows nothing by itself, and
unpacks nothing.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin

from search.config import SearchConfig
from search.errors import FieldError, InvalidRequest, PictureRejected
from search.query.fetch_targets import (
    FIELD,
    PORTS,
    Network,
    Resolver,
    Target,
    find_target,
    refused,
    resolve,
)
from search.schemas import ImageInput

REDIRECTS = {301, 302, 303, 307, 308}
BLOCK_BYTES = 64 * 1024
AGENT = "polyglance"
MOST_URLS = 4
"""In one request; each may take the policy's whole time."""


@dataclass(frozen=True)
class FetchPolicy:
    """What is fetched, and at what cost at most."""

    max_bytes: int
    timeout_s: float = 10.0
    """From the first look-up to the last byte, with all redirects."""
    allowed_networks: tuple[Network, ...] = ()
    """That may be reached though they are not public, such as a picture server in the house."""
    max_redirects: int = 3
    resolver: Resolver = resolve


def check_few_urls(images: Iterable[ImageInput | None]) -> None:
    """One request may not have this server wait for many others. Raises InvalidRequest."""
    if sum(image is not None and image.url is not None for image in images) > MOST_URLS:
        raise refused(f"is fetched for at most {MOST_URLS} pictures of one request")


def bytes_of(image: ImageInput, config: SearchConfig) -> bytes:
    """Of a picture that was sent along, or is to be fetched. Raises InvalidRequest,
    PictureRejected."""
    if image.url is None:
        return image.sent_bytes()
    if not config.fetch_urls:
        raise InvalidRequest(
            FieldError(
                FIELD,
                "this server fetches no addresses: send the picture itself as base64, or set "
                "search.fetch_urls to true on the server",
            )
        )
    return fetch_picture(image.url, policy_of(config))


def policy_of(config: SearchConfig) -> FetchPolicy:
    """Raises ValueError where an allowed network is none."""
    networks = tuple(ipaddress.ip_network(each) for each in config.fetch_allowed_networks)
    return FetchPolicy(config.max_upload_bytes, config.fetch_timeout_s, networks)


def fetch_picture(url: str, policy: FetchPolicy) -> bytes:
    """What lies at the address, undecoded. Raises InvalidRequest, PictureRejected."""
    until = time.monotonic() + policy.timeout_s
    for _ in range(policy.max_redirects + 1):
        try:
            target = find_target(url, policy.allowed_networks, policy.resolver, _left(until))
            moved_to, content = _get(target, policy.max_bytes, until)
        except TimeoutError:
            raise refused(f"did not answer in full within {policy.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise refused(f"can't be fetched: {_first_line(error)}") from error
        if moved_to is None:
            return content
        url = urljoin(url, moved_to)
    raise refused(f"leads on more than {policy.max_redirects} times")


def _get(target: Target, max_bytes: int, until: float) -> tuple[str | None, bytes]:
    """(where it has moved to, b"") or (None, content)."""
    raw = _connect(target, until)
    try:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = cast(socket.socket, _TimedSocket(raw, until))
        default_port = target.port == PORTS[target.scheme]
        name = f"[{target.host}]" if ":" in target.host else target.host
        connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", name if default_port else f"{name}:{target.port}")
        connection.putheader("User-Agent", AGENT)
        connection.putheader("Accept", "image/*")
        connection.putheader("Accept-Encoding", "identity")
        connection.putheader("Connection", "close")
        connection.endheaders()
        return _read(connection.getresponse(), max_bytes)
    finally:
        raw.close()


def _read(response: http.client.HTTPResponse, max_bytes: int) -> tuple[str | None, bytes]:
    location = response.getheader("Location")
    if response.status in REDIRECTS and location is not None:
        return location, b""
    if response.status != 200:
        raise refused(f"was answered with {response.status}")
    packed = response.getheader("Content-Encoding", "identity").strip().lower()
    if packed != "identity":
        raise refused(f"is sent packed ({packed}), which was not asked for")
    if response.length is not None and response.length > max_bytes:
        raise _too_large(max_bytes)
    content = bytearray()
    while block := response.read(BLOCK_BYTES):
        content += block
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
    return None, bytes(content)


def _connect(target: Target, until: float) -> socket.socket:
    """To an address that was looked at; as the name, which a certificate must be for."""
    failed: OSError = OSError("no address")
    for address in target.addresses:
        try:
            raw = socket.create_connection((address, target.port), timeout=_left(until))
        except OSError as error:
            failed = error
            continue
        if target.scheme == "http":
            return raw
        try:
            return ssl.create_default_context().wrap_socket(raw, server_hostname=target.host)
        except BaseException:
            raw.close()
            raise
    raise failed


class _TimedSocket:
    """What http.client uses of a socket, with one end of time for all of it: a server that sends
    a byte now and then would outlast any timeout of the single read."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw = raw
        self._until = until

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(_left(self._until))
        self._raw.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._raw, self._until))

    def close(self) -> None:
        """Called when the head has been read, while the body may still be to come."""


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw = raw
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(_left(self._until))
        return self._raw.recv_into(buffer)


def _left(until: float) -> float:
    """Seconds; a socket takes 0 for "at once". Raises TimeoutError."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _too_large(max_bytes: int) -> PictureRejected:
    return PictureRejected(
        "too_large", f"The picture at that address has more than {max_bytes:,} bytes."
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
