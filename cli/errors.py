"""What the command line says when something can't be done."""

EXPECTED = frozenset(
    {
        "builtins.OSError",  # a full disk, rights taken away: its text names the file
        "cli.config.ConfigError",
        "cli.errors.CommandError",
        "encoders.errors.EncoderError",
        "indexer.errors.DecodersUnavailable",
        "indexer.errors.SourceError",
        "search.errors.SearchError",
        "storage.errors.LibraryError",
    }
)
"""By name, so that finding an error out does not load the packages that could have raised it."""


class CommandError(Exception):
    """A command can't do what it was asked; the message says why and what to do."""


def is_expected(error: BaseException) -> bool:
    """Whether the error's text is meant for the person at the keyboard."""
    families = type(error).__mro__
    return any(f"{family.__module__}.{family.__qualname__}" in EXPECTED for family in families)
