"""Off loopback, and wherever there is a key, nobody is answered who was not let in: every operation of the document is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.http.contract import OPEN_PAGES, OPERATIONS
from peopleinfo.http.openapi import document
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANGS, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN = {("get", "/status")}
GUARDED = [
    (method, path) for path, item in document()["paths"].items() for method in item if (method, path) not in OPEN
]
BAD = {
    "nothing": {},
    "an empty header": {"Authorization": ""},
    "a scheme alone": {"Authorization": "Bearer"},
    "a token of nothing": {"Authorization": "Bearer \t."},
    "a wrong key": {"Authorization": "Bearer " + "x" * len(ADMIN_KEY)},
    "a key that goes on": {"Authorization": f"Bearer {ADMIN_KEY}x"},
    "a key that is cut off": {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
    "a key in capitals": {"Authorization": f"Bearer {ADMIN_KEY.upper()}"},
    "another scheme": {"Authorization": f"Basic {ADMIN_KEY}"},
    "no scheme": {"Authorization": ADMIN_KEY},
    "not text": {"Authorization": "Bearer \xff\xfe"},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("guarded"), admin_key=ADMIN_KEY) as server:
        with httpx.Client(base_url=server.url, timeout=HANGS) as client:
            yield client
        assert_kept_to_itself(server)


def assert_kept_to_itself(server: Server) -> None:
    assert ADMIN_KEY.encode() not in server.log.read_bytes()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_an_operation_does_not_answer_whoever_shows(guarded: httpx.Client, method: str, path: str, bad: str) -> None:
    headers = {name.encode(): value.encode("latin-1") for name, value in BAD[bad].items()}
    answer = guarded.request(method, path.replace("{person_id}", "0" * 32), headers=headers)
    problem = answer.json()
    assert problem.pop("request_id")
    problem.pop("error", None)  # on /data
    assert problem == {
        "type": "urn:peopleinfo:problem:not-authenticated",
        "title": "Credentials are needed",
        "status": 401,
        "detail": "send a key or a token that is valid now, as Authorization: Bearer",
    }
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_an_operation_answers_the_admin_key(guarded: httpx.Client, method: str, path: str, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {ADMIN_KEY}"}
    answer = guarded.request(method, path.replace("{person_id}", "0" * 32), headers=headers)
    assert answer.status_code not in (401, 403, 500)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "POST"])
@pytest.mark.parametrize("path", ["/v1/people/0", "/docs", "/metrics"])
def test_what_is_no_operation_is_not_open_by_oversight(guarded: httpx.Client, method: str, path: str) -> None:
    assert guarded.request(method, path).status_code == 401


@pytest.mark.parametrize("page", sorted(OPEN_PAGES - {"/docs/{name}"} | {"/status", "/docs/start.js"}))
def test_what_is_the_same_in_every_copy_of_the_service_is_open(guarded: httpx.Client, page: str) -> None:
    assert guarded.get(page).status_code in (200, 307)


def test_the_document_says_which_operations_need_which_scope() -> None:
    declared = {operation.name: operation.scope for operation in OPERATIONS}
    for item in document()["paths"].values():
        for operation in item.values():
            scope = declared[operation["operationId"]]
            assert operation["security"] == ([{"bearer": [scope]}] if scope else [])
            assert ("401" in operation["responses"]) == bool(scope)


def test_nobody_is_asked_for_a_key_on_loopback_without_one(client: httpx.Client) -> None:
    assert client.get("/v1/people?surname=x").status_code == 200


def test_with_a_key_the_service_may_be_called_by_any_name(guarded: httpx.Client) -> None:
    named = AS_ADMIN | {"Host": "people.example"}
    assert guarded.get("/v1/people?surname=x", headers=named).status_code == 200
