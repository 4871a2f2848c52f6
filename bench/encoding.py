"""Embedding queries and pictures in float32 and in 8 bits: python -m bench.encoding

SigLIP 2's B/16-224 with random weights. `clients` ask one query after the other, each in a thread
of its own, through the queue that the server uses; every query is another one. Pictures are noise
at the model's own size, in batches of 8, without reading and decoding. The share of what float32
takes is of the same run. `products alone` is the limit: how many queries a second the matrix
products of the text tower's layers would allow, and nothing else, all cores at work for
themselves; what 16 clients get is a share of it. CPU time is that of all cores, for one query.
Agreement is that of random weights on noise, which tells inputs apart far less than trained ones
do: the real gate is asked on the user's own pictures.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.real_shapes import SIZES, build
from encoders import EncoderConfig, load_encoder
from encoders.cores import Cores
from encoders.siglip import DualEncoder
from search.query.batching import QueryBatcher
from search.ranking.background import background_texts

CLIENTS = (1, 4, 16)
BATCH = 8
POSITIONS, TEXTS_A_PASS = 64, 4


def noise(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((224, 224))
        for _ in range(count)
    ]


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def one_by_one(encoder: DualEncoder, texts: list[str]) -> dict[str, float]:
    took = []
    cpu = cpu_seconds()
    for text in texts:
        began = time.perf_counter()
        encoder.encode_texts([text])
        took.append(1000 * (time.perf_counter() - began))
    cpu = 1000 * (cpu_seconds() - cpu) / len(texts)
    p50, p95 = np.percentile(took, [50, 95])
    return {"query_p50_ms": p50, "query_p95_ms": p95, "query_cpu_ms": cpu}


def by_clients(encoder: DualEncoder, texts: list[str], clients: int) -> dict[str, float]:
    batcher = QueryBatcher(encoder.encode_texts)
    with ThreadPoolExecutor(clients) as pool:
        cpu, began = cpu_seconds(), time.perf_counter()
        list(pool.map(batcher.embed, texts))
        took, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    name = f"{clients}_clients"
    return {
        f"queries_per_s_{name}": len(texts) / took,
        f"query_cpu_ms_{name}": 1000 * cpu / len(texts),
    }


def products_alone(precision: str) -> float:
    """Queries a second, were a query no more than the products of the text tower's layers."""
    import torch

    tower = SIZES["B/16-224"]["tower"]
    width, inner, layers = (
        tower[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    shapes = ((3 * width, width), (width, width), (inner, width), (width, inner))
    makers = {"float32": product_in_float32, "int8": product_in_8_bits}
    cores = Cores()
    products = cores.map(lambda shape: makers[precision](*shape, POSITIONS * TEXTS_A_PASS), shapes)

    def one_pass(_: int) -> None:
        with torch.inference_mode():
            for _layer in range(layers):
                for product in products:
                    product()

    passes = 6 * cores.count
    cores.map(one_pass, range(cores.count))
    began = time.perf_counter()
    cores.map(one_pass, range(passes))
    return passes * TEXTS_A_PASS / (time.perf_counter() - began)


def product_in_float32(out: int, width: int, rows: int) -> Callable[[], object]:
    import torch

    weight, x = torch.randn(out, width), torch.randn(rows, width)
    return lambda: torch.nn.functional.linear(x, weight)


def product_in_8_bits(out: int, width: int, rows: int) -> Callable[[], object]:
    import torch

    weight = torch.randint(-127, 128, (out, width), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    scales, zeros = torch.full((out,), 0.01), torch.zeros(out, dtype=torch.int32)
    x = torch.randint(0, 256, (rows, width), dtype=torch.uint8)
    plain: tuple[Any, ...] = (None, 1.0, 0, torch.float32, "none", [], "")
    return lambda: torch.ops.onednn.qlinear_pointwise(x, 0.01, 128, packed, scales, zeros, *plain)


def pictures_per_second(encoder: DualEncoder, count: int) -> float:
    batch = [encoder.preprocess(picture) for picture in noise(BATCH)]
    encoder.encode_preprocessed(batch)
    began = time.perf_counter()
    for _ in range(count // BATCH):
        encoder.encode_preprocessed(batch)
    return count / (time.perf_counter() - began)


def measure(encoder: DualEncoder, texts: list[str], pictures: int) -> dict[str, float]:
    one_by_one(encoder, texts[:3])
    found = one_by_one(encoder, texts)
    for clients in CLIENTS:
        found |= by_clients(encoder, texts, clients)
    found["queries_per_s_products_alone"] = products_alone(
        "int8" if "int8" in encoder.precision else "float32"
    )
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
    _print_sharing(results)
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


def _print_sharing(results: dict[str, dict[str, float]]) -> None:
    """What 16 clients get, against one, and against what the products allow."""
    for column, found in results.items():
        many = found["queries_per_s_16_clients"]
        against = [f"{many / found['queries_per_s_1_clients']:.1f} × one client in {column}"]
        if column != "float32":
            exact = results["float32"]["queries_per_s_1_clients"]
            against.append(f"{many / exact:.1f} × one in float32")
        limit = found["queries_per_s_products_alone"]
        against.append(f"{many / limit:.2f} of the products alone")
        print(f"16 clients in {column}: {', '.join(against)}")


if __name__ == "__main__":
    main()
