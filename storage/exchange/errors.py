"""What can go wrong between a library and files of embeddings."""

from storage.errors import LibraryError


class ExchangeError(LibraryError):
    """Files can't be written or taken in as they are; the message names the file and why."""
