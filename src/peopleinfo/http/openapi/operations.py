"""The operations of the API with their scopes, parameters and bodies, from which the OpenAPI document is generated."""

from __future__ import annotations

from typing import Any, Final, Literal

from peopleinfo.auth.principal import Scope
from peopleinfo.http.checked_creation import DuplicateMode
from peopleinfo.http.media_types import CSV, FHIR, FHIR_NDJSON, JSON, MERGE_PATCH, NDJSON, PROBLEM, VCARD, XLSX
from peopleinfo.http.openapi.batch_operations import BATCH_OPERATIONS
from peopleinfo.http.openapi.duplicates_operations import DUPLICATES_OPERATIONS
from peopleinfo.http.openapi.fhir_operations import FHIR_OPERATIONS
from peopleinfo.http.openapi.history_operations import HISTORY_OPERATIONS
from peopleinfo.http.openapi.import_history_operations import IMPORT_HISTORY_OPERATIONS
from peopleinfo.http.openapi.import_operations import IMPORT_OPERATIONS
from peopleinfo.http.openapi.list_operations import LIST_OPERATIONS
from peopleinfo.http.openapi.merge_operations import MERGE_OPERATIONS
from peopleinfo.http.openapi.operation_types import (
    BODY_ERRORS,
    IF_MATCH,
    Key,
    Operation,
    Parameter,
    Response,
    query_parameters,
)
from peopleinfo.http.openapi.person_export_schemas import PersonExport
from peopleinfo.http.openapi.schemas import (
    Cursor,
    ExportBody,
    LegacyPerson,
    Limit,
    NewPerson,
    PeoplePage,
    Person,
    Problem,
    SearchBody,
    Status,
    Text,
)
from peopleinfo.http.openapi.trash_operations import TRASH_OPERATIONS

_PERSON: Final = Response("The person.", {JSON: Person}, ("ETag",))
_READ: Final = Response("The person.", {JSON: Person}, ("ETag", "Cache-Status"))
_PAGE: Final = Response("A page of people.", {JSON: PeoplePage}, ("Cache-Status",))
_STREAM: Final = Response(
    "The people, in the requested format.",
    {NDJSON: Person, CSV: None, XLSX: None, VCARD: None, FHIR_NDJSON: dict[str, Any], FHIR: dict[str, Any]},
    ("Changes-Token",),
)

OPERATIONS: Final = (
    Operation(
        "/v1/people",
        "post",
        Scope.WRITE,
        "createPerson",
        "Create a person",
        "Stores a new person and returns it with its id, version and timestamps. "
        "Fields other than the four known ones are stored as sent. "
        "Send an Idempotency-Key to make retries safe.",
        {201: Response("The stored person.", {JSON: Person}, ("ETag", "Location", "Duplicates", "Link"))},
        (
            Parameter(
                "query",
                "duplicates",
                DuplicateMode,
                "report: the header Duplicates counts stored people that may be the same, and the review queue gets the pairs. "
                "refuse: such a person, with the grade of PEOPLEINFO_DUPLICATES_REFUSE or better, rejects the new one (409).",
            ),
            Parameter(
                "header",
                "Idempotency-Key",
                Key,
                "Identifies this request for 24 hours. A retry with the same key and content returns the same response.",
            ),
        ),
        {JSON: NewPerson},
        (400, 408, 409, 413, 415, 422, 501),
    ),
    Operation(
        "/v1/people",
        "get",
        Scope.READ,
        "findPeople",
        "Search by query parameters",
        "Returns one page of the matches of all filters; without filters, of all people. "
        "Pass next_cursor as cursor to get the next page. "
        "URLs appear in logs and histories; searchPeople keeps names out of them.",
        {200: _PAGE},
        query_parameters(SearchBody),
        errors=(422,),
    ),
    Operation(
        "/v1/people/search",
        "post",
        Scope.READ,
        "searchPeople",
        "Search by a request body",
        "Returns the same page as findPeople, with the filters in the body. "
        "Names therefore appear in no URL and no access log.",
        {200: _PAGE},
        body={JSON: SearchBody},
        errors=BODY_ERRORS,
    ),
    Operation(
        "/v1/people/{person_id}",
        "get",
        Scope.READ,
        "getPerson",
        "Get a person",
        "Returns the person with the version in the ETag. "
        "With If-None-Match, an unchanged person is not sent again. "
        "Cache-Control: no-cache bypasses the cache.",
        {
            200: _READ,
            304: Response("The client has the current version.", headers=("ETag",)),
            307: Response("The record is merged into the one in Location.", {PROBLEM: Problem}, ("Location",)),
        },
        (
            Parameter("header", "If-None-Match", str, "ETags of the versions that the client has."),
            Parameter(
                "query", "as", Literal["merged"], "Returns a merged record as it was before its merge, instead of 307."
            ),
        ),
        errors=(404, 422),
    ),
    Operation(
        "/v1/people/{person_id}",
        "put",
        Scope.WRITE,
        "replacePerson",
        "Replace a person",
        "Replaces all fields of the person; omitted fields are removed. "
        "The change is rejected with 412 if If-Match does not name the current version.",
        {200: _PERSON},
        (IF_MATCH,),
        {JSON: NewPerson},
        (400, 404, 408, 409, 412, 413, 415, 422, 428),
    ),
    Operation(
        "/v1/people/{person_id}",
        "patch",
        Scope.WRITE,
        "changePerson",
        "Change fields of a person",
        "Applies a JSON Merge Patch (RFC 7396): null removes a field, omitted fields keep their values. "
        "The change is rejected with 412 if If-Match does not name the current version.",
        {200: _PERSON},
        (IF_MATCH,),
        {MERGE_PATCH: NewPerson, JSON: NewPerson},
        (400, 404, 408, 409, 412, 413, 415, 422, 428),
    ),
    *TRASH_OPERATIONS,
    Operation(
        "/v1/people/{person_id}/export",
        "get",
        Scope.ADMIN,
        "exportPerson",
        "Export all data about a person",
        "Returns the person, also one in the trash, its earlier versions, the records merged into it and the audit events that concern them, for example to answer a request for access under the GDPR. "
        "If the audit log is stored outside the service, the response says so.",
        {200: Response("The person, its versions and its audit events.", {JSON: PersonExport})},
        errors=(404,),
    ),
    *BATCH_OPERATIONS,
    *LIST_OPERATIONS,
    *HISTORY_OPERATIONS,
    *DUPLICATES_OPERATIONS,
    *FHIR_OPERATIONS,
    *MERGE_OPERATIONS,
    *IMPORT_OPERATIONS,
    *IMPORT_HISTORY_OPERATIONS,
    Operation(
        "/v1/people/export",
        "get",
        Scope.READ,
        "exportPeople",
        "Export by query parameters",
        "Streams all matches of the filters; without filters, all people. "
        "The format is NDJSON, or the one that format or the header Accept requests: CSV, a workbook (.xlsx), vCard 4.0 or 3.0, or FHIR.",
        {200: _STREAM},
        query_parameters(ExportBody),
        errors=(422, 431),  # 431: the ids of many people; exportFound has room for them
    ),
    Operation(
        "/v1/people/export",
        "post",
        Scope.READ,
        "exportFound",
        "Export by a request body",
        "Streams the same people as exportPeople, with the filters in the body. "
        "Names therefore appear in no URL and no access log.",
        {200: _STREAM},
        body={JSON: ExportBody},
        errors=BODY_ERRORS,
    ),
    Operation(
        "/data",
        "post",
        Scope.WRITE,
        "storeData",
        "Create a person (legacy)",
        "Stores a person with the four required fields of the legacy API and returns the submitted body unchanged. "
        "New clients should use createPerson.",
        {200: Response("The submitted body.", {JSON: LegacyPerson}, ("Location",))},
        body={JSON: LegacyPerson},
        errors=BODY_ERRORS,
    ),
    Operation(
        "/data",
        "get",
        Scope.READ,
        "listData",
        "List people by surname (legacy)",
        "Returns an array of the people with a surname, oldest first. "
        "The Link header has the URL of the next page. "
        "New clients should use searchPeople.",
        {
            200: Response(
                "The people; the Link header has the next page, if there is one.",
                {JSON: list[Person]},
                ("Link", "Cache-Status"),
            )
        },
        (
            Parameter(
                "query",
                "person_surname",
                Text,
                "Family name. Case, accents and hyphens are ignored. Required without a cursor.",
            ),
            Parameter("query", "limit", Limit, ""),
            Parameter("query", "cursor", Cursor, "From the Link header of the previous page; replaces person_surname."),
        ),
        errors=(400, 422),
    ),
    Operation(
        "/status",
        "get",
        None,
        "getStatus",
        "Get the readiness and the state of the components",
        "Returns 200 if the service can serve requests, and 503 if it cannot or is shutting down. "
        "The response names the component that is unavailable.",
        {
            200: Response("The service is ready.", {JSON: Status}),
            503: Response("The service is not ready; the response names the cause.", {JSON: Status}),
        },
    ),
    Operation(
        "/status/ready",
        "get",
        None,
        "getReady",
        "Get the readiness",
        "Returns the same response as /status, under the path of a readiness probe. "
        "A load balancer should send requests only while the status is 200.",
        {
            200: Response("The service is ready.", {JSON: Status}),
            503: Response("The service is not ready.", {JSON: Status}),
        },
    ),
    Operation(
        "/status/live",
        "get",
        None,
        "getLive",
        "Get the liveness",
        "Returns 200 whenever the process responds, even if the store is unavailable. "
        "An orchestrator should restart the process if this request fails.",
        {200: Response("The process responds.", {JSON: Status})},
    ),
    Operation(
        "/metrics",
        "get",
        Scope.METRICS,
        "getMetrics",
        "Get metrics",
        "Returns the metrics of all worker processes in the Prometheus text format. "
        "The header Accept can request the OpenMetrics format.",
        {200: Response("The metrics.", {"text/plain": None})},
    ),
)

PROBLEMS: Final = {PROBLEM: Problem}
PUBLIC_PAGES: Final = frozenset(
    {
        "/",
        "/openapi.json",
        "/docs",
        "/docs/{name}",
        "/console",
        "/console/health",
        "/console/sign-in",
        "/console/sign-in/provider",
        "/console/sign-in/provider/back",
        "/console/import-export",
        "/console/imports",
        "/console/duplicates",
        "/console/trash",
        "/console/people/new",
        "/console/people/{person_id}",
        "/console/people/{person_id}/edit",
        "/console/static/{digest}/{name}",
        "/console/{missing:path}",
    }
)
"""Public routes without personal data that are not operations of the API."""
PUBLIC_FORMS: Final = frozenset({"/console/sign-in", "/console/sign-out"})
"""Public forms of the console, which reject cross-site requests themselves."""

FIELD_ACCESS_OPERATIONS: Final = frozenset(
    (
        "createPerson",
        "matchPerson",
        "getDuplicates",
        "findPeople",
        "searchPeople",
        "countPeople",
        "countFound",
        "getLetters",
        "getPerson",
        "getPeople",
        "changePerson",
        "changePeople",
        "getHistory",
        "getVersion",
        "getChanges",
        "listTrash",
        "importPeople",
        "listImports",
        "getImport",
        "previewImport",
        "exportPeople",
        "exportFound",
        "readPatient",
        "findPatients",
        "searchPatients",
        "matchPatient",
        "storeData",
        "listData",
    )
)
"""The operations that redact hidden fields in responses and preserve them in changes."""
