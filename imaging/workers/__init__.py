"""Processes that pictures are decoded in: what broken bytes do to a decoder stays there.

`nursery` has the workers of this process, `process` is one of them as seen from here, `child` is
the worker itself, `channel` what goes between the two. What a worker does is its task, an object
that is sent there: it may come from any package, and its modules should not load torch.
"""

from imaging.workers.channel import receive, send
from imaging.workers.nursery import WorkersUnavailable, nursery
from imaging.workers.process import Worker, WorkerLost

__all__ = ["Worker", "WorkerLost", "WorkersUnavailable", "nursery", "receive", "send"]
