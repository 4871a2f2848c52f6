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

from durable_steps import Fuse
from library_contents import run_job

from storage.library import Library


def run(pictures: Path, library: Path, fatal: int) -> None:
    Fuse(fatal, lambda: os.kill(os.getpid(), signal.SIGKILL)).lay()
    run_job(Library.open(library, create=True), pictures)


def main() -> None:
    pictures, libraries = Path(sys.argv[1]), Path(sys.argv[2])
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
