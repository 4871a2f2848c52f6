"""All benchmarks, small: python -m bench. One with its options: python -m bench NAME --help."""

import subprocess
import sys

BENCHMARKS = (
    "bench.search_speed",
    "bench.filters",
    "bench.encoding",
    "bench.pipeline",
    "bench.indexing_scale",
)


def main() -> None:
    if len(sys.argv) > 1:
        name, *options = sys.argv[1:]
        command = [sys.executable, "-m", f"bench.{name}", *options]
        sys.exit(subprocess.run(command, check=False).returncode)
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)


if __name__ == "__main__":
    main()
