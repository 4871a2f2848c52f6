"""Words and duplicates of pictures on the pages."""

import re
from pathlib import Path

import pytest
from color_encoder import ColorEncoder
from drawn_pictures import draw_picture
from flask.testing import FlaskClient
from PIL import Image

from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from search.config import SearchConfig
from search.engine import SearchEngine
from storage.library import Library
from webui.app import create_app
from webui.config import WebConfig


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    """Four pictures: one with words beside it, its small copy, and two of plain colours."""
    home = tmp_path_factory.mktemp("words")
    folder = home / "pictures"
    folder.mkdir()
    street = Image.radial_gradient("L").resize((320, 240)).rotate(30)
    street = Image.merge("RGB", (street, Image.new("L", street.size, 20), street.transpose(0)))
    street.save(folder / "street.png")
    street.resize((160, 120)).save(folder / "smaller.jpg", quality=85)
    caption = '{"caption": "Hà Nội về đêm", "language": "vi", "keywords": ["<night>", "street"]}'
    (folder / "street.json").write_text(caption, encoding="utf-8")
    draw_picture(folder / "green.png", (0, 160, 0))
    draw_picture(folder / "blue.png", (0, 0, 200))
    library = Library.open(home / "library", create=True)
    encoder = ColorEncoder()
    report = IndexJob(library, encoder, IndexConfig(workers=1)).run(IndexRequest([str(folder)]))
    assert report.counts.embedded == 4
    yield SearchEngine(library, encoder, SearchConfig())
    library.close()


@pytest.fixture
def client(engine: SearchEngine) -> FlaskClient:
    return create_app(engine, WebConfig()).test_client()


def tile(html: str, path: str) -> str:
    [found] = [each for each in re.findall(r'<li class="tile.*?</li>', html) if path in each]
    return found


def page_of(client: FlaskClient, path: str) -> str:
    found = client.get(f"/api/v1/search?q=%22{Path(path).stem}%22").json["hits"]
    [image_id] = [hit["id"] for hit in found if hit["path"] == path]
    return client.get(f"/pictures/{image_id}").text


def test_a_hit_says_that_its_caption_or_its_name_matched(client: FlaskClient) -> None:
    by_caption = tile(client.get("/?q=ha+noi").text, "street.png")
    assert re.findall(r'class="matched">([^<]*)<', by_caption) == ["Caption"]
    by_name = tile(client.get("/?q=smaller").text, "smaller.jpg")
    assert re.findall(r'class="matched">([^<]*)<', by_name) == ["File name"]
    assert 'class="matched"' not in tile(client.get("/?q=green").text, "blue.png")


def test_similar_ones_as_one_shows_how_many_are_folded_in(client: FlaskClient) -> None:
    folded = client.get("/?q=violet&diversify=1").text
    assert len(re.findall(r'<li class="tile', folded)) == 3
    assert re.findall(r'class="folded" title="([^"]*)">([^<]*)<', folded) == [
        ("and 1 similar picture", "+1")
    ]
    plain = client.get("/?q=violet").text
    assert len(re.findall(r'<li class="tile', plain)) == 4
    assert 'class="folded"' not in plain


def test_a_picture_shows_its_words_in_their_language(client: FlaskClient) -> None:
    page = page_of(client, "street.png")
    assert re.search(r'<p class="text caption" lang="vi"[^>]*>Hà Nội về đêm</p>', page)
    assert "&lt;night&gt;" in page
    assert "<night>" not in page


def test_a_picture_shows_those_that_look_the_same(client: FlaskClient) -> None:
    page = page_of(client, "street.png")
    [duplicates] = re.findall(r'<section class="similar duplicates">.*?</section>', page, re.S)
    assert "smaller.jpg" in duplicates
    assert "green.png" not in duplicates
    assert 'class="similar duplicates"' not in page_of(client, "green.png")
