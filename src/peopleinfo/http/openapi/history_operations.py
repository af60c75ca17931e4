"""The operations of the API on the history of a person and on the feed of changes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.history_schemas import ChangePage, HistoryPage, RestoreBody
from peopleinfo.http.openapi.operation_types import IF_MATCH, PAGE, Operation, Parameter, Response
from peopleinfo.http.openapi.schemas import Limit, Person
from peopleinfo.people.change_watch import MAX_WAIT

_Wait = Annotated[int, Meta(ge=0, le=MAX_WAIT)]

HISTORY_OPERATIONS: Final = (
    Operation(
        "/v1/people/{person_id}/history",
        "get",
        Scope.READ,
        "getHistory",
        "List the versions of a person",
        "Returns the stored versions, oldest first, with the current version last. "
        "Each version has its time, its principal, its operation and the names of the changed fields. "
        "PEOPLEINFO_HISTORY limits the number or the age of earlier versions.",
        {200: Response("A page of versions.", {JSON: HistoryPage})},
        PAGE,
        errors=(404, 422),
    ),
    Operation(
        "/v1/people/{person_id}/history/{version}",
        "get",
        Scope.READ,
        "getVersion",
        "Get a person at a version",
        "Returns the person as it was at the version. Expired versions are not found.",
        {200: Response("The person at the version.", {JSON: Person})},
        errors=(404,),
    ),
    Operation(
        "/v1/people/{person_id}/restore",
        "post",
        Scope.WRITE,
        "restoreVersion",
        "Restore a version of a person",
        "Stores the fields of an earlier version as a new version. "
        "The request is rejected with 412 if If-Match does not name the current version.",
        {200: Response("The person with its new version.", {JSON: Person}, ("ETag",))},
        (IF_MATCH,),
        {JSON: RestoreBody},
        (400, 404, 408, 412, 413, 415, 422, 428),
    ),
    Operation(
        "/v1/changes",
        "get",
        Scope.READ,
        "getChanges",
        "Get changes of people",
        "Returns the changes after a token and the token to continue with; without since, no changes and the current token. "
        "Every change that is acknowledged after a token was returned follows it, possibly twice, the changes of one person by version. "
        "Changes expire after PEOPLEINFO_CHANGES; then the response is 410, and a consumer starts again with an export.",
        {200: Response("A page of changes.", {JSON: ChangePage})},
        (
            Parameter("query", "since", str, "The token `next` of the previous response, or of an export."),
            Parameter("query", "limit", Limit, ""),
            Parameter("query", "wait", _Wait, "Seconds to wait for a change if there is none."),
            Parameter("query", "include", Literal["person"], "Adds the current record to each change."),
        ),
        errors=(400, 410, 422),
    ),
)
