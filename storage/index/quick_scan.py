"""All rows' scores in 8-bit integers, and how far off they can be.

Reading the embeddings is what an exhaustive search takes its time for, so they are kept at a
byte a number, in blocks as oneDNN multiplies them: a third of the time of FAISS's float16, over
all cores. The scores that come out are near the true ones; the few rows that may be among the
best are then scored exactly from the float16 rows (as in the VA-file, Weber et al., 1998), and
the answer is the same as without.

For CPUs with VNNI or its like; others do without.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 16_384
"""Rows that are packed together: one product."""

STEPS_OFF = 4.0
"""By how many steps of rounding a score is allowed to be off.

Each number is off by at most half a step, and by how much is as good as independent of the
others: Hoeffding's inequality gives that what rounding adds to the product with a vector of norm
1 is more than c steps with a probability under 2·exp(−2c²), which for 4 is 3e-14.
"""

LONGEST_RUN = 256

ROW_STEPS, QUERY_STEPS, QUERY_ZERO = 127, 127, 128


def can_scan_quickly() -> bool:
    """Whether this CPU multiplies bytes faster than it reads float16."""
    import torch

    capabilities = torch.cpu.get_capabilities()
    fast = any(capabilities.get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return fast and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Block:
    """Some rows, packed."""

    packed: object
    """oneDNN's own layout, (rows, dim) int8."""
    scales: object
    """Of each row, (rows,) float32."""
    zeros: object
    coarsest: float
    """The largest step of any of its rows."""


def pack(rows: NDArray[np.float32]) -> Block:
    """(n, dim) embeddings of norm 1."""
    import torch

    steps = np.maximum(np.abs(rows).max(axis=1), 1e-12) / ROW_STEPS
    rounded = np.rint(rows / steps[:, np.newaxis]).astype(np.int8)
    return Block(
        packed=torch.ops.onednn.qlinear_prepack(torch.from_numpy(rounded), [1, rows.shape[1]]),
        scales=torch.from_numpy(steps.astype(np.float32)),
        zeros=torch.zeros(len(rows), dtype=torch.int32),
        coarsest=float(steps.max()),
    )


@dataclass(frozen=True)
class QuickScan:
    """Every row of an index, in its order. Safe to use from many threads."""

    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls,
        counts: Iterable[int],
        rows: Callable[[int, int], NDArray[np.float32]],
    ) -> "QuickScan":
        """counts: of the rows of each block. rows: those from the first to before the second."""
        blocks, start = [], 0
        for count in counts:
            blocks.append(pack(rows(start, start + count)))
            start += count
        return cls(tuple(blocks))

    def scores(self, query: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Of a query, (dim,): each row's score, and by how much it can be off."""
        import torch

        step = max(float(np.abs(query).max()), 1e-12) / QUERY_STEPS
        rounded = (np.rint(query / step) + QUERY_ZERO).astype(np.uint8)
        asked = torch.from_numpy(rounded[np.newaxis])
        plain: tuple[Any, ...] = (None, 1.0, 0, torch.float32, "none", [], "")
        made = [
            torch.ops.onednn.qlinear_pointwise(
                asked, step, QUERY_ZERO, block.packed, block.scales, block.zeros, *plain
            )
            for block in self.blocks
        ]
        scores: NDArray[np.float32] = torch.cat(made, dim=1)[0].numpy()
        norm = float(np.linalg.norm(query))
        coarsest = max(block.coarsest for block in self.blocks)
        # Rows of norm 1 times the query's rounding, the query times the rows' rounding, and both.
        both = step * coarsest * math.sqrt(len(query))
        return scores, STEPS_OFF * (step + norm * coarsest + both)


def rows_that_may_be_best(scores: NDArray[np.float32], off: float, limit: int) -> NDArray[np.int64]:
    """Rows among which the true best `limit` are, with every tie of the last of them.

    scores: each off by at most `off`.
    """
    if len(scores) <= limit:
        return np.arange(len(scores))
    # The best of each run is a row of its own: `limit` of them score the last of them or more.
    run = max(1, min(LONGEST_RUN, len(scores) // (4 * limit)))
    whole = len(scores) // run * run
    best = scores[:whole].reshape(-1, run).max(axis=1)
    last = np.partition(best, len(best) - limit)[len(best) - limit]
    # `limit` rows truly score last − off or more, so that is the least that the best of all can
    # truly score; and what truly scores that scores last − 2 · off here.
    return np.flatnonzero(scores >= last - 2 * off)
