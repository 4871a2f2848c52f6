"""The sample pictures: photographs that well-known packages carry in their wheels."""

import csv
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError

LISTING = Path(__file__).with_name("samples.tsv")


@dataclass(frozen=True)
class Sample:
    package: str
    file: str
    """Path inside the package."""


@dataclass(frozen=True)
class SampleQuery:
    language: str
    text: str
    finds: str
    """Name of the file that belongs among the first three hits."""


SAMPLE_QUERIES = (
    SampleQuery("English", "a cat", "chelsea.png"),
    SampleQuery("Tiếng Việt", "tên lửa", "rocket.jpg"),
    SampleQuery("中文", "咖啡", "coffee.png"),
)


def list_samples() -> list[Sample]:
    with LISTING.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [Sample(row["package"], row["file"]) for row in rows]


def copy_samples(folder: Path) -> Path:
    """Put the sample pictures into `folder` and return it. Raises CommandError."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = set()
    for sample in list_samples():
        found = importlib.util.find_spec(sample.package)
        if found is None or found.origin is None:
            missing.add(sample.package)
            continue
        source = Path(found.origin).parent / sample.file
        target = folder / source.name
        if not target.exists():
            shutil.copy2(source, target)
    if missing:
        raise CommandError(
            "The sample pictures come with packages that are not installed "
            f"({', '.join(sorted(missing))}). Install them: pip install 'polyglance[samples]', or "
            "name a folder of your own: polyglance demo FOLDER"
        )
    return folder
