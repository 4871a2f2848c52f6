"""Files to embeddings, against what limits them and against the plain way: python -m bench.pipeline

The pictures are the demo's photographs, enlarged and cropped to photographs of 12 megapixels and
to pictures of 500 pixels, JPEGs of their own each. The model is SigLIP 2's B/16-224 with random
weights. In one run, over the same files, in turns:

- `decode`: reading, decoding and preprocessing alone, in as many workers as there are cores.
- `forward`: the model alone, on pictures that are ready, in float32 and in 8 bits; the better of
  one pass on all cores (`team`) and a pass on each (`cores`).
- `plain`: transformers' own processor and model, float32, one file after the other.
- `index`: the whole job, hashes, thumbnails, metadata and commits included, both precisions;
  `busy` is the share of its time in which the encoder was at work, `cpu ms` what a picture took
  of all cores' time, workers included: that hardly depends on what else the machine does.

`of the limit` is index against the lower of decode and forward, and `of the team's limit` with the
forward pass as torch has it, a team of threads over all cores. Decoding and the model share the
cores here, so that on a CPU 1 can't be had: what the cores could do is 1 / (1/decode + 1/forward),
and `of the cores` is against that.

`start` is how long `polyglance index` takes over one known picture, and how long of it loading the
model takes alone (its libraries, its weights); processes of their own.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from bench.decoding import decode_rate
from bench.real_shapes import build
from cli.samples import copy_samples
from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from search.ranking.background import background_texts
from storage.library import Library

KINDS = {"12 MP": (4000, 3000), "500 px": (500, 375)}
BATCH = 8


def make_pictures(samples: Path, folder: Path, size: tuple[int, int], count: int) -> list[Path]:
    """Photographs of that size, no two alike."""
    rng = np.random.default_rng(0)
    originals = [Image.open(path).convert("RGB") for path in sorted(samples.iterdir())]
    folder.mkdir()
    made = []
    for number in range(count):
        original = originals[number % len(originals)]
        left, top = rng.uniform(0, 0.2, 2)
        box = (left * original.width, top * original.height)
        picture = original.resize(
            size, box=(*box, box[0] + 0.8 * original.width, box[1] + 0.8 * original.height)
        )
        path = folder / f"{number:04d}.jpg"
        picture.save(path, quality=88)
        made.append(path)
    return made


def per_second(count: int, began: float) -> float:
    return count / (time.perf_counter() - began)


def forward_rate(encoder: DualEncoder, count: int) -> float:
    return max(forward_rates(encoder, count).values())


def forward_rates(encoder: DualEncoder, count: int) -> dict[str, float]:
    """team: one pass on all cores at a time. cores: a pass on each."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8))
    batch = [encoder.preprocess(picture)] * BATCH
    batches = max(1, count // BATCH)
    encoder.encode_together(batch)
    encoder.encode_preprocessed(batch)
    began = time.perf_counter()
    for _ in range(batches):
        encoder.encode_together(batch)
    team = per_second(batches * BATCH, began)
    began = time.perf_counter()
    encoder.encode_preprocessed(batch * batches)
    return {"team": team, "cores": per_second(batches * BATCH, began)}


def plain_rate(checkpoint: str, files: list[Path]) -> float:
    """As the model's card has it."""
    import torch
    from transformers import AutoImageProcessor, AutoModel

    model = AutoModel.from_pretrained(checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")
    began = time.perf_counter()
    with torch.inference_mode():
        for path in files:
            with Image.open(path) as picture:
                inputs = processor(images=picture.convert("RGB"), return_tensors="pt")
            features = model.get_image_features(**inputs).pooler_output
            features / features.norm(dim=-1, keepdim=True)
    return per_second(len(files), began)


def index_once(encoder: DualEncoder, folder: Path, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        library = Library.open(Path(home), create=True)
        cpu, began = _cpu_seconds(), time.perf_counter()
        report = IndexJob(library, encoder, IndexConfig()).run(IndexRequest([str(folder)]))
        rate, cpu = per_second(count, began), _cpu_seconds() - cpu
        assert report.counts.embedded == count, report
        library.close()
    busy = report.encoder_seconds / report.seconds
    return {"index": rate, "busy": busy, "cpu ms": 1000 * cpu / count}


def _cpu_seconds() -> float:
    """Of this process and its decode workers, which live on from job to job."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    workers = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                workers += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used.ru_utime + used.ru_stime + workers


_LOAD = """
import sys
from pathlib import Path
from encoders import EncoderConfig, load_encoder
load_encoder(sys.argv[1], EncoderConfig(cache_dir=Path(sys.argv[2])))
"""


def start_seconds(checkpoint: str, picture: Path, home: Path, rounds: int) -> dict[str, float]:
    """Medians. `beyond` is what `index` takes besides loading the model."""
    shutil.copytree(
        picture.parent, home / "one", ignore=lambda _, names: set(names) - {picture.name}
    )
    polyglance = ["-c", "from cli.main import main; main()"]
    index = [*polyglance, "--data-dir", str(home / "library"), "index", str(home / "one")]
    commands = {
        "index": [*index, "--model", checkpoint],
        "load": ["-c", _LOAD, checkpoint, str(home / "cache")],
    }
    environment = {**os.environ, "POLYGLANCE_ENCODER_CACHE_DIR": str(home / "cache")}
    took: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, *command], env=environment, check=True, capture_output=True
            )
            if turn:  # the first one makes the library, and warms the disk's cache
                took[name].append(time.perf_counter() - began)
    found = {name: float(np.median(times)) for name, times in took.items()}
    return {**found, "beyond": found["index"] - found["load"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=64, help="of each size")
    parser.add_argument("--rounds", type=int, default=2, help="of forward and index, in turns")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    count: int = options.pictures
    results: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as home:
        checkpoint = str(build("B/16-224", Path(home) / "model"))
        encoder = load_encoder(checkpoint, EncoderConfig(cache_dir=Path(home)))
        assert isinstance(encoder, DualEncoder)
        folders = {kind: Path(home) / kind.replace(" ", "-") for kind in KINDS}
        samples = copy_samples(Path(home) / "samples")
        files = {kind: make_pictures(samples, folders[kind], KINDS[kind], count) for kind in KINDS}
        for kind, row in results.items():
            row["plain"] = plain_rate(checkpoint, files[kind][: max(8, count // 3)])
            row["decode"] = decode_rate(encoder.preprocessor, files[kind])
        for precision in ("float32", "int8"):
            if precision == "int8":
                if not encoder.could_run_int8:
                    break
                _run_int8(encoder, files["500 px"])
            _measure(encoder, precision, folders, count, options.rounds, results)
        start = start_seconds(checkpoint, files["500 px"][0], Path(home), options.rounds)
    for row in results.values():
        _compare(row)
        row |= {f"start, {name}, s": seconds for name, seconds in start.items()}
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def _measure(
    encoder: DualEncoder,
    precision: str,
    folders: dict[str, Path],
    count: int,
    rounds: int,
    results: dict[str, dict[str, float]],
) -> None:
    """Medians of all rounds into the results."""
    forward: list[dict[str, float]] = []
    index: dict[str, list[dict[str, float]]] = {kind: [] for kind in folders}
    for _ in range(rounds):
        forward.append(forward_rates(encoder, count))
        for kind, folder in folders.items():
            index[kind].append(index_once(encoder, folder, count))
    forward.append(forward_rates(encoder, count))
    for kind, row in results.items():
        ways = _medians(forward)
        row |= {f"forward {precision}, {way}": rate for way, rate in ways.items()}
        row[f"forward {precision}"] = max(ways.values())
        for name, value in _medians(index[kind]).items():
            row[f"{name} {precision}"] = value


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}


def _run_int8(encoder: DualEncoder, files: list[Path]) -> None:
    pictures = [Image.open(BytesIO(path.read_bytes())).convert("RGB") for path in files[:48]]
    calibration = encoder.calibrate_int8(
        [encoder.preprocess(picture) for picture in pictures], background_texts()[:16]
    )
    print(f"8 bits against float32: {calibration}")
    encoder.run_int8(calibration, gated=False)


def _compare(row: dict[str, float]) -> None:
    for precision in ("float32", "int8"):
        if f"index {precision}" in row:
            index, forward = row[f"index {precision}"], row[f"forward {precision}"]
            team = row[f"forward {precision}, team"]
            row[f"{precision} of the limit"] = index / min(row["decode"], forward)
            row[f"{precision} of the team's limit"] = index / min(row["decode"], team)
            row[f"{precision} of the cores"] = index * (1 / row["decode"] + 1 / forward)
            row[f"{precision} against plain"] = index / row["plain"]


def _print(results: dict[str, dict[str, float]]) -> None:
    print("| pictures a second | " + " | ".join(results) + " |")
    print("|-|" + "-|" * len(results))
    for name in next(iter(results.values())):
        print(f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in results.values()) + " |")


if __name__ == "__main__":
    main()
