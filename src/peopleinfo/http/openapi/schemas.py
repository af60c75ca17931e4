"""Types of requests and responses, from which the schemas of the OpenAPI document are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, field

from peopleinfo.formats.export_formats import ExportFormat  # noqa: TC001 - read at run time, as a type
from peopleinfo.formats.reader import Format as ImportFormat  # noqa: TC001 - read at run time, as a type
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


class InputWarning(Struct):
    """A guess or a problem, with the parameter that replaces it."""

    message: str


class ImportDuplicate(Struct):
    """The most certain person that may be the same as that of a row."""

    grade: Literal["certain", "probable", "possible"]
    score: float
    because: list[str]
    person_id: Id | UnsetType = UNSET
    line: Annotated[int | UnsetType, Meta(description="The line of the other person, if a row of this file.")] = UNSET


class ImportResult(Struct, kw_only=True):
    """One line of an import response: the result of a row or, on the last line, of the whole import.

    On the last line, rows = stored + updated + unchanged + conflict + rejected + skipped. If an error ends the import after the first
    results, the last line is `failed` with the fields of a problem document.
    """

    line: Annotated[int | UnsetType, Meta(description="Line of the row, counted from 1.")] = UNSET
    result: Annotated[
        Literal["stored", "updated", "unchanged", "conflict", "rejected", "skipped", "done", "failed"],
        Meta(
            description="unchanged: the person is already stored. conflict: the person has changed since it was exported. "
            "skipped: a blank row or a line above the header. done, failed: the last line."
        ),
    ]
    person_id: Id | UnsetType = UNSET
    errors: list[Reason] | UnsetType = UNSET
    duplicate: Annotated[ImportDuplicate | UnsetType, Meta(description="With duplicates: a possible duplicate.")] = (
        UNSET
    )
    rows: Annotated[int | UnsetType, Meta(description="On the last line: rows read.")] = UNSET
    stored: Annotated[int | UnsetType, Meta(description="On the last line: rows stored as new people.")] = UNSET
    updated: Annotated[int | UnsetType, Meta(description="On the last line: rows that changed a person.")] = UNSET
    unchanged: Annotated[int | UnsetType, Meta(description="On the last line: rows that were already stored.")] = UNSET
    conflict: Annotated[int | UnsetType, Meta(description="On the last line: rows with a conflict.")] = UNSET
    rejected: Annotated[int | UnsetType, Meta(description="On the last line: rows rejected.")] = UNSET
    skipped: Annotated[int | UnsetType, Meta(description="On the last line: rows skipped.")] = UNSET
    warnings: Annotated[
        list[InputWarning] | UnsetType, Meta(description="On the last line: the guesses of the reader.")
    ] = UNSET
    type: Annotated[str | UnsetType, Meta(description="If the import failed: as in Problem.")] = UNSET
    title: str | UnsetType = UNSET
    status: int | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


class PreviewColumn(Struct):
    """A column of a table or a key of objects."""

    name: str
    field: Annotated[str, Meta(description="The field that the column gives; its own name for a custom field.")]
    examples: Annotated[list[str], Meta(description="Its first values.")]


class PreviewRow(Struct, kw_only=True):
    """The result that an import of this row would have."""

    line: Annotated[int, Meta(description="Line of the row, counted from 1.")]
    result: Literal["valid", "rejected", "skipped"]
    person: Annotated[dict[str, Any] | UnsetType, Meta(description="The fields that would be stored.")] = UNSET
    errors: list[Reason] | UnsetType = UNSET


class ImportPreview(Struct):
    """The records that an import would store from the first part of a file, and the format that it detected."""

    format: Annotated[ImportFormat, Meta(description="The format, detected unless the request names it.")]
    encoding: Annotated[
        str | None, Meta(description="The encoding of the text; null for a workbook.", examples=["utf-8"])
    ]
    delimiter: Annotated[str | None, Meta(description="The delimiter of CSV; null for another format.", examples=[";"])]
    sheet: Annotated[str | None, Meta(description="The sheet of a workbook; null for another format.")]
    other_sheets: Annotated[list[str], Meta(description="The other visible sheets with text, which are not read.")]
    header_line: Annotated[int | None, Meta(description="The line of the header of a table.", examples=[1])]
    columns: list[PreviewColumn]
    mapping: Annotated[
        dict[str, list[str]],
        Meta(
            description="The columns of each field. If person_name and person_surname have the same column, it has whole names, "
            "which are divided. Several columns of person_birthdate are its year, month and day."
        ),
    ]
    date_formats: Annotated[
        list[str], Meta(description="The formats of birthdates: those of the request, else those found in the column.")
    ]
    date_choices: Annotated[
        list[str],
        Meta(description="Not empty if birthdates can be read as more than one day: set date_format to one of these."),
    ]
    rows: Annotated[list[PreviewRow], Meta(description="The first rows, with those that are skipped.")]
    warnings: list[InputWarning]


class AuditEvent(Struct):
    """One event of the audit log."""

    event: Literal["audit"]
    time: Time
    writer: str
    seq: int
    action: Annotated[
        str, Meta(description="The operation; intent: a change is about to start; end: the process stopped.")
    ]
    intent: Annotated[str | UnsetType, Meta(description="The operation of an intent.")] = UNSET
    principal: str | UnsetType = UNSET
    outcome: int | UnsetType = UNSET
    people: list[str] | UnsetType = UNSET
    fields: list[str] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    client: str | UnsetType = UNSET
    previous: str | UnsetType = UNSET


class AuditSection(Struct):
    """The audit events of a person."""

    availability: Annotated[
        Literal["included", "external", "disabled"],
        Meta(description="external: the service cannot read its audit log."),
    ]
    events: list[AuditEvent] | UnsetType = UNSET
    omitted: Annotated[int | UnsetType, Meta(description="Number of older events that are not included.")] = UNSET


class EarlierVersion(Struct):
    """An earlier version of a person."""

    version: Version
    by: str | None
    operation: str
    person: Person


class MergedRecordExport(Struct):
    """All data of a record that is merged into another one."""

    person: Person
    history: list[EarlierVersion]
    audit: AuditSection


class DeletionExport(Struct):
    """The deletion of a person in the trash."""

    at: Time
    by: str | None
    erased_after: Time


class PersonExport(Struct):
    """All data about a person."""

    person: Person
    history: list[EarlierVersion]
    audit: AuditSection
    deleted: DeletionExport | UnsetType = UNSET
    merged: list[MergedRecordExport] | UnsetType = UNSET


TYPES: Final = (
    EarlierVersion, NewPerson, Person, LegacyPerson, SearchBody, ExportBody, PeoplePage, Problem, Status, ImportResult, ImportPreview, AuditEvent, AuditSection, PersonExport, MergedRecordExport, DeletionExport,
)  # fmt: skip
