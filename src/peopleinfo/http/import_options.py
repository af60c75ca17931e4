"""The options of an import and of its preview: media type, charset and query parameters."""

from __future__ import annotations

import re
from email.message import Message
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from peopleinfo.auth.principal import Scope
from peopleinfo.bulk.upsert_options import DuplicateMode, Mode, UpsertOptions
from peopleinfo.errors import AccessDenied, FieldAccessDenied, FieldError, InvalidSearch
from peopleinfo.formats import encodings, reader
from peopleinfo.formats.column_mapping import ColumnMapping, OnBadDate
from peopleinfo.http.media_types import ANY, CSV, FHIR, FHIR_NDJSON, JSON, LDIF, NDJSON, VCARD, XLSX
from peopleinfo.http.middleware.compression import GZIP
from peopleinfo.http.request_headers import charset, media_type

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

    from falcon.asgi import Request

_MAX_NAME: Final = 255  # characters
_CODINGS: Final = (GZIP, "x-gzip")
_FORMATS: Final[dict[str, reader.Format | None]] = {
    NDJSON: "ndjson",
    "application/jsonl": "ndjson",
    CSV: "csv",
    JSON: "json",
    VCARD: "vcard",
    "text/x-vcard": "vcard",
    XLSX: "xlsx",
    LDIF: "ldif",
    FHIR: "json",
    FHIR_NDJSON: "ndjson",
    "application/scim+json": "json",
    ANY: None,  # detected from the content
}


class ImportOptions(NamedTuple):
    """How to read a body; None is detected."""

    mapping: ColumnMapping
    format: reader.Format | None
    encoding: str | None
    delimiter: str | None
    sheet: str | None
    is_gzip: bool

    def open(self, stream: io.BufferedReader, *, is_preview: bool = False) -> reader.Input:
        """Open the body. Raises InvalidInput."""
        return reader.read(
            stream,
            self.mapping,
            form=self.format,
            encoding=self.encoding,
            delimiter=self.delimiter,
            sheet=self.sheet,
            is_gzip=self.is_gzip,
            is_preview=is_preview,
        )


def upsert_options(req: Request) -> UpsertOptions:
    """Return how rows change stored people. Raises InvalidSearch with all errors, AccessDenied and FieldAccessDenied.

    Results of rows that are compared with stored people reveal their fields, so this requires the scope people:read and all fields.
    """
    params: Mapping[str, Any] = req.params
    key, mode = params.get("key"), params.get("mode")
    choices = {"mode": get_args(Mode), "duplicates": get_args(DuplicateMode)}
    errors = _choice_errors(params, choices)
    if isinstance(key, list):
        errors.append(FieldError("key", "must be given once"))
    if mode is not None and key is None:
        errors.append(FieldError("mode", "requires the parameter key"))
    if errors:
        raise InvalidSearch(errors)
    principal = req.context.principal
    may_read, hidden = principal.has_scope(Scope.READ), principal.hidden_fields
    if (key or "duplicates" in params) and not may_read:
        raise AccessDenied(Scope.READ)
    if key and hidden:
        raise FieldAccessDenied(sorted(hidden))
    force = req.get_param_as_bool("force", default=False)
    return UpsertOptions(key, mode or "merge", force or not may_read or bool(hidden), params.get("duplicates"))


def file_name(req: Request) -> str | None:
    """Return the name of the file without its directory: the parameter `filename`, or that of Content-Disposition; None without one."""
    name = req.get_param("filename")
    if name is None and (header := req.get_header("Content-Disposition")):
        message = Message()
        message["Content-Disposition"] = header
        name = message.get_filename()
    return re.split(r"[/\\]", name)[-1][:_MAX_NAME] or None if name else None


def query_option(name: str, value: str) -> str:
    """Return how a client of the API writes an option."""
    return f"{name}={value}"


def import_options(req: Request) -> ImportOptions:
    """Return the options of a request. Raises InvalidSearch with all errors, and Falcon's error 415."""
    form = _FORMATS[media_type(req, tuple(_FORMATS), codings=_CODINGS, any_charset=True)]
    params: Mapping[str, Any] = req.params
    errors = _choice_errors(params, {"format": get_args(reader.Format), "on_bad_date": get_args(OnBadDate)})
    mapping = _mapping(_values(params, "map"), errors)
    if errors:
        raise InvalidSearch(errors)
    columns = ColumnMapping(
        mapping, _values(params, "date_format"), on_bad_date=params.get("on_bad_date", "reject"), option=query_option
    )
    is_gzip = req.get_header("Content-Encoding", default="").lower() in _CODINGS
    encoding = params.get("encoding") or charset(req)
    if encoding:
        encodings.lookup(encoding)
    return ImportOptions(
        columns, params.get("format", form), encoding, params.get("delimiter"), params.get("sheet"), is_gzip
    )


def _choice_errors(params: Mapping[str, Any], choices: Mapping[str, tuple[str, ...]]) -> list[FieldError]:
    return [
        FieldError(name, f"must be one of {', '.join(values)}")
        for name, values in choices.items()
        if name in params and params[name] not in values
    ]


def _values(params: Mapping[str, Any], name: str) -> list[str]:
    value = params.get(name, [])
    return value if isinstance(value, list) else [value]


def _mapping(values: list[str], errors: list[FieldError]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for value in values:
        field, equals, source = value.partition("=")
        if not equals or not field.strip():
            errors.append(FieldError("map", "must be FIELD=COLUMN, for example map=person_surname=Family"))
        elif field.strip() in mapping:
            errors.append(FieldError("map", "must name each field once; separate several columns by commas"))
        mapping[field.strip()] = source.strip()
    return mapping
