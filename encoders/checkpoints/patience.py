"""A hub that falls silent is given up soon.

huggingface_hub waits for a listing without end, and asks for a file's facts for up to six
minutes; only a few of its calls take a timeout.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from encoders.checkpoints.failures import OTHERWISE
from encoders.errors import CheckpointUnavailable

MOST_TRIES = 2
"""How often the same thing is asked without any answer."""


@contextmanager
def patience(checkpoint: str, timeout_s: float) -> Iterator[None]:
    """Inside, no request of huggingface_hub waits longer for the next byte, whatever it says."""
    from huggingface_hub import get_session
    from huggingface_hub.constants import ENDPOINT

    unanswered: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def before(request: Any) -> None:
        waits = request.extensions.get("timeout", {})
        for phase in ("connect", "read", "write", "pool"):
            wait = waits.get(phase)
            waits[phase] = timeout_s if wait is None else min(wait, timeout_s)
        request.extensions["timeout"] = waits
        with lock:
            unanswered[_asked_for(request)] += 1
            tries = unanswered[_asked_for(request)]
        if tries > MOST_TRIES:
            raise CheckpointUnavailable(
                f"{ENDPOINT} began to answer for {checkpoint} and fell silent: no answer in "
                f"{MOST_TRIES} × {timeout_s:g} s. What has arrived is kept. {OTHERWISE}"
            )

    def after(response: Any) -> None:
        with lock:
            unanswered.pop(_asked_for(response.request), None)

    hooks = get_session().event_hooks
    for event, hook in (("request", before), ("response", after)):
        hooks[event].append(hook)
    try:
        yield
    finally:
        for event, hook in (("request", before), ("response", after)):
            hooks[event].remove(hook)


def _asked_for(request: Any) -> tuple[str, str]:
    return request.method, str(request.url)
