"""How well photographs are found by what they show, in each language of the starter's lexicon.

    python -m bench.retrieval --photos FOLDER --labels labels.tsv [--model CHECKPOINT]
    python -m bench.retrieval --simulate 0.8

labels.tsv: path below the folder, tab, what the picture shows: keys or English names of the
starter's concepts, parted by |. A picture of anything else stays as a distractor. --simulate
takes simulated pictures in place of photographs, one of each class, as often named rightly by
the network as the number says (bench/simulated.py).

Queries are the first names in the lexicon; or with --held-out a sample of all names of classes,
each of which the encoder is made to forget before it is asked; or with --queries a TSV of
language, concept's key and text, written by whoever.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.held_out import ForgetfulReader
from bench.simulated import simulated_photographs
from encoders import EncoderConfig, load_encoder
from encoders.load import STARTER
from encoders.starter.concepts import membership, picture_embeddings
from encoders.starter.lexicon import Broader, fold, languages, read_broader, read_names

EVERYDAY = frozenset(
    {
        "animal",
        "dog",
        "cat",
        "bird",
        "fish",
        "insect",
        "snake",
        "monkey",
        "bear",
        "butterfly",
        "spider",
        "flower",
        "mushroom",
        "fruit",
        "vegetable",
        "food",
        "bread",
        "dessert",
        "drink",
        "vehicle",
        "car",
        "truck",
        "bus",
        "train",
        "bicycle",
        "boat",
        "ship",
        "airplane",
        "furniture",
        "chair",
        "table",
        "bed",
        "clothing",
        "dress",
        "hat",
        "shoe",
        "bag",
        "building",
        "church",
        "tool",
        "musical_instrument",
        "ball",
        "computer",
        "clock",
        "bottle",
        "person",
        "sport",
        "toy",
        "weapon",
    }
)
"""The broader concepts that count as everyday words."""

HELD_OUT_NAMES = 100
"""A language."""

CUTS = (1, 5, 10)

Embeddings = NDArray[np.float32]


@dataclass(frozen=True)
class Gallery:
    """shows: for each picture the keys of the concepts it shows, broader ones included."""

    embeddings: Embeddings
    shows: list[set[str]]

    def relevant(self, key: str) -> NDArray[np.bool_]:
        return np.array([key in keys for keys in self.shows])


@dataclass(frozen=True)
class Query:
    language: str
    key: str
    text: str


def main() -> None:
    args = _arguments()
    if args.simulate and args.model != STARTER:
        sys.exit("--simulate imitates the starter's own network: leave --model away")
    encoder = load_encoder(args.model, EncoderConfig())
    if args.simulate:
        gallery = simulated_gallery(args.simulate, per_class=1)
        kinds = simulated_gallery(args.simulate, per_class=10)
    else:
        gallery = kinds = photo_gallery(encoder, args.photos, args.labels)
    queries = list(asked(args.queries) if args.queries else lexicon_queries(args.held_out))
    if args.held_out:
        embeddings = ForgetfulReader().embeddings([query.text for query in queries])
    else:
        embeddings = encoder.encode_texts([query.text for query in queries])
    table = measure(gallery, kinds, queries, embeddings)
    print_table(table)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1), "utf-8")


def photo_gallery(encoder: Any, folder: Path, labels: Path) -> Gallery:
    """Photographs as the encoder sees them."""
    from imaging import decode_image

    concepts_named, broader = _concepts_by_english_name(), read_broader()
    rows = [line.split("\t") for line in labels.read_text("utf-8").splitlines()[1:]]
    embeddings, shows = [], []
    for path, label in rows:
        with (folder / path).open("rb") as file:
            decoded = decode_image(file.read(), min_side=encoder.min_decode_side)
        embeddings.append(encoder.encode_images([decoded.image])[0])
        keys = {key for name in label.split("|") for key in concepts_named[fold(name)]}
        shows.append(_with_broader(keys, broader))
    unknown = sum(not keys for keys in shows)
    print(f"{len(rows)} photographs, {unknown} of them of nothing in the lexicon")
    return Gallery(np.stack(embeddings), shows)


def simulated_gallery(top_1: float, per_class: int) -> Gallery:
    probabilities, classes = simulated_photographs(top_1, per_class, seed=per_class)
    embeddings = picture_embeddings(probabilities, membership())
    broader = read_broader()
    return Gallery(embeddings, [_with_broader({str(number)}, broader) for number in classes])


def lexicon_queries(every_name: bool) -> Iterable[Query]:
    """The first names, or for --held-out a sample of all names of classes."""
    rng = np.random.default_rng(0)
    for language in languages():
        names = read_names(language)
        if every_name:
            classes = [key for key in names if key.isdigit()]
            every = [Query(language, key, name) for key in classes for name in names[key]]
            chosen = rng.choice(len(every), HELD_OUT_NAMES, replace=False)
            yield from (every[number] for number in chosen)
        else:
            yield from (Query(language, key, names[key][0]) for key in names)


def asked(path: Path) -> Iterable[Query]:
    for line in path.read_text("utf-8").splitlines():
        language, key, text = line.split("\t")
        yield Query(language, key, text)


def measure(
    gallery: Gallery, kinds: Gallery, queries: Sequence[Query], embeddings: Embeddings
) -> dict[str, dict[str, float]]:
    """Language → recall of the classes in `gallery`, precision of everyday words in `kinds`."""
    broader = read_broader()
    measured: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for query, embedding in zip(queries, embeddings, strict=True):
        results = measured[query.language]
        if query.key not in broader:
            relevant = gallery.relevant(query.key)
            for cut in CUTS if relevant.any() else ():
                found = recall_at(cut, gallery.embeddings @ embedding, relevant)
                results[f"recall@{cut}"].append(found)
        elif query.key in EVERYDAY:
            relevant = kinds.relevant(query.key)
            if relevant.sum() >= 10:
                right = precision_at(10, kinds.embeddings @ embedding, relevant)
                results["precision@10"].append(right)
    return {
        language: {name: float(np.mean(values)) for name, values in results.items()}
        for language, results in measured.items()
    }


def recall_at(cut: int, scores: Embeddings, relevant: NDArray[np.bool_]) -> float:
    """Of the relevant pictures that fit into the first `cut`, the share that is there."""
    return float(relevant[_best(cut, scores)].sum() / min(cut, relevant.sum()))


def precision_at(cut: int, scores: Embeddings, relevant: NDArray[np.bool_]) -> float:
    """Of the first `cut` pictures, the share that is relevant."""
    return float(relevant[_best(cut, scores)].mean())


def print_table(table: dict[str, dict[str, float]]) -> None:
    columns = [f"recall@{cut}" for cut in CUTS] + ["precision@10"]
    print("| language | " + " | ".join(columns) + " |")
    print("|-|" + "-|" * len(columns))
    rows = [*table.items(), ("mean", _over(table, np.mean)), ("lowest", _over(table, np.min))]
    for language, results in rows:
        cells = [f"{results[name]:.2f}" if name in results else "" for name in columns]
        print(f"| {language} | " + " | ".join(cells) + " |")


def _over(table: dict[str, dict[str, float]], summary: Any) -> dict[str, float]:
    values = defaultdict(list)
    for results in table.values():
        for name, value in results.items():
            values[name].append(value)
    return {name: float(summary(numbers)) for name, numbers in values.items()}


def _best(cut: int, scores: Embeddings) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")[:cut]


def _with_broader(keys: set[str], broader: dict[str, Broader]) -> set[str]:
    """And every broader concept that one of these classes is under."""
    return keys | {
        key for key, covered in broader.items() if not keys.isdisjoint(map(str, covered.classes))
    }


def _concepts_by_english_name() -> dict[str, set[str]]:
    concepts: dict[str, set[str]] = defaultdict(set)
    for key, names in read_names("en").items():
        concepts[key].add(key)
        for name in names:
            concepts[fold(name)].add(key)
    return concepts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--photos", type=Path, help="a folder of photographs")
    pictures.add_argument("--simulate", type=float, metavar="TOP_1")
    parser.add_argument("--labels", type=Path, help="what the photographs show")
    parser.add_argument("--model", default=STARTER)
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--held-out", action="store_true")
    asking.add_argument("--queries", type=Path)
    parser.add_argument("--json", type=Path, help="write the table there too")
    args = parser.parse_args()
    if args.photos and not args.labels:
        parser.error("--photos needs --labels")
    return args


if __name__ == "__main__":
    main()
