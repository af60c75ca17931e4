"""The operations of the API on merges."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.merge_schemas import (
    MergeBody,
    MergeOutcome,
    MergePage,
    MergeSummary,
    UndoBody,
    UndoOutcome,
)
from peopleinfo.http.openapi.operation_types import Key, Operation, Parameter, Response

MERGE_OPERATIONS: Final = (
    Operation(
        "/v1/merges",
        "post",
        Scope.MERGE,
        "mergePeople",
        "Merge records of one person",
        "Merges up to 19 records into a survivor, which keeps its values and takes those that it lacks; take selects other values. "
        "The merged records leave every search, a request for one of them leads to the survivor, and an outdated version is rejected (412). "
        "Requires the scope people:read too.",
        {
            200: Response("A preview, or the first response to the same request.", {JSON: MergeOutcome}),
            201: Response("The merge.", {JSON: MergeOutcome}, ("Location",)),
        },
        (
            Parameter(
                "header",
                "Idempotency-Key",
                Key,
                "Identifies this request. A retry with the same key and content returns the same merge.",
            ),
        ),
        {JSON: MergeBody},
        (400, 404, 408, 409, 412, 413, 415, 422),
    ),
    Operation(
        "/v1/merges/{merge_id}",
        "get",
        Scope.READ,
        "getMerge",
        "Get a merge",
        "Returns the records of a merge and the versions that it created, without values. "
        "An undone merge has the time and the principal of its undo.",
        {200: Response("The merge.", {JSON: MergeSummary})},
        errors=(404,),
    ),
    Operation(
        "/v1/merges/{merge_id}/undo",
        "post",
        Scope.MERGE,
        "undoMerge",
        "Undo a merge",
        "Restores all records of a merge, with later changes; a repeated undo changes nothing. "
        "If a client changed a value that the merge took over, keep decides which record has the change; "
        "without it, the response is 409 with the names of these fields. Requires the scope people:read too.",
        {200: Response("The records after the undo, or a preview.", {JSON: UndoOutcome})},
        body={JSON: UndoBody},
        errors=(400, 404, 408, 409, 413, 415, 422),
    ),
    Operation(
        "/v1/people/{person_id}/merges",
        "get",
        Scope.READ,
        "getMergesOfPerson",
        "List the merges of a person",
        "Returns the merges in which the record survived or was merged, newest first. Undone merges are included.",
        {200: Response("The merges.", {JSON: MergePage})},
        errors=(404,),
    ),
)
