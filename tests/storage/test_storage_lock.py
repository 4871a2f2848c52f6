import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from color_encoder import ColorEncoder

from storage.errors import LibraryBusy, SpaceMismatch
from storage.library import Library

HOLD = """
import sys, time
from pathlib import Path
from storage.lock import writer_lock
with writer_lock(Path(sys.argv[1]), "index"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(library: Library):
    """Another process that holds the library's write lock."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(library.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_writer_is_told_who_holds_the_lock(
    library: Library, holder: subprocess.Popen
) -> None:
    with (
        pytest.raises(LibraryBusy, match=f"polyglance index, pid {holder.pid} .* since 20"),
        library.writer("index", ColorEncoder().space),
    ):
        pass


def test_the_lock_dies_with_its_process(library: Library, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with library.writer("index", ColorEncoder().space) as writer:
        assert writer.space.checkpoint == "colors"


def test_another_models_embeddings_are_never_mixed_in(library: Library) -> None:
    with library.writer("index", ColorEncoder().space):
        pass
    with (
        pytest.raises(SpaceMismatch, match="made with the model colors, not with other"),
        library.writer("index", ColorEncoder("other", version=2).space),
    ):
        pass
    with (
        pytest.raises(SpaceMismatch, match="another version"),
        library.writer("index", ColorEncoder(version=2).space),
    ):
        pass


def test_the_same_model_under_another_name_is_the_same_space(library: Library) -> None:
    with library.writer("index", ColorEncoder().space) as first:
        pass
    with library.writer("index", ColorEncoder("/models/colors").space) as second:
        assert second.space == first.space
