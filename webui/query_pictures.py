"""Pictures that users sent to search by, kept so that their results have a URL of their own."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from search.errors import SearchError


class PictureForgotten(SearchError):
    """The picture was sent too long ago, or to a server that has ended since."""

    def __init__(self) -> None:
        super().__init__("The picture that was searched by is no longer at hand.")


@dataclass(frozen=True)
class QueryPicture:
    data: bytes
    thumbnail: bytes
    """WebP."""


class QueryPictures:
    """At most so many bytes in the memory of this process; threads may share it.

    A picture's token is the hash of its content: only who has the picture can know it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pictures: OrderedDict[str, QueryPicture] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, picture: QueryPicture) -> str:
        """Returns the token. The newest picture is kept even where it alone is over the limit."""
        token = hashlib.sha256(picture.data).hexdigest()[:40]
        with self._lock:
            self._pictures[token] = picture
            self._pictures.move_to_end(token)
            kept = sum(len(each.data) + len(each.thumbnail) for each in self._pictures.values())
            while kept > self._max_bytes and len(self._pictures) > 1:
                _, oldest = self._pictures.popitem(last=False)
                kept -= len(oldest.data) + len(oldest.thumbnail)
        return token

    def get(self, token: str) -> QueryPicture:
        """Raises PictureForgotten."""
        with self._lock:
            found = self._pictures.get(token)
            if found is None:
                raise PictureForgotten
            self._pictures.move_to_end(token)
            return found
