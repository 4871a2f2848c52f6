import os
import sys
import threading

import pytest

from storage.priority import NICENESS, giving_way


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has one priority")
def test_what_gives_way_does_so_alone() -> None:
    before = niceness()
    assert giving_way(niceness) == max(before, NICENESS)
    assert niceness() == before


def test_what_fails_while_giving_way_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        giving_way(lambda: 1 / 0)
