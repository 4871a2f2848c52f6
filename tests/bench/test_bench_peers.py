"""What bench.peers can be tested on without the peers themselves."""

import subprocess
import sys

import numpy as np
import pytest

from bench.peers_environments import CLIP_RETRIEVAL, RCLIP, Peer, PeerFailed, run_or_say_why
from bench.peers_work import answered, measured


@pytest.mark.parametrize("peer", [RCLIP, CLIP_RETRIEVAL], ids=lambda peer: peer.name)
def test_what_a_peer_needs_is_pinned_and_torch_is_never_downloaded(peer: Peer) -> None:
    lines = peer.requirements.read_text("utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages
    assert [line for line in packages if line.count("==") != 1] == []
    assert [line for line in packages if line.lower().startswith("torch==")] == []


def test_the_time_of_processes_that_were_waited_for_counts() -> None:
    burn = "import time\nwhile time.process_time() < .3: pass"
    result = measured(lambda: subprocess.run([sys.executable, "-c", burn], check=True))
    assert result["cpu_seconds"] >= 0.3
    assert result["seconds"] >= 0.3


def test_the_time_of_processes_that_go_on_counts() -> None:
    burn = "import time\nwhile time.process_time() < .5: pass\nprint(flush=True)\ninput()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", burn], **pipes) as worker:
        assert worker.stdout is not None
        result = measured(worker.stdout.readline)
        worker.communicate(b"\n")
    assert result["cpu_seconds"] >= 0.3


def test_every_query_is_timed_and_answered_in_order() -> None:
    result = answered(lambda query: [query, query + 1], np.array([5, 7]))
    assert result["found"] == [[5, 6], [7, 8]]
    assert len(result["ms"]) == 2


def test_a_peer_that_fails_says_why_in_one_line() -> None:
    command = [sys.executable, "-c", "raise ValueError('no such operator')"]
    with pytest.raises(PeerFailed, match="rclip can't be run: ValueError: no such operator"):
        run_or_say_why(command, "rclip can't be run")
