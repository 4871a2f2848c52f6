"""Tiny checkpoints of every family, built once a session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import tiny_checkpoints


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A family's name (siglip2, naflex, siglip1, clip, chinese_clip) → its folder; don't alter."""

    @cache
    def build(family: str) -> Path:
        folder = tmp_path_factory.mktemp(family)
        built: Path = getattr(tiny_checkpoints, f"build_tiny_{family}")(folder)
        return built

    return build
