"""All benchmarks: python -m bench [--full]; one with its options: python -m bench NAME --help.

Small by default; --full, or FULL=1 in the environment, for every size (hours).
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path("build/bench")


@dataclass(frozen=True)
class Benchmark:
    name: str
    small: str = ""
    full: str = ""

    @property
    def results(self) -> Path:
        return RESULTS / f"{self.name}.json"

    def command(self, full: bool) -> list[str]:
        options = (self.full if full else self.small).split()
        where = ["--json", str(self.results)]
        return [sys.executable, "-m", f"bench.{self.name}", *options, *where]


BENCHMARKS = (
    Benchmark("search_speed", "--sizes 10000 50000", "--sizes 10000 100000 1000000"),
    Benchmark("filters", "--pictures 20000", "--pictures 1000000"),
    Benchmark("large_index", "--pictures 100000", "--pictures 3000000"),
    Benchmark("encoding", "--queries 32 --pictures 16"),
    Benchmark("serving", "--pictures 20000 --seconds 5", "--full"),
    Benchmark("sent_pictures"),
    Benchmark("pipeline", "--pictures 16 --rounds 1", "--pictures 192 --rounds 2"),
    Benchmark("indexing_scale", "--sizes 500 2000 --photographs 20", "--full"),
    Benchmark("writing", "--pictures 2000 --rows 20000 60000"),
    Benchmark("peers", "", "--pictures 96 --rounds 3 --rows 100000"),
    Benchmark("soak", "--minutes 0.5", "--minutes 30"),
)


def run_all(benchmarks: tuple[Benchmark, ...], full: bool) -> bool:
    """→ whether all of them ended well. One that fails does not keep the others."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    lines = []
    all_well = True
    for benchmark in benchmarks:
        print(f"\n== {benchmark.name}", flush=True)
        benchmark.results.unlink(missing_ok=True)  # an older run's figures are not this one's
        began = time.monotonic()
        code = subprocess.run(benchmark.command(full), check=False).returncode
        well = code == 0 and benchmark.results.exists()
        all_well = all_well and well
        outcome = str(benchmark.results) if well else f"FAILED (exit {code})"
        lines.append(f"{benchmark.name:16}{time.monotonic() - began:7.0f} s  {outcome}")
    print("\n== all", *lines, sep="\n")
    print("Tables: python -m bench.report. The README's figures: python -m bench.plot.")
    return all_well


def main() -> None:
    arguments = sys.argv[1:]
    full = os.environ.get("FULL", "") not in ("", "0")
    if arguments[:1] == ["--full"]:
        full, arguments = True, arguments[1:]
    if arguments in (["--help"], ["-h"]):
        print(__doc__)
        print("\n".join(benchmark.name for benchmark in BENCHMARKS))
        return
    if arguments:
        name, *options = arguments
        command = [sys.executable, "-m", f"bench.{name}", *options]
        sys.exit(subprocess.run(command, check=False).returncode)
    sys.exit(not run_all(BENCHMARKS, full))


if __name__ == "__main__":
    main()
