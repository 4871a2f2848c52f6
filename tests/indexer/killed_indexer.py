"""Runs an index job again and again, killed at each step of the commit protocol in turn.

usage: killed_indexer.py PICTURES LIBRARIES FIRST STEP MOST

Run as a program of its own: it loads everything once, then forks. The child is killed by SIGKILL
just before its n-th durable step (fsync, rename, SQL commit) and, in another turn, just after it.
Each turn has a fresh library LIBRARIES/<n>, which is left as the kill left it. Prints the number
of turns; stops when a child ends by itself.
"""

import os
import signal
import sys
from pathlib import Path

import sqlalchemy
from color_encoder import ColorEncoder

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.library import Library


class Fuse:
    """Kills the process at its n-th step; a step counts twice, before and after."""

    def __init__(self, fatal: int) -> None:
        self.left = fatal

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def stepping(*args, **options):
            self.step()
            result = function(*args, **options)
            self.step()
            return result

        return stepping


def run(pictures: str, library: Path, fatal: int) -> None:
    fuse = Fuse(fatal)
    os.fsync = fuse.around(os.fsync)
    os.replace = fuse.around(os.replace)
    Path.replace = fuse.around(Path.replace)
    default = sqlalchemy.engine.default.DefaultDialect
    default.do_commit = fuse.around(default.do_commit)
    opened = Library.open(library, create=True)
    config = IndexConfig(workers=1, batch_size=2, commit_images=2)
    IndexJob(opened, ColorEncoder(), config).run(IndexRequest([pictures]))


def main() -> None:
    pictures, libraries = sys.argv[1], Path(sys.argv[2])
    first, step, most = (int(number) for number in sys.argv[3:6])
    turns = 0
    for fatal in range(first, first + step * most, step):
        child = os.fork()
        if child == 0:
            run(pictures, libraries / f"{fatal:04d}", fatal)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"turn {fatal} failed"
            break
        turns += 1
    print(turns)


main()
