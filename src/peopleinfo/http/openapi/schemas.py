"""Types of requests and responses, from which the schemas of the OpenAPI document are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, field

from peopleinfo.formats.export_formats import ExportFormat  # noqa: TC001 - read at run time, as a type
from peopleinfo.http.search_params import LIMIT, MAX_IDS, MAX_LIMIT, ExportProgram
from peopleinfo.people.fields import FIELD_TABLE, LEGACY_FIELDS, Field
from peopleinfo.people.person_filter import Match  # noqa: TC001 - read at run time, as a type

Text = Annotated[str, Meta(min_length=1)]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", examples=["e953cc6a7f986f7bb8466799a8eb167a"])]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Version = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Maximum number of people on a page.")]
Cursor = Annotated[str, Meta(description="The next_cursor of the previous page.")]


def _text_of(field: Field) -> Any:
    return Annotated[str, Meta(min_length=1, max_length=field.max_length)]


def _described(name: str, kind: Any, description: str | None = None) -> Any:
    field = FIELD_TABLE[name]
    return Annotated[kind, Meta(description=description or field.description, examples=list(field.examples))]


if TYPE_CHECKING:  # the fields follow the table
    _NewFields = Struct
    _StoredFields = Struct
    _LegacyFields = Struct
else:
    _NewFields = defstruct(
        "_NewFields", [(name, _described(name, _text_of(field) | None), None) for name, field in FIELD_TABLE.items()]
    )
    _StoredFields = defstruct(
        "_StoredFields",
        [
            ("person_id", Id),
            (
                "version",
                Annotated[
                    int,
                    Meta(ge=1, description="Starts at 1 and increases by 1 with each change; the ETag contains it."),
                ],
            ),
            ("created_at", Time),
            ("updated_at", Time),
            *((name, _text_of(field) | UnsetType, UNSET) for name, field in FIELD_TABLE.items()),
        ],
    )
    _LegacyFields = defstruct("_LegacyFields", [(name, _text_of(FIELD_TABLE[name])) for name in LEGACY_FIELDS])


class NewPerson(_NewFields, omit_defaults=True):
    """A new person. At least one of person_name and person_surname is required; all other fields are stored as sent."""


class Person(_StoredFields):
    """A stored person with all fields that the client sent. A person stored through /data may have any text as birthdate."""


class LegacyPerson(_LegacyFields):
    """A person of the legacy API: four required fields and any other fields. Its birthdate may be any text."""


Email = Annotated[
    str,
    Meta(
        description="A mail address of the person. Every name in PEOPLEINFO_IDENTIFIERS is such a filter; by default email and phone.",
        examples=["anna@example.org"],
    ),
]
Phone = Annotated[
    str,
    Meta(
        description="A phone number of the person, in any notation, with or without the country code.",
        examples=["+49 30 1234567"],
    ),
]


class Filters(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Filters of a search. A person must match all of them."""

    surname: Annotated[
        Text | None, Meta(description="Family name. Case, accents and hyphens are ignored.", examples=["muller"])
    ] = None
    surname_prefix: Annotated[
        Text | None,
        Meta(description="First letters of the family name. Mutually exclusive with surname.", examples=["mull"]),
    ] = None
    name: Annotated[
        Text | None, Meta(description="Given name. Case, accents and hyphens are ignored.", examples=["anna"])
    ] = None
    born_from: Annotated[
        Text | None, Meta(description="Earliest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1990"])
    ] = None
    born_to: Annotated[
        Text | None, Meta(description="Latest birthdate: YYYY, YYYY-MM or YYYY-MM-DD.", examples=["1999-12"])
    ] = None
    match: Annotated[Match | None, Meta(description="How names are compared: folded (the default) or exact.")] = None


class _TextFilters(Filters):
    """Filters of a search, or the text of a search box."""

    q: Annotated[
        str | None,
        Meta(
            description="Text of a search box: names in any order, parts and initials, a birthdate, words of the address, a mail address or "
            "a phone number. Finds typos, nicknames and other spellings. Returns the best match first. Mutually exclusive with the filters.",
            examples=["muller anna"],
        ),
    ] = None
    forgiving: Annotated[
        bool | None, Meta(description="With q: whether typos, sounds, nicknames and other spellings match.")
    ] = True


class SearchBody(_TextFilters):
    """Filters of a search, or the text of a search box, and the requested page."""

    email: Email | None = None
    phone: Phone | None = None
    sort: Annotated[
        Literal["name", "-updated_at"] | None,
        Meta(
            description="Order of the people: name sorts by surname and first name, without accents; -updated_at returns the latest updates first (not on DynamoDB). Without it, people have no defined "
            "order. Mutually exclusive with q, which returns the best match first."
        ),
    ] = None
    limit: Limit | None = LIMIT
    cursor: Cursor | None = None


class ExportBody(_TextFilters):
    """Filters of an export, the text of a search box, or the ids of its records, and its format."""

    person_ids: Annotated[
        Annotated[list[str], Meta(min_length=1, max_length=MAX_IDS)] | None,
        Meta(
            description="Ids of the people to export, in this order; unknown ids are omitted. Mutually exclusive with the filters."
        ),
    ] = None

    format: Annotated[
        ExportFormat | None, Meta(description="Output format. Overrides the header Accept, which a link cannot set.")
    ] = None
    for_program: Annotated[
        ExportProgram | None,
        Meta(
            description="Program that opens the CSV. For `excel` the file has a byte order mark, and an apostrophe before a text that "
            "Excel would read as a formula, a number or a date; an import removes it."
        ),
    ] = field(default=None, name="for")


class PeoplePage(Struct):
    """A page of people. It may hold fewer people than limit, even none; on the last page, next_cursor is null."""

    people: list[Person]
    next_cursor: Cursor | None
    count: (
        Annotated[int, Meta(description="With q or an identifier: number of all matches that were found.")] | UnsetType
    ) = UNSET
    more_exist: (
        Annotated[
            bool, Meta(description="With q or an identifier: whether the search stopped before it found all matches.")
        ]
        | UnsetType
    ) = UNSET


class Reason(Struct):
    """An error of one field or parameter."""

    pointer: Annotated[
        str, Meta(description="JSON Pointer of a field, or the name of a parameter; empty for the whole document.")
    ]
    reason: str


class Problem(Struct):
    """An error (RFC 9457)."""

    type: Annotated[str, Meta(examples=["urn:peopleinfo:problem:invalid-person"])]
    title: str
    status: int
    detail: str
    errors: list[Reason] | UnsetType = UNSET
    field: Annotated[str, Meta(description="The unique identifier that belongs to another person.")] | UnsetType = UNSET
    person_id: Annotated[str, Meta(description="The other person, if the client may read that person.")] | UnsetType = (
        UNSET
    )
    candidates: Annotated[
        list[dict[str, Any]] | UnsetType, Meta(description="On possible-duplicate: the candidates, as of matchPerson.")
    ] = UNSET
    merged_into: Annotated[Id | UnsetType, Meta(description="The record into which this one is merged.")] = UNSET
    merge_id: Annotated[Id | UnsetType, Meta(description="The merge that caused the error.")] = UNSET
    fields: Annotated[list[str] | UnsetType, Meta(description="Fields that need a decision.")] = UNSET
    request_id: str | UnsetType = UNSET
    error: Annotated[str | UnsetType, Meta(description="On /data only.")] = UNSET


class Status(Struct):
    """The state of the service and of its components."""

    statusCode: int  # noqa: N815 - spelling of the legacy API
    status: Literal["ok", "unavailable", "draining"]
    version: str
    store: str | UnsetType = UNSET
    cache: Annotated[
        Literal["ok", "down"] | UnsetType,
        Meta(description="Present if a cache is configured; the service works without it."),
    ] = UNSET
    audit: Annotated[
        str | UnsetType,
        Meta(description="Present if auditing is on: ok, or the error, in which case writes are rejected."),
    ] = UNSET


TYPES: Final = (NewPerson, Person, LegacyPerson, SearchBody, ExportBody, PeoplePage, Problem, Status)
