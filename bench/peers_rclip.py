"""rclip's own indexing and search; bench.peers runs this with rclip's own environment.

rclip's: walking, reading, hashing, decoding, preprocessing, batches, ONNX Runtime, SQLite. Ours:
the model's file where it would be downloaded to, its 224 pixels in place of 256, and, in searching,
the query's embedding ready-made.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rclip import db, model, model_download
from rclip.main import RClip

from bench.peers_work import answered, hand_back, measured

ITS_BATCH = 8
ITS_TOP = 10
SIDE = 224


def index(onnx: str, *folders: str) -> dict[str, object]:
    sys.modules["rclip.utils.preprocess"].IMAGE_SIZE = SIDE
    model_download.download_visual_query_model = lambda tqdm_class=None: onnx
    ours = model.Model()
    ours.compute_preprocessed_image_features([np.zeros((3, SIDE, SIDE), np.float32)] * ITS_BATCH)
    return {folder: _index(ours, folder) for folder in folders}


def _index(ours: model.Model, folder: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        database = db.DB(Path(home) / "db.sqlite3")
        rclip = RClip(ours, database, ITS_BATCH, exclude_dirs=None)
        result = measured(lambda: rclip.ensure_index(folder))
        result["pictures"] = len(rclip._get_features(folder)[0])
        rclip.close()
        database.close()
    return result


def search(rows: str, queries: str) -> dict[str, object]:
    embeddings = np.load(rows).astype(np.float32)
    model.Model.VECTOR_SIZE = embeddings.shape[1]
    ready = SimpleNamespace(query=None)
    ours = model.Model()
    ours.compute_text_features = lambda text: ready.query[None]
    with tempfile.TemporaryDirectory() as home:
        database = db.DB(Path(home) / "db.sqlite3")
        for number, embedding in enumerate(embeddings):
            image = db.NewImage(
                filepath=f"/bench/{number:08d}.jpg",
                modified_at=1,
                size=1,
                vector=embedding.tobytes(),
                hash=None,
            )
            database.upsert_image(image, commit=False)
        database.commit()
        rclip = RClip(ours, database, ITS_BATCH, exclude_dirs=None)

        def ask(query: np.ndarray) -> list[int]:
            ready.query = query
            return [int(Path(hit.filepath).stem) for hit in rclip.search("", "/bench", ITS_TOP)]

        result = answered(ask, np.load(queries))
        rclip.close()
        database.close()
    return {"SQLite and NumPy": result}


if __name__ == "__main__":
    what, out, *arguments = sys.argv[1:]
    hand_back({"index": index, "search": search}[what](*arguments), out)
