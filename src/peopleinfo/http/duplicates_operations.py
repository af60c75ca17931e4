"""The operations of the API on duplicates."""

from __future__ import annotations

from typing import Final

from peopleinfo.auth.principal import Scope
from peopleinfo.http.duplicates_schemas import Count, MatchBody, MatchResult, OnlyCertain, Threshold
from peopleinfo.http.operation_types import JSON, Operation, Parameter, Response

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
        errors=(400, 408, 413, 415, 422, 501),
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
)
