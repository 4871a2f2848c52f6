"""What it costs to decode a picture in a worker: python -m bench.sent_pictures

Each picture is decoded and preprocessed here, in this process (`here`, which a broken picture
would take with it), and by a worker that is warm (`worker`), in turn. `first` is the first picture
of all, which waits for the worker to start. The preprocessor is that of the default model.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from encoders.siglip.pictures import FixedSize, Normalisation
from imaging import decode_image
from search.config import SearchConfig
from search.query.decoding import PictureDecoder

TO_BYTES = Normalisation((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
KINDS = (
    ("JPEG", (640, 480)),
    ("JPEG", (2048, 1536)),
    ("JPEG", (4000, 3000)),
    ("WEBP", (2048, 1536)),
    ("PNG", (2048, 1536)),
    ("PNG", (4000, 3000)),
)


def drawn(size: tuple[int, int], form: str) -> bytes:
    """About as compressible as a photograph."""
    small = Image.effect_noise((size[0] // 8, size[1] // 8), 80)
    image = Image.merge("RGB", [small.rotate(turn) for turn in (0, 90, 180)])
    file = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(file, form)
    return file.getvalue()


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def measure(turns: int) -> list[dict[str, object]]:
    preprocessor = FixedSize((224, 224), None, Image.Resampling.BILINEAR, TO_BYTES)
    decoder = PictureDecoder(preprocessor, SearchConfig())
    rows: list[dict[str, object]] = []
    first = milliseconds(lambda: decoder.preprocess(drawn((64, 64), "PNG")))
    for form, size in KINDS:
        data = drawn(size, form)

        def here(data: bytes = data) -> object:
            image = decode_image(data, min_side=preprocessor.min_decode_side).image
            return preprocessor.preprocess(image)

        pairs = [
            (milliseconds(here), milliseconds(lambda data=data: decoder.preprocess(data)))
            for _ in range(turns)
        ]
        rows.append(
            {
                "format": form,
                "megapixels": round(size[0] * size[1] / 1e6, 1),
                "megabytes": round(len(data) / 1e6, 2),
                "here_ms": round(statistics.median(each[0] for each in pairs), 2),
                "worker_ms": round(statistics.median(each[1] for each in pairs), 2),
                "added_ms": round(statistics.median(each[1] - each[0] for each in pairs), 2),
            }
        )
    rows.append({"format": "first", "worker_ms": round(first, 1)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=41)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    rows = measure(options.turns)
    print(f"{'':6} {'MP':>5} {'MB':>6} {'here':>8} {'worker':>8} {'added':>7}  ms")
    for row in rows[:-1]:
        print(
            f"{row['format']:6} {row['megapixels']:5} {row['megabytes']:6} {row['here_ms']:8} "
            f"{row['worker_ms']:8} {row['added_ms']:7}"
        )
    print(f"first picture: {rows[-1]['worker_ms']} ms")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
