"""The formats of exports: their names, media types and file extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from pathlib import Path

ExportFormat = Literal["ndjson", "csv", "xlsx", "vcard", "vcard3", "fhir", "fhir-bundle"]
FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)


class FileType(NamedTuple):
    """The media type and the file extension of a format."""

    media_type: str
    extension: str


FILE_TYPES: Final[dict[ExportFormat, FileType]] = {
    "ndjson": FileType("application/x-ndjson", ".ndjson"),
    "csv": FileType("text/csv; charset=utf-8", ".csv"),
    "xlsx": FileType("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    "vcard": FileType("text/vcard; charset=utf-8", ".vcf"),
    "vcard3": FileType("text/vcard; charset=utf-8", ".vcf"),
    "fhir": FileType("application/fhir+ndjson", ".fhir.ndjson"),
    "fhir-bundle": FileType("application/fhir+json", ".fhir.json"),
}
# Media types of the header Accept, the default first.
ACCEPTED: Final[dict[str, ExportFormat]] = {
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    FILE_TYPES["xlsx"].media_type: "xlsx",
    "text/vcard": "vcard",
    "application/fhir+ndjson": "fhir",
    "application/fhir+json": "fhir-bundle",
}
# File extensions; the longer one is first where one ends in another.
EXTENSIONS: Final[dict[str, ExportFormat]] = {
    ".fhir.ndjson": "fhir",
    ".fhir.json": "fhir-bundle",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".vcf": "vcard",
    ".vcard": "vcard",
}


def format_of(path: Path) -> ExportFormat | None:
    """Return the format that the name of a file selects, NDJSON for a name without an extension; None for an unknown extension."""
    name = path.name.lower().removesuffix(".gz")
    for extension, form in EXTENSIONS.items():
        if name.endswith(extension):
            return form
    return None if "." in name.lstrip(".") else "ndjson"
