"""Decoding alone, in the processes that index has its pictures decoded in."""

import pickle
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from encoders import Preprocessor
from imaging import decode_image
from imaging.workers import Worker, nursery, send
from indexer.config import usable_cores

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Prepare:
    """The task of a worker: read, decode and preprocess, and nothing else."""

    preprocessor: Preprocessor

    def answer(self, connection: socket.socket, message: Path) -> None:
        decoded = decode_image(message.read_bytes(), min_side=self.preprocessor.min_decode_side)
        self.preprocessor.preprocess(decoded.image)
        send(connection, None)


def decode_rate(preprocessor: Preprocessor, files: list[Path]) -> float:
    """Files a second, on all cores."""
    task = pickle.dumps(Prepare(preprocessor))
    free: SimpleQueue[Worker] = SimpleQueue()
    for _ in range(usable_cores()):
        worker = nursery.take(task)
        worker.ask(files[0], time.monotonic() + PATIENCE_S)
        free.put(worker)

    def prepare(path: Path) -> None:
        worker = free.get()
        worker.ask(path, time.monotonic() + PATIENCE_S)
        free.put(worker)

    with ThreadPoolExecutor(usable_cores()) as threads:
        began = time.perf_counter()
        list(threads.map(prepare, files))
        seconds = time.perf_counter() - began
    while not free.empty():
        nursery.give_back(free.get())
    return len(files) / seconds
