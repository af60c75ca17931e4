"""Every error response is a problem document (RFC 9457) without submitted data."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from peopleinfo.http.media_types import FHIR
from tests.http.fhir_outcomes import as_problem
from tests.http.serving import serving
from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

STORE_KINDS = ["sqlite"]  # errors have the same form on every store
CANARY = "Canary4711"
JSON = {"Content-Type": "application/json"}
MISSING_PERSON = "/v1/people/" + "0" * 32


class Failure(NamedTuple):
    """A failing request, with its expected status and problem type."""

    status: int
    slug: str
    method: str
    path: str
    body: Any = None  # bytes are sent unchanged, other values as JSON
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    def __str__(self) -> str:
        return f"{self.slug}-{self.method}-{self.path.partition('?')[0]}"


def repeated(text: str) -> str:
    return text * 300


FAILURES = [
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"person_surname":"Canary4711"'),
    Failure(400, "invalid-json", "POST", "/v1/people", b""),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"Canary4711":1,"Canary4711":2}'),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"person_surname":"Canary4711\xff"}'),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"person_surname":"Canary4711\\ud800"}'),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"Canary4711\\u0000":1}'),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"Canary4711":' + b"[" * 20 + b"]" * 20 + b"}"),
    Failure(400, "invalid-json", "POST", "/v1/people", b'{"Canary4711":NaN}'),
    Failure(400, "invalid-json", "PUT", MISSING_PERSON, b"Canary4711", {"If-Match": "*"}),
    Failure(400, "invalid-json", "PATCH", MISSING_PERSON, b"Canary4711", {"If-Match": "*"}),
    Failure(400, "invalid-json", "POST", "/v1/people/search", b"Canary4711"),
    Failure(400, "invalid-json", "POST", "/v1/people/export", b"Canary4711"),
    Failure(400, "invalid-json", "POST", "/data", b"Canary4711"),
    Failure(
        422, "invalid-person", "POST", "/v1/people", {"person_surname": repeated(CANARY), "person_birthdate": CANARY}
    ),
    Failure(422, "invalid-person", "POST", "/v1/people", {"person_surname": CANARY, "person_id": CANARY}),
    Failure(422, "invalid-person", "POST", "/v1/people", {"person_name": [CANARY], "person_address": "\x07" + CANARY}),
    Failure(422, "invalid-person", "POST", "/v1/people", [CANARY]),
    Failure(422, "invalid-person", "POST", "/v1/people", {"person_name": "x", "x": repeated(CANARY) * 30}),
    Failure(422, "invalid-search", "GET", f"/v1/people?born_from={CANARY}&match={CANARY}&limit={CANARY}"),
    Failure(422, "invalid-search", "GET", f"/v1/people?surname={CANARY}&surname_prefix={CANARY}"),
    Failure(422, "invalid-search", "POST", "/v1/people/search", {"surname": [CANARY], "born_to": CANARY}),
    Failure(422, "invalid-search", "GET", f"/v1/people/export?born_from={CANARY}"),
    Failure(422, "invalid-search", "POST", "/v1/people/export", {"surname": [CANARY], "format": CANARY}),
    Failure(422, "invalid-search", "GET", f"/data?person_surname={CANARY}&limit={CANARY}"),
    Failure(422, "invalid-cursor", "GET", f"/v1/people?cursor={CANARY}"),
    Failure(422, "invalid-cursor", "GET", f"/data?person_surname={CANARY}&cursor={CANARY}"),
    Failure(422, "invalid-cursor", "POST", "/v1/people/search", {"cursor": CANARY}),
    Failure(404, "person-not-found", "GET", f"/v1/people/{CANARY}"),
    Failure(404, "person-not-found", "DELETE", f"/v1/people/{CANARY}"),
    Failure(404, "person-not-found", "PUT", f"/v1/people/{CANARY}", {"person_name": CANARY}, {"If-Match": "*"}),
    Failure(404, "person-not-found", "PATCH", f"/v1/people/{CANARY}", {"person_name": CANARY}, {"If-Match": "*"}),
    Failure(428, "precondition-required", "PUT", f"/v1/people/{CANARY}", {"person_name": CANARY}),
    Failure(428, "precondition-required", "PATCH", f"/v1/people/{CANARY}", {"person_name": CANARY}),
    Failure(400, "bad-request", "PUT", MISSING_PERSON, {"person_name": CANARY}, {"If-Match": CANARY}),
    Failure(400, "bad-request", "DELETE", MISSING_PERSON, None, {"If-Match": CANARY}),
    Failure(400, "bad-request", "POST", "/v1/people", {"person_name": CANARY}, {"Idempotency-Key": repeated(CANARY)}),
    Failure(400, "bad-request", "POST", "/v1/people/import", b"", {"Idempotency-Key": repeated(CANARY)}),
    Failure(400, "missing-members", "POST", "/data", {"person_surname": CANARY}),
    Failure(400, "missing-surname", "GET", f"/data?surname={CANARY}"),
    Failure(415, "unsupported-media-type", "POST", "/v1/people", b"Canary4711", {"Content-Type": f"text/{CANARY}"}),
    Failure(415, "unsupported-media-type", "POST", "/v1/people", b"Canary4711", {"Content-Type": ""}),
    Failure(415, "unsupported-media-type", "POST", "/data", b"{}", JSON | {"Content-Encoding": "gzip"}),
    Failure(415, "unsupported-media-type", "POST", "/v1/people/search", b"{}", {"Content-Type": f"{CANARY}/json"}),
    Failure(
        415, "unsupported-media-type", "PUT", MISSING_PERSON, b"{}", {"Content-Type": "text/plain", "If-Match": "*"}
    ),
    Failure(
        415, "unsupported-media-type", "PATCH", MISSING_PERSON, b"{}", {"Content-Type": "text/plain", "If-Match": "*"}
    ),
    Failure(415, "unsupported-media-type", "POST", "/v1/people/import", b"Canary4711", {"Content-Type": "a/b"}),
    Failure(422, "invalid-input", "POST", "/v1/people/import", b"", {"Content-Type": "text/csv"}),
    Failure(422, "invalid-input", "POST", "/v1/people/import", b"Canary4711,b\n1,2\n", {"Content-Type": "text/csv"}),
    Failure(422, "invalid-input", "POST", "/v1/people/import", b'["Canary4711', JSON),
    Failure(422, "invalid-input", "POST", "/v1/people/import", b'"Canary4711"', JSON),
    Failure(413, "content-too-large", "POST", "/v1/people", CANARY * 200_000),
    Failure(413, "content-too-large", "POST", "/v1/people/search", CANARY * 200_000),
    Failure(413, "content-too-large", "POST", "/data", CANARY * 200_000),
    Failure(413, "content-too-large", "PUT", MISSING_PERSON, CANARY * 200_000, {"If-Match": "*"}),
    Failure(413, "content-too-large", "PATCH", MISSING_PERSON, CANARY * 200_000, {"If-Match": "*"}),
    Failure(404, "not-found", "GET", f"/{CANARY}?{CANARY}"),
    Failure(404, "not-found", "GET", f"/docs/{CANARY}"),
    Failure(404, "not-found", "GET", f"/data/{CANARY}"),
    Failure(405, "method-not-allowed", "DELETE", f"/v1/people?surname={CANARY}"),
    Failure(405, "method-not-allowed", "POST", f"/v1/people/{CANARY}"),
    Failure(405, "method-not-allowed", "PUT", "/data"),
    Failure(405, "method-not-allowed", "GET", "/v1/people/search"),
    Failure(405, "method-not-allowed", "GET", "/v1/people/import"),
    Failure(405, "method-not-allowed", "POST", "/status"),
]


def send(client: httpx.Client, failure: Failure) -> httpx.Response:
    body = failure.body
    if body is None or isinstance(body, bytes):
        return client.request(
            failure.method, failure.path, content=body, headers=(JSON if body is not None else {}) | failure.headers
        )
    return client.request(failure.method, failure.path, json=body, headers=failure.headers)


def assert_problem(response: httpx.Response, status: int, slug: str, *, members: Iterable[str] = ()) -> None:
    """Assert that a response is a problem document of this type, with no further fields than `members`."""
    media_type = FHIR if response.url.path.startswith("/fhir/") else "application/problem+json"
    assert (response.status_code, response.headers["Content-Type"]) == (status, media_type), response.text
    problem = as_problem(response.json(), status, response.headers)
    assert problem["type"] == f"urn:peopleinfo:problem:{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["X-Request-Id"]
    legacy_fields = {"error"} if response.url.path == "/data" else set()
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail", "request_id"} | legacy_fields | set(
        members
    )
    assert problem.get("error", problem["detail"]) == problem["detail"]
    for reason in problem.get("errors", []):
        assert set(reason) == {"pointer", "reason"}
        assert reason["reason"]


@pytest.mark.parametrize("failure", FAILURES, ids=[f"{number}-{failure}" for number, failure in enumerate(FAILURES)])
def test_error_is_a_problem_document_without_submitted_data(client: httpx.Client, failure: Failure) -> None:
    response = send(client, failure)
    assert_problem(response, failure.status, failure.slug)
    assert CANARY not in response.text
    assert CANARY not in str(response.headers)


def test_error_of_head_has_problem_headers_and_no_body(client: httpx.Client) -> None:
    response = client.head(MISSING_PERSON)
    assert (response.status_code, response.content) == (404, b"")
    assert response.headers["Content-Type"] == "application/problem+json"


def test_version_conflict_is_a_problem(client: httpx.Client, surname: str) -> None:
    location = client.post("/v1/people", json={"person_surname": surname}).headers["Location"]
    response = client.put(location, json={"person_surname": surname}, headers={"If-Match": '"7"'})
    assert_problem(response, 412, "version-conflict")
    assert surname not in response.text


def test_idempotency_key_reused_for_other_content_is_a_problem(client: httpx.Client, surname: str) -> None:
    key = f"{CANARY}{uuid.uuid4()}"
    responses = [
        client.post("/v1/people", json={"person_surname": surname, "n": n}, headers={"Idempotency-Key": key})
        for n in (1, 2)
    ]
    assert_problem(responses[1], 422, "idempotency-key-reused")
    assert CANARY not in responses[1].text
    assert surname not in responses[1].text


def test_idempotency_key_of_a_deleted_person_is_a_problem(client: httpx.Client, surname: str) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    location = client.post("/v1/people", json={"person_surname": surname}, headers=headers).headers["Location"]
    client.delete(location)
    assert_problem(client.post("/v1/people", json={"person_surname": surname}, headers=headers), 409, "person-deleted")


def test_request_ids_of_two_errors_differ(client: httpx.Client) -> None:
    assert client.get(MISSING_PERSON).json()["request_id"] != client.get(MISSING_PERSON).json()["request_id"]


def test_request_id_of_a_client_is_ignored(client: httpx.Client) -> None:
    assert CANARY not in client.get(MISSING_PERSON, headers={"X-Request-Id": CANARY}).text


def test_errors_locate_fields_with_json_pointers(client: httpx.Client) -> None:
    response = client.post("/v1/people", json={"person_name": 1, "version": 1})
    assert all(re.fullmatch(r"(/[a-z_]+)?", reason["pointer"]) for reason in response.json()["errors"])


def test_list_of_errors_is_bounded(client: httpx.Client) -> None:
    wrong = json.dumps({f"m{number}": number for number in range(50_000)})
    response = client.post("/v1/people/search", content=wrong, headers=JSON)
    assert_problem(response, 422, "invalid-search")
    assert len(response.content) < 100_000


def test_unavailable_store_is_a_problem(locked: httpx.Client) -> None:
    response = locked.post("/v1/people", json={"person_surname": CANARY})
    assert_problem(response, 503, "store-unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert CANARY not in response.text


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server while another connection locks the database."""
    import sqlite3
    from contextlib import closing

    with (
        serving(tmp_path) as server,
        closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as other,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        other.execute("BEGIN IMMEDIATE")
        yield client
        other.execute("ROLLBACK")
