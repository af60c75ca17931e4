"""The operations of the API on the list of people: their number and the first letters of their surnames."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.operation_types import BODY_ERRORS, Operation, Response, query_parameters
from peopleinfo.http.openapi.schemas import Email, Filters, Phone


class CountBody(Filters):
    """Filters of a count. Without filters, all people are counted."""

    email: Email | None = None
    phone: Phone | None = None


class CountResult(Struct):
    """The number of people."""

    count: Annotated[int, Meta(ge=0, description="The number of people, or an estimate.", examples=[42])]
    exact: Annotated[
        bool,
        Meta(
            description="Whether the count is exact. If not, it is an estimate for all people of a large DynamoDB table, and the number of "
            "people found so far for a filter."
        ),
    ]


class Letters(Struct):
    """The first letters of the surnames."""

    letters: Annotated[
        list[str], Meta(description="The letters from A to Z with which a surname starts, without accents.")
    ]


LIST_TYPES: Final = (CountBody, CountResult, Letters)
_COUNT: Final = Response("The number of people.", {JSON: CountResult})
LIST_OPERATIONS: Final = (
    Operation(
        "/v1/people/count",
        "get",
        Scope.READ,
        "countPeople",
        "Count by query parameters",
        "Returns the number of matches of all filters; without filters, of all people. "
        "A count with filters is exact up to 10,000 people or records read. "
        "URLs appear in logs and histories; countFound keeps names out of them.",
        {200: _COUNT},
        query_parameters(CountBody),
        errors=(422,),
    ),
    Operation(
        "/v1/people/count",
        "post",
        Scope.READ,
        "countFound",
        "Count by a request body",
        "Returns the same number as countPeople, with the filters in the body. "
        "Names therefore appear in no URL and no access log.",
        {200: _COUNT},
        body={JSON: CountBody},
        errors=BODY_ERRORS,
    ),
    Operation(
        "/v1/people/letters",
        "get",
        Scope.READ,
        "getLetters",
        "Get the first letters of the surnames",
        "Returns the letters that have people, for an alphabetical index. "
        "findPeople with sort=name and surname_prefix lists the people of a letter.",
        {200: Response("The letters.", {JSON: Letters})},
        errors=(422,),
    ),
)
