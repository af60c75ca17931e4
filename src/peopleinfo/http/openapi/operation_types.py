"""The parts of an operation of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import fields

from peopleinfo.http.openapi.schemas import Cursor, Limit

if TYPE_CHECKING:
    from peopleinfo.auth.principal import Scope

Key = Annotated[str, Meta(min_length=1, max_length=255)]


class Parameter(NamedTuple):
    """A header or a query parameter."""

    location: Literal["query", "header"]
    name: str
    type: Any
    description: str
    required: bool = False


class Response(NamedTuple):
    """The description, the bodies (media type → type, None for text) and the headers of a response."""

    description: str
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One method on one path; `scope` is the required scope, None for public operations."""

    path: str
    method: str
    scope: Scope | None
    name: str
    summary: str
    description: str
    responses: dict[int, Response]
    parameters: tuple[Parameter, ...] = ()
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    errors: tuple[int, ...] = ()


BODY_ERRORS: Final = (400, 408, 413, 415, 422)
"""The errors of an operation with a body."""
PAGE: Final = (Parameter("query", "limit", Limit, ""), Parameter("query", "cursor", Cursor, ""))
"""The parameters of an operation that returns a page."""
IF_MATCH: Final = Parameter(
    "header", "If-Match", str, "The ETag of the version to change, or * for any version.", required=True
)


def query_parameters(body: type[Struct]) -> tuple[Parameter, ...]:
    """Return the fields of a body as parameters of a query."""
    return tuple(Parameter("query", field.encode_name, field.type, "") for field in fields(body))
