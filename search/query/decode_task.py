"""One picture that came from outside → what is asked of it. Runs in a decode worker."""

import pickle
import socket
from dataclasses import dataclass
from typing import Any

from encoders import Preprocessed, Preprocessor
from imaging import DecodeLimits, UnreadableImage, decode_image, make_thumbnail
from imaging.workers.channel import send
from imaging.workers.child import ended_after


@dataclass(frozen=True)
class PictureSent:
    data: bytes
    limits: DecodeLimits
    thumbnail_side: int | None
    """None: the encoder's input is wanted, and no thumbnail."""

    def __reduce__(self) -> tuple[Any, ...]:
        """The bytes go beside the pickle, and come as bytes again."""
        return _received, (pickle.PickleBuffer(self.data), self.limits, self.thumbnail_side)


def _received(data: bytes, limits: DecodeLimits, thumbnail_side: int | None) -> PictureSent:
    return PictureSent(data, limits, thumbnail_side)


@dataclass(frozen=True)
class Undecodable:
    """kind, reason: as in `imaging.UnreadableImage`, and decoder_failed and out_of_memory."""

    kind: str
    reason: str


@dataclass(frozen=True)
class DecodePictures:
    """The task of a worker: pictures for this encoder."""

    preprocessor: Preprocessor
    seconds: float

    def answer(self, connection: socket.socket, message: PictureSent) -> None:
        with ended_after(self.seconds):
            made = self._make(message)
        send(connection, made)

    def _make(self, sent: PictureSent) -> Preprocessed | bytes | Undecodable:
        """Never raises for what is in the bytes."""
        side = sent.thumbnail_side
        least = self.preprocessor.min_decode_side if side is None else side
        try:
            image = decode_image(sent.data, min_side=least, limits=sent.limits).image
            if side is None:
                return self.preprocessor.preprocess(image)
            return make_thumbnail(image, side)
        except UnreadableImage as error:
            return Undecodable(error.kind, str(error))
        except MemoryError:
            reason = "needs more memory to be decoded than there is: send a smaller one"
            return Undecodable("out_of_memory", reason)
        except Exception as error:  # noqa: BLE001  (whatever it is, the next picture may be sound)
            reason = f"can't be decoded ({type(error).__name__}: {error}): save it anew as JPEG"
            return Undecodable("decoder_failed", reason)
