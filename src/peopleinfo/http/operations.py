"""The contract: which operations there are, who may call them, and what goes in and out. The OpenAPI document is made from it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from peopleinfo.auth.principal import Scope
from peopleinfo.http.bodies import MERGE_PATCH
from peopleinfo.http.problems import MEDIA_TYPE as PROBLEM
from peopleinfo.http.schemas import (
    Cursor,
    ExportBody,
    ImportResult,
    LegacyPerson,
    Limit,
    NewPerson,
    PeoplePage,
    Person,
    PersonExport,
    Problem,
    SearchBody,
    Status,
    Text,
)

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"


class Parameter(NamedTuple):
    """A header or a parameter of the query."""

    where: Literal["query", "header"]
    name: str
    type: Any
    description: str
    required: bool = False


class Response(NamedTuple):
    """What a status means, what is in its body (media type → type, None for text) and which headers it has."""

    description: str
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    headers: tuple[str, ...] = ()


class Operation(NamedTuple):
    """One method on one path; `scope` is what whoever calls it has to have, None when everybody may."""

    path: str
    method: str
    scope: Scope | None
    name: str
    summary: str
    answers: dict[int, Response]
    parameters: tuple[Parameter, ...] = ()
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    errors: tuple[int, ...] = ()


_SEARCH: Final = tuple(Parameter("query", field.name, field.type, "") for field in msgspec.structs.fields(SearchBody))
_IF_MATCH: Final = Parameter(
    "header", "If-Match", str, "The ETag of the version that is changed, or * for whichever is there.", required=True
)
_PERSON: Final = Response("The person.", {JSON: Person}, ("ETag",))
_READ: Final = Response("The person.", {JSON: Person}, ("ETag", "Cache-Status"))
_PAGE: Final = Response("A page of people.", {JSON: PeoplePage}, ("Cache-Status",))
_STREAM: Final = Response("A person a line, or a table when Accept prefers it.", {NDJSON: Person, CSV: None})

OPERATIONS: Final = (
    Operation(
        "/v1/people",
        "post",
        Scope.WRITE,
        "createPerson",
        "Store a new person",
        {201: Response("The person as stored.", {JSON: Person}, ("ETag", "Location"))},
        (
            Parameter(
                "header",
                "Idempotency-Key",
                Annotated[str, Meta(min_length=1, max_length=255)],
                "Names this request for 24 hours: sent again with the same content it gets the same answer, and nobody is stored twice.",
            ),
        ),
        {JSON: NewPerson},
        (400, 408, 409, 413, 415, 422),
    ),
    Operation("/v1/people", "get", Scope.READ, "findPeople", "Find people", {200: _PAGE}, _SEARCH, errors=(422,)),
    Operation(
        "/v1/people/search",
        "post",
        Scope.READ,
        "searchPeople",
        "Find people without a name in the URL",
        {200: _PAGE},
        body={JSON: SearchBody},
        errors=(400, 408, 413, 415, 422),
    ),
    Operation(
        "/v1/people/{person_id}",
        "get",
        Scope.READ,
        "getPerson",
        "Read a person",
        {200: _READ, 304: Response("The client has this version.", headers=("ETag",))},
        (Parameter("header", "If-None-Match", str, "ETags of versions that the client has."),),
        errors=(404,),
    ),
    Operation(
        "/v1/people/{person_id}",
        "put",
        Scope.WRITE,
        "replacePerson",
        "Put new details in the place of the old ones",
        {200: _PERSON},
        (_IF_MATCH,),
        {JSON: NewPerson},
        (400, 404, 408, 412, 413, 415, 422, 428),
    ),
    Operation(
        "/v1/people/{person_id}",
        "patch",
        Scope.WRITE,
        "changePerson",
        "Change some members (JSON Merge Patch, RFC 7396): null removes one",
        {200: _PERSON},
        (_IF_MATCH,),
        {MERGE_PATCH: NewPerson, JSON: NewPerson},
        (400, 404, 408, 412, 413, 415, 422, 428),
    ),
    Operation(
        "/v1/people/{person_id}",
        "delete",
        Scope.WRITE,
        "erasePerson",
        "Erase a person",
        {204: Response("The person is erased.")},
        (_IF_MATCH._replace(required=False),),
        errors=(400, 404, 412),
    ),
    Operation(
        "/v1/people/{person_id}/export",
        "get",
        Scope.ADMIN,
        "exportPerson",
        "Read all that is held about a person, with what the audit tells of it",
        {200: Response("The record, and the audit's events.", {JSON: PersonExport})},
        errors=(404,),
    ),
    Operation(
        "/v1/people/import",
        "post",
        Scope.WRITE,
        "importPeople",
        "Store many people: a stream of any length",
        {200: Response("What became of each row, a line each, and a last line of the whole.", {NDJSON: ImportResult})},
        (
            Parameter(
                "header",
                "Idempotency-Key",
                Annotated[str, Meta(min_length=1, max_length=255)],
                "Names this import: when it breaks off, send it again with the same key, and it goes on where it stopped.",
            ),
            Parameter("query", "person_name", str, "The column of a table with the given names."),
            Parameter("query", "person_surname", str, "The column with the surname."),
            Parameter("query", "person_birthdate", str, "The column with the birthdate."),
            Parameter("query", "person_address", str, "The column with the address, or several, divided by commas."),
            Parameter("query", "date_format", str, "How birthdates are written, as strptime has it: %d/%m/%Y, say."),
            Parameter("query", "dry_run", bool, "Whether to check the rows and store nobody."),
        ),
        {NDJSON: NewPerson, CSV: None, JSON: list[NewPerson]},
        (400, 408, 409, 415, 422),
    ),
    Operation(
        "/v1/people/export",
        "get",
        Scope.READ,
        "exportPeople",
        "Read everyone, or those who are meant: a stream of any length",
        {200: _STREAM},
        tuple(Parameter("query", field.name, field.type, "") for field in msgspec.structs.fields(ExportBody)),
        errors=(422,),
    ),
    Operation(
        "/v1/people/export",
        "post",
        Scope.READ,
        "exportFound",
        "Read those who are meant without a name in the URL: a stream of any length",
        {200: _STREAM},
        body={JSON: ExportBody},
        errors=(400, 408, 413, 415, 422),
    ),
    Operation(
        "/data",
        "post",
        Scope.WRITE,
        "storeData",
        "Store a person (the first API)",
        {200: Response("Exactly what was submitted.", {JSON: LegacyPerson}, ("Location",))},
        body={JSON: LegacyPerson},
        errors=(400, 408, 413, 415, 422),
    ),
    Operation(
        "/data",
        "get",
        Scope.READ,
        "listData",
        "List the people of a surname, oldest first (the first API)",
        {
            200: Response(
                "The people; the Link header leads to the next page when there is one.",
                {JSON: list[Person]},
                ("Link", "Cache-Status"),
            )
        },
        (
            Parameter("query", "person_surname", Text, "Family name, however it is typed; required without a cursor."),
            Parameter("query", "limit", Limit, ""),
            Parameter("query", "cursor", Cursor, "Of the Link header of the page before; it is enough."),
        ),
        errors=(400, 422),
    ),
    Operation(
        "/status",
        "get",
        None,
        "getStatus",
        "Can the service serve?",
        {
            200: Response("It can.", {JSON: Status}),
            503: Response("It cannot, or is about to end; the answer names what is down.", {JSON: Status}),
        },
    ),
    Operation(
        "/status/ready",
        "get",
        None,
        "getReady",
        "Should requests come here? The same as /status",
        {200: Response("They should.", {JSON: Status}), 503: Response("They should not.", {JSON: Status})},
    ),
    Operation(
        "/status/live", "get", None, "getLive", "Does the process work?", {200: Response("It does.", {JSON: Status})}
    ),
    Operation(
        "/metrics",
        "get",
        Scope.METRICS,
        "getMetrics",
        "Figures for Prometheus",
        {200: Response("The metrics.", {"text/plain": None})},
    ),
)

PROBLEMS: Final = {PROBLEM: Problem}
PUBLIC_PAGES: Final = frozenset(
    {
        "/",
        "/openapi.json",
        "/docs",
        "/docs/{name}",
        "/console",
        "/console/health",
        "/console/sign-in",
        "/console/sign-in/provider",
        "/console/sign-in/provider/back",
        "/console/transfer",
        "/console/people/new",
        "/console/people/{person_id}",
        "/console/people/{person_id}/edit",
        "/console/static/{digest}/{name}",
        "/console/{missing:path}",
    }
)
"""Routes that are no operations and answer everybody: the same in every copy of the service, and with nobody's data."""
PUBLIC_FORMS: Final = frozenset({"/console/sign-in", "/console/sign-out"})
"""Routes of the console that take a form from everybody; they see to it that it comes from our own pages."""

FIELD_ACCESS_OPERATIONS: Final = frozenset(
    (
        "createPerson",
        "findPeople",
        "searchPeople",
        "getPerson",
        "changePerson",
        "importPeople",
        "exportPeople",
        "exportFound",
        "storeData",
        "listData",
    )
)
"""The operations for principals from whom members of people are hidden; they leave those out, and leave them as they are."""
