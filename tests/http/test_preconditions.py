"""Conditional requests (RFC 9110, section 13): every operation evaluates a condition, or rejects the request without a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.http.openapi.operations import OPERATIONS
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    import httpx

NDJSON = {"Content-Type": "application/x-ndjson"}
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
SOMETIME = "Fri, 06 Nov 2099 08:49:37 GMT"
EXCLUDING: list[dict[str, str]] = [
    {"If-None-Match": "*"},
    {"If-None-Match": '"1"'},
    {"If-None-Match": 'W/"1"'},
    {"If-None-Match": '"9", "1"'},
    {"If-Match": "*", "If-None-Match": "*"},
    {"If-Match": '"1"', "If-None-Match": '"1"'},
    {"If-Match": '"9"'},
    {"If-Match": 'W/"1"'},
    {"If-Unmodified-Since": LONG_AGO},
    {"If-Modified-Since": SOMETIME},
]


@pytest.fixture
def location(client: httpx.Client, surname: str) -> str:
    return client.post("/v1/people", json={"person_surname": surname}).headers["Location"]


def change(client: httpx.Client, method: str, location: str, headers: dict[str, str]) -> httpx.Response:
    body: dict[str, Any] = {} if method == "DELETE" else {"json": {"person_surname": "Changed"}}
    return client.request(method, location, headers=headers, **body)


@pytest.mark.parametrize("headers", EXCLUDING, ids=str)
def test_record_that_fails_a_condition_is_not_deleted(
    client: httpx.Client, location: str, headers: dict[str, str]
) -> None:
    assert change(client, "DELETE", location, headers).status_code == 412
    assert client.get(location).json()["version"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("headers", EXCLUDING, ids=str)
def test_record_that_fails_a_condition_is_not_changed(
    client: httpx.Client, location: str, method: str, headers: dict[str, str]
) -> None:
    status = change(client, method, location, {"If-Match": "*"} | headers).status_code
    # RFC 9110, section 13.2.2: with If-Match, If-Unmodified-Since is not evaluated.
    assert status == (200 if "If-Unmodified-Since" in headers else 412)
    assert client.get(location).json()["version"] == (2 if status == 200 else 1)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers", [{"If-None-Match": '"9"'}, {"If-Modified-Since": LONG_AGO}, {"If-Unmodified-Since": SOMETIME}], ids=str
)
def test_true_condition_allows_the_change(
    client: httpx.Client, location: str, method: str, headers: dict[str, str]
) -> None:
    assert change(client, method, location, {"If-Match": '"1"'} | headers).is_success
    assert client.get(location).status_code == (404 if method == "DELETE" else 200)


def test_deletion_may_depend_on_the_date_alone(client: httpx.Client, location: str) -> None:
    assert change(client, "DELETE", location, {"If-Unmodified-Since": SOMETIME}).status_code == 204


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_error_explains_a_weak_tag_and_its_probable_source(client: httpx.Client, location: str, method: str) -> None:
    response = change(client, method, location, {"If-Match": 'W/"1"'})
    assert_problem(response, 412, "precondition-failed")
    for part in ("weak tag", "never matches", "proxy that compresses"):
        assert part in response.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"1"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"9"'}, 412),
        ({"If-Match": 'W/"1"'}, 412),
        ({"If-Match": '"9"', "If-None-Match": '"1"'}, 412),
        ({"If-Match": '"1"', "If-None-Match": '"1"'}, 304),
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": '"9"', "If-Modified-Since": SOMETIME}, 200),
        ({"If-Modified-Since": SOMETIME}, 304),
        ({"If-Modified-Since": LONG_AGO}, 200),
        ({"If-Unmodified-Since": LONG_AGO}, 412),
        ({"If-Unmodified-Since": SOMETIME}, 200),
        ({"If-None-Match": "1"}, 400),
        ({"If-Modified-Since": "yesterday"}, 400),
    ],
    ids=str,
)
def test_read_evaluates_every_condition(
    client: httpx.Client, location: str, method: str, headers: dict[str, str], status: int
) -> None:
    response = client.request(method, location, headers=headers)
    assert response.status_code == status
    if status in (200, 304):
        assert response.headers["ETag"] == '"1"'


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_no_operation_accepts_an_invalid_condition(
    client: httpx.Client, location: str, operation: Any, header: str
) -> None:
    path = operation.path.replace("{person_id}", location.rpartition("/")[2])
    conditions = {"If-Match": "*"} | {header: "no quotes"}
    response = client.request(operation.method, path, headers=conditions)
    assert_problem(response, 400, "bad-request")


# A pair of the review queue that does not exist is not found, whatever the conditions; tests/http/test_duplicates.py has one that exists.
@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if "{pair}" not in operation.path],
    ids=lambda operation: operation.name,
)
def test_no_operation_ignores_a_false_condition(client: httpx.Client, location: str, operation: Any) -> None:
    path = operation.path.replace("{person_id}", location.rpartition("/")[2])
    required = {"If-Match": '"9"'} if 428 in operation.errors else {}
    for condition in ({"If-Match": '"9"'}, {"If-None-Match": "*"}, {"If-Unmodified-Since": LONG_AGO}):
        headers = required | condition
        fields = {"version": 1} if operation.name == "restoreVersion" else {"person_surname": "x"}
        body: dict[str, Any] = {"json": fields} if required else {}
        status = client.request(operation.method, path, headers=headers, **body).status_code
        assert status == (304 if operation.method == "get" and "If-None-Match" in headers else 412), headers
    assert client.get(location).json()["version"] == 1


def test_false_condition_stores_no_person(client: httpx.Client, surname: str) -> None:
    person = {"person_name": "A", "person_surname": surname, "person_birthdate": "2000", "person_address": "B"}
    for headers in (
        {"If-None-Match": "*"},
        {"If-Match": '"1"'},
        {"If-Unmodified-Since": SOMETIME},
        {"If-Modified-Since": LONG_AGO},
    ):
        assert client.post("/v1/people", json=person, headers=headers).status_code == 412
        assert client.post("/data", json=person, headers=headers).status_code == 412
        rows = b'{"person_name": "A", "person_surname": "%b"}' % surname.encode()
        assert client.post("/v1/people/import", content=rows, headers=NDJSON | headers).status_code == 412
    assert client.get("/v1/people", params={"surname": surname}).json()["people"] == []


@pytest.mark.parametrize("headers", [{"If-Match": "*"}, {"If-None-Match": '"1"'}], ids=str)
def test_true_condition_stores_the_person(client: httpx.Client, surname: str, headers: dict[str, str]) -> None:
    assert client.post("/v1/people", json={"person_surname": surname}, headers=headers).status_code == 201


def test_files_of_the_console_have_tags_that_are_evaluated(client: httpx.Client) -> None:
    page = client.get("/console").text
    path = page.partition('src="')[2].partition('"')[0]
    tag = client.get(path).headers["ETag"]
    for headers, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"x", W/{tag}'}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": tag}, 200),
    ):
        response = client.get(path, headers=headers)
        assert response.status_code == status
        if status == 412:
            assert not response.headers.keys() & {"content-encoding", "cache-control", "etag"}
            assert_problem(response, 412, "precondition-failed")
