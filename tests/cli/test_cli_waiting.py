import os
import subprocess
import sys

import pytest

from cli.waiting import SPINS, wait_briefly


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"GOMP_SPINCOUNT": SPINS}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_wait_briefly_unless_somebody_wants_it_otherwise(
    before: dict[str, str], after: dict[str, str]
) -> None:
    environment = dict(before)
    wait_briefly(environment)
    assert environment == after


def test_the_command_says_so_before_torch_is_there() -> None:
    """Its OpenMP reads the setting when it is loaded."""
    code = (
        "import os, sys\n"
        "from cli.main import main\n"
        "assert 'torch' not in sys.modules\n"
        "sys.argv = ['polyglance', '--version']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    own = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    own.pop("OMP_WAIT_POLICY", None)
    told = subprocess.run(
        [sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True
    ).stdout
    assert told.split()[-1] == SPINS
