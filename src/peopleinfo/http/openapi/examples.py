"""Examples in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from peopleinfo.http.fhir_documents import MATCH_GRADE, capability_statement, outcome
from peopleinfo.http.media_types import MERGE_PATCH, PROBLEM
from peopleinfo.http.openapi import (
    batch_schemas,
    duplicates_schemas,
    fhir_operations,
    history_schemas,
    import_history_schemas,
    import_schemas,
    list_operations,
    merge_schemas,
    person_export_schemas,
    schemas,
)
from peopleinfo.http.problems import PROBLEM_TYPES

PERSON_ID: Final = "e953cc6a7f986f7bb8466799a8eb167a"
IMPORT_ID: Final = "0000019ab543a1c86f0d2b7e1c9a4f35"
MERGE_ID: Final = "5b0d1c3f8e7a49c2b6d4e0f1a2938475"
_MERGED_ID: Final = "0c1d9be7c94d7b1a2f3e4d5c6b7a8990"
_TIME: Final = "2026-11-24T09:00:00.000Z"
_NEW_PERSON: Final = {"person_name": "Anna", "person_surname": "Müller", "person_birthdate": "1990-02-11", "score": 1.5}
_PERSON: Final = {"person_id": PERSON_ID, **_NEW_PERSON, "version": 1, "created_at": _TIME, "updated_at": _TIME}
_LEGACY: Final = {
    "person_name": "Anna",
    "person_surname": "Müller",
    "person_birthdate": "1990-02-11",
    "person_address": "12 Lindenweg, Leipzig",
}
_PREVIEW: Final = {
    "format": "csv",
    "encoding": "utf-8",
    "delimiter": ";",
    "sheet": None,
    "other_sheets": [],
    "header_line": 1,
    "columns": [
        {"name": "Name", "field": "person_surname", "examples": ["Müller"]},
        {"name": "Vorname", "field": "person_name", "examples": ["Anna"]},
        {"name": "Geburtsdatum", "field": "person_birthdate", "examples": ["11.02.1990"]},
    ],
    "mapping": {"person_name": ["Vorname"], "person_surname": ["Name"], "person_birthdate": ["Geburtsdatum"]},
    "date_formats": ["%d.%m.%Y"],
    "date_choices": [],
    "rows": [
        {
            "line": 2,
            "result": "valid",
            "person": {"person_name": "Anna", "person_surname": "Müller", "person_birthdate": "1990-02-11"},
        }
    ],
    "warnings": [{"message": "the format of birthdates was guessed from the column: %d.%m.%Y"}],
}
_EVENT: Final = {
    "event": "audit", "time": _TIME, "writer": "web-1", "seq": 7, "action": "getPerson", "principal": "clerk",
    "outcome": 200, "people": [PERSON_ID], "request_id": "0f1e2d3c4b5a-4",
}  # fmt: skip

_PATIENT: Final = {
    "resourceType": "Patient",
    "name": [{"use": "official", "family": "Müller", "given": ["Anna"]}],
    "birthDate": "1990-02-11",
}
_READ_PATIENT: Final = {
    "resourceType": "Patient", "id": PERSON_ID, "meta": {"versionId": "1", "lastUpdated": _TIME},
    **{name: value for name, value in _PATIENT.items() if name != "resourceType"},
}  # fmt: skip
_BUNDLE: Final = {
    "resourceType": "Bundle",
    "type": "searchset",
    "total": 1,
    "link": [],
    "entry": [
        {
            "fullUrl": f"http://127.0.0.1:3000/fhir/Patient/{PERSON_ID}",
            "resource": _READ_PATIENT,
            "search": {
                "extension": [{"url": MATCH_GRADE, "valueCode": "probable"}],
                "mode": "match",
                "score": 0.994,
            },
        }
    ],
}
_VERSION: Final = {
    "version": 1, "at": _TIME, "by": "clerk", "operation": "created", "fields": ["person_name", "person_surname"],
}  # fmt: skip
_CHANGE: Final = {"person_id": PERSON_ID, "version": 2, "operation": "updated", "at": _TIME}
_MATCH: Final = {
    "candidates": [
        {
            "person_id": PERSON_ID,
            "grade": "probable",
            "score": 0.994,
            "relatives": 0.0002,
            "evidence": [
                {
                    "field": "person_surname",
                    "agreement": "near",
                    "bits": 4.5,
                    "against_relatives": 0.0,
                    "because": "similar surname, by spelling or sound",
                }
            ],
            "person": _PERSON,
        }
    ],
    "of_people": 1_000_000,
    "examined": 7,
    "not_examined": [{"by": "person_birthdate", "people": 812}],
}
_NOT_FOUND: Final = {
    "type": "urn:peopleinfo:problem:person-not-found", "title": "Person not found", "status": 404,
    "detail": "there is no person with this id", "request_id": "0f1e2d3c4b5a-4",
}  # fmt: skip
_IMPORT: Final = {
    "import_id": IMPORT_ID, "started_at": _TIME, "principal": "clerk", "file": {"name": "members.csv", "digest": None},
    "state": "undone", "created": 800, "updated": 200, "deleted": 800, "restored": 199, "left": 1,
}  # fmt: skip
_DELETED: Final = {
    "person_id": PERSON_ID, "person_name": "Anna", "person_surname": "Müller", "version": 3, "deleted_at": _TIME,
    "deleted_by": "clerk", "erased_after": "2026-12-24T09:00:00.000Z",
}  # fmt: skip

_MERGE: Final = {
    "merge_id": MERGE_ID,
    "survivor": {"person_id": PERSON_ID, "version": 2},
    "merged": [{"person_id": _MERGED_ID, "version": 4}],
    "at": _TIME,
    "by": "clerk",
    "undone_at": None,
    "undone_by": None,
}
_MERGE_BODY: Final = {
    "survivor": {"person_id": PERSON_ID, "version": 1},
    "merged": [{"person_id": _MERGED_ID, "version": 3}],
    "take": {"person_birthdate": PERSON_ID},
}
_MERGED: Final = {
    "merge_id": MERGE_ID,
    "survivor": {**_PERSON, "version": 2, "replaces": [_MERGED_ID]},
    "merged": [{"person_id": _MERGED_ID, "version": 4, "merged_into": PERSON_ID}],
    "differences": [
        {
            "field": "person_birthdate",
            "values": {PERSON_ID: "1990-02-11", _MERGED_ID: "1990-11-02"},
            "taken": PERSON_ID,
        }
    ],
}
_UNDONE: Final = {
    "merge_id": MERGE_ID,
    "survivor": {**_PERSON, "version": 3},
    "merged": [{**_PERSON, "person_id": _MERGED_ID, "person_birthdate": "1990-11-02", "version": 5}],
    "edited": [],
}
_PAIR: Final = {
    "pair": "0123456789abcdef0123456789abcdef" + PERSON_ID,
    "version": 1,
    "state": "open",
    "grade": "probable",
    "score": 0.994,
    "relatives": 0.0002,
    "evidence": _MATCH["candidates"][0]["evidence"],  # type: ignore[index]
    "by": None,
    "at": _TIME,
    "note": "",
    "people": [_PERSON | {"person_id": "0123456789abcdef0123456789abcdef"}, _PERSON],
}

BY_TYPE: Final[tuple[tuple[Any, Any], ...]] = (
    (schemas.NewPerson, _NEW_PERSON),
    (list[schemas.NewPerson], [_NEW_PERSON]),
    (schemas.Person, _PERSON),
    (list[schemas.Person], [_PERSON]),
    (schemas.LegacyPerson, _LEGACY),
    (schemas.SearchBody, {"surname_prefix": "mull", "limit": 50}),
    (list_operations.CountBody, {"surname_prefix": "mull"}),
    (list_operations.CountResult, {"count": 42, "exact": True}),
    (list_operations.Letters, {"letters": ["A", "B", "M"]}),
    (schemas.ExportBody, {"born_from": "1990", "born_to": "1999", "format": "csv"}),
    (schemas.PeoplePage, {"people": [_PERSON], "next_cursor": None}),
    (history_schemas.HistoryPage, {"versions": [_VERSION], "next_cursor": None}),
    (history_schemas.TrashPage, {"people": [_DELETED], "next_cursor": None}),
    (history_schemas.RestoreBody, {"version": 1}),
    (history_schemas.ChangePage, {"changes": [_CHANGE], "next": "6VtSmAhBmm27JOjFkEPq_8Yh", "more": False}),
    (duplicates_schemas.MatchBody, {"person": _NEW_PERSON, "count": 5}),
    (duplicates_schemas.MatchResult, _MATCH),
    (merge_schemas.MergeBody, _MERGE_BODY),
    (merge_schemas.MergeOutcome, _MERGED),
    (merge_schemas.MergeSummary, _MERGE),
    (merge_schemas.MergePage, {"merges": [_MERGE]}),
    (merge_schemas.UndoBody, {"keep": {"person_address": "survivor"}}),
    (merge_schemas.UndoOutcome, _UNDONE),
    (duplicates_schemas.DuplicatePage, {"duplicates": [_PAIR], "next_cursor": None}),
    (duplicates_schemas.DuplicatePair, _PAIR),
    (duplicates_schemas.DecisionBody, {"decision": "different"}),
    (import_schemas.ImportResult, {"line": 2, "result": "stored", "person_id": PERSON_ID}),
    (import_schemas.ImportPreview, _PREVIEW),
    (import_history_schemas.ImportPage, {"imports": [_IMPORT], "next_cursor": None}),
    (import_history_schemas.ImportDetails, _IMPORT | {"people_left": [{"person_id": PERSON_ID, "reason": "changed"}]}),
    (
        person_export_schemas.PersonExport,
        {"person": _PERSON, "history": [], "audit": {"availability": "included", "events": [_EVENT]}},
    ),
    (batch_schemas.BatchGetBody, {"ids": [PERSON_ID, "0" * 32]}),
    (
        batch_schemas.BatchGetResults,
        {
            "results": [
                {"person_id": PERSON_ID, "status": 200, "etag": '"1"', "person": _PERSON},
                {"person_id": "0" * 32, "status": 404, "problem": _NOT_FOUND},
            ]
        },
    ),
    (
        batch_schemas.BatchBody,
        {
            "items": [
                {"operation": "create", "person": _NEW_PERSON, "idempotency_key": "3f0c7d1e"},
                {"operation": "patch", "person_id": "0" * 32, "version": 3, "person": {"person_address": None}},
                {"operation": "delete", "person_id": PERSON_ID, "version": 1},
            ]
        },
    ),
    (
        batch_schemas.BatchResults,
        {
            "results": [
                {"status": 201, "etag": '"1"', "person": _PERSON},
                {"status": 404, "problem": _NOT_FOUND},
                {"status": 204},
            ]
        },
    ),
    (schemas.Status, {"statusCode": 200, "status": "ok", "version": "0.1.0", "store": "ok"}),
)
BY_MEDIA_TYPE: Final[dict[str, Any]] = {
    PROBLEM: {
        "type": "urn:peopleinfo:problem:merged",
        "title": "Merged",
        "status": 307,
        "detail": "the record is merged into another one: use `merged_into`, or undo the merge",
        "merged_into": PERSON_ID,
        "merge_id": MERGE_ID,
        "request_id": "0f1e2d3c4b5a-4",
    },
    MERGE_PATCH: {"person_address": "12 Lindenweg, Leipzig"},
    "text/csv": "person_name,person_surname,person_birthdate\r\nAnna,Müller,1990-02-11\r\n",
    "text/vcard": "BEGIN:VCARD\r\nVERSION:4.0\r\nN:Müller;Anna;;;\r\nFN:Anna Müller\r\nBDAY:19900211\r\nEND:VCARD\r\n",
    "text/ldif": "dn: cn=Anna Müller\nsn: Müller\ngivenName: Anna\nbirthyear: 1990\nbirthmonth: 2\nbirthday: 11\n",
    "application/x-www-form-urlencoded": {"family": "Müller"},
    "application/fhir+json": _PATIENT,
    "application/fhir+ndjson": _PATIENT,
    "application/octet-stream": "person_surname;person_birthdate\r\nMüller;1990-02-11\r\n",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "(the bytes of a workbook)",
    "text/plain": "# TYPE peopleinfo_store_up gauge\npeopleinfo_store_up 1\n",
}


_BY_FHIR_TYPE: Final[tuple[tuple[Any, Any], ...]] = (
    (fhir_operations.Patient, _READ_PATIENT),
    (fhir_operations.Bundle, _BUNDLE),
    (
        fhir_operations.Parameters,
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": _PATIENT}]},
    ),
    (fhir_operations.CapabilityStatement, capability_statement("http://127.0.0.1:3000/fhir/")),
)


def example(media_type: str, kind: Any) -> Any:
    """Return the example of a body with a type, None for text."""
    for known, value in _BY_FHIR_TYPE:
        if known == kind:
            return value
    if media_type in BY_MEDIA_TYPE:
        return BY_MEDIA_TYPE[media_type]
    return next(value for known, value in BY_TYPE if known == kind)


def operation_outcome(status: int) -> dict[str, Any]:
    """Return the example of an error response of the FHIR facade."""
    found = problem(status)
    return outcome(status, found["type"].rpartition(":")[2], found["detail"])


def problem(status: int) -> dict[str, Any]:
    """Return the example of an error response."""
    kind = next((kind for kind in PROBLEM_TYPES.values() if kind.status == status), None)
    title = kind.title if kind else HTTPStatus(status).phrase
    slug = kind.slug if kind else title.lower().replace(" ", "-")
    return {
        "type": f"urn:peopleinfo:problem:{slug}",
        "title": title,
        "status": status,
        "detail": f"{title}.",
        "request_id": "0f1e2d3c4b5a-4",
    }
