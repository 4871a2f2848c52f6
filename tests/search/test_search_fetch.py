"""Fetching by address: what it refuses, each against a real server on loopback."""

import ipaddress
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from search.config import SearchConfig
from search.engine import SearchEngine
from search.errors import InvalidRequest, PictureRejected
from search.query.fetch import FetchPolicy, fetch_picture
from search.query.fetch_targets import is_public
from webui.app import create_app
from webui.config import WebConfig

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
OPEN = FetchPolicy(max_bytes=10_000, timeout_s=5.0, allowed_networks=LOOPBACK)
"""May reach the test's own server, as an owner may allow a picture server in the house."""
CLOSED = replace(OPEN, allowed_networks=())
Answer = Callable[[socket.socket, bytes], None]


class Server:
    """Speaks HTTP as badly as a test wants; notes what it was asked."""

    def __init__(self, answer: Answer, wrap: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._wrap = wrap
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            # The client has had enough: what most of these tests are about.
            with accepted, suppress(OSError):
                self._converse(accepted)

    def _converse(self, accepted: socket.socket) -> None:
        accepted.settimeout(10)
        if self._wrap is not None:
            accepted = self._wrap.wrap_socket(accepted, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            got = accepted.recv(65536)
            if not got:
                return
            head += got
        self.asked.append(head)
        self._answer(accepted, head)
        accepted.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


@contextmanager
def serving(answer: Answer | bytes, wrap: ssl.SSLContext | None = None) -> Iterator[Server]:
    def send(to: socket.socket, _head: bytes) -> None:
        assert isinstance(answer, bytes)
        to.sendall(answer)

    server = Server(send if isinstance(answer, bytes) else answer, wrap)
    try:
        yield server
    finally:
        server.close()


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_picture_is_fetched_under_its_servers_name() -> None:
    with serving(ok(b"picture")) as server:
        url = f"http://localhost:{server.port}/a%20b/c.png?x=1&y=%C3%A9#part"
        assert fetch_picture(url, OPEN) == b"picture"
    (head,) = server.asked
    assert head.startswith(b"GET /a%20b/c.png?x=1&y=%C3%A9 HTTP/1.1\r\n")
    assert f"\r\nHost: localhost:{server.port}\r\n".encode() in head
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert b"Cookie" not in head
    assert b"Authorization" not in head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\npicture",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npic\r\n4\r\nture\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\npicture",
    ],
    ids=["until the end", "in chunks", "after a promise"],
)
def test_a_picture_is_fetched_however_its_end_is_told(answer: bytes) -> None:
    with serving(answer) as server:
        assert fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN) == b"picture"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "gopher://127.0.0.1:{port}/_x",
        "ftp://127.0.0.1:{port}/x",
        "//127.0.0.1:{port}/x",
        "http:///x",
        "http://user@127.0.0.1:{port}/x",
        "http://user:secret@127.0.0.1:{port}/x",
        "http://@127.0.0.1:{port}/x",
        "http://127.0.0.1:{port}/a b",
        "http://127.0.0.1:{port}/a\r\nX-Sent: yes",
        "http://127.0.0.1:{port}\\@example.com/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://a..b/",
    ],
)
def test_only_plain_addresses_of_the_web_are_fetched(url: str) -> None:
    with serving(ok(b"secret")) as server:
        with pytest.raises(InvalidRequest) as refused:
            fetch_picture(url.format(port=server.port), OPEN)
        assert refused.value.errors[0].field == "image.url"
        assert server.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "[64:ff9b::7f00:1]",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_no_way_of_writing_this_machines_address_leads_to_it(host: str) -> None:
    with serving(ok(b"secret")) as server:
        with pytest.raises(InvalidRequest, match=r"no public address|can't be fetched"):
            fetch_picture(f"http://{host}:{server.port}/", CLOSED)
        assert server.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "::ffff:10.0.0.1",
    ],
)
def test_what_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"]
)
def test_what_is_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_closed_address_among_open_ones_is_enough_to_refuse() -> None:
    policy = replace(CLOSED, resolver=lambda *_: ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(InvalidRequest, match=r"10\.0\.0\.1"):
        fetch_picture("http://pictures.test/", policy)


def test_public_servers_are_asked_on_the_webs_own_ports_alone() -> None:
    policy = replace(CLOSED, resolver=lambda *_: ["1.1.1.1"])
    with pytest.raises(InvalidRequest, match="port 22"):
        fetch_picture("http://pictures.test:22/", policy)


def test_a_redirect_to_a_closed_address_is_refused() -> None:
    """Two servers on loopback, of which only one may be reached."""
    only = (ipaddress.ip_network("127.0.0.1/32"),)
    with (
        serving(ok(b"secret")) as inner,
        serving(moved(f"http://127.0.0.2:{inner.port}/")) as outer,
    ):
        policy = replace(OPEN, allowed_networks=only)
        with pytest.raises(InvalidRequest, match=r"127\.0\.0\.2"):
            fetch_picture(f"http://127.0.0.1:{outer.port}/", policy)
        assert inner.asked == []


@pytest.mark.parametrize("to", ["file:///etc/hostname", "gopher://127.0.0.1/", "http://u:p@h/"])
def test_a_redirect_to_another_scheme_is_refused(to: str) -> None:
    with serving(moved(to)) as server, pytest.raises(InvalidRequest):
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)


def test_redirects_are_followed_three_times_and_no_further() -> None:
    def chain(last: int) -> Answer:
        def answer(to: socket.socket, head: bytes) -> None:
            at = int(head.split(b" ")[1][1:])
            to.sendall(ok(b"picture") if at == last else moved(f"/{at + 1}"))

        return answer

    with serving(chain(3)) as server:
        assert fetch_picture(f"http://127.0.0.1:{server.port}/0", OPEN) == b"picture"
    with serving(chain(4)) as server:
        with pytest.raises(InvalidRequest, match="more than 3 times"):
            fetch_picture(f"http://127.0.0.1:{server.port}/0", OPEN)
        assert len(server.asked) == 4


def test_a_name_that_changes_its_meaning_leads_nowhere_new() -> None:
    """DNS rebinding: looked up once, and connected to what was looked at."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    looked_up = []

    def rebinding(host: str, _port: int, _timeout_s: float) -> list[str]:
        looked_up.append(host)
        return next(answers)

    only = (ipaddress.ip_network("127.0.0.1/32"),)
    with serving(ok(b"picture")) as server:
        policy = replace(OPEN, resolver=rebinding, allowed_networks=only)
        # A name that the system can't resolve: it is connected to by the address alone.
        url = f"http://rebinding.test:{server.port}/"
        assert fetch_picture(url, policy) == b"picture"
        assert looked_up == ["rebinding.test"]
        with pytest.raises(InvalidRequest, match=r"127\.0\.0\.2"):
            fetch_picture(url, policy)
        assert len(server.asked) == 1


def drip(what: bytes) -> Answer:
    def answer(to: socket.socket, _head: bytes) -> None:
        to.sendall(what)
        while True:
            to.sendall(b"x")
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "begun",
    [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"],
    ids=["before the status", "in a header", "in the body"],
)
def test_a_server_that_drips_is_given_up(begun: bytes) -> None:
    began = time.monotonic()
    with (
        serving(drip(begun)) as server,
        pytest.raises(InvalidRequest, match=r"within 0\.3 s"),
    ):
        fetch_picture(f"http://127.0.0.1:{server.port}/", replace(OPEN, timeout_s=0.3))
    assert time.monotonic() - began < 4


def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    def slow(_host: str, _port: int, timeout_s: float) -> list[str]:
        assert timeout_s <= 0.1
        raise TimeoutError

    with pytest.raises(InvalidRequest, match=r"within 0\.1 s"):
        fetch_picture("http://slow.test/", replace(OPEN, timeout_s=0.1, resolver=slow))


def endless(head: bytes, block: bytes) -> Answer:
    def answer(to: socket.socket, _head: bytes) -> None:
        to.sendall(head)
        while True:
            to.sendall(block)

    return answer


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400\r\n" + b"x" * 1024 + b"\r\n",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", b"x" * 4096),
    ],
    ids=["until the end", "in chunks", "in one huge chunk"],
)
def test_an_endless_body_is_cut_off(head: bytes, block: bytes) -> None:
    with serving(endless(head, block)) as server, pytest.raises(PictureRejected) as rejected:
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)
    assert rejected.value.kind == "too_large"


def test_a_body_that_says_it_is_huge_is_not_waited_for() -> None:
    def promise(to: socket.socket, _head: bytes) -> None:
        to.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        to.recv(1)  # until the client has gone

    began = time.monotonic()
    with serving(promise) as server, pytest.raises(PictureRejected):
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)
    assert time.monotonic() - began < 4


def test_endless_headers_are_cut_off() -> None:
    flood = endless(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 1000 + b"\r\n")
    with serving(flood) as server, pytest.raises(InvalidRequest, match="can't be fetched"):
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)


@pytest.mark.parametrize("packed", ["gzip", "br", "deflate, identity"])
def test_what_comes_packed_is_refused_and_never_unpacked(packed: str) -> None:
    answer = ok(b"\x1f\x8b bomb", f"Content-Encoding: {packed}")
    with serving(answer) as server, pytest.raises(InvalidRequest, match="packed"):
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 206 Partial\r\n\r\nx", b"no http\r\n\r\n", b""],
)
def test_anything_but_a_plain_answer_is_refused(answer: bytes) -> None:
    with serving(answer) as server, pytest.raises(InvalidRequest):
        fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN)


def test_a_server_that_is_not_there_is_named_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(InvalidRequest, match="can't be fetched"):
        fetch_picture(f"http://127.0.0.1:{port}/", OPEN)


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ok(b"from the proxy")) as proxy, serving(ok(b"picture")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch_picture(f"http://127.0.0.1:{server.port}/", OPEN) == b"picture"
        assert proxy.asked == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For pictures.test, signed by itself; (certificate, key)."""
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate of this test's server")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=pictures.test", "-out", str(made)]
    command += ["-keyout", str(key), "-addext", "subjectAltName=DNS:pictures.test"]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


def test_a_certificate_must_be_for_the_name_though_the_address_is_connected_to(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    policy = replace(OPEN, resolver=lambda *_: ["127.0.0.1"])
    with serving(ok(b"picture"), context) as server:
        with pytest.raises(InvalidRequest, match="CERTIFICATE_VERIFY_FAILED"):
            fetch_picture(f"https://pictures.test:{server.port}/", policy)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        url = f"https://pictures.test:{server.port}/"
        assert fetch_picture(url, policy) == b"picture"
        with pytest.raises(InvalidRequest, match="CERTIFICATE_VERIFY_FAILED"):
            fetch_picture(f"https://other.test:{server.port}/", policy)
    assert asked_for == ["pictures.test", "pictures.test", "other.test"]


class TestThroughTheApi:
    def test_while_it_is_off_the_answer_names_the_setting(self, client) -> None:
        with serving(ok(b"secret")) as server:
            url = f"http://127.0.0.1:{server.port}/"
            answer = client.post("/api/v1/search", json={"image": {"url": url}})
            assert server.asked == []
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "image.url"
        assert "search.fetch_urls" in answer.json["detail"]

    def client_that_fetches(self, engine: SearchEngine, *networks: str):
        config = SearchConfig(
            max_upload_bytes=200_000, fetch_urls=True, fetch_allowed_networks=networks
        )
        fetching = SearchEngine(engine.library, engine.encoder, config)
        return create_app(fetching, WebConfig()).test_client()

    def test_a_picture_of_the_house_is_searched_by(
        self, engine: SearchEngine, pictures: Path
    ) -> None:
        client = self.client_that_fetches(engine, "127.0.0.0/8")
        with serving(ok((pictures / "red.png").read_bytes())) as server:
            image = {"url": f"http://127.0.0.1:{server.port}/red.png"}
            found = client.post("/api/v1/search", json={"image": image, "limit": 1})
            labelled = client.post("/api/v1/classify", json={"image": image, "labels": ["red"]})
            embedded = client.post("/api/v1/embeddings", json={"images": [image]})
        assert found.json["hits"][0]["path"] == "red.png"
        assert labelled.status_code == 200
        assert len(embedded.json["images"]) == 1

    def test_one_request_does_not_have_the_server_fetch_many(self, engine: SearchEngine) -> None:
        client = self.client_that_fetches(engine, "127.0.0.0/8")
        with serving(ok(b"no picture")) as server:
            images = [{"url": f"http://127.0.0.1:{server.port}/{at}"} for at in range(5)]
            terms = [{"image": image} for image in images]
            for path, body in (
                ("/api/v1/embeddings", {"images": images}),
                ("/api/v1/search", {"positive": terms[:3], "negative": terms[3:]}),
            ):
                answer = client.post(path, json=body)
                assert answer.status_code == 422
                assert "at most 4" in answer.json["detail"]
            assert server.asked == []

    def test_what_is_fetched_is_decoded_under_guard(self, engine: SearchEngine) -> None:
        client = self.client_that_fetches(engine, "127.0.0.0/8")
        with serving(ok(b"<svg>no picture</svg>")) as server:
            image = {"url": f"http://127.0.0.1:{server.port}/"}
            assert client.post("/api/v1/search", json={"image": image}).status_code == 415
        with serving(ok(b"x" * 200_001)) as server:
            image = {"url": f"http://127.0.0.1:{server.port}/"}
            assert client.post("/api/v1/search", json={"image": image}).status_code == 413

    def test_a_closed_address_is_refused_and_the_setting_named(self, engine: SearchEngine) -> None:
        client = self.client_that_fetches(engine)
        image = {"url": "http://169.254.169.254/latest/meta-data/"}
        answer = client.post("/api/v1/search", json={"image": image})
        assert answer.status_code == 422
        assert "search.fetch_allowed_networks" in answer.json["detail"]
