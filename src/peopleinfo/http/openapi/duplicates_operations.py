"""The operations of the API on duplicates."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.media_types import JSON
from peopleinfo.http.openapi.duplicates_schemas import (
    Count,
    DecisionBody,
    DuplicatePage,
    DuplicatePair,
    Grade,
    MatchBody,
    MatchResult,
    OnlyCertain,
    PairState,
    Threshold,
)
from peopleinfo.http.openapi.operation_types import BODY_ERRORS, IF_MATCH, PAGE, Operation, Parameter, Response

_RESULT: Final = Response("The candidates.", {JSON: MatchResult})

DUPLICATES_OPERATIONS: Final = (
    Operation(
        "/v1/people/match",
        "post",
        Scope.READ,
        "matchPerson",
        "Find people that may be the same as a person",
        "Compares a person with the stored people, and stores nothing. "
        "Each candidate has a grade, as match-grade in FHIR, and the evidence of each field. "
        "Hidden fields are no evidence; without access to names and birthdates the response is 403.",
        {200: _RESULT},
        body={JSON: MatchBody},
        errors=(*BODY_ERRORS, 501),
    ),
    Operation(
        "/v1/people/{person_id}/duplicates",
        "get",
        Scope.READ,
        "getDuplicates",
        "Find possible duplicates of a person",
        "Compares a stored person with the other people. The response has the form of matchPerson.",
        {200: _RESULT},
        (
            Parameter("query", "count", Count, ""),
            Parameter("query", "only_certain", OnlyCertain, ""),
            Parameter("query", "threshold", Threshold, ""),
        ),
        errors=(404, 422, 501),
    ),
    Operation(
        "/v1/duplicates",
        "get",
        Scope.READ,
        "listDuplicates",
        "List possible duplicates",
        "Returns the pairs in the review queue, the most certain first. "
        "Imports with duplicates=queue and `peopleinfo duplicates scan` add pairs.",
        {200: Response("A page of pairs.", {JSON: DuplicatePage})},
        (
            Parameter("query", "state", PairState, "The pairs that wait (open, the default) or have this decision."),
            Parameter("query", "grade", Grade, "Only pairs with this grade."),
            *PAGE,
        ),
        errors=(422, 501),
    ),
    Operation(
        "/v1/duplicates/{pair}",
        "get",
        Scope.READ,
        "getDuplicatePair",
        "Get a pair of possible duplicates",
        "Returns the pair with both people and the evidence. The ETag has its version.",
        {200: Response("The pair.", {JSON: DuplicatePair}, ("ETag",))},
        errors=(404, 501),
    ),
    Operation(
        "/v1/duplicates/{pair}",
        "post",
        Scope.MERGE,
        "decideDuplicate",
        "Decide about a pair",
        "different: the two people are not the same, and the pair returns to the queue only if another identifier becomes equal. "
        "later: the pair leaves the open pairs; a repeated decision changes nothing. Requires the scope people:read too.",
        {200: Response("The pair.", {JSON: DuplicatePair}, ("ETag",))},
        (IF_MATCH._replace(required=False),),
        {JSON: DecisionBody},
        (400, 404, 408, 412, 413, 415, 422, 501),
    ),
)
