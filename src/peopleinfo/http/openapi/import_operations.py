"""The operations that import people."""

from __future__ import annotations

from typing import Any, Final

from peopleinfo.auth.principal import Scope
from peopleinfo.bulk.upsert_options import DuplicateMode, Mode
from peopleinfo.formats.column_mapping import OnBadDate
from peopleinfo.formats.reader import Format
from peopleinfo.http.media_types import ANY, CSV, FHIR, FHIR_NDJSON, JSON, LDIF, NDJSON, VCARD, XLSX
from peopleinfo.http.openapi.import_schemas import ImportPreview, ImportResult
from peopleinfo.http.openapi.operation_types import BODY_ERRORS, Key, Operation, Parameter, Response
from peopleinfo.http.openapi.schemas import NewPerson, Text
from peopleinfo.people.fields import FIELD_TABLE

_OPTIONS: Final = (
    Parameter(
        "query",
        "map",
        list[str],
        "A field and its column: map=person_surname=Family. Several columns are separated by commas: person_address=Street,City. "
        "Without a column, the field is not read. Repeat the parameter for other fields; unmapped ones are recognized by their headings. "
        f"Fields: {'; '.join(f'{name}, {field.column}' for name, field in FIELD_TABLE.items())}.",
    ),
    Parameter(
        "query",
        "date_format",
        list[str],
        "The format of birthdates, for example %d/%m/%Y, %m/%d, %d-%m-%y or excel. Repeat it for several formats. "
        "Without it, the format is guessed from the column.",
    ),
    Parameter(
        "query",
        "on_bad_date",
        OnBadDate,
        "Whether a row with an unreadable birthdate is rejected (the default), or stored with the text in unreadable_birthdate.",
    ),
    Parameter(
        "query", "encoding", str, "The encoding of the text, for example cp1252; overrides the charset of Content-Type."
    ),
    Parameter("query", "delimiter", str, "The delimiter of CSV; detected by default."),
    Parameter(
        "query", "sheet", str, "The sheet of a workbook; by default the first visible one with a header of people."
    ),
    Parameter("query", "format", Format, "The format of the body; overrides Content-Type."),
)
_BODY: Final = {
    NDJSON: NewPerson,
    CSV: None,
    JSON: list[NewPerson],
    VCARD: None,
    XLSX: None,
    LDIF: None,
    FHIR: dict[str, Any],
    FHIR_NDJSON: dict[str, Any],
    ANY: None,
}

IMPORT_OPERATIONS: Final = (
    Operation(
        "/v1/people/import",
        "post",
        Scope.WRITE,
        "importPeople",
        "Import people",
        "Stores the rows of a stream of any length, as NDJSON, CSV, a JSON array, vCard, LDIF, FHIR or a workbook (.xlsx), and returns "
        "one result per row; the format of `application/octet-stream` is detected from the content. "
        "Invalid rows are rejected; all others are stored. "
        "Send an Idempotency-Key to resume an interrupted import.",
        {200: Response("One result per row, then a summary on the last line.", {NDJSON: ImportResult})},
        (
            Parameter(
                "header",
                "Idempotency-Key",
                Key,
                "Identifies this import. Send an interrupted import again with the same key to resume it.",
            ),
            Parameter(
                "header",
                "Content-Disposition",
                str,
                "The name of the file, for the list of imports: attachment; filename=members.csv.",
            ),
            Parameter("query", "filename", str, "The name of the file; overrides Content-Disposition."),
            *_OPTIONS,
            Parameter(
                "query",
                "duplicates",
                DuplicateMode,
                "Compares the people of new rows with the stored people and with each other. report: the result of a row has its most "
                "certain duplicate. queue: the pair also waits in /v1/duplicates. skip, refuse: such a row is skipped or rejected, from the grade of PEOPLEINFO_DUPLICATES_REFUSE on.",
            ),
            Parameter(
                "query",
                "key",
                Text,
                "person_id, or an identifier of PEOPLEINFO_IDENTIFIERS such as email. A row with this field updates the person with the same "
                "value instead of adding one; requires people:read. "
                "A row with an older version than the person is a conflict.",
            ),
            Parameter(
                "query",
                "mode",
                Mode,
                "With key: merge (the default) changes the fields of the row, replace also removes the fields that the row lacks.",
            ),
            Parameter(
                "query",
                "force",
                bool,
                "Store also the rows that equal a person from before the import. By default they are unchanged.",
            ),
            Parameter("query", "dry_run", bool, "Return the result that each row would have, and store nothing."),
        ),
        _BODY,
        (400, 408, 409, 415, 422),
    ),
    Operation(
        "/v1/people/import/preview",
        "post",
        Scope.WRITE,
        "previewImport",
        "Preview an import",
        "Reads the first part of a file and returns what an import with the same parameters would store of its first rows. "
        "The response has the detected format, encoding, delimiter, header, mapping and format of birthdates. "
        "Send at most 1 MiB, except of a workbook, which needs all its content.",
        {200: Response("The mapping and the first rows.", {JSON: ImportPreview})},
        _OPTIONS,
        _BODY,
        BODY_ERRORS,
    ),
)
