"""Requests that mean harm, against the app and against the server that it runs on."""

import io
import socket
import struct
import zlib
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from search.engine import SearchEngine
from storage.files import locations_of
from webui.app import MOST_FORM_BYTES, MOST_FORM_PARTS

SEARCH = "/api/v1/search"


def bomb_png(width: int, height: int) -> bytes:
    """A few hundred bytes that claim, and hold, that many black pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * min(height, 64)), 9)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class TestUploads:
    def test_a_picture_of_more_pixels_than_allowed_is_not_decoded(
        self, client: FlaskClient
    ) -> None:
        bomb = bomb_png(20_000, 20_000)
        assert len(bomb) < 10_000
        for path, field in ((SEARCH, "image"), ("/by-picture", "picture")):
            answer = client.post(path, data={field: (io.BytesIO(bomb), "small.png")})
            assert answer.status_code == 413, path

    def test_a_picture_of_more_bytes_than_allowed_is_refused(self, client: FlaskClient) -> None:
        large = b"\xff\xd8\xff" + bytes(200_001)
        answer = client.post(SEARCH, data={"image": (io.BytesIO(large), "a.jpg")})
        assert answer.status_code == 413

    def test_a_body_of_more_than_the_limit_is_not_read(self, client: FlaskClient) -> None:
        """Neither where its length is told, nor where it just goes on."""

        class Endless(io.RawIOBase):
            read_bytes = 0

            def readable(self) -> bool:
                return True

            def readinto(self, buffer) -> int:
                self.read_bytes += len(buffer)
                assert self.read_bytes < 50_000_000
                buffer[:] = b"x" * len(buffer)
                return len(buffer)

        told = client.post(SEARCH, data=b"x" * 2_000_000, content_type="application/json")
        assert told.status_code == 413
        untold = Endless()
        environ = EnvironBuilder(SEARCH, method="POST", content_type="application/json")
        environ = environ.get_environ()
        environ.update({"wsgi.input": untold, "wsgi.input_terminated": True})
        _, status, _ = run_wsgi_app(client.application, environ, buffered=True)
        assert status.startswith(("400", "413"))
        assert untold.read_bytes <= client.application.config["MAX_CONTENT_LENGTH"]

    def test_a_form_of_more_parts_than_any_of_ours_is_refused(self, client: FlaskClient) -> None:
        parts = {f"part{at}": "x" for at in range(MOST_FORM_PARTS + 1)}
        answer = client.post(SEARCH, data=parts, content_type="multipart/form-data")
        assert answer.status_code == 413

    def test_parts_that_are_no_files_may_not_fill_the_memory(self, client: FlaskClient) -> None:
        parts = {"query": "x" * (MOST_FORM_BYTES + 1)}
        answer = client.post(SEARCH, data=parts, content_type="multipart/form-data")
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("text/plain", b'{"query": "red"}'),
            ("application/json-patch+json", b'{"query": "red"}'),
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=" + "x" * 300, b"--x"),
            ("application/json; charset=utf-7", b"+AHsAfQ-"),
            ("application/json", b"[" * 100_000),
            ("application/json", b'{"query": "\xff"}'),
            ("application/json", b'{"limit": ' + b"9" * 5000 + b"}"),
            ("", b"red"),
        ],
    )
    def test_a_body_that_is_not_what_it_says_is_a_problem_and_no_fault(
        self, client: FlaskClient, content_type: str, body: bytes
    ) -> None:
        answer = client.post(SEARCH, data=body, content_type=content_type)
        assert answer.status_code in (400, 413, 415, 422), answer.text
        assert answer.mimetype == "application/problem+json"


TRAVERSALS = (
    "..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "1%00.png",
    "%00",
    "1%2f..%2f2",
    "-1",
    "1e3",
    "９",
    "99999999999999999999",
    "%ff%fe",
    "1;2",
)


class TestPaths:
    @pytest.mark.parametrize(
        "route",
        [
            "/api/v1/images/{}",
            "/api/v1/images/{}/file",
            "/api/v1/images/{}/thumbnail",
            "/api/v1/images/{}/similar",
            "/api/v1/jobs/{}",
            "/pictures/{}",
            "/by-picture/{}/thumbnail",
            "/static/{}",
        ],
    )
    def test_what_is_no_id_and_no_file_of_ours_leads_to_nothing(
        self, client: FlaskClient, route: str
    ) -> None:
        for wrong in TRAVERSALS:
            answer = client.get(route.format(wrong), buffered=True)
            assert answer.status_code in (308, 404), (wrong, answer.status_code)
            assert b"root:" not in answer.data

    def test_thumbnails_have_a_few_sizes_and_no_paths(self, client: FlaskClient) -> None:
        for size in ("../../catalog.db", "0", "-1", "999999", "512/../..", "\0", "٥١٢"):
            answer = client.get("/api/v1/images/1/thumbnail", query_string={"size": size})
            assert answer.status_code == 422, size

    def test_a_file_outside_its_folder_is_not_served_through_a_link(
        self, client: FlaskClient, engine: SearchEngine, tmp_path: Path
    ) -> None:
        served = client.get("/api/v1/images/1/file", buffered=True)
        assert served.status_code == 200
        ((_, location),) = locations_of(engine.library.engine, 1)
        inside = location.root / location.path
        outside = tmp_path / "outside.png"
        inside.rename(outside)
        inside.symlink_to(outside)
        assert client.get("/api/v1/images/1/file", buffered=True).status_code == 404
        assert inside.read_bytes() == served.data, "the link itself leads to the picture"

    def test_a_folder_that_has_become_a_link_is_not_served_from(
        self, client: FlaskClient, engine: SearchEngine, pictures: Path, tmp_path: Path
    ) -> None:
        ids = [
            image["id"]
            for image in client.get("/api/v1/images").json["images"]
            if image["path"].startswith("sky/")
        ]
        (pictures / "sky").rename(tmp_path / "elsewhere")
        (pictures / "sky").symlink_to(tmp_path / "elsewhere")
        for image_id in ids:
            assert client.get(f"/api/v1/images/{image_id}/file").status_code == 404


def say(url: str, request: bytes) -> bytes:
    """What the server answers to these very bytes, up to its hanging up."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while block := connection.recv(65536):
                answer += block
        except ConnectionResetError:
            pass
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


class TestServer:
    """Raw bytes to the real server."""

    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, identity",
            b"Content-Length: +5",
            b"Content-Length : 5",
            b"X-A: b\r\n folded: c",
        ],
    )
    def test_a_request_with_two_readings_is_not_answered_as_two(
        self, server_url: str, head: bytes
    ) -> None:
        smuggled = b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n"
        request = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n"
        answer = say(server_url, request + b"0\r\n\r\n" + smuggled)
        assert 200 not in statuses(answer)

    def test_a_chunked_body_beyond_the_limit_is_refused(self, server_url: str) -> None:
        head = (
            b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        answer = say(server_url, head + chunk * 32 + b"0\r\n\r\n")
        assert statuses(answer) == [413]

    @pytest.mark.parametrize(
        "sent",
        [b"evil\r\nSet-Cookie: a=b", b"\x00", b"\xff\xfe", b"<script>", b"x" * 5000],
        ids=["line break", "NUL", "no UTF-8", "markup", "length"],
    )
    def test_no_header_of_the_request_makes_one_of_the_answer(
        self, server_url: str, sent: bytes
    ) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        answer = say(server_url, request + b"X-Request-Id: " + sent + b"\r\n\r\n")
        head = answer.partition(b"\r\n\r\n")[0]
        assert b"a=b" not in head
        assert b"evil" not in head or b"X-Request-Id: evil\r\n" in head + b"\r\n"
        assert b"<script>" not in head
        assert b"xxxx" not in head

    @pytest.mark.parametrize(
        "target",
        [b"//evil.test/", b"http://evil.test/", b"/\\evil.test", b"*", b"/%0d%0aX-Evil:%20yes"],
    )
    def test_no_target_leads_elsewhere(self, server_url: str, target: bytes) -> None:
        request = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        head = say(server_url, request).partition(b"\r\n\r\n")[0]
        assert b"evil.test" not in head
        assert b"X-Evil" not in head


def test_a_method_that_is_not_offered_is_told_which_are(client: FlaskClient) -> None:
    for path in ("/api/v1/stats", "/healthz", "/metrics", "/metadata", "/by-picture", "/sign-in"):
        answer = client.delete(path)
        assert answer.status_code == 405
        allowed = set(answer.headers["Allow"].split(", "))
        assert allowed & {"GET", "POST"}
        assert "DELETE" not in allowed


def test_every_answer_keeps_to_itself(client: FlaskClient) -> None:
    """Pages, pictures, problems and static files alike."""
    for path in ("/", "/nothing", "/api/v1/stats", "/api/v1/images/1/file", "/static/page.css"):
        with client.get(path) as answer:
            headers = answer.headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY", path
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
            assert headers["Referrer-Policy"] == "same-origin", path
            policy = headers["Content-Security-Policy"]
            for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"):
                assert rule in policy, path
            assert "unsafe" not in policy, path
