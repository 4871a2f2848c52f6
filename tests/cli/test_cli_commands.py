import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from drawn_pictures import draw_picture

from cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


# Where tests run in the background, SIGINT is ignored, and children inherit that.
HEED_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def start(*arguments: object, **environment: str) -> subprocess.Popen:
    """The command line in a process of its own, as in a terminal."""
    script = f"{HEED_SIGINT}; from cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_index_search_status_and_jobs_go_together(polyglance, pictures: Path) -> None:
    (pictures / "broken.jpg").write_text("only text")
    ran = polyglance("index", pictures, "--model", "starter", "--json")
    assert ran.status == 0, ran.err
    report = json.loads(ran.out)
    assert list(report) == [
        "job",
        "seen",
        "new",
        "changed",
        "moved",
        "unchanged",
        "removed",
        "failed",
        "embedded",
        "seconds",
        "images_per_second",
    ]
    assert (report["seen"], report["new"], report["failed"], report["embedded"]) == (7, 6, 1, 6)

    again = polyglance("index", pictures)
    assert again.status == 0
    assert "0 embedded" in again.out
    assert "polyglance jobs" in again.out

    found = polyglance("search", "a red thing", "-k", "2", "--json")
    assert found.status == 0, found.err
    answer = json.loads(found.out)
    assert len(answer["hits"]) == 2
    assert Path(answer["hits"][0]["file"]).is_file()
    assert answer["model"] == "starter"

    by_picture = polyglance("search", "--image", pictures / "sky" / "blue.png", "-k", "1")
    assert by_picture.out.rstrip().endswith("sky/blue.png")

    status = json.loads(polyglance("status", "--json").out)
    assert (status["pictures"], status["unreadable_files"], status["model"]) == (6, 1, "starter")
    assert "6, 6 of them searchable" in polyglance("status").out

    jobs = polyglance("jobs", report["job"])
    assert "broken.jpg is not a picture" in jobs.out
    assert len(json.loads(polyglance("jobs", "--json").out)["jobs"]) == 2


def test_weights_negatives_and_collections_are_taken(polyglance, pictures: Path) -> None:
    polyglance("index", pictures, "--model", "starter", "--collection", "colours")
    wishes = ("2:sky", "grass", "--not", "cat")
    ran = polyglance("search", *wishes, "--collection", "colours", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["total"] == 6
    none = polyglance("search", "sky", "--collection", "nothing", "--json")
    assert json.loads(none.out)["hits"] == []


def test_a_dry_run_makes_no_library(polyglance, pictures: Path, tmp_path: Path) -> None:
    ran = polyglance("index", pictures, "--dry-run", "--json")
    assert json.loads(ran.out)["new"] == 6
    assert not (tmp_path / "library").exists()


def test_an_empty_folder_is_no_error_and_is_remarked_upon(polyglance, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = polyglance("index", tmp_path / "empty", "--model", "starter")
    assert ran.status == 0
    assert "no pictures" in ran.out
    ran = polyglance("search", "cat")
    assert (ran.status, ran.out) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["index", "/no/such/folder"], 1, "/no/such/folder: there is no such file or folder"),
        (["index"], 2, "SOURCE"),
        (["index", ".", "--batch-size", "0"], 2, "batch-size"),
        (["search"], 2, "Say what to look for"),
        (["search", "   "], 2, "The query is empty"),
        (["search", "cat"], 1, "There is no library"),
        (["search", "--image", "/no/such.png"], 1, "/no/such.png: No such file"),
        (["serve"], 1, "There is no library"),
        (["status"], 1, "polyglance index FOLDER"),
        (["jobs"], 1, "There is no library"),
        (["fly"], 2, "fly"),
        (["--config", "no.yaml", "status"], 1, "no.yaml: there is no such configuration file"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(
    polyglance, arguments: list[str], status: int, words: str
) -> None:
    ran = polyglance(*arguments)
    assert ran.status == status
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_a_model_that_cannot_be_had_is_named_with_the_three_remedies(
    polyglance, pictures: Path
) -> None:
    ran = polyglance("index", pictures)
    assert ran.status == 1
    for words in ("google/siglip2-base-patch16-224", "onnect", "--model FOLDER", "--model starter"):
        assert words in ran.err, ran.err


def test_a_library_of_another_model_is_not_mixed_with_this_one(
    polyglance, pictures: Path, tiny_siglip2: Path
) -> None:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    ran = polyglance("index", pictures, "--model", tiny_siglip2)
    assert ran.status == 1
    assert "made with the model starter" in ran.err
    assert "--data-dir" in ran.err


def test_a_tiny_siglip2_goes_from_index_to_search(
    polyglance, pictures: Path, tiny_siglip2: Path
) -> None:
    ran = polyglance("index", pictures, "--model", tiny_siglip2, "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["embedded"] == 6
    ran = polyglance("search", "một con mèo", "--json")
    answer = json.loads(ran.out)
    assert answer["model"] == str(tiny_siglip2)
    assert len(answer["hits"]) == 6


def test_the_demo_finds_its_samples_without_a_hub(polyglance) -> None:
    ran = polyglance("demo", "--once")
    assert ran.status == 0, ran.err
    assert "goes on with the starter encoder" in ran.err
    for name in ("chelsea.png", "rocket.jpg", "coffee.png"):
        assert name in ran.out
    again = polyglance("demo", "--once")
    assert "0 embedded" in again.err
    assert again.out == ran.out


def test_the_demo_takes_a_folder_of_the_users(polyglance, pictures: Path) -> None:
    ran = polyglance("demo", pictures, "--once")
    assert ran.status == 0, ran.err
    assert "6 embedded" in ran.err


def test_help_answers_before_anything_heavy_is_loaded() -> None:
    script = (
        "import sys; sys.argv = ['polyglance', '--help']\n"
        "from cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'faiss', 'numpy', 'sqlalchemy', 'flask'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.rstrip().endswith("[]")
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(polyglance, command: str) -> None:
    ran = polyglance(command, "--help")
    assert ran.status == 0
    assert f"polyglance {command}" in ran.out


@pytest.fixture
def starter_library(polyglance, pictures: Path, tmp_path: Path) -> Path:
    assert polyglance("index", pictures, "--model", "starter").status == 0
    return tmp_path / "library"


def test_serve_answers_until_it_is_interrupted(starter_library: Path) -> None:
    server = start("--data-dir", starter_library, "serve", "--port", "0")
    try:
        address = server.stdout.readline().split()[3]
        with urllib.request.urlopen(f"{address}/api/v1/search?q=cat", timeout=20) as response:
            assert len(json.load(response)["hits"]) == 6
        with urllib.request.urlopen(address, timeout=20) as response:
            assert b"<html" in response.read()
    finally:
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=20)
    assert server.returncode in (0, 130)
    assert "Traceback" not in err


def test_a_busy_port_is_named_with_another_to_take(polyglance, starter_library: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = polyglance("serve", "--port", port)
    assert ran.status == 1
    assert f"Port {port} on 127.0.0.1 is in use" in ran.err
    assert f"--port {port + 1}" in ran.err


def test_ctrl_c_commits_what_was_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for mark in range(30):
        draw_picture(folder / f"{mark:03d}.png", (8 * mark, mark, 90), mark)
    library = tmp_path / "library"
    arguments = ("--data-dir", library, "index", folder, "--model", "starter", "--batch-size", "2")
    run = start(*arguments, POLYGLANCE_INDEX_COMMIT_IMAGES="4")

    def interrupt_after_the_first_commit() -> None:
        deadline = time.monotonic() + 60
        while not list(library.glob("embeddings/*/part-*.parquet")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt_after_the_first_commit)
    thread.start()
    out, err = run.communicate(timeout=120)
    thread.join()
    assert run.returncode == 130, err
    assert "Run the same command again" in out
    assert "Traceback" not in err
    rest = start(*arguments, "--json")
    out, err = rest.communicate(timeout=120)
    assert rest.returncode == 0, err
    report = json.loads(out)
    assert report["seen"] == 30
    assert 0 < report["unchanged"] < 30
    assert report["unchanged"] + report["embedded"] == 30


@pytest.mark.skipif(os.name == "nt", reason="POSIX users and rights")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    if os.access(locked, os.R_OK):
        from indexer.sources.members import Unreadable
        from indexer.sources.named import Named
        from indexer.sources.walk import walk

        pytest.importorskip("pwd")
        # Root may read everything: look at it as somebody else.
        child = os.fork()
        if child == 0:
            tmp_path.chmod(0o755)
            for parent in tmp_path.parents:
                if parent.owner() == "root" and str(parent).startswith("/tmp/"):
                    parent.chmod(0o755)
            os.setuid(65534)
            met: list[Unreadable] = []
            list(walk(Named(tmp_path).unregistered(), (), met.append))
            told = [(folder.path, "denied" in folder.reason) for folder in met]
            os._exit(0 if told == [("locked/", True)] else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    else:
        ran = start("--data-dir", tmp_path / "library", "index", locked, "--model", "starter")
        _, err = ran.communicate(timeout=60)
        assert ran.returncode == 1
        assert "permission denied" in err
