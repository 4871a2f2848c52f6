"""The soak's indexer, a process of its own: adds a picture, takes it away, swaps generations.

It says on stdout, a line of JSON each, what it has committed, and waits for a line on stdin before
it goes on.
"""

import argparse
import itertools
import json
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from cli.app import App
from encoders import Encoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from storage.library import Library

CYCLES_A_GENERATION = 5


def draw_picture(path: Path, seed: int) -> None:
    """Rectangles of random colours: no two alike."""
    draws = random.Random(seed)
    image = Image.new("RGB", (320, 240), tuple(draws.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = draws.randrange(280), draws.randrange(200)
        box = [left, top, left + draws.randrange(20, 160), top + draws.randrange(20, 120)]
        draw.rectangle(box, fill=tuple(draws.randrange(256) for _ in range(3)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


class Indexer:
    def __init__(self, library: Library, encoder: Encoder, folder: Path) -> None:
        self.library = library
        self.encoder = encoder
        self.folder = folder

    def index(self) -> None:
        job = IndexJob(self.library, self.encoder, IndexConfig(workers=1))
        job.run(IndexRequest([str(self.folder)], prune=True))

    def swap(self) -> str:
        with self.library.writer("soak", self.encoder.space) as writer:
            return self.library.fold(writer, force=True).generation

    def cycle(self, number: int) -> None:
        probe = self.folder / f"probe-{number:06d}.png"
        draw_picture(probe, 10_000 + number)
        content = probe.read_bytes()
        self.index()
        say(added=str(probe))
        probe.unlink()
        self.index()
        # Once more, so that it can be looked for; the folder no longer holds it.
        kept = self.folder.parent / "last-probe.png"
        kept.write_bytes(content)
        say(removed=str(kept), name=probe.name)
        if number % CYCLES_A_GENERATION == 0:
            say(generation=self.swap())


def say(**what: str) -> None:
    print(json.dumps(what), flush=True)
    if not sys.stdin.readline():
        sys.exit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="starter")
    options = parser.parse_args()
    app = App(None, options.data_dir)
    library = app.open_library()
    indexer = Indexer(library, app.load_encoder(options.model, library.data_dir), options.folder)
    for number in itertools.count(1):
        indexer.cycle(number)


if __name__ == "__main__":
    main()
