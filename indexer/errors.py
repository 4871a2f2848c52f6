"""What stops a job before it begins."""


class SourceError(Exception):
    """A source that was named can't be indexed; the message names it and what to do."""
