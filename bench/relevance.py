"""How often "nothing relevant" is said rightly and wrongly, in each language:

    python -m bench.relevance --photos FOLDER --labels labels.tsv [--absent 0-397]

labels.tsv as for bench.retrieval. Related queries are names of concepts that some photograph
shows; unrelated ones are names of classes that none shows: --absent, by default the animals.
A related query is *missed* when nothing relevant is said, an unrelated one *false* when it is not.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from bench.retrieval import Gallery, Query, lexicon_queries, photo_gallery
from encoders import EncoderConfig, load_encoder
from encoders.load import STARTER
from search.ranking.background import embed_background
from search.ranking.relevance import NOTHING_BELOW, RelevanceModel
from storage.index.snapshot import Snapshot

MOST_PER_LANGUAGE = 60


def main() -> None:
    args = arguments()
    encoder = load_encoder(args.model, EncoderConfig())
    gallery = photo_gallery(encoder, args.photos, args.labels)
    snapshot = snapshot_of(gallery)
    background = embed_background(encoder)
    models = {
        "encoder alone": RelevanceModel(encoder, None),
        "both judges": RelevanceModel(encoder, lambda: background),
    }
    first, last = (int(number) for number in args.absent.split("-"))
    absent = {str(number) for number in range(first, last + 1)}
    queries = chosen_queries(gallery, absent)
    vectors = encoder.encode_texts([query.text for query, _ in queries])
    table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (query, related), vector in zip(queries, vectors, strict=True):
        found = snapshot.nearest(vector, 1)
        for name, model in models.items():
            relevance = model.of_text_query(query.text, found.scores, snapshot)[0]
            nothing = bool(relevance < NOTHING_BELOW)
            kind = "missed" if related else "false"
            table[query.language][f"{kind}, {name}"].append(nothing == related)
    report(table, args.json)


def chosen_queries(gallery: Gallery, absent: set[str]) -> list[tuple[Query, bool]]:
    """(query, whether a photograph shows it), as many of both in every language."""
    shown = set().union(*gallery.shows)
    rng = np.random.default_rng(0)
    by_language: dict[str, tuple[list[Query], list[Query]]] = defaultdict(lambda: ([], []))
    for query in lexicon_queries(every_name=False):
        if query.key in shown:
            by_language[query.language][0].append(query)
        elif query.key in absent:
            by_language[query.language][1].append(query)
    chosen = []
    for related, unrelated in by_language.values():
        for group, is_related in ((related, True), (unrelated, False)):
            few = rng.permutation(len(group))[:MOST_PER_LANGUAGE]
            chosen += [(group[number], is_related) for number in few]
    return chosen


def snapshot_of(gallery: Gallery) -> Snapshot:
    """The photographs as a library that is all tail."""
    rows = gallery.embeddings.astype(np.float16)
    ids = np.arange(1, len(rows) + 1)
    return Snapshot(rows.shape[1], 1, None, None, ids, rows, np.empty(0, dtype=np.int64))


def report(table: dict[str, dict[str, list[float]]], path: Path | None) -> None:
    rates = {
        language: {name: float(np.mean(values)) for name, values in columns.items()}
        for language, columns in table.items()
    }
    names = list(next(iter(rates.values())))
    rates["all"] = {
        name: float(np.mean([value for row in table.values() for value in row[name]]))
        for name in names
    }
    print("| language | " + " | ".join(names) + " |")
    print("|-" * (len(names) + 1) + "|")
    for language, row in rates.items():
        print(f"| {language} | " + " | ".join(f"{row[name]:.3f}" for name in names) + " |")
    if path:
        path.write_text(json.dumps(rates, indent=1), "utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--absent", default="0-397", help="ImageNet classes, FIRST-LAST")
    parser.add_argument("--model", default=STARTER)
    parser.add_argument("--json", type=Path, help="write the rates here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
