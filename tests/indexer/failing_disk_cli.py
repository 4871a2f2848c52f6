"""The command line on a disk that fails, again and again, each time a little later.

usage: failing_disk_cli.py FAULT PICTURES LIBRARIES STEP…

Loads everything once, then forks: `polyglance index` runs into a fresh library LIBRARIES/<step>,
and from its n-th durable step on the disk is as FAULT says (see syscall_faults.py). Prints a line
of JSON for each turn: its step, exit status and what it said.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from color_encoder import ColorEncoder
from durable_steps import Fuse
from library_contents import run_job
from syscall_faults import let_the_disk_down

import cli.app
import cli.commands.index  # so that no turn has to
from cli.main import main as polyglance
from storage.library import Library


def run(fault: str, pictures: str, library: Path, step: int) -> None:
    cli.app.App.load_encoder = lambda *_: ColorEncoder()  # in the place of one of 400 MB
    os.environ |= {"POLYGLANCE_INDEX_COMMIT_IMAGES": "2", "POLYGLANCE_INDEX_WORKERS": "1"}
    sys.argv = ["polyglance", "--data-dir", str(library), "index", pictures, "--batch-size", "2"]
    Fuse(step, lambda: let_the_disk_down(fault)).lay()
    polyglance()


def turn(fault: str, pictures: str, library: Path, step: int) -> dict[str, object]:
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            status = 0
            try:
                run(fault, pictures, library, step)
            except SystemExit as ended:
                status = int(ended.code or 0)
            except BaseException:  # noqa: BLE001  (a traceback is what the test looks for)
                sys.excepthook(*sys.exc_info())
                status = 99
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        _, ended = os.waitpid(child, 0)
        said.seek(0)
        text = said.read().decode()
    return {"step": step, "status": os.waitstatus_to_exitcode(ended), "said": text}


def main() -> None:
    fault, pictures, libraries = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    with tempfile.TemporaryDirectory() as warm:  # whatever is imported late, once for all turns
        run_job(Library.open(Path(warm), create=True), Path(pictures))
    for step in map(int, sys.argv[4:]):
        print(json.dumps(turn(fault, pictures, libraries / f"{step:04d}", step)), flush=True)


if __name__ == "__main__":
    main()
