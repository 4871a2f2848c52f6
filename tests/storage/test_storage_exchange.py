"""Files of embeddings, written and read again, and those that can't be."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from color_encoder import DIM
from drawn_pictures import draw_picture

from storage.exchange.errors import ExchangeError
from storage.exchange.reading import open_incoming
from storage.exchange.writing import FORMATS, export
from storage.library import Library

HERE = {"parquet": "out.parquet", "clip-retrieval": "out", "npy": "out"}


@pytest.fixture
def filled(library: Library, index, pictures: Path) -> Library:
    draw_picture(pictures / "sky" / "night\udcff.png", (0, 0, 90))
    (pictures / "red.txt").write_text("A red square", encoding="utf-8")
    index(pictures)
    return library


def went_out(library: Library, target: Path, kind: str, **options) -> int:
    return export(library, library.active_space(), target, kind, **options)


def rows_of(target: Path, dim: int = DIM) -> dict[str, tuple]:
    """name → (embedding, texts)"""
    rows = {}
    for block in open_incoming(target).blocks(dim):
        for picture, embedding in zip(block.pictures, block.embeddings, strict=True):
            rows[Path(picture.path).name] = (embedding, [each.text for each in picture.texts])
    return rows


@pytest.mark.parametrize("kind", FORMATS)
def test_what_goes_out_comes_in_again(filled: Library, tmp_path: Path, encoder, kind: str) -> None:
    target = tmp_path / HERE[kind]
    assert went_out(filled, target, kind) == 7
    rows = rows_of(target)
    assert len(rows) == 7
    assert "night\udcff.png" in rows
    embedding, texts = rows["red.png"]
    assert texts == ["A red square"]
    assert embedding == pytest.approx(encoder.encode_texts(["red"])[0], abs=1e-3)
    incoming = open_incoming(target)
    proven = filled.active_space().fingerprint if kind == "parquet" else None
    assert incoming.fingerprint == proven


@pytest.mark.parametrize("kind", FORMATS)
def test_many_pages_go_out_in_order_and_whole(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index, kind: str
) -> None:
    monkeypatch.setattr("storage.exchange.outgoing.PAGE_ROWS", 3)
    monkeypatch.setattr("storage.exchange.writing.PART_ROWS", 4)
    monkeypatch.setattr("storage.exchange.reading.BLOCK_ROWS", 2)
    for mark in range(11):
        draw_picture(tmp_path / "many" / f"{mark:02d}.png", (20 * mark, 0, 0), mark)
    index(tmp_path / "many")
    assert went_out(library, tmp_path / HERE[kind], kind) == 11
    assert sorted(rows_of(tmp_path / HERE[kind])) == [f"{mark:02d}.png" for mark in range(11)]


def test_a_clip_retrieval_folder_is_laid_out_as_its_readers_expect(
    filled: Library, tmp_path: Path
) -> None:
    went_out(filled, tmp_path / "out", "clip-retrieval")
    embeddings = np.load(tmp_path / "out" / "img_emb" / "img_emb_0.npy", allow_pickle=False)
    metadata = pq.read_table(tmp_path / "out" / "metadata" / "metadata_0.parquet").to_pylist()
    assert (embeddings.dtype, embeddings.shape) == (np.float16, (7, DIM))
    assert np.linalg.norm(embeddings.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    captions = {Path(row["image_path"]).name: row["caption"] for row in metadata}
    assert captions["red.png"] == "A red square"
    assert captions["blue.png"] is None


def test_only_one_collection_goes_out_when_it_is_named(
    filled: Library, index, tmp_path: Path
) -> None:
    draw_picture(tmp_path / "other" / "pale.png", (200, 200, 255))
    index(tmp_path / "other")
    assert went_out(filled, tmp_path / "out.parquet", "parquet", collection="other") == 1
    assert list(rows_of(tmp_path / "out.parquet")) == ["pale.png"]


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_is_overwritten_unless_it_is_said(
    filled: Library, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / HERE[kind]
    went_out(filled, target, kind)
    with pytest.raises(ExchangeError, match=r"there already.*--force"):
        went_out(filled, target, kind)
    assert went_out(filled, target, kind, force=True) == 7
    assert len(rows_of(target)) == 7


def test_parts_of_a_longer_export_do_not_stay_behind(
    filled: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr("storage.exchange.outgoing.PAGE_ROWS", 2)
        small.setattr("storage.exchange.writing.PART_ROWS", 2)
        went_out(filled, tmp_path / "out", "clip-retrieval")
    went_out(filled, tmp_path / "out", "clip-retrieval", force=True)
    assert len(list((tmp_path / "out" / "img_emb").iterdir())) == 1


def write_clip(folder: Path, embeddings: np.ndarray, rows: int | None = None) -> Path:
    (folder / "img_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    np.save(folder / "img_emb" / "img_emb_0.npy", embeddings)
    paths = [f"{number}.jpg" for number in range(len(embeddings) if rows is None else rows)]
    pq.write_table(pa.table({"image_path": paths}), folder / "metadata" / "metadata_0.parquet")
    return folder


def unit_rows(count: int, dim: int = DIM) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def test_files_that_are_wrong_are_named_with_what_is_wrong(tmp_path: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(ExchangeError) as refusal:
            rows_of(folder)
        return str(refusal.value)

    nan = unit_rows(5)
    nan[3, 2] = np.nan
    wrong = {
        "dim": (write_clip(tmp_path / "dim", unit_rows(5, DIM + 1)), "rows of 17 numbers"),
        "nan": (write_clip(tmp_path / "nan", nan), "row 3 .* no number"),
        "long": (write_clip(tmp_path / "long", unit_rows(5) * 2), "row 0 has the length 2"),
        "count": (write_clip(tmp_path / "count", unit_rows(5), rows=4), "5 rows and .* 4"),
        "objects": (
            write_clip(tmp_path / "objects", np.array([[{}]] * 3, dtype=object)),
            "can't be read as .npy",
        ),
    }
    for name, (folder, words) in wrong.items():
        said = refused(folder)
        assert str(tmp_path / name / "img_emb" / "img_emb_0.npy") in said
        assert re.search(words, said)
    for part in ("img_emb/img_emb_0.npy", "metadata/metadata_0.parquet"):
        folder = write_clip(tmp_path / Path(part).stem, unit_rows(50))
        cut(folder / part)
        assert f"{folder / part} can't be read" in refused(folder)
    assert "no such file" in refused(tmp_path / "nowhere")
    assert "holds no embeddings" in refused(tmp_path)


def test_a_parquet_file_that_is_cut_short_or_of_other_columns_is_refused(
    filled: Library, tmp_path: Path
) -> None:
    went_out(filled, tmp_path / "out.parquet", "parquet")
    cut(tmp_path / "out.parquet")
    with pytest.raises(ExchangeError, match=r"out\.parquet can't be read"):
        open_incoming(tmp_path / "out.parquet")
    pq.write_table(pa.table({"embedding": [[1.0]], "path": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ExchangeError, match=r"other\.parquet has no column image_path"):
        open_incoming(tmp_path / "other.parquet")
    ragged = pa.table({"image_path": ["a", "b"], "embedding": [[1.0, 0.0, 0.0], [1.0]]})
    pq.write_table(ragged, tmp_path / "ragged.parquet")
    with pytest.raises(ExchangeError, match="several lengths"):
        rows_of(tmp_path / "ragged.parquet", 2)


def test_npy_and_its_lines_must_be_as_many(filled: Library, tmp_path: Path) -> None:
    went_out(filled, tmp_path / "out", "npy")
    lines = (tmp_path / "out" / "images.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["width"] == 64 for line in lines)
    (tmp_path / "out" / "images.jsonl").write_text("\n".join(lines[:-2]), encoding="utf-8")
    with pytest.raises(ExchangeError, match=r"embeddings\.npy has 7 rows and .*images\.jsonl 5"):
        rows_of(tmp_path / "out")
