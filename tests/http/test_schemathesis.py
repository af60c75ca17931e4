"""Responses to requests that Schemathesis generates conform to the OpenAPI document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks

from peopleinfo.http.media_types import ANY, FHIR_NDJSON, LDIF, NDJSON, VCARD, XLSX
from peopleinfo.http.openapi.document import document
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_KINDS = ["sqlite", "ministack"]  # an embedded and a distributed store; tests/stores covers all of them
load_all_checks()
schema = schemathesis.openapi.from_dict(
    document(),
    # Schemathesis does not expect the statuses for a long path, a missing If-Match and a long query (RFC 9110, RFC 6585).
    config=schemathesis.Config.from_dict(
        {
            "checks": {
                "missing_required_header": {"expected-statuses": [400, 415, 422, 428]},
                "negative_data_rejection": {
                    "expected-statuses": [400, 401, 403, 404, 406, 409, 414, 415, 422, 428, 429, 431]
                },
            }
        }
    ),
)
quick = hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)

# JSON Schema cannot express some rules: dates in the past, valid cursors, control characters, exclusive filters.
# The server may therefore reject a request that matches the schema. Each rejection must still be documented.
EXCLUDED_CHECKS = ["positive_data_acceptance"]
# An import, its preview and a batch return 200 with a result for each row or item, so that an invalid one does not reject the others.
# The legacy API and a search of FHIR ignore unknown parameters.
LENIENT = {
    "POST /v1/people/import",
    "POST /v1/people/import/preview",
    "POST /v1/people/batch",
    "GET /data",
    "GET /fhir/Patient",
    "POST /fhir/Patient/_search",
}
EXCLUDED_FOR_LENIENT = [*EXCLUDED_CHECKS, "negative_data_rejection"]
# Schemathesis does not know which part of a modified case is invalid.
EXCLUDED_FOR_MODIFIED_CASE = [*EXCLUDED_CHECKS, "negative_data_rejection", "missing_required_header"]


@schemathesis.serializer(NDJSON, FHIR_NDJSON)
def as_ndjson_line(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@schemathesis.serializer(VCARD, LDIF, XLSX, ANY)
def as_text(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def server(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires keys; Schemathesis also sends requests without one."""
    with serving(tmp_path_factory.mktemp("guarded"), kind=store_kind, admin_key=ADMIN_KEY, rate_limit=0) as server:
        yield server


@schema.parametrize()
@quick
def test_responses_conform_to_the_document(case: schemathesis.Case[Any], server: Server) -> None:
    names = EXCLUDED_FOR_LENIENT if f"{case.method} {case.path}" in LENIENT else EXCLUDED_CHECKS
    case.call_and_validate(base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT, excluded_checks=checks(names))


@pytest.fixture(scope="module")
def location(server: Server) -> str:
    """Path of a person that the tests may change."""
    return str(
        httpx.post(f"{server.url}/v1/people", json={"person_name": "Existing"}, headers=AS_ADMIN).headers["Location"]
    )


@schema.include(path="/v1/people/{person_id}").exclude(method="DELETE").parametrize()
@quick
def test_responses_for_an_existing_person_conform_to_the_document(
    case: schemathesis.Case[Any], server: Server, location: str
) -> None:
    case.path_parameters = {"person_id": location.rpartition("/")[2]}
    if case.method in ("PUT", "PATCH"):
        case.headers["If-Match"] = "*"
    case.call_and_validate(
        base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT, excluded_checks=checks(EXCLUDED_FOR_MODIFIED_CASE)
    )


def checks(names: list[str]) -> Any:
    return CHECKS.get_by_names(names)
