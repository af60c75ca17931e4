"""Authentication and scopes of every operation in the OpenAPI document."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.http.openapi.document import document
from peopleinfo.http.openapi.operations import OPERATIONS, PUBLIC_PAGES
from tests import dynamodb_servers
from tests.cli.commands import run
from tests.http.fhir_outcomes import as_problem
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving
from tests.store_kinds import STORES, store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peopleinfo.http.openapi.operation_types import Operation

PUBLIC = {("get", path) for path in ("/status", "/status/live", "/status/ready", "/fhir/metadata")}
PROTECTED = [
    (method, path) for path, item in document()["paths"].items() for method in item if (method, path) not in PUBLIC
]
INVALID_CREDENTIALS = {
    "nothing": {},
    "an empty header": {"Authorization": ""},
    "a scheme alone": {"Authorization": "Bearer"},
    "a token of one dot": {"Authorization": "Bearer \t."},
    "a wrong key": {"Authorization": "Bearer " + "x" * len(ADMIN_KEY)},
    "a key with an extra character": {"Authorization": f"Bearer {ADMIN_KEY}x"},
    "a truncated key": {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
    "a key in capitals": {"Authorization": f"Bearer {ADMIN_KEY.upper()}"},
    "another scheme": {"Authorization": f"Basic {ADMIN_KEY}"},
    "no scheme": {"Authorization": ADMIN_KEY},
    "not text": {"Authorization": "Bearer \xff\xfe"},
}


KEYS = {
    "expired": ["--scope", "people:admin", "--expires", "1s"],
    "revoked": ["--scope", "people:admin"],
    "without the scope": ["--scope", "metrics:read"],
    "reader": ["--scope", "people:read"],
    "writer": ["--scope", "people:write"],
}


NOT_AUTHENTICATED = {
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
    """One key in each state."""
    created = {name: make_key(folder, *options, name=name.replace(" ", "-")) for name, options in KEYS.items()}
    assert run(folder, "keys", "revoke", "revoked").returncode == 0
    time.sleep(1)
    return created


@pytest.fixture(scope="module")
def protected(folder: Path, keys: dict[str, str]) -> Iterator[httpx.Client]:
    """A client of a server that requires keys and never logs its admin key."""
    with serving(folder, admin_key=ADMIN_KEY, rate_limit=0) as server:
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client:
            yield client
        assert_admin_key_is_not_logged(server)


def make_key(folder: Path, *options: str, name: str) -> str:
    created = run(folder, "keys", "create", name, *options)
    assert created.returncode == 0, created.stderr
    return created.stdout.decode().strip()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def problem_of(response: httpx.Response) -> dict[str, object]:
    """Return the problem document without the fields that vary by request."""
    problem: dict[str, object] = as_problem(response.json(), response.status_code, response.headers)
    assert problem.pop("request_id")
    problem.pop("error", None)  # on /data
    return problem


def assert_admin_key_is_not_logged(server: Server) -> None:
    assert ADMIN_KEY.encode() not in server.log.read_bytes()


@pytest.mark.parametrize("credentials", INVALID_CREDENTIALS)
@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_operation_rejects_invalid_credentials(
    protected: httpx.Client, method: str, path: str, credentials: str
) -> None:
    headers = {name.encode(): value.encode("latin-1") for name, value in INVALID_CREDENTIALS[credentials].items()}
    response = protected.request(method, path.replace("{person_id}", "0" * 32), headers=headers)
    assert problem_of(response) == NOT_AUTHENTICATED
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("state", ["expired", "revoked"])
@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_operation_rejects_an_expired_or_revoked_key(
    protected: httpx.Client, keys: dict[str, str], method: str, path: str, state: str
) -> None:
    response = protected.request(method, path.replace("{person_id}", "0" * 32), headers=bearer(keys[state]))
    assert problem_of(response) == NOT_AUTHENTICATED
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="PeopleInfo"')


@pytest.mark.parametrize("name", ["without the scope", "reader", "writer"])
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.scope], ids=lambda one: one.name)
def test_operation_accepts_only_keys_with_its_scope(
    protected: httpx.Client, keys: dict[str, str], operation: Operation, name: str
) -> None:
    path = operation.path.replace("{person_id}", "0" * 32)
    response = protected.request(operation.method, path, headers=bearer(keys[name]))
    assert operation.scope
    if operation.scope.value in KEYS[name]:
        assert response.status_code not in (401, 403, 500)
        return
    assert problem_of(response) == {
        "type": "urn:peopleinfo:problem:access-denied",
        "title": "Access denied",
        "status": 403,
        "detail": f"the operation requires the scope {operation.scope}",
    }
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_operation_accepts_the_admin_key(protected: httpx.Client, method: str, path: str, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {ADMIN_KEY}"}
    response = protected.request(method, path.replace("{person_id}", "0" * 32), headers=headers)
    assert response.status_code not in (401, 403, 500)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "POST"])
@pytest.mark.parametrize("path", ["/v1/people/0", "/docs", "/metrics"])
def test_undocumented_method_requires_authentication(protected: httpx.Client, method: str, path: str) -> None:
    assert protected.request(method, path).status_code == 401


@pytest.mark.parametrize(
    "page",
    sorted(
        {page for page in PUBLIC_PAGES if "{" not in page and "/provider" not in page}
        | {"/status", "/docs/start.js", "/console/people/0"}
    ),
)
def test_public_page_requires_no_credentials(protected: httpx.Client, page: str) -> None:
    response = protected.get(page)
    # Console pages contain no personal data, and redirect anonymous clients to the sign-in page.
    assert response.status_code in (200, 307) or response.headers["Location"].startswith("/console/sign-in?")


@pytest.mark.parametrize("page", sorted(page for page in PUBLIC_PAGES if "/provider" in page))
def test_provider_sign_in_is_not_found_without_a_provider(protected: httpx.Client, page: str) -> None:
    assert protected.get(page).status_code == 404


def test_document_declares_the_scope_of_each_operation() -> None:
    declared = {operation.name: operation.scope for operation in OPERATIONS}
    for item in document()["paths"].values():
        for operation in item.values():
            scope = declared[operation["operationId"]]
            assert operation["security"] == ([{"bearer": []}] if scope else [])
            assert operation.get("x-required-scope") == scope
            assert ("401" in operation["responses"]) == bool(scope)


def test_loopback_server_without_keys_requires_no_credentials(client: httpx.Client) -> None:
    assert client.get("/v1/people?surname=x").status_code == 200


def test_server_with_keys_accepts_any_host_name(protected: httpx.Client) -> None:
    named = AS_ADMIN | {"Host": "people.example"}
    assert protected.get("/v1/people?surname=x", headers=named).status_code == 200


@pytest.mark.parametrize("kind", STORES)
def test_every_worker_detects_new_and_revoked_keys(tmp_path: Path, kind: str) -> None:
    if problem := dynamodb_servers.missing_requirement(kind):
        pytest.skip(f"{kind} {problem}")
    store = ["--store-url", store_url(kind, tmp_path)]
    key = make_key(tmp_path, *store, name="ci")
    with serving(tmp_path, kind=kind, workers=2, host="127.0.0.1") as server:
        url = f"{server.url}/v1/people?surname=x"
        # Each request has its own connection, so that both workers serve some.
        assert {httpx.get(url, headers=bearer(key)).status_code for _ in range(20)} == {200}
        assert {httpx.get(url).status_code for _ in range(20)} == {401}
        new = make_key(tmp_path, *store, name="another")
        assert {httpx.get(url, headers=bearer(new)).status_code for _ in range(20)} == {200}
        assert run(tmp_path, "keys", "revoke", "ci", *store).returncode == 0
        wait_until_rejected(url, bearer(key))


def wait_until_rejected(url: str, headers: dict[str, str] | None = None) -> None:
    """Send requests until every worker rejects them; tests/unit/test_api_keys.py limits the delay."""
    deadline = time.monotonic() + HANG_TIMEOUT
    while 200 in {httpx.get(url, headers=headers).status_code for _ in range(20)}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_first_key_enables_authentication_on_loopback(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as server:
        url = f"{server.url}/v1/people?surname=x"
        assert {httpx.get(url).status_code for _ in range(20)} == {200}
        key = make_key(tmp_path, name="first")
        wait_until_rejected(url)
        assert {httpx.get(url, headers=bearer(key)).status_code for _ in range(20)} == {200}
        assert run(tmp_path, "keys", "revoke", "first").returncode == 0
        wait_until_rejected(url, bearer(key))
        assert {httpx.get(url).status_code for _ in range(20)} == {401}


def test_anonymous_access_stays_allowed_after_a_key_is_created(tmp_path: Path) -> None:
    key = make_key(tmp_path, name="ci")
    with serving(tmp_path, allow_anonymous="true") as server:
        url = f"{server.url}/v1/people?surname=x"
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers=bearer(key)).status_code == 200
        assert httpx.get(url, headers=bearer(f"{key}x")).status_code == 401


def test_import_without_read_access_does_not_reveal_people(protected: httpx.Client, keys: dict[str, str]) -> None:
    row = b'{"person_surname": "Imported by a writer"}'
    headers = {"Content-Type": "application/x-ndjson"} | bearer(keys["writer"])
    for _ in range(2):
        response = protected.post("/v1/people/import", content=row, headers=headers)
        assert b'"result":"stored"' in response.content.splitlines()[0]
    response = protected.post("/v1/people/import", params={"key": "person_id"}, content=row, headers=headers)
    assert (response.status_code, response.json()["type"]) == (403, "urn:peopleinfo:problem:access-denied")
