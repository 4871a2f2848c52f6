"""Lexicon → concepts.npz: `python -m encoders.starter.build_concepts`, some minutes on a CPU.

Run it after every change of the lexicon; a test fails until then.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.starter.lexicon import lexicon_digest, read_lexicon
from encoders.starter.names import CONCEPTS_FILE, Owners, Whitening, owners_in, unit
from encoders.starter.sentences import DIM, SentenceModel

POINT_DIM = 192
BYTES_PER_NAME = 24

SHRINKAGE = 0.1
"""How far the spread of names is drawn towards one that is equal in all directions."""

Floats = NDArray[np.float32]


def main() -> None:
    owners = owners_in(read_lexicon())
    sentences = _sentences(owners.names)
    whitening = _whitening(sentences, owners)
    codes, codebooks = _quantise(whitening(sentences))
    np.savez_compressed(
        CONCEPTS_FILE,
        codes=codes,
        codebooks=codebooks.astype(np.float16),
        centre=whitening.centre,
        projection=whitening.projection.astype(np.float16),
        lexicon=lexicon_digest(),
    )


def _sentences(names: list[str]) -> Floats:
    """(names, 384). Finished ones are kept in the system's temporary folder for the next run."""
    kept = Path(tempfile.gettempdir()) / "polyglance-starter-names.npz"
    known: dict[str, Floats] = {}
    if kept.exists():
        with np.load(kept, allow_pickle=False) as file:
            known = dict(zip(file["names"].tolist(), file["sentences"], strict=True))
    # Texts of one length make the quickest batches.
    new = sorted(set(names) - set(known), key=len)
    model = SentenceModel()
    for start in range(0, len(new), 1024):
        sys.stderr.write(f"\r{start} of {len(new)} names")
        batch = new[start : start + 1024]
        known.update(zip(batch, model.embeddings(batch), strict=True))
    sys.stderr.write(f"\r{len(new)} new of {len(names)} names\n")
    sentences = np.stack([known[name] for name in names])
    np.savez(kept, names=np.array(names), sentences=sentences)
    return sentences


def _whitening(sentences: Floats, owners: Owners) -> Whitening:
    """Divide by the spread within concepts, then keep the directions of the widest spread."""
    rows = sentences[owners.name]
    centre = rows.mean(axis=0)
    sizes = np.diff([*owners.starts, len(rows)])
    means = np.add.reduceat(rows, owners.starts, axis=0) / sizes[:, None]
    within = np.cov(rows - means[owners.concept], rowvar=False, bias=True)
    within += SHRINKAGE / (1 - SHRINKAGE) * np.trace(within) / DIM * np.eye(DIM)
    values, directions = np.linalg.eigh(within)
    whiten = (directions / np.sqrt(values)) @ directions.T
    points = unit((rows - centre) @ whiten)
    _, widest = np.linalg.eigh(points.T @ points)
    projection = whiten @ widest[:, ::-1][:, :POINT_DIM]
    return Whitening(centre, projection.astype(np.float16).astype(np.float32))


def _quantise(points: Floats) -> tuple[NDArray[np.uint8], Floats]:
    import faiss

    quantiser = faiss.ProductQuantizer(POINT_DIM, BYTES_PER_NAME, 8)
    quantiser.cp.niter = 20
    quantiser.cp.max_points_per_centroid = 1000
    quantiser.train(points)
    books = faiss.vector_to_array(quantiser.centroids).reshape(
        BYTES_PER_NAME, 256, POINT_DIM // BYTES_PER_NAME
    )
    return quantiser.compute_codes(points), books


if __name__ == "__main__":
    main()
