"""The contract in types: what goes in and out, and which operations there are. The OpenAPI document is made from this module."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.access import Scope
from peopleinfo.http.problems import MEDIA_TYPE as PROBLEM
from peopleinfo.http.requests import MERGE_PATCH
from peopleinfo.http.searches import LIMIT, MAX_LIMIT
from peopleinfo.person import ADDRESS_LENGTH, NAME_LENGTH
from peopleinfo.search import Match  # noqa: TC001 - read at run time, as a type

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

_Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
_Text = Annotated[str, Meta(min_length=1)]
_Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", examples=["e953cc6a7f986f7bb8466799a8eb167a"])]
_Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
_Version = Annotated[int, Meta(ge=1)]
_Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many people a page has at most.")]
_Cursor = Annotated[str, Meta(description="The next_cursor of the page before.")]


class NewPerson(Struct, omit_defaults=True):
    """A person to store. At least one of person_name and person_surname is needed; any other member is kept as it is sent."""

    person_name: Annotated[_Name | None, Meta(description="Given name or names.", examples=["Anna"])] = None
    person_surname: Annotated[_Name | None, Meta(description="Family name.", examples=["Müller"])] = None
    person_birthdate: Annotated[
        _Name | None,
        Meta(description="YYYY-MM-DD, YYYY-MM, YYYY or --MM-DD, not in the future.", examples=["1990-02-11"]),
    ] = None
    person_address: Annotated[
        Annotated[str, Meta(min_length=1, max_length=ADDRESS_LENGTH)] | None,
        Meta(description="Free text; line breaks are kept.", examples=["12 Example Street\nSpringfield"]),
    ] = None


class Person(Struct):
    """A person as it is stored, with every further member that was sent."""

    person_id: _Id
    version: Annotated[_Version, Meta(description="1, 2, 3 …, one step a change; the ETag is made of it.")]
    created_at: _Time
    updated_at: _Time
    person_name: _Name | UnsetType = UNSET
    person_surname: _Name | UnsetType = UNSET
    person_birthdate: Annotated[
        _Name | UnsetType, Meta(description="As in NewPerson; a person stored through /data may have any text here.")
    ] = UNSET
    person_address: _Text | UnsetType = UNSET


class SeedPerson(Struct):
    """A person as /data takes it: four members that are needed, and any other."""

    person_name: _Name
    person_surname: _Name
    person_birthdate: Annotated[_Name, Meta(description="Any text.")]
    person_address: Annotated[str, Meta(min_length=1, max_length=ADDRESS_LENGTH)]


class SearchBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The filters of a search, which must all hold, and the page that is asked for."""

    surname: Annotated[_Text | None, Meta(description="Family name, however it is typed.", examples=["muller"])] = None
    surname_prefix: Annotated[
        _Text | None, Meta(description="Beginning of the family name; not together with surname.", examples=["mull"])
    ] = None
    name: Annotated[_Text | None, Meta(description="Given name, however it is typed.", examples=["anna"])] = None
    born_from: Annotated[
        _Text | None, Meta(description="Earliest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1990"])
    ] = None
    born_to: Annotated[
        _Text | None, Meta(description="Latest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1999-12"])
    ] = None
    match: Annotated[Match | None, Meta(description="exact compares names as they are spelled.")] = None
    limit: _Limit | None = LIMIT
    cursor: _Cursor | None = None


class PeoplePage(Struct):
    """A page of people. It may hold fewer than limit, even none; only a next_cursor of null says that there are no more."""

    people: list[Person]
    next_cursor: _Cursor | None


class Reason(Struct):
    """What is wrong with one member or parameter."""

    pointer: Annotated[
        str, Meta(description="JSON Pointer of a member, or the name of a parameter; empty for the whole.")
    ]
    reason: str


class Problem(Struct):
    """An error (RFC 9457)."""

    type: Annotated[str, Meta(examples=["urn:peopleinfo:problem:invalid-person"])]
    title: str
    status: int
    detail: str
    errors: list[Reason] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    error: Annotated[str | UnsetType, Meta(description="On /data alone.")] = UNSET


class Status(Struct):
    """Whether the service can serve, and if not, what is down."""

    statusCode: int  # noqa: N815 - the seed's spelling
    status: Literal["ok", "unavailable", "draining"]
    version: str
    store: str | UnsetType = UNSET
    cache: Annotated[
        Literal["ok", "down"] | UnsetType, Meta(description="Present when there is one; the service works without it.")
    ] = UNSET


class ImportResult(Struct, kw_only=True):
    """One line of an import's answer: of a row, or, as the last line, of the whole."""

    line: Annotated[int | UnsetType, Meta(description="Line of the row, counted from 1.")] = UNSET
    result: Annotated[
        Literal["stored", "already", "rejected", "done"],
        Meta(description="already: an earlier run of this import dealt with the row. done: the last line."),
    ]
    person_id: _Id | UnsetType = UNSET
    errors: list[Reason] | UnsetType = UNSET
    stored: Annotated[
        int | UnsetType, Meta(description="In the last line: rows stored, in all runs of this import.")
    ] = UNSET
    rejected: Annotated[int | UnsetType, Meta(description="In the last line: rows rejected.")] = UNSET


TYPES: Final = (NewPerson, Person, SeedPerson, SearchBody, PeoplePage, Problem, Status, ImportResult)


class Parameter(NamedTuple):
    """A header or a parameter of the query."""

    where: Literal["query", "header"]
    name: str
    type: Any
    description: str
    required: bool = False


class Answer(NamedTuple):
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
    answers: dict[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    errors: tuple[int, ...] = ()


_SEARCH: Final = tuple(Parameter("query", field.name, field.type, "") for field in msgspec.structs.fields(SearchBody))
_IF_MATCH: Final = Parameter(
    "header", "If-Match", str, "The ETag of the version that is changed, or * for whichever is there.", required=True
)
_PERSON: Final = Answer("The person.", {JSON: Person}, ("ETag",))
_READ: Final = Answer("The person.", {JSON: Person}, ("ETag", "Cache-Status"))
_PAGE: Final = Answer("A page of people.", {JSON: PeoplePage}, ("Cache-Status",))

OPERATIONS: Final = (
    Operation(
        "/v1/people",
        "post",
        Scope.WRITE,
        "createPerson",
        "Store a new person",
        {201: Answer("The person as stored.", {JSON: Person}, ("ETag", "Location"))},
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
        {200: _READ, 304: Answer("The client has this version.", headers=("ETag",))},
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
        {204: Answer("The person is erased.")},
        (_IF_MATCH._replace(required=False),),
        errors=(400, 404, 412),
    ),
    Operation(
        "/v1/people/import",
        "post",
        Scope.WRITE,
        "importPeople",
        "Store many people: a stream of any length",
        {200: Answer("What became of each row, a line each, and a last line of the whole.", {NDJSON: ImportResult})},
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
        {200: Answer("A person a line, or a table when Accept prefers it.", {NDJSON: Person, CSV: None})},
        (
            *_SEARCH[:6],
            Parameter("query", "format", Literal["ndjson", "csv"], "Comes before Accept, which a link cannot send."),
        ),
        errors=(422,),
    ),
    Operation(
        "/data",
        "post",
        Scope.WRITE,
        "storeData",
        "Store a person (the first API)",
        {200: Answer("Exactly what was submitted.", {JSON: SeedPerson}, ("Location",))},
        body={JSON: SeedPerson},
        errors=(400, 408, 413, 415, 422),
    ),
    Operation(
        "/data",
        "get",
        Scope.READ,
        "listData",
        "List the people of a surname, oldest first (the first API)",
        {
            200: Answer(
                "The people; the Link header leads to the next page when there is one.",
                {JSON: list[Person]},
                ("Link", "Cache-Status"),
            )
        },
        (
            Parameter("query", "person_surname", _Text, "Family name, however it is typed.", required=True),
            Parameter("query", "limit", _Limit, ""),
            Parameter("query", "cursor", _Cursor, ""),
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
            200: Answer("It can.", {JSON: Status}),
            503: Answer("It cannot, or is about to end; the answer names what is down.", {JSON: Status}),
        },
    ),
    Operation(
        "/status/ready",
        "get",
        None,
        "getReady",
        "Should requests come here? The same as /status",
        {200: Answer("They should.", {JSON: Status}), 503: Answer("They should not.", {JSON: Status})},
    ),
    Operation(
        "/status/live", "get", None, "getLive", "Does the process work?", {200: Answer("It does.", {JSON: Status})}
    ),
    Operation(
        "/metrics",
        "get",
        Scope.METRICS,
        "getMetrics",
        "Figures for Prometheus",
        {200: Answer("The metrics.", {"text/plain": None})},
    ),
)

PROBLEMS: Final = {PROBLEM: Problem}
OPEN_PAGES: Final = frozenset(
    {
        "/",
        "/openapi.json",
        "/docs",
        "/docs/{name}",
        "/console",
        "/console/health",
        "/console/sign-in",
        "/console/transfer",
        "/console/people/new",
        "/console/people/{person_id}",
        "/console/people/{person_id}/edit",
        "/console/static/{digest}/{name}",
        "/console/{missing:path}",
    }
)
"""Routes that are no operations and answer everybody: the same in every copy of the service, and with nobody's data."""
OPEN_FORMS: Final = frozenset({"/console/sign-in", "/console/sign-out"})
"""Routes of the console that take a form from everybody; they see to it that it comes from our own pages."""

MASKED: Final = frozenset(
    (
        "createPerson",
        "findPeople",
        "searchPeople",
        "getPerson",
        "changePerson",
        "importPeople",
        "exportPeople",
        "storeData",
        "listData",
    )
)
"""The operations for principals from whom members of people are hidden; they leave those out, and leave them as they are."""
