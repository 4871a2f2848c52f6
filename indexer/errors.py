"""What stops a job before it begins, or in its midst."""


class SourceError(Exception):
    """A source that was named can't be indexed; the message names it and what to do."""


class DecodersUnavailable(Exception):
    """The processes that decode pictures can't be started."""
