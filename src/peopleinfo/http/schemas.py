"""What goes in and out over HTTP, as types: the schemas of the OpenAPI document are made from them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.http.search_params import LIMIT, MAX_LIMIT, ExportFormat
from peopleinfo.people.person import MAX_ADDRESS_LENGTH, MAX_NAME_LENGTH
from peopleinfo.people.search import Match  # noqa: TC001 - read at run time, as a type

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
Text = Annotated[str, Meta(min_length=1)]
_Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", examples=["e953cc6a7f986f7bb8466799a8eb167a"])]
_Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
_Version = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many people a page has at most.")]
Cursor = Annotated[str, Meta(description="The next_cursor of the page before.")]


class NewPerson(Struct, omit_defaults=True):
    """A person to store. At least one of person_name and person_surname is needed; any other member is kept as it is sent."""

    person_name: Annotated[_Name | None, Meta(description="Given name or names.", examples=["Anna"])] = None
    person_surname: Annotated[_Name | None, Meta(description="Family name.", examples=["Müller"])] = None
    person_birthdate: Annotated[
        _Name | None,
        Meta(description="YYYY-MM-DD, YYYY-MM, YYYY or --MM-DD, not in the future.", examples=["1990-02-11"]),
    ] = None
    person_address: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS_LENGTH)] | None,
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
    person_address: Text | UnsetType = UNSET


class LegacyPerson(Struct):
    """A person as /data takes it: four members that are needed, and any other."""

    person_name: _Name
    person_surname: _Name
    person_birthdate: Annotated[_Name, Meta(description="Any text.")]
    person_address: Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS_LENGTH)]


class _Filters(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The filters of a search, which must all hold."""

    surname: Annotated[Text | None, Meta(description="Family name, however it is typed.", examples=["muller"])] = None
    surname_prefix: Annotated[
        Text | None, Meta(description="Beginning of the family name; not together with surname.", examples=["mull"])
    ] = None
    name: Annotated[Text | None, Meta(description="Given name, however it is typed.", examples=["anna"])] = None
    born_from: Annotated[
        Text | None, Meta(description="Earliest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1990"])
    ] = None
    born_to: Annotated[
        Text | None, Meta(description="Latest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1999-12"])
    ] = None
    match: Annotated[Match | None, Meta(description="exact compares names as they are spelled.")] = None


class SearchBody(_Filters):
    """The filters of a search, which must all hold, and the page that is asked for."""

    limit: Limit | None = LIMIT
    cursor: Cursor | None = None


class ExportBody(_Filters):
    """The filters of a search, which must all hold, and the form of the answer."""

    format: Annotated[ExportFormat | None, Meta(description="Comes before Accept, which a link cannot send.")] = None


class PeoplePage(Struct):
    """A page of people. It may hold fewer than limit, even none; only a next_cursor of null says that there are no more."""

    people: list[Person]
    next_cursor: Cursor | None


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
    audit: Annotated[
        str | UnsetType,
        Meta(description="Present when there is one: ok, or why it cannot be written; changes are refused then."),
    ] = UNSET


class ImportResult(Struct, kw_only=True):
    """One line of an import's answer: of a row, or, as the last line, of the whole."""

    line: Annotated[int | UnsetType, Meta(description="Line of the row, counted from 1.")] = UNSET
    result: Annotated[
        Literal["stored", "duplicate", "rejected", "done"],
        Meta(description="duplicate: an earlier run of this import dealt with the row. done: the last line."),
    ]
    person_id: _Id | UnsetType = UNSET
    errors: list[Reason] | UnsetType = UNSET
    stored: Annotated[
        int | UnsetType, Meta(description="In the last line: rows stored, in all runs of this import.")
    ] = UNSET
    rejected: Annotated[int | UnsetType, Meta(description="In the last line: rows rejected.")] = UNSET


class AuditEvent(Struct):
    """A line of the audit, as it was written."""

    event: Literal["audit"]
    time: _Time
    writer: str
    seq: int
    action: Annotated[
        str, Meta(description="The operation; intent: a change is about to be made; end: the process ends.")
    ]
    intent: Annotated[str | UnsetType, Meta(description="The operation that an intent announces.")] = UNSET
    principal: str | UnsetType = UNSET
    outcome: int | UnsetType = UNSET
    people: list[str] | UnsetType = UNSET
    fields: list[str] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    client: str | UnsetType = UNSET
    previous: str | UnsetType = UNSET


class AuditSection(Struct):
    """What the audit tells of a person."""

    availability: Annotated[
        Literal["included", "external", "disabled"],
        Meta(description="external: the service cannot read its audit log."),
    ]
    events: list[AuditEvent] | UnsetType = UNSET
    omitted: Annotated[int | UnsetType, Meta(description="How many older events are not among them.")] = UNSET


class PersonExport(Struct):
    """All that is held about a person."""

    person: Person
    audit: AuditSection


TYPES: Final = (
    NewPerson, Person, LegacyPerson, SearchBody, ExportBody, PeoplePage, Problem, Status, ImportResult, AuditEvent, AuditSection, PersonExport,
)  # fmt: skip
