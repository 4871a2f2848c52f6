"""The MCP server, asked by the official SDK's own client over stdio and over HTTP."""

import asyncio
import base64
import io
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from drawn_pictures import draw_picture
from mcp import StdioServerParameters
from mcp.client.client import Client
from PIL import Image

from encoders.config import EncoderConfig
from encoders.load import load_encoder
from indexer.config import IndexConfig
from indexer.job import IndexJob
from indexer.report import IndexRequest
from search.access.config import AccessConfig
from search.engine import SearchEngine
from search.mcp.http import make_mcp_app
from storage.api_keys import create_key
from storage.library import Library

ROOT = Path(__file__).parents[2]
A_MINUTE = 6
"""Requests, of one key."""
RUN = "from cli.main import main; main()"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, tiny_siglip2: Path) -> Path:
    """A library of three pictures, made by a real encoder that the command line can load."""
    folder = tmp_path_factory.mktemp("mcp")
    for number, name in enumerate(("red", "green", "blue")):
        color = [0, 0, 0]
        color[number] = 255
        draw_picture(folder / "pictures" / f"{name}.png", tuple(color))
    library = Library.open(folder / "library", create=True)
    encoder = load_encoder(str(tiny_siglip2), EncoderConfig())
    IndexJob(library, encoder, IndexConfig(workers=1)).run(IndexRequest([str(folder / "pictures")]))
    library.close()
    return folder / "library"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def ask(server, talk):
    """Connect with the SDK's client, and run the conversation."""

    async def connected():
        async with asyncio.timeout(60), Client(server) as client:
            return await talk(client)

    # In a thread of its own: the browser's driver, where its tests come first, leaves its loop
    # running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(connected())).result()


async def whole_conversation(client: Client) -> dict:
    tools = await client.list_tools()
    found = await client.call_tool("search_images", {"query": "red", "limit": 2})
    assert not found.is_error, found.content[0].text
    first = found.structured_content["hits"][0]["id"]
    return {
        "tools": {tool.name: tool.input_schema for tool in tools.tools},
        "found": found,
        "image": await client.call_tool("get_image", {"id": first}),
        "status": await client.call_tool("get_status", {}),
        "unknown": await client.call_tool("get_image", {"id": 999}),
        "bad_limit": await client.call_tool("search_images", {"query": "red", "limit": 0}),
        "bad_day": await client.call_tool("search_images", {"query": "a", "taken_after": "May"}),
        "bad_cursor": await client.call_tool("search_images", {"query": "a", "cursor": "x"}),
        "filtered": await client.call_tool("search_images", {"query": "a", "path": "blue*"}),
    }


def check(said: dict) -> None:
    assert set(said["tools"]) == {"search_images", "get_image", "get_status"}
    assert said["tools"]["search_images"]["required"] == ["query"]
    found = said["found"].structured_content
    assert not said["found"].is_error
    assert (len(found["hits"]), found["total"], found["exact"]) == (2, 3, True)
    assert not any(name.endswith("_url") for name in found["hits"][0])
    assert json.loads(said["found"].content[0].text) == found

    facts, picture = said["image"].content
    assert json.loads(facts.text)["id"] == found["hits"][0]["id"]
    assert picture.mime_type == "image/webp"
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as shown:
        assert shown.size == (64, 48)
    assert said["status"].structured_content["pictures"] == 3
    hits = said["filtered"].structured_content["hits"]
    assert [hit["path"] for hit in hits] == ["blue.png"]

    for name, words in {
        "unknown": "no picture 999",
        "bad_limit": "limit",
        "bad_day": "taken_after",
        "bad_cursor": "cursor",
    }.items():
        assert said[name].is_error, name
        assert words in said[name].content[0].text


def test_an_assistant_searches_over_stdio(data_dir: Path) -> None:
    arguments = ["-c", RUN, "--data-dir", str(data_dir), "mcp"]
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment())
    check(ask(server, whole_conversation))


@pytest.fixture(scope="module")
def address(data_dir: Path):
    """Of `polyglance mcp --http`, in a process of its own."""
    arguments = [sys.executable, "-c", RUN, "--data-dir", data_dir, "mcp", "--http", "--port", "0"]
    process = subprocess.Popen(
        arguments,
        env={**environment(), "POLYGLANCE_SERVE_REQUESTS_PER_MINUTE": str(A_MINUTE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        said = re.search(r"MCP is at (\S+)", line)
        if said:
            break
    reading = threading.Thread(target=process.stderr.read)  # so that its log does not fill up
    reading.start()
    yield said.group(1)
    process.terminate()
    out, _ = process.stdout.read(), process.wait(timeout=20)
    reading.join()
    process.stdout.close()
    process.stderr.close()
    assert out == ""


def test_an_assistant_searches_over_http(address: str) -> None:
    check(ask(address, whole_conversation))


PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_another_site_can_not_reach_it_through_a_browser(
    address: str, headers: dict[str, str], status: int
) -> None:
    with httpx2.Client() as client:
        assert client.post(address, json=PING, headers={**HEADERS, **headers}).status_code == status
        assert client.post(address, json=PING, headers=HEADERS).status_code < 400


def test_where_there_are_keys_one_is_needed(address: str, data_dir: Path) -> None:
    library = Library.open(data_dir)
    key = create_key(library.engine, "assistant", "read")
    with httpx2.Client() as client:
        assert client.post(address, json=PING, headers=HEADERS).status_code == 401
        for wrong in ("Bearer nonsense", f"Basic {key.key}", ""):
            headers = {**HEADERS, "Authorization": wrong}
            assert client.post(address, json=PING, headers=headers).status_code == 401
        for right in ({"Authorization": f"Bearer {key.key}"}, {"X-API-Key": key.key}):
            answer = client.post(address, json=PING, headers={**HEADERS, **right})
            assert answer.status_code < 400
    library.close()


def test_a_key_may_ask_so_often_in_a_minute_and_no_oftener(address: str, data_dir: Path) -> None:
    library = Library.open(data_dir)
    busy, other = (create_key(library.engine, name, "read").key for name in ("busy", "other"))
    library.close()

    def ask_with(key: str) -> httpx2.Response:
        return client.post(
            address, json=PING, headers={**HEADERS, "Authorization": f"Bearer {key}"}
        )

    with httpx2.Client() as client:
        answers = [ask_with(busy) for _ in range(A_MINUTE + 1)]
        assert [answer.status_code for answer in answers] == [200] * A_MINUTE + [429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60 / A_MINUTE
        assert "requests_per_minute" in answers[-1].json()["error"]
        assert ask_with(other).status_code == 200


def test_guesses_at_a_key_are_counted_by_the_address_they_come_from(engine: SearchEngine) -> None:
    access = AccessConfig("192.0.2.1", open_without_keys=False, requests_per_minute=2)
    app = make_mcp_app(engine, access)

    async def guess(address: str, times: int) -> list[int]:
        transport = httpx2.ASGITransport(app, client=(address, 50_000))
        async with httpx2.AsyncClient(transport=transport) as client:
            headers = {"Authorization": "Bearer guessed"}
            answers = [
                await client.post("http://192.0.2.1/mcp", json=PING, headers=headers)
                for _ in range(times)
            ]
        return [answer.status_code for answer in answers]

    def guesses(address: str, times: int) -> list[int]:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(guess(address, times))).result()

    assert guesses("198.51.100.7", 3) == [401, 401, 429]
    assert guesses("198.51.100.8", 1) == [401]


def test_many_calls_in_one_request_are_not_taken(address: str, data_dir: Path) -> None:
    library = Library.open(data_dir)
    key = create_key(library.engine, "batch", "read").key
    library.close()
    with httpx2.Client() as client:
        headers = {**HEADERS, "Authorization": f"Bearer {key}"}
        answer = client.post(address, json=[PING, {**PING, "id": 2}], headers=headers)
        assert answer.status_code == 400
