"""Files to embeddings, against what limits them and against the plain way: python -m bench.pipeline

The pictures are the demo's photographs, enlarged and cropped to photographs of 12 megapixels and
to pictures of 500 pixels, JPEGs of their own each. The model is SigLIP 2's B/16-224 with random
weights. In one run, over the same files:

- `decode`: reading, decoding and preprocessing alone, on all cores.
- `forward`: the model alone, on pictures that are ready, in float32 and in 8 bits.
- `plain`: transformers' own processor and model, float32, one file after the other.
- `index`: the whole job, hashes, thumbnails, metadata and commits included, both precisions.

`of the limit` is index against the lower of decode and forward. Decoding and the model share the
cores here, so that on a CPU 1 can't be had: what the cores could do is 1 / (1/decode + 1/forward).
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from bench.real_shapes import build
from cli.samples import copy_samples
from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from imaging import decode_image
from indexer.config import IndexConfig, usable_cores
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


def decode_rate(encoder: DualEncoder, files: list[Path]) -> float:
    def prepare(path: Path) -> object:
        decoded = decode_image(path.read_bytes(), min_side=encoder.min_decode_side)
        return encoder.preprocess(decoded.image)

    with ThreadPoolExecutor(usable_cores()) as pool:
        began = time.perf_counter()
        list(pool.map(prepare, files))
        return per_second(len(files), began)


def forward_rate(encoder: DualEncoder, count: int) -> float:
    rng = np.random.default_rng(0)
    batch = [encoder.preprocess(Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)))]
    batch *= BATCH
    encoder.encode_preprocessed(batch)
    began = time.perf_counter()
    for _ in range(count // BATCH):
        encoder.encode_preprocessed(batch)
    return per_second(count // BATCH * BATCH, began)


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


def index_rate(encoder: DualEncoder, folder: Path, count: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        library = Library.open(Path(home), create=True)
        began = time.perf_counter()
        report = IndexJob(library, encoder, IndexConfig()).run(IndexRequest([str(folder)]))
        rate = per_second(count, began)
        assert report.counts.embedded == count, report
        library.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=48, help="of each size")
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
            row["plain"] = plain_rate(checkpoint, files[kind][: count // 2])
            row["decode"] = decode_rate(encoder, files[kind])
        for precision in ("float32", "int8"):
            if precision == "int8":
                if not encoder.could_run_int8:
                    break
                _run_int8(encoder, files["500 px"])
            forward = forward_rate(encoder, count)
            for kind, row in results.items():
                row[f"forward {precision}"] = forward
                row[f"index {precision}"] = index_rate(encoder, folders[kind], count)
    for row in results.values():
        _compare(row)
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


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
            row[f"{precision} of the limit"] = index / min(row["decode"], forward)
            row[f"{precision} of the cores"] = index * (1 / row["decode"] + 1 / forward)
            row[f"{precision} against plain"] = index / row["plain"]


def _print(results: dict[str, dict[str, float]]) -> None:
    print("| pictures a second | " + " | ".join(results) + " |")
    print("|-|" + "-|" * len(results))
    for name in next(iter(results.values())):
        print(f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in results.values()) + " |")


if __name__ == "__main__":
    main()
