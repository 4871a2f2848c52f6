"""Why a request is not let in.

SearchError
└── AccessRefused
    ├── KeyRequired        no key, or none that is known
    ├── ScopeTooNarrow     the key is known, and may not do this
    ├── CrossSite          another site's page has sent it
    ├── TooManyRequests    more than the limit; says when to come back
    └── HostUnknown        for a name that this server does not go by
"""

from search.errors import SearchError


class AccessRefused(SearchError):
    """Base of all refusals."""


class KeyRequired(AccessRefused):
    """The library has keys, and the request brought none that counts."""


class ScopeTooNarrow(AccessRefused):
    """The key's scope does not cover the route."""


class CrossSite(AccessRefused):
    """A form or script of another site; browsers say where a request comes from."""


class TooManyRequests(AccessRefused):
    def __init__(self, retry_after_s: int, per_minute: int) -> None:
        super().__init__(
            f"More than {per_minute} requests a minute came from here. Try again in "
            f"{retry_after_s} s, or raise serve.requests_per_minute on the server."
        )
        self.retry_after_s = retry_after_s


class HostUnknown(AccessRefused):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"This server does not go by the name {host!r}. If it should, add the name to "
            "serve.allowed_hosts in its configuration."
        )
