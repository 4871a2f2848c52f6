"""Tiny checkpoints of every family, built once a session."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import tiny_checkpoints


@pytest.fixture(scope="session")
def checkpoint_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Path]]:
    """A family (siglip2, naflex, siglip1, clip, chinese_clip, altclip, metaclip2) → its folder."""
    import torch

    # Threads of a tiny model spend their time waiting for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    @cache
    def build(family: str) -> Path:
        folder = tmp_path_factory.mktemp(family)
        built: Path = getattr(tiny_checkpoints, f"build_tiny_{family}")(folder)
        return built

    yield build
    torch.set_num_threads(threads)
