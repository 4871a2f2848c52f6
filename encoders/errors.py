"""What can go wrong with an encoder.

EncoderError
├── CheckpointNotFound       no such folder, or the hub knows no such repository
├── CheckpointUnavailable    can't be had now: no network, no rights, disk full
├── UnsupportedCheckpoint    it is there and can't work: no text tower, weights missing, pickle only
└── SelfTestFailed           it loads, and its embeddings are not what they were or must be

Messages are for the person at the keyboard: they name the checkpoint and what to do.
"""


class EncoderError(Exception):
    """Base of all errors that an encoder raises on purpose."""


class CheckpointNotFound(EncoderError):
    """Neither a local folder nor a repository the hub knows."""


class CheckpointUnavailable(EncoderError):
    """The checkpoint can't be had at the moment: no connection, no permission, no room."""


class UnsupportedCheckpoint(EncoderError):
    """The checkpoint is there, and can't serve as a picture-and-text encoder."""


class SelfTestFailed(EncoderError):
    """A tower, the tokenizer or the padding does not do what it must."""


def first_line(error: BaseException) -> str:
    """What another library's error says first, or its name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
