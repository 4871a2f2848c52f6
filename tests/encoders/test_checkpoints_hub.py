"""Checkpoints from a hub on loopback, in a process of their own as HF_ENDPOINT is read once."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback_hub import COMMIT, HubRepo, LoopbackHub
from tiny_checkpoints import build_tiny_siglip2

from encoders.checkpoints import LocatedCheckpoint
from encoders.config import EncoderConfig
from encoders.siglip import DualEncoder

LOCATE = """
import json, sys
import encoders.checkpoints.hub as hub
import encoders.checkpoints.resume as resume
from encoders.checkpoints import locate_checkpoint
from encoders.errors import EncoderError

checkpoint, revision, hub.HUB_TIMEOUT_S, file_limit = json.loads(sys.argv[1])
resume.PAUSE_S = 0.01
if file_limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
try:
    located = locate_checkpoint(checkpoint, revision)
    print(json.dumps({"folder": str(located.folder), "revision": located.revision}))
except EncoderError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
assert "torch" not in sys.modules
"""

NAME = "tiny/siglip2"


@dataclass
class Client:
    """A user's computer: its hub cache and its environment."""

    home: Path
    endpoint: str = "http://127.0.0.1:9"

    def locate(
        self,
        checkpoint: str = NAME,
        revision: str | None = None,
        *,
        timeout_s: float = 8,
        file_limit: int | None = None,
        may_warn: bool = False,
        **environment: str,
    ) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                LOCATE,
                json.dumps([checkpoint, revision, timeout_s, file_limit]),
            ],
            env={
                **inherited,
                "HF_ENDPOINT": self.endpoint,
                "HF_HOME": str(self.home),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert may_warn or done.stderr == ""
        answer: dict[str, str] = json.loads(done.stdout)
        return answer


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path / "hf")


@pytest.fixture(scope="module")
def tiny(checkpoint_of: Callable[[str], Path]) -> Path:
    return checkpoint_of("siglip2")


def test_a_checkpoint_is_downloaded_once_and_then_needs_no_hub(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        first = client.locate()
        asked = len(hub.requests)
        assert client.locate() == first
        assert len(hub.requests) == asked
    assert client.locate() == first
    assert client.locate(HF_HUB_OFFLINE="1") == first

    assert first["revision"] == COMMIT
    folder = Path(first["folder"])
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny.iterdir()}
    for path in tiny.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_hub_and_folder_are_one_space(client: Client, tiny: Path, tmp_path: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        located = client.locate()
    config = EncoderConfig(cache_dir=tmp_path / "cache", device="cpu")
    from_hub = DualEncoder(
        LocatedCheckpoint(NAME, Path(located["folder"]), located["revision"]), config
    )
    from_folder = DualEncoder(LocatedCheckpoint(str(tiny), tiny, None), config)
    assert from_hub.space.fingerprint == from_folder.space.fingerprint
    assert (from_hub.space.checkpoint, from_hub.space.revision) == (NAME, COMMIT)


def test_without_links_the_weights_are_kept_once(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        located = client.locate(HF_HUB_DISABLE_SYMLINKS="1")
    size = (tiny / "model.safetensors").stat().st_size
    assert client.locate() == located
    assert not (Path(located["folder"]) / "model.safetensors").is_symlink()
    assert [path.stat().st_size for path in client.home.rglob("*")].count(size) == 1


def test_files_that_the_encoder_does_not_need_are_not_fetched(
    client: Client, tmp_path: Path
) -> None:
    folder = build_tiny_siglip2(tmp_path / "repo")
    for name in ("README.md", "pytorch_model.bin", "flax_model.msgpack", "other.safetensors"):
        (folder / name).write_bytes(b"big")
    with LoopbackHub({NAME: HubRepo(folder)}) as hub:
        client.endpoint = hub.url
        located = client.locate()
    present = {path.name for path in Path(located["folder"]).iterdir()}
    assert present.isdisjoint({"README.md", "pytorch_model.bin", "other.safetensors"})
    assert "model.safetensors" in present


def test_a_connection_that_breaks_is_taken_up_where_it_broke(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny, cut_after_bytes=100_000, cuts_left=2)}) as hub:
        client.endpoint = hub.url
        located = client.locate()
    weights = Path(located["folder"]) / "model.safetensors"
    assert weights.read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert hub.ranges() == [0, 100_000, 200_000]


def test_a_download_goes_on_in_the_next_process(client: Client, tiny: Path) -> None:
    repo = HubRepo(tiny, cut_after_bytes=120_000, cuts_left=1)
    with LoopbackHub({NAME: repo}) as hub:
        client.endpoint = hub.url
        failed = client.locate(file_limit=120_000)
        assert failed["error"] == "CheckpointUnavailable"
        located = client.locate()
    assert hub.ranges()[-1] == 120_000
    weights = Path(located["folder"]) / "model.safetensors"
    assert weights.read_bytes() == (tiny / "model.safetensors").read_bytes()


def test_a_mirror_that_knows_no_ranges_starts_over(client: Client, tiny: Path) -> None:
    repo = HubRepo(tiny, cut_after_bytes=100_000, cuts_left=1, ignores_ranges=True)
    with LoopbackHub({NAME: repo}) as hub:
        client.endpoint = hub.url
        located = client.locate()
    weights = Path(located["folder"]) / "model.safetensors"
    assert weights.read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert hub.ranges() == [0, 100_000]


def test_what_is_missing_from_the_cache_is_fetched_again(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        weights = Path(client.locate()["folder"]) / "model.safetensors"
        weights.resolve().unlink()
        weights.unlink()
        assert client.locate()["revision"] == COMMIT
    assert weights.read_bytes() == (tiny / "model.safetensors").read_bytes()


def test_a_hub_that_sends_nothing_more_is_given_up(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny, cut_after_bytes=0, cuts_left=99)}) as hub:
        client.endpoint = hub.url
        answer = client.locate()
        assert len(hub.ranges()) == 3
    assert answer["error"] == "CheckpointUnavailable"
    assert "--model starter" in answer["message"]


def test_damaged_weights_are_thrown_away(client: Client, tiny: Path) -> None:
    repo = HubRepo(tiny, damaged=True)
    with LoopbackHub({NAME: repo}) as hub:
        client.endpoint = hub.url
        answer = client.locate()
        assert answer["error"] == "CheckpointUnavailable"
        assert "damaged" in answer["message"]
        repo.damaged = False
        assert client.locate()["revision"] == COMMIT


def test_an_unknown_name_is_not_found(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        answer = client.locate("tiny/siglip3")
    assert answer["error"] == "CheckpointNotFound"
    assert "tiny/siglip3" in answer["message"]


def test_an_unknown_revision_is_not_found(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        answer = client.locate(revision="v9")
        assert client.locate(revision=COMMIT)["revision"] == COMMIT
    assert answer["error"] == "CheckpointNotFound"
    assert "'v9'" in answer["message"]


def test_a_gated_checkpoint_says_to_accept_its_licence(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny, gated=True)}) as hub:
        client.endpoint = hub.url
        answer = client.locate()
        assert client.locate(HF_TOKEN="hf_tiny")["revision"] == COMMIT
    assert answer["error"] == "CheckpointUnavailable"
    assert f"{hub.url}/{NAME}" in answer["message"]
    assert "HF_TOKEN" in answer["message"]


def test_no_connection_fails_at_once_and_says_what_to_do(client: Client) -> None:
    started = time.monotonic()
    answer = client.locate("google/siglip2-base-patch16-224")
    assert time.monotonic() - started < 10
    assert answer["error"] == "CheckpointUnavailable"
    for part in ("google/siglip2-base-patch16-224", client.endpoint, "--model FOLDER"):
        assert part in answer["message"]


def test_a_silent_hub_is_not_waited_for(client: Client, tiny: Path) -> None:
    hung_up = threading.Event()
    with LoopbackHub({NAME: HubRepo(tiny, silent=hung_up)}) as hub:
        client.endpoint = hub.url
        answer = client.locate(timeout_s=0.3)
        hung_up.set()
    assert answer["error"] == "CheckpointUnavailable"


@pytest.mark.parametrize("answers", [1, 2, 5])
def test_a_hub_that_falls_silent_is_given_up_after_any_answer(
    client: Client, tiny: Path, answers: int
) -> None:
    hung_up = threading.Event()
    repo = HubRepo(tiny, silent=hung_up, answers_before_silence=answers)
    with LoopbackHub({NAME: repo}) as hub:
        client.endpoint = hub.url
        started = time.monotonic()
        answer = client.locate(timeout_s=0.3, may_warn=True)
        took_s = time.monotonic() - started
        hung_up.set()
    assert took_s < 15
    assert answer["error"] == "CheckpointUnavailable"
    assert "fell silent" in answer["message"]
    assert "--model starter" in answer["message"]


def test_a_cached_checkpoint_needs_no_answer_of_a_silent_hub(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        first = client.locate()
    hung_up = threading.Event()
    with LoopbackHub({NAME: HubRepo(tiny, silent=hung_up)}) as hub:
        client.endpoint = hub.url
        assert client.locate() == first
        hung_up.set()


def test_offline_mode_without_a_cache_says_so(client: Client) -> None:
    answer = client.locate(HF_HUB_OFFLINE="1")
    assert answer["error"] == "CheckpointUnavailable"
    assert "HF_HUB_OFFLINE" in answer["message"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_says_so_and_keeps_what_arrived(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny)}) as hub:
        client.endpoint = hub.url
        answer = client.locate(file_limit=150_000)
        parts = [path.stat().st_size for path in client.home.rglob("*.part")]
    assert answer["error"] == "CheckpointUnavailable"
    assert "Free some, set HF_HOME" in answer["message"]
    assert parts == [150_000]


def test_too_little_room_is_known_before_the_download(client: Client, tiny: Path) -> None:
    with LoopbackHub({NAME: HubRepo(tiny, claimed_size_bytes=10**16)}) as hub:
        client.endpoint = hub.url
        answer = client.locate()
        assert hub.ranges() == []
    assert answer["error"] == "CheckpointUnavailable"
    assert "1e+07 GB" in answer["message"]


def test_what_can_not_be_used_is_refused_before_its_weights_come(
    client: Client, tmp_path: Path
) -> None:
    folder = build_tiny_siglip2(tmp_path / "repo")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "siglip_vision_model"}))
    with LoopbackHub({NAME: HubRepo(folder)}) as hub:
        client.endpoint = hub.url
        answer = client.locate()
        assert hub.ranges() == []
    assert answer["error"] == "UnsupportedCheckpoint"
    assert "only the picture tower" in answer["message"]


@pytest.mark.parametrize("name", ["not a name", "a--b", "owner/na me", "x" * 200])
def test_what_the_hub_could_not_know_is_not_found(client: Client, name: str) -> None:
    answer = client.locate(name)
    assert answer["error"] == "CheckpointNotFound"
    assert name in answer["message"]
