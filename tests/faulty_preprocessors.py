"""Preprocessors that do in a decode worker what broken native decoders do."""

import ctypes
import os
import signal
import time

from color_encoder import ColorEncoder, ColorPreprocessor
from PIL import Image


def dereference_null() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_come_back() -> None:
    while True:
        time.sleep(3600)


def fail() -> None:
    raise RuntimeError("no such luck")


def leave() -> None:
    os._exit(3)


def run_out_of_memory() -> None:
    raise MemoryError


FAULTS = {
    "abort": os.abort,
    "segfault": dereference_null,
    "killed": be_killed,
    "hang": never_come_back,
    "exception": fail,
    "exit": leave,
    "memory": run_out_of_memory,
}


class FaultyPreprocessor(ColorPreprocessor):
    """Does `fault` for each picture that is mostly red."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def preprocess(self, image: Image.Image):
        red, green, blue = image.resize((1, 1)).getpixel((0, 0))
        if red > 200 and green < 50 and blue < 50:
            FAULTS[self._fault]()
        return super().preprocess(image)


class FaultyEncoder(ColorEncoder):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault

    @property
    def preprocessor(self) -> FaultyPreprocessor:
        return FaultyPreprocessor(self._fault)
