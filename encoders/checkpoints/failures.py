"""What the hub, the network and the disk say → errors that tell what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.errors import CheckpointNotFound, CheckpointUnavailable, EncoderError, first_line

OTHERWISE = (
    "Connect and try again, or name a folder that holds the checkpoint (--model FOLDER), "
    "or use the built-in stand-in (--model starter)."
)
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def explained(checkpoint: str, revision: str | None) -> Iterator[None]:
    """Turn what goes wrong inside into one of our errors."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )
    from huggingface_hub.utils import httpx

    try:
        yield
    except HFValidationError as error:
        raise CheckpointNotFound(
            f"{checkpoint!r} is neither a folder nor a name that the hub could know. "
            "Such a name looks like google/siglip2-base-patch16-224."
        ) from error
    except OfflineModeIsEnabled as error:
        raise CheckpointUnavailable(
            f"{checkpoint} is not on this computer and HF_HUB_OFFLINE forbids to download it. "
            f"Unset that, or name a folder that holds it (--model FOLDER), or use --model starter."
        ) from error
    except HfHubHTTPError as error:
        raise _refused(checkpoint, revision, error) from error
    except httpx.HTTPError as error:
        raise not_had(checkpoint, error) from error
    except LocalEntryNotFoundError as error:
        raise not_had(checkpoint, error) from error
    except OSError as error:
        raise _disk_failed(checkpoint, error) from error


def not_had(checkpoint: str, error: Exception) -> CheckpointUnavailable:
    from huggingface_hub.constants import ENDPOINT

    return CheckpointUnavailable(
        f"{checkpoint} is not on this computer and can't be had from {ENDPOINT} "
        f"({first_line(error.__cause__ or error)}). "
        f"{OTHERWISE}"
    )


def disk_is_full(checkpoint: str, folder: Path, needed_bytes: int | None) -> CheckpointUnavailable:
    room = f"{needed_bytes / 1e9:.2g} GB more" if needed_bytes else "more room"
    return CheckpointUnavailable(
        f"{checkpoint} needs {room} than the disk of {folder} has free. Free some, set HF_HOME to "
        "a folder on a larger disk, or use --model starter. What has arrived is kept."
    )


def _refused(checkpoint: str, revision: str | None, error: Exception) -> EncoderError:
    """The hub answered, with an error."""
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError):
        return CheckpointUnavailable(
            f"{checkpoint} is given only to those who accept its licence. "
            f"Accept it at {ENDPOINT}/{checkpoint}, "
            f"then set HF_TOKEN to a token from {ENDPOINT}/settings/tokens."
        )
    if isinstance(error, RevisionNotFoundError):
        return CheckpointNotFound(f"{checkpoint} has no revision {revision!r} on {ENDPOINT}.")
    if isinstance(error, RepositoryNotFoundError):
        return CheckpointNotFound(
            f"{ENDPOINT} knows no checkpoint {checkpoint}. Check the name; if it is private, "
            "set HF_TOKEN to a token that may read it."
        )
    if status in {401, 403}:
        return CheckpointUnavailable(
            f"{ENDPOINT} refuses {checkpoint} to your token (status {status}). Set HF_TOKEN to one "
            f"that may read it, from {ENDPOINT}/settings/tokens, or unset it."
        )
    return CheckpointUnavailable(
        f"{ENDPOINT} could not give {checkpoint} (status {status}). Try again later. {OTHERWISE}"
    )


def _disk_failed(checkpoint: str, error: OSError) -> CheckpointUnavailable:
    from huggingface_hub.constants import HF_HUB_CACHE

    if error.errno in DISK_IS_FULL:
        return disk_is_full(checkpoint, Path(HF_HUB_CACHE), None)
    return CheckpointUnavailable(
        f"{checkpoint} can't be written to {HF_HUB_CACHE} ({first_line(error)}). "
        "Set HF_HOME to a folder that you may write to, or use --model starter."
    )
