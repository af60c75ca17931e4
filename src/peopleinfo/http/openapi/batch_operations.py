"""The operations of the API on several people by id."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.batch_schemas import BatchBody, BatchGetBody, BatchGetResults, BatchResults
from peopleinfo.http.openapi.operation_types import BODY_ERRORS, Operation, Response

BATCH_OPERATIONS: Final = (
    Operation(
        "/v1/people/batch-get",
        "post",
        Scope.READ,
        "getPeople",
        "Get several people",
        "Returns a result for each of up to 100 ids, in order: the person, or a problem, for example 404. "
        "Each id counts in the rate limit; ids beyond it have the status 429, and ids beyond 2 MiB of results 413. "
        "Cache-Control: no-cache bypasses the cache.",
        {200: Response("The results.", {JSON: BatchGetResults})},
        body={JSON: BatchGetBody},
        errors=BODY_ERRORS,
    ),
    Operation(
        "/v1/people/batch",
        "post",
        Scope.WRITE,
        "changePeople",
        "Create, change and delete several people",
        "Processes up to 100 items and returns a result for each, in order. "
        "Each item counts in the rate limit and has the effect, the status and the problem of a request of its own; one that fails does not affect the others. "
        "Items for the same person are processed in order, the others in any order.",
        {200: Response("The results.", {JSON: BatchResults})},
        body={JSON: BatchBody},
        errors=BODY_ERRORS,
    ),
)
