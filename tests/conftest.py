"""Fixtures that more than one package's tests use."""

import os
import tempfile
from pathlib import Path

# No test may reach a model hub or the user's cache of it; read when huggingface_hub is imported.
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="polyglance-test-hub-")

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest, JobReport
from storage.library import Library


@pytest.fixture
def encoder() -> ColorEncoder:
    return ColorEncoder()


@pytest.fixture
def library(tmp_path: Path):
    opened = Library.open(tmp_path / "library", create=True)
    yield opened
    opened.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with six pictures in three folders."""
    folder = tmp_path / "pictures"
    draw_picture(folder / "red.png", (255, 0, 0))
    draw_picture(folder / "sky" / "blue.png", (0, 0, 255))
    draw_picture(folder / "sky" / "white cloud.png", (255, 255, 255))
    draw_picture(folder / "plants" / "green.png", (0, 160, 0))
    draw_picture(folder / "plants" / "yellow.png", (255, 220, 0))
    draw_picture(folder / "plants" / "đêm đen.png", (0, 0, 0))
    return folder


@pytest.fixture(scope="session")
def tiny_siglip2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the real classes with a few random weights."""
    from tiny_checkpoints import build_tiny_siglip2

    return build_tiny_siglip2(tmp_path_factory.mktemp("checkpoints") / "tiny-siglip2")


@pytest.fixture
def index(library: Library, encoder: ColorEncoder):
    """index(folder, …) runs a job; options are those of IndexRequest."""

    def run(*sources: Path, config: IndexConfig | None = None, **options: object) -> JobReport:
        job = IndexJob(library, encoder, config or IndexConfig(workers=2))
        return job.run(IndexRequest([str(source) for source in sources], **options))

    return run
