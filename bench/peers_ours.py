"""The columns of bench.peers that run in our own environment: ours, and transformers' plain way.

python -m bench.peers_ours plain|float32|int8 OUT CHECKPOINT FOLDER ...
python -m bench.peers_ours search OUT ROWS QUERIES
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.decoding import decode_rate
from bench.peers_work import answered, hand_back, measured
from bench.pipeline import forward_rate
from bench.search_speed import fill
from encoders import EncoderConfig, load_encoder
from encoders.siglip import DualEncoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from search.ranking.background import background_texts
from storage.library import Library

TOP = 10
CALIBRATION_PICTURES = 48


def plain(checkpoint: str, *folders: str) -> dict[str, object]:
    """As the model's card has it: one file after the other."""
    import torch
    from transformers import AutoImageProcessor, AutoModel

    model = AutoModel.from_pretrained(checkpoint).eval()
    processor = AutoImageProcessor.from_pretrained(checkpoint, backend="pil")

    def embed(files: list[Path]) -> None:
        for path in files:
            with Image.open(path) as picture:
                inputs = processor(images=picture.convert("RGB"), return_tensors="pt")
            features = model.get_image_features(**inputs).pooler_output
            features / features.norm(dim=-1, keepdim=True)

    results: dict[str, object] = {}
    with torch.inference_mode():
        for folder in folders:
            files = _files(folder)
            embed(files[:1])
            results[folder] = measured(lambda files=files: embed(files)) | {"pictures": len(files)}
    return results


def _files(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def float32(checkpoint: str, *folders: str) -> dict[str, object]:
    return _index_all(_encoder(checkpoint), folders)


def int8(checkpoint: str, *folders: str) -> dict[str, object] | None:
    """None where the processor has no products in 8 bits."""
    encoder = _encoder(checkpoint)
    if not encoder.could_run_int8:
        return None
    pictures = [Image.open(path).convert("RGB") for path in _files(folders[-1])]
    ready = [encoder.preprocess(picture) for picture in pictures[:CALIBRATION_PICTURES]]
    encoder.run_int8(encoder.calibrate_int8(ready, background_texts()[:16]), gated=False)
    return _index_all(encoder, folders)


def _encoder(checkpoint: str) -> DualEncoder:
    with tempfile.TemporaryDirectory() as cache:
        encoder = load_encoder(checkpoint, EncoderConfig(cache_dir=Path(cache)))
    assert isinstance(encoder, DualEncoder)
    encoder.encode_images([Image.new("RGB", (8, 8))])
    return encoder


def _index_all(encoder: DualEncoder, folders: tuple[str, ...]) -> dict[str, object]:
    """And the limits: decoding alone, and the model alone at this precision."""
    with tempfile.TemporaryDirectory() as one:
        shutil.copy(_files(folders[0])[0], one)
        _index(encoder, one)  # its workers stay for what follows
    results: dict[str, object] = {}
    for folder in folders:
        files = _files(folder)
        limits = {"decode": decode_rate(encoder.preprocessor, files)}
        limits["forward"] = forward_rate(encoder, len(files))
        results[folder] = _index(encoder, folder) | limits
    return results


def _index(encoder: DualEncoder, folder: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        library = Library.open(Path(home), create=True)
        job = IndexJob(library, encoder, IndexConfig())
        reports: list[Any] = []
        result = measured(lambda: reports.append(job.run(IndexRequest([folder]))))
        library.close()
    return result | {"pictures": reports[0].counts.embedded}


def search(rows: str, queries: str) -> dict[str, object]:
    embeddings = np.load(rows)
    with tempfile.TemporaryDirectory() as home:
        library = Library.open(Path(home), create=True)
        fill(library, embeddings, tail=0)
        space = library.active_space()
        assert space is not None
        results: dict[str, object] = {}
        reader = library.reader(space)

        def ask(query: np.ndarray) -> list[int]:
            return [number - 1 for number in reader.current().nearest(query, TOP).image_ids]

        results["ours"] = answered(ask, np.load(queries))
        library.close()
    everything = embeddings.astype(np.float32)
    results["NumPy, float32"] = answered(
        lambda query: np.argsort(-(everything @ query))[:TOP], np.load(queries)
    )
    return results


if __name__ == "__main__":
    what, out, *arguments = sys.argv[1:]
    work = {"plain": plain, "float32": float32, "int8": int8, "search": search}
    hand_back(work[what](*arguments), out)
