"""A hub on loopback: what huggingface.co answers to a download, over real HTTP.

Settings files come from `resolve` itself; safetensors are LFS files, to which `resolve`
redirects, and may be asked for in ranges.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class HubRepo:
    """One repository and how the hub treats those who ask for it."""

    folder: Path
    gated: bool = False
    cut_after_bytes: int | None = None
    """Break the connection after so many bytes of weights, …"""
    cuts_left: int = 0
    """… this many times."""
    ignores_ranges: bool = False
    damaged: bool = False
    claimed_size_bytes: int | None = None
    silent: threading.Event | None = None
    """If set, no answer before the event, …"""
    answers_before_silence: int = 0
    """… but for the first so many requests."""

    def weights(self) -> dict[str, Path]:
        """SHA-256 → file, for what the hub keeps in LFS."""
        return {_sha256(path.read_bytes()): path for path in self.folder.glob("*.safetensors")}


@dataclass
class LoopbackHub:
    """`with LoopbackHub({"owner/name": HubRepo(folder)}) as hub:` serves at hub.url."""

    repos: dict[str, HubRepo]
    requests: list[str] = field(default_factory=list)
    """Method, path and, if asked for, the range: "GET /cdn/… bytes=100-"."""
    url: str = ""

    def __enter__(self) -> "LoopbackHub":
        hub = self

        class Handler(_HubHandler):
            served = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # Under another name, as a redirect on the same host is followed for metadata too.
        self.cdn_url = f"http://localhost:{self._server.server_port}/cdn"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ranges(self) -> list[int]:
        """Where each request for weights started."""
        starts = [re.search(r"^GET /cdn/.* bytes=(\d+)-", line) for line in self.requests]
        return [int(match[1]) for match in starts if match]


class _HubHandler(BaseHTTPRequestHandler):
    served: LoopbackHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for name, repo in self.served.repos.items():
            if repo.silent is not None and f"/{name}/" in f"{path}/":
                repo.answers_before_silence -= 1
                if repo.answers_before_silence < 0:
                    repo.silent.wait()
                    return
        self.served.requests.append(
            f"{self.command} {path} {self.headers.get('Range', '')}".rstrip()
        )
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            self._api(match[1], match[2], match[3])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[3])
        elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([0-9a-f]{64})", path):
            self._weights(self.served.repos[match[1]], match[2])
        else:
            self._send(404)

    def _api(self, name: str, kind: str | None, revision: str | None) -> None:
        repo = self.served.repos.get(name)
        if repo is None:
            self._send(404, {"X-Error-Code": "RepoNotFound"})
            return
        if revision not in {None, "main", COMMIT}:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            self._send_json([_tree_entry(repo, path) for path in sorted(repo.folder.iterdir())])
        else:
            files = [_sibling(repo, path) for path in sorted(repo.folder.iterdir())]
            self._send_json({"id": name, "modelId": name, "sha": COMMIT, "siblings": files})

    def _resolve(self, name: str, filename: str) -> None:
        repo = self.served.repos[name]
        path = repo.folder / filename
        if repo.gated and not self.headers.get("Authorization"):
            self._send(401, {"X-Error-Code": "GatedRepo"})
        elif not path.is_file():
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif path.suffix == ".safetensors":
            digest = _sha256(path.read_bytes())
            headers = {
                "Location": f"{self.served.cdn_url}/{name}/{digest}",
                "X-Repo-Commit": COMMIT,
                "X-Linked-ETag": f'"{digest}"',
                "X-Linked-Size": str(path.stat().st_size),
            }
            self._send(302, headers)
        else:
            content = path.read_bytes()
            self._send(200, {"ETag": f'"{_git_id(content)}"', "X-Repo-Commit": COMMIT}, content)

    def _weights(self, repo: HubRepo, digest: str) -> None:
        content = repo.weights()[digest].read_bytes()
        if repo.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and not repo.ignores_ranges:
            start = int(match[1])
        headers = {"Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        if repo.cut_after_bytes is not None and repo.cuts_left:
            repo.cuts_left -= 1
            self._send(206 if start else 200, headers, rest, repo.cut_after_bytes)
            self.close_connection = True
        else:
            self._send(206 if start else 200, headers, rest)

    def _send_json(self, content: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _send(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
        cut_after_bytes: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:cut_after_bytes])


def _tree_entry(repo: HubRepo, path: Path) -> dict[str, object]:
    content = path.read_bytes()
    entry: dict[str, object] = {"type": "file", "path": path.name, "oid": _git_id(content)}
    entry["size"] = len(content)
    if path.suffix == ".safetensors":
        size = repo.claimed_size_bytes or len(content)
        entry["lfs"] = {"oid": _sha256(content), "size": size, "pointerSize": 134}
    return entry


def _sibling(repo: HubRepo, path: Path) -> dict[str, object]:
    content = path.read_bytes()
    entry: dict[str, object] = {"rfilename": path.name, "blobId": _git_id(content)}
    entry["size"] = len(content)
    if path.suffix == ".safetensors":
        size = repo.claimed_size_bytes or len(content)
        entry["lfs"] = {"sha256": _sha256(content), "size": size, "pointerSize": 134}
    return entry


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_id(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
