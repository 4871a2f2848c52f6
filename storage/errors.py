"""What can go wrong with a library.

LibraryError
├── LibraryNotFound      no library in this data directory
├── LibraryTooNew        written by a newer Polyglance than this one
├── LibraryDamaged       a file that the catalog names is missing or is not what it was
├── CatalogUnusable      the database can't be opened: read-only, no database, out of reach
├── LibraryBusy          another writer holds the lock
├── LibraryNotWritable   its disk is full, read-only, locked or failing
├── KeyNameTaken         an active API key has this name
├── KeyNotFound          no active API key of this id or name
├── SpaceRemoved         a reader's space was removed: the library is another model's now
└── SpaceMismatch        the library's embeddings come from another model
"""


class LibraryError(Exception):
    """Base of all errors that the storage raises on purpose."""


class LibraryNotFound(LibraryError):
    """There is no library here (yet)."""


class LibraryTooNew(LibraryError):
    """The catalog's schema is one that this version does not know."""


class LibraryDamaged(LibraryError):
    """Something that the catalog names is missing or unreadable."""


class CatalogUnusable(LibraryError):
    """The catalog's database can't be opened or written."""


class LibraryBusy(LibraryError):
    """Another process is writing; the message says which and since when."""


class LibraryNotWritable(LibraryError):
    """The disk does not take what is to be written; the message says why and what to do."""


class KeyNameTaken(LibraryError):
    """An active API key has this name."""


class KeyNotFound(LibraryError):
    """No active API key of this id or name."""


class SpaceMismatch(LibraryError):
    """An encoder and the library's active space have different fingerprints."""


class SpaceRemoved(LibraryError):
    """A reader's space was removed: the library is another model's now."""
