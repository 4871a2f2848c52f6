import gc
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main


@dataclass
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def polyglance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """polyglance("index", …) runs the command line on a library of this test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        command = ["polyglance", "--data-dir", str(tmp_path / "library"), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        gc.unfreeze()  # as the process ends with the command, so does what it has kept
        captured = capsys.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return run
