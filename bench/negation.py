"""How far "X without Y" pushes down pictures of X that show Y:

    python -m bench.negation [--pairs 40]

A library of simulated photographs (bench/simulated.py): one of each of the 1,000 classes, and for
each pair of classes X and Y ten of X alone and ten of X beside Y, the two as likely. The query
says "X without Y" in each language, by the lexicon's names. Reported of the first ten hits, with
the words taken literally and with the negation read: the *unwanted*, which show Y, and the
*wanted*, X alone.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from bench.simulated import simulated_photographs
from encoders import Encoder
from encoders.config import EncoderConfig
from encoders.load import STARTER, load_encoder
from encoders.starter.concepts import membership, picture_embeddings
from encoders.starter.lexicon import read_names
from search.config import SearchConfig
from search.query.query_embedding import QueryEmbedder
from search.query.reading import read_request
from search.ranking.ranking import Ranking, pushes_of
from search.ranking.relevance import RelevanceModel
from search.schemas import SearchRequest
from storage.index.snapshot import Snapshot

Floats = NDArray[np.float32]

TOP = 10
OF_EACH = 10
WITHOUT = {
    "ar": "{x} بدون {y}",
    "bn": "{y} ছাড়া {x}",
    "cs": "{x} bez {y}",
    "de": "{x} ohne {y}",
    "en": "{x} without {y}",
    "es": "{x} sin {y}",
    "fa": "{x} بدون {y}",
    "fr": "{x} sans {y}",
    "hi": "{y} के बिना {x}",
    "id": "{x} tanpa {y}",
    "it": "{x} senza {y}",
    "ja": "{y}のない{x}",
    "ko": "{y} 없는 {x}",
    "nl": "{x} zonder {y}",
    "pl": "{x} bez {y}",
    "pt": "{x} sem {y}",
    "ru": "{x} без {y}",
    "sv": "{x} utan {y}",
    "sw": "{x} bila {y}",
    "th": "{x}ไม่มี{y}",
    "tr": "{y} olmayan {x}",
    "uk": "{x} без {y}",
    "vi": "{x} không có {y}",
    "zh": "没有{y}的{x}",
}


def main() -> None:
    args = arguments()
    encoder = load_encoder(STARTER, EncoderConfig())
    photographs, classes = simulated_photographs(0.77, 2 * OF_EACH + 1, seed=0)
    pairs = np.random.default_rng(0).choice(1000, (args.pairs, 2), replace=False)
    print("| language | read | unwanted, literally | read | wanted, literally | read |")
    print("|-" * 6 + "|")
    every = []
    for language, phrase in WITHOUT.items():
        names = read_names(language)
        rows = []
        for x, y in pairs.tolist():
            query = phrase.format(x=names[str(x)][0], y=names[str(y)][0])
            library = library_of(photographs, np.array(classes), x, y)
            rows.append(shares(encoder, library, query))
        every += rows
        report(language, rows)
    report("all", every)


def library_of(photographs: Floats, classes: NDArray[np.int64], x: int, y: int) -> Snapshot:
    """One of each class; then, by id from 1001, ten of X and ten of X beside Y."""
    others = photographs[np.unique(classes, return_index=True)[1]]
    of_x = photographs[classes == x][1:]
    of_y = photographs[classes == y][1 : OF_EACH + 1]
    both = (of_x[OF_EACH : 2 * OF_EACH] + of_y) / 2
    probabilities = np.concatenate([others, of_x[:OF_EACH], both])
    rows = picture_embeddings(probabilities, membership()).astype(np.float16)
    ids = np.arange(1, len(rows) + 1)
    return Snapshot(rows.shape[1], 1, None, None, ids, rows, np.empty(0, dtype=np.int64))


def shares(encoder: Encoder, library: Snapshot, query: str) -> tuple[bool, list[float]]:
    """Whether it was read as a negation; unwanted literally and read, wanted literally and read."""
    relevance = RelevanceModel(encoder, None)
    embedder = QueryEmbedder(encoder, SearchConfig())
    found = []
    for read in (False, True):
        asked = read_request(SearchRequest(query=query, read_negation=read), STARTER)
        embedded = embedder.embed(asked, library)
        judges = [relevance.judge(each.text or "", library) for each in embedded.unwanted]
        pushes = pushes_of(embedded, encoder, relevance, judges)
        ranking = Ranking(library, embedded.wanted, pushes, relevance, None)
        found.append(ranking.first(TOP).image_ids)
    first_both = 1000 + OF_EACH
    unwanted = [float((ids > first_both).mean()) for ids in found]
    wanted = [float(((ids > 1000) & (ids <= first_both)).mean()) for ids in found]
    return bool(asked.negations), [*unwanted, *wanted]


def report(name: str, rows: list[tuple[bool, list[float]]]) -> None:
    read = np.mean([each for each, _ in rows])
    means = np.mean([numbers for _, numbers in rows], axis=0)
    print(f"| {name} | {read:.2f} | " + " | ".join(f"{each:.2f}" for each in means) + " |")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    main()
