"""What the processes of bench.peers share. The peers' own environments run this: nothing but the
standard library and NumPy."""

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cpu_seconds() -> float:
    """Of this process, of those that it has waited for, and of those that it still has."""
    mine, waited_for = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:13])
    ended = sum(used.ru_utime + used.ru_stime for used in (mine, waited_for))
    return ended + ticks / os.sysconf("SC_CLK_TCK")


def measured(run: Callable[[], object]) -> dict[str, float]:
    cpu, began = cpu_seconds(), time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - began, "cpu_seconds": cpu_seconds() - cpu}


def answered(search: Callable[[Any], list[int]], queries: Any) -> dict[str, Any]:
    """search: one query → rows, best first. The first query is asked twice: what it loads late is
    not counted."""
    search(queries[0])
    found, took = [], []
    for query in queries:
        began = time.perf_counter()
        found.append([int(row) for row in search(query)])
        took.append((time.perf_counter() - began) * 1000)
    return {"found": found, "ms": took}


def hand_back(result: object, path: str) -> None:
    """A peer prints what it likes; the figures go through a file."""
    Path(path).write_text(json.dumps(result))
