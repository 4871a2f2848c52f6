"""Something happens before or after the n-th durable step of this process: each fsync, rename and
SQL commit. For scripts that fork a process for each turn; there is no way back."""

import os
from collections.abc import Callable
from pathlib import Path

import sqlalchemy


class Fuse:
    """Calls `burn` at the n-th step; a step counts twice, before and after."""

    def __init__(self, steps: int, burn: Callable[[], None]) -> None:
        self.left = steps
        self.burn = burn

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.burn()

    def around(self, function):
        def stepping(*args, **options):
            self.step()
            result = function(*args, **options)
            self.step()
            return result

        return stepping

    def lay(self) -> None:
        os.fsync = self.around(os.fsync)
        os.replace = self.around(os.replace)
        Path.replace = self.around(Path.replace)
        default = sqlalchemy.engine.default.DefaultDialect
        default.do_commit = self.around(default.do_commit)
