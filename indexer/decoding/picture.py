"""One file → what the commit needs of it. Runs in a decode worker."""

import hashlib

from imaging import UnreadableImage, decode_image, dominant_color, make_thumbnail
from imaging.perceptual import perceptual_hash
from indexer.decoding.messages import (
    DecodeSetup,
    FileRead,
    FileToRead,
    LibraryFault,
    PictureDecoded,
    Unreadable,
)
from indexer.sidecars import MAX_SIDECAR_BYTES, read_sidecars
from storage.records import NewImage, PictureText
from storage.sources.containers import (
    LocationChanged,
    MemberTooLarge,
    read_bytes,
    read_location,
)
from storage.thumbnails import STORED_SIDE, Thumbnails


def read_file(wanted: FileToRead, max_bytes: int) -> tuple[bytes, FileRead] | Unreadable:
    """Never raises for a file that can't be reached."""
    try:
        data, stat = read_location(wanted.root, wanted.stat, max_bytes)
        texts = _sidecar_texts(wanted)
    except MemberTooLarge as error:
        reason = f"{error}, more than the limit of {max_bytes:,} (raise max_bytes)"
        return Unreadable("too_large", reason, content_is_bad=True)
    except LocationChanged:
        reason = "was changing while it was read; it will be read again next time"
        return Unreadable("changed_while_read", reason, content_is_bad=False)
    except OSError as error:
        reason = f"can't be read: {error.strerror or error}"
        return Unreadable("out_of_reach", reason, content_is_bad=False)
    except MemoryError:
        reason = "needs more memory to be read than there is (lower max_bytes, or --workers)"
        return Unreadable("out_of_memory", reason, content_is_bad=False)
    return data, FileRead(stat, hashlib.sha256(data).digest(), texts)


def _sidecar_texts(wanted: FileToRead) -> tuple[PictureText, ...]:
    """Looked for only where the scan has seen some."""
    stat = wanted.stat
    if stat.sidecar_mtime_ns is None:
        return ()
    folder, slash, name = stat.path.rpartition("/")

    def load(sidecar: str) -> bytes | None:
        try:
            return read_bytes(wanted.root, folder + slash + sidecar, MAX_SIDECAR_BYTES)
        except MemberTooLarge:
            return bytes(MAX_SIDECAR_BYTES + 1)  # enough to be told that it is too large
        except (FileNotFoundError, IsADirectoryError):
            return None

    return read_sidecars(name, load)


def decode_file(
    data: bytes, sha256: bytes, setup: DecodeSetup
) -> PictureDecoded | Unreadable | LibraryFault:
    """Never raises for what is in the file."""
    try:
        decoded = decode_image(
            data, min_side=setup.preprocessor.min_decode_side, limits=setup.limits
        )
        facts = decoded.facts
        image = NewImage(
            sha256=sha256,
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            size_bytes=len(data),
            dominant_color=dominant_color(decoded.image),
            taken_at=facts.taken_at,
            camera=facts.camera,
            lens=facts.lens,
            latitude=facts.latitude,
            longitude=facts.longitude,
            perceptual_hash=perceptual_hash(decoded.image),
            texts=tuple(
                PictureText(each.kind, each.text, each.source, each.language)
                for each in facts.texts
            ),
        )
        thumbnail = None
        if not setup.thumbnails.has(sha256, STORED_SIDE):
            thumbnail = make_thumbnail(decoded.image, STORED_SIDE)
        pixels = setup.preprocessor.preprocess(decoded.image)
    except UnreadableImage as error:
        return Unreadable(error.kind, str(error), content_is_bad=True)
    except MemoryError:
        reason = "needs more memory to be decoded than there is (lower max_pixels, or --workers)"
        return Unreadable("out_of_memory", reason, content_is_bad=True)
    except Exception as error:  # noqa: BLE001  (one picture must not end a night's job)
        reason = f"could not be decoded ({type(error).__name__}: {error})"
        return Unreadable("decoder_failed", reason, content_is_bad=True)
    fault = None if thumbnail is None else _keep(setup.thumbnails, sha256, thumbnail)
    return fault or PictureDecoded(image, pixels)


def _keep(thumbnails: Thumbnails, sha256: bytes, webp: bytes) -> LibraryFault | None:
    try:
        thumbnails.put(sha256, STORED_SIDE, webp)
    except OSError as error:
        return LibraryFault(error)
    return None
