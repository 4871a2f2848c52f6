"""All benchmarks, small: python -m bench. Each is a program of its own; see its --help."""

import subprocess
import sys

BENCHMARKS = ("bench.search_speed",)


def main() -> None:
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)


if __name__ == "__main__":
    main()
