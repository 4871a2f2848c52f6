"""Output folders of img2dataset: pictures, captions, and what could not be downloaded."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from drawn_pictures import draw_picture
from sqlalchemy import text

from indexer.sources.img2dataset import DownloadStatus, download_status


def write_stats(folder: Path, shard: int, count: int, not_downloaded: int, not_resized: int):
    stats = {
        "count": count,
        "successes": count - not_downloaded - not_resized,
        "failed_to_download": not_downloaded,
        "failed_to_resize": not_resized,
        "status_dict": {"success": 1},
    }
    (folder / f"{shard:05d}_stats.json").write_text(json.dumps(stats), encoding="utf-8")


@pytest.fixture(params=["tars", "folders"])
def downloaded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two shards of two pictures each, as the output formats "webdataset" and "files" lay them."""
    folder = tmp_path / "downloaded"
    for shard in range(2):
        files: dict[str, bytes] = {}
        for number in range(2):
            key = f"{shard:05d}{number:04d}"
            picture = draw_picture(tmp_path / "made.png", (200, 90 * number, 120 * shard))
            files[f"{key}.png"] = picture.read_bytes()
            files[f"{key}.txt"] = f"caption of {key}".encode()
            status = {"key": key, "caption": f"caption of {key}", "status": "success"}
            files[f"{key}.json"] = json.dumps(status).encode()
        place = folder / f"{shard:05d}"
        if request.param == "folders":
            place.mkdir(parents=True)
            for name, data in files.items():
                (place / name).write_bytes(data)
        else:
            folder.mkdir(exist_ok=True)
            with tarfile.open(place.with_suffix(".tar"), "w") as tar:
                for name, data in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        write_stats(folder, shard, count=5 + shard, not_downloaded=2, not_resized=1 + shard)
    return folder


def test_pictures_and_captions_are_indexed_and_what_is_not_there_is_told(
    index, library, downloaded: Path
) -> None:
    report = index(downloaded)
    assert (report.counts.new, report.counts.failed) == (4, 0)
    with library.engine.connect() as connection:
        captions = connection.execute(text("SELECT DISTINCT text FROM image_text")).scalars()
        assert set(captions) == {
            f"caption of {shard:05d}{number:04d}" for shard in range(2) for number in range(2)
        }
    assert download_status(downloaded) == DownloadStatus(11, 4, 4, 3)


def test_a_folder_of_anything_else_says_nothing(pictures: Path) -> None:
    assert download_status(pictures) is None
    assert download_status(pictures / "nowhere") is None


@pytest.mark.parametrize("content", ["", "[]", "[" * 5000, '{"count": "many"}', '{"count": 3}'])
def test_statistics_that_are_damaged_are_left_out(tmp_path: Path, content: str) -> None:
    write_stats(tmp_path, 0, count=3, not_downloaded=1, not_resized=0)
    (tmp_path / "00001_stats.json").write_text(content)
    assert download_status(tmp_path) == DownloadStatus(3, 2, 1, 0)
