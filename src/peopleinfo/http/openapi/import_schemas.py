"""The JSON types of the responses to an import and to its preview."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from peopleinfo.formats.reader import Format  # noqa: TC001 - read at run time, as a type
from peopleinfo.http.openapi.schemas import Id, Reason  # noqa: TC001 - read at run time, as types


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

    format: Annotated[Format, Meta(description="The format, detected unless the request names it.")]
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


IMPORT_TYPES: Final = (ImportResult, ImportPreview)
