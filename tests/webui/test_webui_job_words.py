"""Why jobs ended and files failed, in the reader's language."""

import errno
import os
import re
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

import webui
from imaging.errors import UnreadableKind
from search.config import SearchConfig
from search.engine import SearchEngine
from storage.errors import LibraryNotWritable
from storage.jobs import finish_job, mark_dead_jobs, start_job
from storage.library import Library
from storage.write_faults import write_faults_explained
from webui.app import create_app
from webui.config import WebConfig
from webui.job_words import job_reason
from webui.languages import LANGUAGES
from webui.words import failure_reason

DIED = "It ended without a word. What it had stored is kept: index the same sources again to go on."
FAILURES_OF_THE_INDEXER = {
    *("too_slow", "out_of_memory", "out_of_reach", "changed_while_read"),
    *("decoder_crashed", "decoder_failed"),
}


def write_fault(code: int) -> str:
    with pytest.raises(LibraryNotWritable) as caught, write_faults_explained(Path("/library")):
        raise OSError(code, os.strerror(code), "/library/catalog.db")
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (write_fault(errno.ENOSPC), "The library's disk is full"),
        (write_fault(errno.EROFS), "The library can't be written"),
        (write_fault(errno.EACCES), "The library can't be written"),
        ("1,234 pictures could not be embedded", "1,234 pictures could not be embedded"),
        ("1 pictures could not be embedded", "1 picture could not be embedded"),
        ("list index out of range", "An error ended it"),
    ],
)
def test_a_jobs_error_has_words_of_its_own(app: Flask, error: str, said: str) -> None:
    with app.test_request_context():
        assert job_reason(error).startswith(said)


@pytest.fixture
def broken(tmp_path: Path, engine: SearchEngine) -> tuple[FlaskClient, int]:
    """A library whose one job died."""
    library = Library.open(tmp_path / "library", create=True)
    with library.writer("tests", engine.encoder.space):
        job = start_job(library.engine, "index", "colors", ["/photos"])
        mark_dead_jobs(library.engine)
        failed = start_job(library.engine, "index", "colors", ["/photos"])
        finish_job(library.engine, failed, "failed", {}, "KeyError: 'x'")
    app = create_app(SearchEngine(library, engine.encoder, SearchConfig()), WebConfig())
    return app.test_client(), job


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda each: each.tag)
def test_a_job_that_died_says_so_in_every_language(
    broken: tuple[FlaskClient, int], language: webui.languages.Language
) -> None:
    client, job = broken
    html = client.get(f"/jobs/{job}", headers={"Accept-Language": language.tag}).text
    said = DIED
    if language.tag != "en":
        catalog = Path(webui.__file__).parent / "translations" / language.locale / "LC_MESSAGES"
        with (catalog / "messages.po").open("rb") as file:
            message = read_po(file).get(said)
        assert message
        said = str(message.string)
    assert f"<p>{said}</p>" in html
    assert re.search(r'<p class="detail" lang="en" dir="auto">The process ended without', html)


def test_an_error_that_is_not_known_is_told_with_its_own_words(
    broken: tuple[FlaskClient, int],
) -> None:
    client, _ = broken
    html = client.get("/jobs", headers={"Accept-Language": "de"}).text
    assert "Ein Fehler hat den Vorgang beendet." in html
    assert 'lang="en" dir="auto">KeyError: &#39;x&#39;</p>' in html


def test_every_kind_of_failure_has_words(app: Flask) -> None:
    with app.test_request_context():
        for kind in {*get_args(UnreadableKind), *FAILURES_OF_THE_INDEXER}:
            assert failure_reason(kind), kind
