"""A client for programs in Python: `Client("http://127.0.0.1:7700").search("con mèo")`."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from pydantic import ValidationError

from search import schemas
from search.schemas import ImageInput, SearchRequest

A = TypeVar("A", bound=schemas.Answer)


class ApiError(Exception):
    """The server refused or failed; `problem` says why and names the fields."""

    def __init__(self, problem: schemas.Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem


def picture(source: int | bytes | Path) -> ImageInput:
    """The id of an indexed picture, the bytes of an image file, or its path."""
    if isinstance(source, int):
        return ImageInput(id=source)
    data = source.read_bytes() if isinstance(source, Path) else source
    return ImageInput(base64=b64encode(data).decode("ascii"))


class Client:
    """Every method raises ApiError, or OSError where the server can't be reached."""

    def __init__(
        self, url: str = "http://127.0.0.1:7700", timeout_s: float = 60.0, key: str | None = None
    ) -> None:
        """key: where the server asks for one (`polyglance keys`)."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address of a server: begin with http:// or https://")
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._key = key

    def search(self, asked: str | SearchRequest) -> schemas.SearchAnswer:
        """Words, or a request with all that can be said of it."""
        request = SearchRequest(query=asked) if isinstance(asked, str) else asked
        return self._send("/api/v1/search", schemas.SearchAnswer, request)

    def similar(self, image_id: int, limit: int = 20) -> schemas.SearchAnswer:
        query = urlencode({"limit": limit})
        return self._send(f"/api/v1/images/{image_id}/similar?{query}", schemas.SearchAnswer)

    def duplicates(self, image_id: int) -> schemas.DuplicateList:
        return self._send(f"/api/v1/images/{image_id}/duplicates", schemas.DuplicateList)

    def image(self, image_id: int) -> schemas.Picture:
        return self._send(f"/api/v1/images/{image_id}", schemas.Picture)

    def classify(self, image: ImageInput, labels: Sequence[str]) -> schemas.ClassifyAnswer:
        request = schemas.ClassifyRequest(image=image, labels=list(labels))
        return self._send("/api/v1/classify", schemas.ClassifyAnswer, request)

    def embeddings(
        self, texts: Sequence[str] = (), images: Sequence[ImageInput] = ()
    ) -> schemas.EmbeddingsAnswer:
        request = schemas.EmbeddingsRequest(texts=list(texts), images=list(images))
        return self._send("/api/v1/embeddings", schemas.EmbeddingsAnswer, request)

    def _send(self, path: str, answer: type[A], body: schemas.Request | None = None) -> A:
        data = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        request = Request(self._url + path, data, headers)  # noqa: S310  http(s), see __init__
        try:
            with urlopen(request, timeout=self._timeout_s) as response:  # noqa: S310
                return answer.model_validate_json(response.read())
        except HTTPError as error:
            with error:
                raise ApiError(_problem(error)) from error


def _problem(error: HTTPError) -> schemas.Problem:
    """Of a proxy that answers in its own way, as far as it can be told."""
    try:
        return schemas.Problem.model_validate_json(error.read())
    except ValidationError:
        return schemas.Problem(
            type="about:blank", title=error.reason, status=error.code, detail="No details came."
        )
