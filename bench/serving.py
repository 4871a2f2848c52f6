"""Starting a server, and what its clients wait: python -m bench.serving

A library of embeddings in clusters under a model whose texts lie apart from them, `polyglance
serve` on it in a process of its own, and clients over HTTP here, on the same cores, each asking
one new query after the other. The model is SigLIP 2's B/16-224 with random weights in 8 bits
(random ones hardly pass the gate; it is taken as passed), or the starter.

- `start`: from the command to the first answer of /readyz, the model's files being in the cache;
  the server has been started once before, as it notes some things at its first start.
- `search`: one query from the shell, whole.
- `first`: the first query after that, against the median of those that follow.
- `swap`: the same queries while a writer, in a process of its own, commits pictures, builds
  generations and swaps them without a pause. `working` beside it is a process that only computes:
  what another busy process costs on these cores, whatever it does.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np

from bench.encoding import noise
from bench.real_shapes import build
from bench.search_speed import Space, clustered, fill
from encoders import Encoder, EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from encoders.siglip.int8 import Agreement, TowerCalibration
from search.ranking.background import background_texts
from storage.files import register_root
from storage.jobs import start_job
from storage.library import Library
from storage.records import Batch, FileStat, IndexedFile, NewImage

COMMAND = str(Path(sys.executable).with_name("polyglance"))
CLIENTS = (1, 4, 16)
PASSED = Agreement(1.0, 1.0, 1.0)
ROWS_A_COMMIT = 500
FEWEST_SWAPS = 5
START_TIMEOUT_S = 300


def prepare(home: Path, model: str, pictures: int) -> None:
    """Build a library of so many pictures without decoding one."""
    checkpoint = model
    if model == "b16":
        checkpoint = str(build("B/16-224", home / "checkpoint"))
    encoder = load_encoder(checkpoint, EncoderConfig(cache_dir=home / "cache"))
    dim = encoder.space.dim
    rows = clustered(pictures, np.random.default_rng(0))[:, :dim]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    library = Library.open(home / "library", create=True)
    space = encoder.space
    fill(library, rows, 1, Space(space.fingerprint, space.checkpoint, space.revision, dim))
    library.close()
    _take_gate_as_passed(encoder, home / "library")


def _take_gate_as_passed(encoder: Encoder, home: Path) -> None:
    if not isinstance(encoder, DualEncoder) or not encoder.could_run_int8:
        return
    pictures = [encoder.preprocess(picture) for picture in noise(16)]
    found = encoder.calibrate_int8(pictures, background_texts()[:32])
    passed = replace(
        found,
        pictures=TowerCalibration(found.pictures.ranges, PASSED),
        texts=TowerCalibration(found.texts.ranges, PASSED),
    )
    path = home / "golden" / f"{encoder.space.fingerprint[:16]}-int8.npz"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        passed.save(file)


class Server:
    """`polyglance serve`, and one client's connection to it."""

    def __init__(self, home: Path) -> None:
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [COMMAND, "--data-dir", str(home / "library"), "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=(home / "server.log").open("wb"),
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if " at http://" not in line:
            raise SystemExit(f"no server: {(home / 'server.log').read_text()[-2000:]}")
        self.host = line.split("http://")[1].split()[0]
        self.announced_s = time.perf_counter() - self.began
        self.client().ask("/readyz")
        self.ready_s = time.perf_counter() - self.began

    def client(self) -> "Client":
        return Client(self.host)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Client:
    def __init__(self, host: str) -> None:
        self._connection = http.client.HTTPConnection(host, timeout=START_TIMEOUT_S)

    def ask(self, path: str) -> float:
        """→ milliseconds"""
        began = time.perf_counter()
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {content[:300]!r}")
        return took * 1000

    def search(self, text: str) -> float:
        return self.ask(f"/api/v1/search?limit=20&q={urllib.parse.quote(text)}")


class Queries:
    """Each another one, so that none is remembered. Safe to share between threads."""

    def __init__(self) -> None:
        self._texts = background_texts()
        self._count = 0
        self._lock = threading.Lock()

    def next(self) -> str:
        with self._lock:
            self._count += 1
            return f"{self._texts[self._count % len(self._texts)]} {self._count}"


def load(
    server: Server,
    queries: Queries,
    clients: int,
    seconds: float,
    is_enough: Callable[[], bool] = lambda: True,
) -> dict[str, float]:
    """For so many seconds, and as long as it is not enough, up to ten times as many."""
    took: list[float] = []

    def ask() -> None:
        client, since = server.client(), time.perf_counter()
        while (asked := time.perf_counter() - since) < seconds or (
            asked < 10 * seconds and not is_enough()
        ):
            took.append(client.search(queries.next()))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    per_s = len(took) / (time.perf_counter() - began)
    p50, p99 = np.percentile(took, [50, 99])
    return {"per_s": per_s, "p50_ms": p50, "p99_ms": p99, "queries": len(took)}


def write_without_pause(home: str, swaps: Any, stop: Event) -> None:
    """Commit and swap generations until told to stop; `swaps` counts them."""
    library = Library.open(Path(home))
    space = library.active_space()
    assert space is not None
    facts = Space(space.fingerprint, space.checkpoint, space.revision, space.dim)
    random = np.random.default_rng(os.getpid())
    with library.writer("bench", facts) as writer:
        job = start_job(library.engine, "bench", "bench", [])
        root = register_root(library.engine, Path("/bench-more"), None)
        while not stop.is_set():
            batch = Batch()
            for row in random.standard_normal((ROWS_A_COMMIT, space.dim), dtype=np.float32):
                sha256 = random.bytes(32)
                batch.images[sha256] = NewImage(sha256, 1, 1, "jpeg", 1, "#000000")
                batch.embeddings[sha256] = row / np.linalg.norm(row)
                stat = FileStat(root.id, f"{sha256.hex()}.jpg", 1, 1)
                batch.files.append(IndexedFile(stat, root.collection_id, sha256))
            writer.commit(batch, job, {})
            library.fold(writer, force=True)
            swaps.value += 1


def compute_without_pause(_home: str, _swaps: Any, stop: Event) -> None:
    row = np.ones(100_000)
    while not stop.is_set():
        row = np.sqrt(row + 1)


@contextmanager
def beside(work: Any, home: Path) -> Iterator[Any]:
    processes = get_context("spawn")
    stop, swaps = processes.Event(), processes.Value("i", 0)
    process = processes.Process(target=work, args=(str(home / "library"), swaps, stop))
    process.start()
    try:
        yield swaps
    finally:
        stop.set()
        process.join()


def measure(home: Path, seconds: float) -> dict[str, Any]:
    Server(home).stop()
    server, queries = Server(home), Queries()
    found: dict[str, Any] = {"announced_s": server.announced_s, "ready_s": server.ready_s}
    try:
        client = server.client()
        found["first_ms"] = client.search(queries.next())
        found["later_ms"] = float(np.median([client.search(queries.next()) for _ in range(20)]))
        for clients in CLIENTS:
            found[f"clients_{clients}"] = load(server, queries, clients, seconds)
        with beside(compute_without_pause, home):
            found["working"] = load(server, queries, 1, seconds)
        with beside(write_without_pause, home) as swaps:
            found["swap"] = load(
                server, queries, 1, seconds, lambda: int(swaps.value) >= FEWEST_SWAPS
            )
            found["swap"]["swaps"] = swaps.value
        found["quiet_again"] = load(server, queries, 1, seconds)
    finally:
        server.stop()
    return found


def least_s(runs: int, *arguments: str) -> float:
    """Of some runs of the command, from its start to its end."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([COMMAND, *arguments], stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - began)
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 pictures")
    parser.add_argument("--model", choices=("b16", "starter"), default="b16")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--home", type=Path, help="keep the library here, and use what is there")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    pictures = 1_000_000 if options.full else options.pictures
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / "library").exists():
            home.mkdir(parents=True, exist_ok=True)
            prepare(home, options.model, pictures)
        found = {"pictures": pictures, "model": options.model, "help_s": least_s(5, "--help")}
        found |= measure(home, options.seconds)
        found["search_s"] = least_s(3, "--data-dir", str(home / "library"), "search", "con mèo")
    _print(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _print(found: dict[str, Any]) -> None:
    print(f"{found['pictures']:,} pictures, {found['model']}")
    print(f"--help {found['help_s']:.2f} s; ready {found['ready_s']:.1f} s", end="; ")
    print(f"`polyglance search` {found['search_s']:.1f} s")
    ratio = found["first_ms"] / found["later_ms"]
    print(f"first query {found['first_ms']:.0f} ms, later {found['later_ms']:.0f}: {ratio:.1f} ×")
    print("| | answers a second | p50 ms | p99 ms | p99 against 1 client alone |")
    print("|-|-|-|-|-|")
    alone = found["clients_1"]["p99_ms"]
    for name, row in found.items():
        if isinstance(row, dict):
            print(
                f"| {name} | {row['per_s']:.1f} | {row['p50_ms']:.0f} | {row['p99_ms']:.0f} | "
                f"{row['p99_ms'] / alone:.2f} |"
            )
    print(f"{found['swap']['swaps']} swaps")


if __name__ == "__main__":
    main()
