"""Embedding queries and pictures in float32 and in 8 bits: python -m bench.encoding

SigLIP 2's B/16-224 with random weights. `clients` ask one query after the other, each in a thread
of its own, through the queue that the server uses; every query is another one. Pictures are noise
at the model's own size, in batches of 8, without reading and decoding. The share of what float32
takes is of the same run. Agreement is that of random weights on noise, which tells inputs apart
far less than trained ones do: the real gate is asked on the user's own pictures.
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from bench.real_shapes import build
from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from search.query.batching import QueryBatcher
from search.ranking.background import background_texts

CLIENTS = (1, 4, 16)
BATCH = 8


def noise(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((224, 224))
        for _ in range(count)
    ]


def one_by_one(encoder: DualEncoder, texts: list[str]) -> tuple[float, float]:
    """p50 and p95 of one query, ms."""
    took = []
    for text in texts:
        began = time.perf_counter()
        encoder.encode_texts([text])
        took.append(1000 * (time.perf_counter() - began))
    return float(np.percentile(took, 50)), float(np.percentile(took, 95))


def queries_per_second(encoder: DualEncoder, texts: list[str], clients: int) -> float:
    batcher = QueryBatcher(encoder.encode_texts)
    with ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        list(pool.map(batcher.embed, texts))
        return len(texts) / (time.perf_counter() - began)


def pictures_per_second(encoder: DualEncoder, count: int) -> float:
    batch = [encoder.preprocess(picture) for picture in noise(BATCH)]
    encoder.encode_preprocessed(batch)
    began = time.perf_counter()
    for _ in range(count // BATCH):
        encoder.encode_preprocessed(batch)
    return count / (time.perf_counter() - began)


def measure(encoder: DualEncoder, texts: list[str], pictures: int) -> dict[str, float]:
    one_by_one(encoder, texts[:3])
    p50, p95 = one_by_one(encoder, texts)
    found = {"query_p50_ms": p50, "query_p95_ms": p95}
    for clients in CLIENTS:
        found[f"queries_per_s_{clients}_clients"] = queries_per_second(encoder, texts, clients)
    found["pictures_per_s"] = pictures_per_second(encoder, pictures)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    texts = (background_texts() * 9)[: options.queries]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(build("B/16-224", Path(folder)))
        encoder = load_encoder(checkpoint, EncoderConfig(cache_dir=Path(folder)))
    assert isinstance(encoder, DualEncoder)
    results = {"float32": measure(encoder, texts, options.pictures)}
    if encoder.could_run_int8:
        began = time.perf_counter()
        calibrating = [encoder.preprocess(picture) for picture in noise(48)]
        calibration = encoder.calibrate_int8(calibrating, texts[:64])
        took = time.perf_counter() - began
        print(f"calibrated and compared in {took:.1f} s: {calibration}")
        encoder.run_int8(calibration, gated=False)
        results["int8"] = measure(encoder, texts, options.pictures)
    else:
        print("this CPU has no VNNI: float32 alone")
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def _print(results: dict[str, dict[str, float]]) -> None:
    columns = list(results)
    print("| | " + " | ".join(columns) + (" | int8 / float32 |" if len(columns) > 1 else " |"))
    print("|-|" + "-|" * (2 * len(columns) - 1))
    for name in results["float32"]:
        cells = [f"{results[column][name]:.1f}" for column in columns]
        if len(columns) > 1:
            cells.append(f"{results['int8'][name] / results['float32'][name]:.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
