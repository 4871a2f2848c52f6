"""Mixed load on a real server while an indexer works beside it: python -m bench.soak --minutes 30

Three processes: `polyglance serve`, this one with the load, and bench.soak_indexer, which adds and
removes pictures and swaps generations. As soon as it reports a commit, the next query must know of
it. Ends with 1 if any answer was an error, or stale, or lacked a hit, or if memory grew.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.soak_indexer import draw_picture

WORDS = (
    "a red square",
    "màu xanh",
    "con mèo",
    "海边的日落",
    "etwas Gelbes",
    "قطة",
    "a cat, no dog",
)
MOST_GROWTH = 0.05
"""Of the server's memory, from the second quarter of the time to the last, at most; or 16 MB."""
MOST_GROWTH_MB = 16


@dataclass
class Observed:
    """What all threads have seen."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    commits: int = 0
    generations: set[str] = field(default_factory=set)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, resident megabytes of the server)"""


class Load:
    """Requests to one server, each timed by its kind."""

    def __init__(self, url: str, observed: Observed, seed: int) -> None:
        self.url = url
        self.observed = observed
        self.draws = random.Random(seed)

    def ask(self, kind: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            self.observed.errors.append(f"{kind}: {path}: {error.code} {error.read(300)!r}")
            return b"{}"
        except OSError as error:
            self.observed.errors.append(f"{kind}: {path}: {error}")
            return b"{}"
        self.observed.seconds[kind].append(time.perf_counter() - began)
        return content

    def search(self, kind: str, **asked: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.ask(kind, "/api/v1/search", asked))
        return answer

    def one_of(self, ids: list[int], pictures: list[Path]) -> Callable[[], object]:
        """A request of some kind. ids: of pictures that stay."""
        some = self.draws.choice(ids)
        words = self.draws.choice(WORDS)
        picture = self.draws.choice(pictures)
        kinds: list[Callable[[], object]] = [
            lambda: self.ask("text", f"/api/v1/search?q={urllib.parse.quote(words)}"),
            lambda: self.search("picture", image=as_base64(picture), limit=10),
            lambda: self.search("filter", query=words, filters={"path": "picture-00*"}),
            lambda: self.pages(words),
            lambda: self.ask("thumbnail", f"/api/v1/images/{some}/thumbnail?size=256"),
            lambda: self.ask("similar", f"/api/v1/images/{some}/similar"),
        ]
        return self.draws.choice(kinds)

    def pages(self, words: str) -> None:
        """No picture twice."""
        cursor, seen = None, set()
        for _ in range(4):
            page = self.search("page", query=words, limit=7, cursor=cursor)
            ids = [hit["id"] for hit in page.get("hits", [])]
            if seen & set(ids):
                self.observed.errors.append(f"page: {words}: {seen & set(ids)} came twice")
            seen |= set(ids)
            cursor = page.get("next_cursor")
            if cursor is None:
                return


def as_base64(path: Path) -> dict[str, str]:
    return {"base64": b64encode(path.read_bytes()).decode()}


def check_commit(said: dict[str, str], load: Load) -> None:
    """The very next query must know of what was committed."""
    observed = load.observed
    if "generation" in said:
        stats = json.loads(load.ask("stats", "/api/v1/stats"))
        observed.generations.add(said["generation"])
        if said["generation"] not in json.dumps(stats):
            observed.errors.append(f"stale: generation {said['generation']} is not served: {stats}")
        return
    observed.commits += 1
    wanted = "added" in said
    path = Path(said["added"] if wanted else said["removed"])
    name = path.name if wanted else said["name"]
    answer = load.search("probe", image=as_base64(path), limit=50)
    found = [hit["path"] for hit in answer.get("hits", [])]
    if (name in found) != wanted:
        observed.errors.append(f"{'missing' if wanted else 'stale'}: {name} in {found[:5]} …")


def resident_mb(pid: int) -> float | None:
    """None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found.group(1)) / 1024 if found else None


def growth_mb(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """→ (median of the second quarter of the time, how much more the last quarter's is)"""
    quarter = max(len(samples) // 4, 1)
    second = float(np.median([mb for _, mb in samples[quarter : 2 * quarter] or samples]))
    last = float(np.median([mb for _, mb in samples[-quarter:]]))
    return second, last - second


def prepare(folder: Path, count: int, model: str) -> tuple[Path, list[Path]]:
    pictures = [folder / "pictures" / f"picture-{number:04d}.png" for number in range(count)]
    for number, path in enumerate(pictures):
        draw_picture(path, number)
    data_dir = folder / "library"
    command = polyglance(data_dir, "index", str(folder / "pictures"), "--model", model)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return data_dir, pictures


def polyglance(data_dir: Path, *arguments: str) -> list[str]:
    run = "from cli.main import main; main()"
    return [sys.executable, "-c", run, "--data-dir", str(data_dir), *arguments]


def start_server(data_dir: Path, log: Path) -> tuple["subprocess.Popen[str]", str]:
    with log.open("w") as stderr:
        server = subprocess.Popen(
            polyglance(data_dir, "serve", "--port", "0"),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://\S+", line)
        if found:
            return server, found.group(0)
    raise SystemExit(f"The server did not start: {log.read_text()}")


def soak(options: argparse.Namespace, folder: Path) -> Observed:
    data_dir, pictures = prepare(folder, options.pictures, options.model)
    server, url = start_server(data_dir, folder / "serve.log")
    command = [sys.executable, "-m", "bench.soak_indexer", str(data_dir)]
    indexer = subprocess.Popen(
        [*command, str(folder / "pictures"), "--model", options.model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    observed = Observed()
    stop = threading.Event()
    ids = [
        image["id"]
        for image in json.loads(Load(url, observed, 0).ask("list", "/api/v1/images"))["images"]
    ]
    threads = [
        threading.Thread(target=keep_asking, args=(Load(url, observed, seed), ids, pictures, stop))
        for seed in range(options.threads)
    ]
    threads.append(
        threading.Thread(target=keep_checking, args=(Load(url, observed, 99), indexer, stop))
    )
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while (now := time.monotonic() - began) < options.minutes * 60 and server.poll() is None:
        memory = resident_mb(server.pid)
        if memory is not None:
            observed.memory_mb.append((now, memory))
        time.sleep(1)
    if server.poll() is not None:
        observed.errors.append(f"the server ended by itself: {server.returncode}")
    stop.set()
    for thread in threads:
        thread.join()
    for process in (indexer, server):
        process.terminate()
        process.wait(timeout=60)
    return observed


def keep_asking(load: Load, ids: list[int], pictures: list[Path], stop: threading.Event) -> None:
    while not stop.is_set():
        load.one_of(ids, pictures)()


def keep_checking(load: Load, indexer: "subprocess.Popen[str]", stop: threading.Event) -> None:
    assert indexer.stdout is not None and indexer.stdin is not None
    for line in indexer.stdout:
        check_commit(json.loads(line), load)
        if stop.is_set():
            indexer.stdin.close()
            return
        indexer.stdin.write("\n")
        indexer.stdin.flush()
    if not stop.is_set():
        load.observed.errors.append("the indexer ended by itself")


def figures(observed: Observed, minutes: float) -> dict[str, Any]:
    kinds = {
        kind: {
            "requests": len(took),
            "p50_ms": round(float(np.percentile(took, 50)) * 1000, 1),
            "p99_ms": round(float(np.percentile(took, 99)) * 1000, 1),
            "max_ms": round(max(took) * 1000, 1),
        }
        for kind, took in sorted(observed.seconds.items())
    }
    memory, growth = growth_mb(observed.memory_mb) if observed.memory_mb else (0.0, 0.0)
    return {
        "minutes": minutes,
        "requests": sum(each["requests"] for each in kinds.values()),
        "errors": len(observed.errors),
        "commits": observed.commits,
        "generations": len(observed.generations),
        "memory_mb": round(memory, 1),
        "memory_growth_mb": round(growth, 1),
        "memory_is_flat": growth <= max(MOST_GROWTH * memory, MOST_GROWTH_MB),
        "kinds": kinds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2, help="requests at the same time")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        observed = soak(options, Path(folder))
    result = figures(observed, options.minutes)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    print("kind        requests    p50 ms    p99 ms    max ms")
    for kind, row in result["kinds"].items():
        print(
            f"{kind:10}  {row['requests']:8,}  {row['p50_ms']:8.1f}  {row['p99_ms']:8.1f}  "
            f"{row['max_ms']:8.1f}"
        )
    print({name: value for name, value in result.items() if name != "kinds"})
    for error in observed.errors[:20]:
        print("ERROR", error)
    sys.exit(bool(observed.errors) or not result["memory_is_flat"])


if __name__ == "__main__":
    main()
