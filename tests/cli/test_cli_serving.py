"""Who may be served, and the real server with its rules, over loopback."""

import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.config import ConfigError, ServeConfig, load_config
from cli.errors import CommandError
from cli.serving import access_of, require_keys_beyond_this_machine
from storage.api_keys import create_key, revoke_key
from storage.library import Library

ROOT = Path(__file__).parents[2]
CONFIG = """
serve:
  log_format: json
  requests_per_minute: 100
  cors_origins: [https://shop.example]
"""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "photos.example", ""])
def test_beyond_this_machine_a_server_needs_keys_or_a_clear_word(
    library: Library, host: str
) -> None:
    config = ServeConfig(host=host)
    with pytest.raises(CommandError) as refused:
        require_keys_beyond_this_machine(library, config)
    assert "polyglance keys create" in str(refused.value)
    assert "--insecure-no-auth" in str(refused.value)
    require_keys_beyond_this_machine(library, ServeConfig(host=host, insecure_no_auth=True))
    create_key(library.engine, "a", "read")
    require_keys_beyond_this_machine(library, config)
    revoke_key(library.engine, "a")
    with pytest.raises(CommandError):
        require_keys_beyond_this_machine(library, config)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_alone_needs_none(library: Library, host: str) -> None:
    require_keys_beyond_this_machine(library, ServeConfig(host=host))
    assert access_of(ServeConfig(host=host)).open_without_keys


def test_a_server_that_others_reach_stays_closed_without_keys() -> None:
    assert not access_of(ServeConfig(host="0.0.0.0")).open_without_keys
    assert access_of(ServeConfig(host="0.0.0.0", insecure_no_auth=True)).open_without_keys


def test_the_command_refuses_before_it_loads_the_model(polyglance, pictures: Path) -> None:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    ran = polyglance("serve", "--host", "0.0.0.0")
    assert ran.status == 1
    assert "--insecure-no-auth" in ran.err
    assert "Loading" not in ran.err


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("trusted_proxies: [photos.example]", "trusted_proxies"),
        ("cors_origins: [shop.example]", "cors_origins"),
        ("cors_origins: ['https://shop.example/page']", "cors_origins"),
        ("log_format: xml", "log_format"),
        ("requests_per_minute: 0", "requests_per_minute"),
        ("insecure_no_auth: maybe", "insecure_no_auth"),
    ],
)
def test_a_setting_that_can_not_be_is_named(tmp_path: Path, setting: str, named: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"serve:\n  {setting}\n")
    with pytest.raises(ConfigError, match=named):
        load_config(path, {})


def test_settings_of_access_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "serve:\n  requests_per_minute: null\n  insecure_no_auth: false\n"
        "  allowed_hosts: [photos.example]\n  trusted_proxies: [10.0.0.0/8]\n"
        "search:\n  fetch_urls: true\n  fetch_allowed_networks: [192.168.1.0/24]\n"
    )
    config = load_config(path, {"POLYGLANCE_SERVE_CORS_ORIGINS": "['*']"})
    assert config.serve.requests_per_minute is None
    assert config.serve.allowed_hosts == ("photos.example",)
    assert config.serve.cors_origins == ("*",)
    assert config.search.fetch_urls
    with pytest.raises(ConfigError, match="fetch_allowed_networks"):
        load_config(None, {"POLYGLANCE_SEARCH_FETCH_ALLOWED_NETWORKS": "[intranet]"})


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Path, subprocess.Popen]]:
    """(address, data_dir, process) of `polyglance serve` on a library of two pictures."""
    from drawn_pictures import draw_picture

    home = tmp_path_factory.mktemp("served")
    draw_picture(home / "pictures" / "red.png", (255, 0, 0))
    draw_picture(home / "pictures" / "blue.png", (0, 0, 255))
    (home / "config.yaml").write_text(CONFIG)
    common = [sys.executable, "-c", "from cli.main import main; main()"]
    common += ["--config", str(home / "config.yaml"), "--data-dir", str(home / "library")]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"}
    index = [*common, "index", str(home / "pictures"), "--model", "starter", "--json"]
    subprocess.run(index, env=environment, check=True, capture_output=True)
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*common, "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None, (home / "log").read_text()
        yield address[0], home, process
        process.terminate()
        process.wait(30)
        process.stdout.close()


def get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_key_made_on_the_command_line_closes_and_opens_the_running_server(served) -> None:
    url, home, _ = served
    stats = f"{url}/api/v1/stats"
    assert get(stats)[0] == 200
    library = Library.open(home / "library")
    made = create_key(library.engine, "chief", "admin")
    bearer = {"Authorization": f"Bearer {made.key}"}
    assert get(stats)[0] == 401
    assert get(stats, **bearer)[0] == 200
    status, figures = get(f"{url}/metrics", **bearer)
    assert status == 200
    assert b"polyglance_queue_depth 0.0" in figures
    revoke_key(library.engine, "chief")
    library.close()
    assert get(stats)[0] == 200


def test_every_line_of_the_log_is_json_and_tells_of_a_request(served) -> None:
    url, home, _ = served
    get(f"{url}/api/v1/search?q=secret", **{"X-Request-Id": "line-of-the-log"})
    lines = [json.loads(line) for line in (home / "log").read_text().splitlines() if "{" in line]
    (found,) = [line for line in lines if line.get("request_id") == "line-of-the-log"]
    assert (found["route"], found["status"]) == ("/api/v1/search", 200)
    assert "secret" not in (home / "log").read_text()


def test_the_server_takes_no_huge_headers_and_no_huge_bodies(served) -> None:
    url, _, _ = served
    assert get(f"{url}/healthz", **{"X-Long": "x" * 33_000})[0] == 431
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2**40}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_headers_of_proxies_that_were_not_named_do_not_arrive(served) -> None:
    url, home, _ = served
    sent = {"X-Forwarded-For": "198.51.100.9", "X-Request-Id": "no-proxy"}
    assert get(f"{url}/api/v1/stats", **sent)[0] == 200
    log = (home / "log").read_text()
    (line,) = [each for each in log.splitlines() if "no-proxy" in each]
    assert json.loads(line)["client"] == "127.0.0.1"
