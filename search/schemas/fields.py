"""What requests and answers are made of, and how a request is validated."""

from base64 import b64decode
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from search.errors import FieldError, InvalidRequest

IsoDate = Annotated[
    str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2})?)?)?)?$")
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

M = TypeVar("M", bound=BaseModel)


def _plain_base64(text: str) -> str:
    """Without line breaks and without the start of a data: URL."""
    plain = "".join((text.partition("base64,")[2] or text).split())
    try:
        b64decode(plain, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    return plain


Base64 = Annotated[
    str, AfterValidator(_plain_base64), Field(json_schema_extra={"contentEncoding": "base64"})
]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


def parse_request(model: type[M], data: Any) -> M:
    """Validate. Raises InvalidRequest, which names every field that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest(
            *(
                FieldError(".".join(str(part) for part in each["loc"]), _sentence(each["msg"]))
                for each in error.errors(include_url=False, include_context=False)
            )
        ) from None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
