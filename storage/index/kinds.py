"""Which index a library gets: the one place where it is chosen, by size and memory.

Always: float16 scalar quantizer, searched exhaustively. The shards hold float16, so its scores are
those of the stored embeddings to the last bit, at half the memory of float32; its file is mapped,
so it is ready at once. What FAISS and the CPU need for a query grows with the library, and so:

- Up to FEW_ROWS, FAISS scans the file: a few milliseconds.
- Up to EXACT_ROWS, a byte a number of every row lies beside the rows and is scanned instead, with
  the same answer (`quick_scan.py`): about 30 ms for a million rows of 768 numbers on two cores.
- Above, or where a byte a number would not fit into EXACT_MEMORY_SHARE of the memory, codes of five
  eighths of a byte lie beside the rows and name those worth reading (`codes.py`): what is left out
  costs a little recall, and answers say that they are not exact. They serve to about ten million
  rows in 16 GB. Where the codes too would fill the memory, there are none: reading them from the
  disk for every query would take no less than reading the rows.
"""

import os

import faiss

FEW_ROWS = 50_000
EXACT_ROWS = 2_000_000
"""An exact answer to one query is within a tenth of a second."""
EXACT_MEMORY_SHARE = 1 / 4
"""The rest is for the encoder, the catalog and whatever else the machine is there for."""
CODES_MEMORY_SHARE = 1 / 2
CODE_BYTES = 5 / 8
"""For each number of an embedding."""
WORTH_CODES = 200_000
"""Rows; fewer are read at once on any machine."""

EXACT = "exact-float16"
CODED = "float16+rabitq+sq4"


def make_index(dim: int) -> faiss.Index:
    """An empty index for the rows themselves."""
    flat = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    return faiss.IndexIDMap(flat)


def kind_of(rows: int, dim: int) -> str:
    """EXACT, or CODED where codes lie beside the rows."""
    is_small = rows <= EXACT_ROWS and rows * dim <= EXACT_MEMORY_SHARE * memory_bytes()
    fits = rows * dim * CODE_BYTES <= CODES_MEMORY_SHARE * memory_bytes()
    return EXACT if is_small or rows < WORTH_CODES or not fits else CODED


def has_bytes(kind: str, rows: int) -> bool:
    """Whether a byte a number lies beside the rows."""
    return kind == EXACT and FEW_ROWS < rows <= EXACT_ROWS


def memory_bytes() -> int:
    """Of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return 8 * 1024**3
