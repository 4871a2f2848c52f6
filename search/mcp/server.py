"""The library as tools of the Model Context Protocol, for assistants that search on their own."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from encoders import EncoderError
from imaging import THUMBNAIL_MIME
from search.engine import SearchEngine
from search.errors import SearchError
from search.http import answers
from search.http.pictures_on_disk import require_image, thumbnail
from search.schemas import SearchRequest, parse_request
from storage.errors import LibraryError

MOST_HITS = 100
"""An assistant reads every hit that it is given."""
PICTURE_SIDE = 512

INSTRUCTIONS = (
    "Finds pictures in the user's own library by what is in them. search_images takes words in any "
    "language; look at a hit with get_image before saying what it shows."
)

Words = Annotated[str, Field(description="What the pictures show, in any language.")]
Limit = Annotated[int, Field(ge=1, le=MOST_HITS, description="How many hits at most.")]
Day = Annotated[
    str | None, Field(description="An ISO 8601 date or time, such as 2024-05 or 2024-05-01.")
]


def make_mcp_server(engine: SearchEngine) -> MCPServer[Any]:
    server = MCPServer[Any](
        "polyglance",
        title="Polyglance",
        instructions=INSTRUCTIONS,
        version=version("polyglance"),
        log_level="WARNING",
    )
    _add_search(server, engine)
    _add_pictures(server, engine)
    return server


def _add_search(server: MCPServer[Any], engine: SearchEngine) -> None:
    @server.tool()
    def search_images(  # noqa: PLR0913, PLR0917  (an argument each)
        query: Words,
        limit: Limit = 10,
        unlike: Annotated[
            list[str], Field(description="What the pictures should have little of.")
        ] = [],  # noqa: B006  (a default of the tool's schema, never changed)
        collection: Annotated[list[str], Field(description="Only these collections.")] = [],  # noqa: B006
        path: Annotated[
            str | None, Field(description='Only files whose path is like this, as "2024/*".')
        ] = None,
        taken_after: Day = None,
        taken_before: Day = None,
        camera: Annotated[str | None, Field(description="Part of the camera's name.")] = None,
        orientation: Literal["landscape", "portrait", "square"] | None = None,
        min_relevance: Annotated[
            float, Field(ge=0, le=1, description="Leave out what is less relevant.")
        ] = 0.0,
        cursor: Annotated[
            str | None, Field(description="next_cursor of the answer before, for more hits.")
        ] = None,
    ) -> dict[str, Any]:
        """Find pictures by words, best first. nothing_relevant says that none fits."""
        filters = {
            "collection": collection,
            "path": path,
            "taken_after": taken_after,
            "taken_before": taken_before,
            "camera": camera,
            "orientation": orientation,
        }
        asked = {
            "query": query,
            "negative": [{"text": each} for each in unlike],
            "filters": filters,
            "limit": limit,
            "min_relevance": min_relevance,
            "cursor": cursor,
        }
        with _tool_errors():
            found = engine.search(parse_request(SearchRequest, asked))
            return _without_urls(answers.search_answer(found, engine).model_dump(mode="json"))


def _add_pictures(server: MCPServer[Any], engine: SearchEngine) -> None:
    @server.tool()
    def get_image(
        id: Annotated[int, Field(ge=1, lt=2**63, description="Of a hit.")],
    ) -> CallToolResult:
        """One picture: what is known of it, and the picture itself, made small."""
        with _tool_errors():
            image = require_image(engine, id)
            facts = answers.picture(image, engine)
            shown = _without_urls(facts.model_dump(mode="json"))
            webp = thumbnail(engine, image, PICTURE_SIDE)
        if webp is None:
            raise ToolError(f"Picture {id} has no thumbnail, and its file is out of reach.")
        return CallToolResult(
            content=[
                TextContent(text=json.dumps(shown, ensure_ascii=False)),
                ImageContent(data=base64.b64encode(webp).decode(), mime_type=THUMBNAIL_MIME),
            ],
            structured_content=shown,
        )

    @server.tool()
    def get_status() -> dict[str, Any]:
        """How many pictures there are, in which collections, and which model searches them."""
        with _tool_errors():
            return answers.stats(engine).model_dump(mode="json")


@contextmanager
def _tool_errors() -> Iterator[None]:
    try:
        yield
    except (SearchError, LibraryError, EncoderError) as error:
        raise ToolError(str(error)) from error


def _without_urls(facts: dict[str, Any]) -> dict[str, Any]:
    """They are those of a web server, which may not be running."""
    kept = {name: value for name, value in facts.items() if not name.endswith("_url")}
    if "hits" in kept:
        kept["hits"] = [_without_urls(hit) for hit in kept["hits"]]
    return kept
