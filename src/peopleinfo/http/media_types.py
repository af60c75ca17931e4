"""Media types of bodies."""

from __future__ import annotations

from typing import Final

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
MERGE_PATCH: Final = "application/merge-patch+json"
FORM: Final = "application/x-www-form-urlencoded"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
VCARD: Final = "text/vcard"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LDIF: Final = "text/ldif"
FHIR: Final = "application/fhir+json"
FHIR_NDJSON: Final = "application/fhir+ndjson"
ANY: Final = "application/octet-stream"
