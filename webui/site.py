"""All pages, put together."""

from flask import Blueprint

from search.engine import SearchEngine
from webui.config import WebConfig
from webui.library_pages import add_jobs, add_library
from webui.pages import add_search, add_search_by_picture, make_of
from webui.picture_page import add_picture


def make_pages(engine: SearchEngine, config: WebConfig) -> Blueprint:
    pages = Blueprint("pages", __name__)
    of = make_of(engine, config)
    add_search(pages, of)
    add_search_by_picture(pages, of)
    add_picture(pages, of)
    add_library(pages, of)
    add_jobs(pages, of)
    return pages
