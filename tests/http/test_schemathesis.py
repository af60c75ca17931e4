"""Whatever the OpenAPI document allows or forbids, the server answers as the document says; inputs made by Schemathesis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks

from peopleinfo.http.openapi import document
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_KINDS = ["sqlite", "ministack"]  # an embedded and a distributed store; conformance over all is tests/stores
load_all_checks()
schema = schemathesis.openapi.from_dict(
    document(),
    # RFC 6585 has a status of its own for a missing If-Match, which Schemathesis does not expect.
    config=schemathesis.Config.from_dict(
        {"checks": {"missing_required_header": {"expected-statuses": [400, 415, 422, 428]}}}
    ),
)
quick = hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)

# Some rules cannot be said in JSON Schema: a date lies in the past, a cursor was given by this service, control characters are left out,
# of two filters one is given. So what fits the schema may still be refused; that every refusal is documented is checked all the same.
NOT_PROMISED = ["positive_data_acceptance"]
# An import answers 200 and says of each row whether it was stored, so one bad row does not refuse the others.
# The first API ignores query parameters that it does not know.
LENIENT = {"POST /v1/people/import", "GET /data"}
NOT_PROMISED_OF_THE_LENIENT = [*NOT_PROMISED, "negative_data_rejection"]
# Where a case was changed after it was made, Schemathesis knows no more what is wrong with it.
NOT_KNOWN_OF_A_CHANGED_CASE = [*NOT_PROMISED, "negative_data_rejection", "missing_required_header"]


@schemathesis.serializer("application/x-ndjson")
def as_a_line(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="module")
def server(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys: Schemathesis tries to do without."""
    with serving(tmp_path_factory.mktemp("guarded"), kind=store_kind, admin_key=ADMIN_KEY, rate_limit=0) as server:
        yield server


@schema.parametrize()
@quick
def test_the_server_answers_as_the_document_says(case: schemathesis.Case[Any], server: Server) -> None:
    names = NOT_PROMISED_OF_THE_LENIENT if f"{case.method} {case.path}" in LENIENT else NOT_PROMISED
    case.call_and_validate(base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT, excluded_checks=checks(names))


@pytest.fixture(scope="module")
def place(server: Server) -> str:
    """Where somebody is whom the tests may change."""
    return str(
        httpx.post(f"{server.url}/v1/people", json={"person_name": "Somebody"}, headers=AS_ADMIN).headers["Location"]
    )


@schema.include(path="/v1/people/{person_id}").exclude(method="DELETE").parametrize()
@quick
def test_it_does_so_too_when_the_person_is_there(case: schemathesis.Case[Any], server: Server, place: str) -> None:
    case.path_parameters = {"person_id": place.rpartition("/")[2]}
    if case.method in ("PUT", "PATCH"):
        case.headers["If-Match"] = "*"
    case.call_and_validate(
        base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT, excluded_checks=checks(NOT_KNOWN_OF_A_CHANGED_CASE)
    )


def checks(names: list[str]) -> Any:
    return CHECKS.get_by_names(names)
