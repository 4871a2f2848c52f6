"""clip-retrieval's own inference and search; bench.peers runs this with its own environment.

clip-retrieval's: `clip_inference` with its reader, data loader, mapper and writer, open_clip's
SigLIP 2 and preprocessing, `clip_index` (autofaiss) and the search of its service. Ours: weights
and tokens are not downloaded (random weights; no text is embedded), its logging processes, which
would import everything once more each, are left out, and batches of 8 in place of 256, as these
few pictures would else all be one batch and nothing would run beside the model.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.peers_work import answered, hand_back, measured

MODEL = "open_clip:ViT-B-16-SigLIP2/webli"
BATCH = 8
TOP = 10


def _declare_operators() -> torch.library.Library | None:
    """Torchvision's wheel for GPUs beside a torch for CPUs: its compiled operators can't be loaded
    and its import asks for them. None is called: it resizes by Pillow here."""
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None and spec.origin is not None
    try:
        for compiled in Path(spec.origin).parent.glob("_C.*"):
            torch.ops.load_library(compiled)
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


DECLARED = _declare_operators()


class NoLogger:
    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def __call__(self, stats: object) -> None:
        pass

    def end(self) -> None:
        pass


def _random_weights() -> None:
    import open_clip

    create = open_clip.create_model_and_transforms

    def create_random(name: str, pretrained: str, **options: Any) -> Any:
        """With the preprocessing that open_clip gives with these weights."""
        del pretrained
        half = (0.5, 0.5, 0.5)
        options |= {"image_mean": half, "image_std": half, "image_interpolation": "bicubic"}
        torch.manual_seed(0)
        return create(name, pretrained=None, image_resize_mode="squash", **options)

    open_clip.create_model_and_transforms = create_random
    open_clip.get_tokenizer = lambda name: (
        lambda texts: torch.ones(len(texts), 64, dtype=torch.long)
    )


def index(*folders: str) -> dict[str, object]:
    _random_weights()
    from all_clip import load_clip
    from clip_retrieval.clip_inference import main, worker

    main_module = sys.modules["clip_retrieval.clip_inference.main"]
    main_module.LoggerReader = NoLogger  # type: ignore[attr-defined]
    worker_module = sys.modules["clip_retrieval.clip_inference.worker"]
    worker_module.LoggerWriter = NoLogger  # type: ignore[attr-defined]
    del main, worker
    # As the worker asks for it: the next call with these arguments gets the same model.
    load_clip(clip_model=MODEL, use_jit=False, warmup_batch_size=BATCH, clip_cache_path=None)
    return {folder: _index(main_module.main, folder) for folder in folders}


def _index(clip_inference: Any, folder: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        options = {"batch_size": BATCH, "enable_text": False, "clip_model": MODEL}
        result = measured(lambda: clip_inference(folder, out, **options))
        written = Path(out).glob("img_emb/*.npy")
        result["pictures"] = sum(len(np.load(path)) for path in written)
    return result


def search(rows: str, queries: str) -> dict[str, object]:
    from clip_retrieval import clip_back, clip_index

    back = sys.modules["clip_retrieval.clip_back"]
    del clip_back
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "embeddings" / "img_emb"
        folder.mkdir(parents=True)
        np.save(folder / "img_emb_0.npy", np.load(rows))
        clip_index(str(folder.parent), home, copy_metadata=False)
        faiss_index = back.load_index(f"{home}/image.index", enable_faiss_memory_mapping=False)
    unused = dict.fromkeys(back.ClipResource.__dataclass_fields__)
    resource = back.ClipResource(**(unused | {"image_index": faiss_index}))
    service = back.KnnService(clip_resources={"bench": resource})

    def ask(query: np.ndarray) -> list[int]:
        _, found = service.knn_search(query[None], "image", TOP, resource, False, False, False)
        return list(found)

    return {type(faiss_index).__name__: answered(ask, np.load(queries))}


if __name__ == "__main__":
    what, out, *arguments = sys.argv[1:]
    hand_back({"index": index, "search": search}[what](*arguments), out)
