"""What 8-bit arithmetic is set by, and whether it finds the same pictures as float32."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from encoders.protocol import Embeddings
from encoders.siglip.int8.layers import Ranges

LEAST_MEAN_COSINE = 0.999
LEAST_COSINE = 0.99
LEAST_AGREEMENT = 0.98
TOP = 10

FORMAT = 1
"""Raise it when the same ranges no longer give the same layers."""


@dataclass(frozen=True)
class Agreement:
    """How near 8-bit embeddings are to those of float32, over the calibration's own inputs.

    The cosines are of what is left of an embedding without the mean of all: a tower gives all
    pictures much of the same, and it is the rest that tells them apart.
    """

    mean_cosine: float
    least_cosine: float
    top_agreement: float
    """Share of each text's ten nearest pictures that are among its ten nearest in float32."""

    @property
    def is_enough(self) -> bool:
        return (
            self.mean_cosine >= LEAST_MEAN_COSINE
            and self.least_cosine >= LEAST_COSINE
            and self.top_agreement >= LEAST_AGREEMENT
        )

    def __str__(self) -> str:
        return (
            f"cosine with float32 {self.mean_cosine:.4f} in the mean, {self.least_cosine:.4f} at "
            f"least; {self.top_agreement:.0%} of the first {TOP} pictures are the same"
        )


@dataclass(frozen=True)
class TowerCalibration:
    ranges: Ranges
    agreement: Agreement


@dataclass(frozen=True)
class Calibration:
    """Made once for a space, kept beside the library. Each tower has to pass for itself."""

    pictures: TowerCalibration
    texts: TowerCalibration
    """Its agreement is with the picture tower as that is going to run."""

    def __str__(self) -> str:
        return f"pictures, {self.pictures.agreement}; texts, {self.texts.agreement}"

    def save(self, file: IO[bytes]) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        facts: dict[str, Any] = {"format": FORMAT}
        for name, tower in (("pictures", self.pictures), ("texts", self.texts)):
            arrays |= {f"{name}.{key}": array for key, array in tower.ranges.items()}
            facts[name] = asdict(tower.agreement)
        np.savez(file, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Calibration | None":
        """None where there is none, or one that can't be used: it is made anew then."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
            facts = json.loads(str(arrays.pop("facts")))
            if facts["format"] != FORMAT:
                return None
            return cls(*(_tower(name, arrays, facts[name]) for name in ("pictures", "texts")))
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile):
            return None


def _tower(
    name: str, arrays: dict[str, NDArray[np.float32]], found: dict[str, float]
) -> TowerCalibration:
    start = f"{name}."
    ranges = {
        key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)
    }
    return TowerCalibration(ranges, Agreement(**found))


def agreement(
    exact: Embeddings,
    quick: Embeddings,
    others: tuple[Embeddings, Embeddings],
    *,
    of_texts: bool = False,
) -> Agreement:
    """Of one tower's embeddings in float32 and in 8 bits, each (n, dim).

    others: the other tower's in float32, and as it is going to run. of_texts: `exact` and
    `quick` are of texts, the others of pictures.
    """
    cosines = _centred_cosines(exact, quick)
    exact_scores, quick_scores = exact @ others[0].T, quick @ others[1].T
    if not of_texts:
        exact_scores, quick_scores = exact_scores.T, quick_scores.T
    return Agreement(
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        top_agreement=_top_agreement(exact_scores, quick_scores),
    )


def _centred_cosines(exact: Embeddings, quick: Embeddings) -> NDArray[np.float32]:
    mean = exact.mean(axis=0)
    exact, quick = exact - mean, quick - mean
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(quick, axis=1)
    cosines: NDArray[np.float32] = (exact * quick).sum(axis=1) / np.maximum(norms, 1e-12)
    return cosines


def _top_agreement(exact: NDArray[np.float32], quick: NDArray[np.float32]) -> float:
    """(texts, pictures) cosines twice → the share of the first ten that both have."""
    first = np.argsort(-exact, axis=1, kind="stable")[:, :TOP]
    second = np.argsort(-quick, axis=1, kind="stable")[:, :TOP]
    shared = [len(np.intersect1d(a, b)) for a, b in zip(first, second, strict=True)]
    return float(np.mean(shared) / first.shape[1])
