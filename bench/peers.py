"""rclip's and clip-retrieval's own code over the same files as ours: python -m bench.peers

The same architecture everywhere, SigLIP 2's B/16-224 with random weights; the same photographs of
12 megapixels and pictures of 500 pixels. Each column is a process of its own that loads its model
first, and then indexes both folders: ours as `polyglance index` does (hashes, thumbnails, metadata
and commits included), rclip and clip-retrieval with their own reading, decoding, preprocessing,
batches and writing (peers_rclip.py and peers_clip_retrieval.py say what is patched), and `plain`,
transformers' own processor and model, one file after the other. With --rounds, columns take turns.

Then one query at a time over the same embeddings, the query embedded already: rclip reads all of
them from SQLite and sorts, clip-retrieval has autofaiss choose an index. Recall is against NumPy.

The peers are installed into build/peers, once, from pinned lists; a peer that can't be installed
or run is a line that says why.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers_environments import CLIP_RETRIEVAL, RCLIP, Peer, PeerFailed
from bench.pipeline import KINDS, make_pictures
from bench.real_shapes import build
from bench.search_speed import clustered, queries_of
from cli.samples import copy_samples
from indexer.config import usable_cores

TOP = 10
LIMITS = ("decode", "forward")
Figures = dict[str, dict[str, dict[str, float]]]
COLUMNS = {"plain": "plain", "ours, float32": "float32", "ours, int8": "int8"}


class Work:
    """The files that all columns read, in one folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.failures: dict[str, str] = {}
        self.checkpoint = home / "model"
        self.onnx = home / "model.onnx"
        self.folders = {kind: str(home / kind.replace(" ", "-")) for kind in KINDS}

    def make_files(self, count: int) -> None:
        build("B/16-224", self.checkpoint)
        samples = copy_samples(self.home / "samples")
        for kind, folder in self.folders.items():
            make_pictures(samples, Path(folder), KINDS[kind], count)

    def prepare(self, peer: Peer) -> None:
        try:
            peer.prepare()
            if peer is RCLIP:
                command = [str(self.checkpoint), str(self.onnx), str(RCLIP.packages)]
                _python("bench.peers_onnx", *command)
        except PeerFailed as error:
            self.failures[peer.name] = str(error)

    def of_peer(self, peer: Peer, what: str, *arguments: str) -> Any:
        """None where it can't be had; why is kept."""
        if peer.name in self.failures:
            return None
        _say(f"{peer.name}: {what}")
        out = self.home / "out.json"
        try:
            peer.run(what, str(out), *arguments)
        except PeerFailed as error:
            self.failures[peer.name] = str(error)
            return None
        return json.loads(out.read_text("utf-8"))

    def ours(self, what: str, *arguments: str) -> Any:
        _say(f"ours: {what}")
        out = self.home / "out.json"
        _python("bench.peers_ours", what, str(out), *arguments)
        return json.loads(out.read_text("utf-8"))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _python(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{module} {arguments[0]}:\n{done.stderr}")


def index_once(work: Work) -> dict[str, Any]:
    """→ by column: folder → figures."""
    folders = tuple(work.folders.values())
    found = {
        name: work.ours(what, str(work.checkpoint), *folders) for name, what in COLUMNS.items()
    }
    found[RCLIP.name] = work.of_peer(RCLIP, "index", str(work.onnx), *folders)
    found[CLIP_RETRIEVAL.name] = work.of_peer(CLIP_RETRIEVAL, "index", *folders)
    return {name: figures for name, figures in found.items() if figures is not None}


def indexing(work: Work, count: int, rounds: int) -> Figures:
    """→ by column and kind of picture: per_second, cpu_seconds a picture, limits beside ours."""
    done = [index_once(work) for _ in range(rounds)]
    results: Figures = {name: {} for name in done[0]}
    for name, row in results.items():
        for kind, folder in work.folders.items():
            runs = [run[name][folder] for run in done if name in run]
            missed = [run for run in runs if run["pictures"] != count]
            assert not missed, f"{name} did not embed all of {count} pictures: {missed}"
            middle = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
            row[kind] = {
                "per_second": count / middle["seconds"],
                "cpu_seconds": middle["cpu_seconds"] / count,
            }
            row[kind] |= {limit: middle[limit] for limit in LIMITS if limit in middle}
    return results


def searching(work: Work, count: int, per_kind: int) -> Figures:
    """→ by column and kind of query: milliseconds (p50) and recall at 10."""
    random = np.random.default_rng(0)
    rows = clustered(count, random)
    kinds = {kind: made[:per_kind] for kind, made in queries_of(rows, random).items()}
    paths = [str(work.home / name) for name in ("rows.npy", "queries.npy")]
    np.save(paths[0], rows.astype(np.float16))
    np.save(paths[1], np.concatenate(list(kinds.values())))
    truth = [
        set(np.argpartition(-(rows @ query), TOP)[:TOP])
        for made in kinds.values()
        for query in made
    ]
    del rows
    found = work.ours("search", *paths)
    for peer in (RCLIP, CLIP_RETRIEVAL):
        answers = work.of_peer(peer, "search", *paths) or {}
        found |= {f"{peer.name} ({how})": figures for how, figures in answers.items()}
    results: Figures = {}
    for name, figures in found.items():
        agree = [
            len(set(ids) & best) / TOP for ids, best in zip(figures["found"], truth, strict=True)
        ]
        results[name] = {
            kind: {
                "ms": float(np.median(figures["ms"][at * per_kind : (at + 1) * per_kind])),
                "recall_at_10": float(np.mean(agree[at * per_kind : (at + 1) * per_kind])),
            }
            for at, kind in enumerate(kinds)
        }
    return results


def print_table(title: str, heads: tuple[str, str], results: Figures) -> None:
    """Two figures of each kind: the first two that every column has."""
    kinds = list(next(iter(results.values())))
    cells = [f"{kind}, {head}" for kind in kinds for head in heads]
    print(f"\n| {title} | " + " | ".join(cells) + " |")
    print("|-" * (1 + len(cells)) + "|")
    for name, row in results.items():
        figures = [list(row[kind].values())[:2] for kind in kinds]
        print(f"| {name} | " + " | ".join(f"{x:.1f} | {y:.3f}" for x, y in figures) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=16, help="of each size")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=20_000, help="to search; 0 for none")
    parser.add_argument("--queries", type=int, default=10, help="of each kind")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "cores": usable_cores(),
        "pictures": options.pictures,
        "rows": options.rows,
    }
    with tempfile.TemporaryDirectory() as home:
        work = Work(Path(home))
        work.make_files(options.pictures)
        for peer in (RCLIP, CLIP_RETRIEVAL):
            work.prepare(peer)
        results["indexing"] = indexing(work, options.pictures, options.rounds)
        heads = ("pictures a second", "CPU s each")
        print_table("indexing", heads, results["indexing"])
        if options.rows:
            results["searching"] = searching(work, options.rows, options.queries)
            title = f"one query over {options.rows:,}"
            print_table(title, ("ms", "recall@10"), results["searching"])
        results["failures"] = work.failures
    for why in work.failures.values():
        print(why)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
