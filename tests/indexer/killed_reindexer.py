"""Moves copies of a library to another model, each killed at another step of the protocol.

usage: killed_reindexer.py LIBRARY COPIES FIRST STEP MOST

As killed_indexer.py does with indexing: turn n works on COPIES/<n> and is killed by SIGKILL at its
n-th durable step. Prints the number of turns; stops when a child ends by itself.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from color_encoder import ColorEncoder
from durable_steps import Fuse
from library_contents import SMALL_BATCHES

from indexer.reindex import ReindexJob
from storage.library import Library


def run(library: Path, fatal: int) -> None:
    Fuse(fatal, lambda: os.kill(os.getpid(), signal.SIGKILL)).lay()
    newer = ColorEncoder("newer colors", version=2)
    ReindexJob(Library.open(library), newer, SMALL_BATCHES).run()


def main() -> None:
    library, copies = Path(sys.argv[1]), Path(sys.argv[2])
    first, step, most = (int(number) for number in sys.argv[3:6])
    turns = 0
    for fatal in range(first, first + step * most, step):
        shutil.copytree(library, copies / f"{fatal:04d}")
        child = os.fork()
        if child == 0:
            run(copies / f"{fatal:04d}", fatal)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"turn {fatal} failed"
            break
        turns += 1
    print(turns)


main()
