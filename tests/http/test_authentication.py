"""Off loopback, and wherever there is a key, nobody is answered who was not let in: every operation of the document is tried."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.http.openapi import document
from peopleinfo.http.operations import OPERATIONS, PUBLIC_PAGES, Operation
from tests import dynamodb_servers
from tests.cli.commands import run
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving
from tests.store_kinds import STORES, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = {("get", "/status"), ("get", "/status/live"), ("get", "/status/ready")}
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


KEYS = {
    "expired": ["--scope", "people:admin", "--expires", "1s"],
    "revoked": ["--scope", "people:admin"],
    "without a scope for it": ["--scope", "metrics:read"],
    "reader": ["--scope", "people:read"],
    "writer": ["--scope", "people:write"],
}


NOT_LET_IN = {
    "type": "urn:peopleinfo:problem:not-authenticated",
    "title": "Authentication required",
    "status": 401,
    "detail": "no valid credential: send an API key or a token as Authorization: Bearer",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def keys(folder: Path) -> dict[str, str]:
    """Keys in every state, one of each."""
    made = {name: make_key(folder, *options, name=name.replace(" ", "-")) for name, options in KEYS.items()}
    assert run(folder, "keys", "revoke", "revoked").returncode == 0
    time.sleep(1)
    return made


@pytest.fixture(scope="module")
def guarded(folder: Path, keys: dict[str, str]) -> Iterator[httpx.Client]:
    """A server that asks for keys, and does not write down any."""
    with serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            yield client
        assert_kept_to_itself(server)


def make_key(folder: Path, *options: str, name: str) -> str:
    made = run(folder, "keys", "create", "--name", name, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.decode().strip()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def refusal(answer: httpx.Response) -> dict[str, object]:
    """Return the problem, without what differs from request to request."""
    problem: dict[str, object] = answer.json()
    assert problem.pop("request_id")
    problem.pop("error", None)  # on /data
    return problem


def assert_kept_to_itself(server: Server) -> None:
    assert ADMIN_KEY.encode() not in server.log.read_bytes()


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_an_operation_does_not_answer_whoever_shows(guarded: httpx.Client, method: str, path: str, bad: str) -> None:
    headers = {name.encode(): value.encode("latin-1") for name, value in BAD[bad].items()}
    answer = guarded.request(method, path.replace("{person_id}", "0" * 32), headers=headers)
    assert refusal(answer) == NOT_LET_IN
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("state", ["expired", "revoked"])
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_an_operation_does_not_answer_a_key_that_is(
    guarded: httpx.Client, keys: dict[str, str], method: str, path: str, state: str
) -> None:
    answer = guarded.request(method, path.replace("{person_id}", "0" * 32), headers=bearer(keys[state]))
    assert refusal(answer) == NOT_LET_IN
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("name", ["without a scope for it", "reader", "writer"])
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.scope], ids=lambda one: one.name)
def test_an_operation_answers_only_a_key_of_its_scope(
    guarded: httpx.Client, keys: dict[str, str], operation: Operation, name: str
) -> None:
    path = operation.path.replace("{person_id}", "0" * 32)
    answer = guarded.request(operation.method, path, headers=bearer(keys[name]))
    assert operation.scope
    if operation.scope.value in KEYS[name]:
        assert answer.status_code not in (401, 403, 500)
        return
    assert refusal(answer) == {
        "type": "urn:peopleinfo:problem:access-denied",
        "title": "Access denied",
        "status": 403,
        "detail": f"the operation requires the scope {operation.scope}",
    }
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


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


@pytest.mark.parametrize(
    "page",
    sorted(
        {page for page in PUBLIC_PAGES if "{" not in page and "/provider" not in page}
        | {"/status", "/docs/start.js", "/console/people/0"}
    ),
)
def test_what_is_the_same_in_every_copy_of_the_service_is_open(guarded: httpx.Client, page: str) -> None:
    answer = guarded.get(page)
    # The console's pages hold nobody's data, and lead whoever is not known to where they sign in.
    assert answer.status_code in (200, 307) or answer.headers["Location"].startswith("/console/sign-in?")


@pytest.mark.parametrize("page", sorted(page for page in PUBLIC_PAGES if "/provider" in page))
def test_nobody_signs_in_at_a_provider_where_there_is_none(guarded: httpx.Client, page: str) -> None:
    assert guarded.get(page).status_code == 404


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


@pytest.mark.parametrize("kind", STORES)
def test_every_worker_learns_of_new_and_revoked_keys(tmp_path: Path, kind: str) -> None:
    if problem := dynamodb_servers.missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    store = ["--store-url", store_url(kind, tmp_path)]
    key = make_key(tmp_path, *store, name="ci")
    with serving(tmp_path, kind=kind, workers=2, host="127.0.0.1") as server:
        url = f"{server.url}/v1/people?surname=x"
        # A connection each, so that both workers are asked.
        assert {httpx.get(url, headers=bearer(key)).status_code for _ in range(20)} == {200}
        assert {httpx.get(url).status_code for _ in range(20)} == {401}
        new = make_key(tmp_path, *store, name="another")
        assert {httpx.get(url, headers=bearer(new)).status_code for _ in range(20)} == {200}
        assert run(tmp_path, "keys", "revoke", "ci", *store).returncode == 0
        until_refused(url, bearer(key))


def until_refused(url: str, headers: dict[str, str] | None = None) -> None:
    """Ask until no worker lets a client in; how long that may take is a matter of tests/unit/test_api_keys.py."""
    patience = time.monotonic() + HANG_TIMEOUT
    while 200 in {httpx.get(url, headers=headers).status_code for _ in range(20)}:
        assert time.monotonic() < patience
        time.sleep(0.2)


def test_the_first_key_closes_a_service_that_was_open_on_loopback(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        url = f"{server.url}/v1/people?surname=x"
        assert {httpx.get(url).status_code for _ in range(20)} == {200}
        key = make_key(tmp_path, name="first")
        until_refused(url)
        assert {httpx.get(url, headers=bearer(key)).status_code for _ in range(20)} == {200}
        assert run(tmp_path, "keys", "revoke", "first").returncode == 0
        until_refused(url, bearer(key))
        assert {httpx.get(url).status_code for _ in range(20)} == {401}


def test_whoever_serves_openly_is_not_closed_by_a_key(tmp_path: Path) -> None:
    key = make_key(tmp_path, name="ci")
    with serving(tmp_path, allow_anonymous="true") as server:
        url = f"{server.url}/v1/people?surname=x"
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers=bearer(key)).status_code == 200
        assert httpx.get(url, headers=bearer(f"{key}x")).status_code == 401
