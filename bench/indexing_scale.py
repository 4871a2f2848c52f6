"""What indexing costs by the number of pictures: python -m bench.indexing_scale

Small pictures with an encoder that costs next to nothing, so that what is seen is the indexer:
peak memory of the job and of its decode workers, and the time of a second run over files that have
not changed. Memory is what is the process's own (anonymous): pages of mapped files are not, and the
system takes them back at any time. Then photographs with the starter encoder: the share of the wall
time in which the encoder was busy, which is what an indexer is to keep near one.

Every run is a process of its own. Default: 1,000 and 10,000 pictures; --full: 1,000 and 100,000.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.cheap_encoder import CheapEncoder
from bench.memory import memory_peak
from encoders import Encoder, EncoderConfig, load_encoder
from indexer.config import IndexConfig, usable_cores
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.library import Library

SMALL_SIDE = 48
PHOTOGRAPHS = 200
A_FOLDER = 1000


def draw_small(folder: Path, count: int) -> None:
    """Bitmaps of soft noise, no two alike: nothing is quicker to write."""
    random = np.random.default_rng(0)
    header = _bitmap_header(SMALL_SIDE)
    for number in range(count):
        path = folder / f"{number // A_FOLDER:04d}" / f"{number:07d}.bmp"
        if number % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        pixels = np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))
        path.write_bytes(header + pixels.tobytes())


def _bitmap_header(side: int) -> bytes:
    size = 3 * side * side
    fields = (54 + size, 0, 54, 40, side, side, 1 | 24 << 16, 0, size, 2835, 2835, 0, 0)
    return b"BM" + b"".join(field.to_bytes(4, "little") for field in fields)


def draw_photographs(folder: Path, count: int) -> None:
    """JPEGs of 12 megapixels, as telephones take them."""
    random = np.random.default_rng(1)
    folder.mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        image = coarse.resize((4000, 3000), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:04d}.jpg", quality=85)


def run_one(encoder_name: str, folder: str, data_dir: str) -> dict[str, float]:
    """One job, in this process."""
    encoder: Encoder = CheapEncoder()
    if encoder_name != "cheap":
        encoder = load_encoder(encoder_name, EncoderConfig())
        encoder.encode_images([Image.new("RGB", (8, 8))])  # what it loads late is not the job's
    library = Library.open(Path(data_dir), create=True)
    began = time.process_time()
    with memory_peak() as memory:
        report = IndexJob(library, encoder, IndexConfig()).run(IndexRequest([folder]))
    workers_peak = max(_workers_peaks(), default=0)
    library.close()  # which brings the catalog's log into it
    return {
        "seen": report.counts.seen,
        "embedded": report.counts.embedded,
        "seconds": round(report.seconds, 2),
        "encoder_busy": round(report.encoder_seconds / report.seconds, 4),
        "cpu_seconds": round(time.process_time() - began, 2),
        "start_mib": memory.at_start,
        "peak_mib": memory.anonymous,
        "resident_peak_mib": memory.resident,
        "workers_peak_mib": workers_peak,
        "catalog_mib": (Path(data_dir) / "catalog.db").stat().st_size / 2**20,
    }


def _workers_peaks() -> list[float]:
    """MiB each; empty where the system has no /proc."""
    children = Path(f"/proc/self/task/{Path('/proc/self').resolve().name}/children")
    peaks = []
    for pid in children.read_text().split() if children.exists() else ():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks.append(int(line.split()[1]) / 1024)
    return peaks


def in_own_process(encoder: str, folder: Path, data_dir: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.indexing_scale", "--run", encoder, folder, data_dir]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        began = time.monotonic()
        draw_small(folder, count)
        drawn = time.monotonic() - began
        first = in_own_process("cheap", folder, Path(scratch) / "library")
        second = in_own_process("cheap", folder, Path(scratch) / "library")
        assert (first["embedded"], second["embedded"], second["seen"]) == (count, 0, count)
        return {"pictures": count, "drawn_s": drawn, "first": first, "second": second}


def growth_between(sizes: list[dict[str, Any]]) -> dict[str, float]:
    """What the largest run took more than the smallest; nothing where there was but one."""
    least, most = (choose(sizes, key=lambda row: row["pictures"]) for choose in (min, max))
    if least is most:
        return {}
    return {
        "pictures": most["pictures"] - least["pictures"],
        "first_mib": most["first"]["peak_mib"] - least["first"]["peak_mib"],
        "second_mib": most["second"]["peak_mib"] - least["second"]["peak_mib"],
        "catalog_mib": most["first"]["catalog_mib"] - least["first"]["catalog_mib"],
    }


def measure_busy(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        draw_photographs(Path(scratch) / "pictures", count)
        return in_own_process("starter", Path(scratch) / "pictures", Path(scratch) / "library")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--full", action="store_true", help="1,000 and 100,000 pictures")
    parser.add_argument("--photographs", type=int, default=PHOTOGRAPHS, help="0 for none")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--run", nargs=3, metavar=("ENCODER", "FOLDER", "LIBRARY"))
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run_one(*options.run)))
        return
    sizes: list[dict[str, Any]] = []
    results: dict[str, object] = {"cores": usable_cores(), "sizes": sizes}
    print("pictures  first s  a second  job MiB  a worker MiB  catalog MiB  second s  its job MiB")
    for size in [1_000, 100_000] if options.full else options.sizes:
        row = measure(size)
        sizes.append(row)
        first, second = row["first"], row["second"]
        print(
            f"{size:8,d}  {first['seconds']:7.1f}  {size / first['seconds']:8.0f}  "
            f"{first['peak_mib']:7.0f}  {first['workers_peak_mib']:12.0f}  "
            f"{first['catalog_mib']:11.1f}  {second['seconds']:8.2f}  {second['peak_mib']:11.0f}",
            flush=True,
        )
    results["growth"] = growth = growth_between(sizes)
    if growth:
        print(
            f"For {growth['pictures']:,} pictures more: {growth['first_mib']:+.1f} MiB in the "
            f"first run and {growth['second_mib']:+.1f} in the second, beside "
            f"{growth['catalog_mib']:+.1f} MiB of catalog."
        )
    if options.photographs:
        busy = measure_busy(options.photographs)
        results["photographs"] = busy
        print(
            f"{options.photographs} photographs of 12 megapixels with the starter encoder: "
            f"{busy['seconds']:.1f} s, the encoder busy {busy['encoder_busy']:.0%} of it."
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
