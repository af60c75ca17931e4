"""Limits on the bytes, fields and memory of requests, and on what their targets may contain."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import httpx
import pytest
from falcon import testing
from falcon.asgi import Request
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.errors import InvalidJson, Overloaded
from peopleinfo.http import bodies, falcon_app, memory_budget, request_headers
from peopleinfo.http.openapi.operations import OPERATIONS
from peopleinfo.people import strict_json
from tests.http.fhir_outcomes import as_problem
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_KINDS = ["sqlite"]  # limits apply before any access to the store
SIGN_IN = "/console/sign-in"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOT_UTF_8 = ["M%FCller", "%C3", "%ED%A0%80", "%C0%80", "a%80b"]
NOT_ESCAPES = ["100%", "%zz", "%4"]
QUERIES = sorted(
    {
        (operation.method.upper(), operation.path, parameter.name)
        for operation in OPERATIONS
        for parameter in operation.parameters
        if parameter.location == "query"
    }
    | {("GET", SIGN_IN, "next"), ("GET", "/console", "surname"), ("GET", "/v1/people/export", "surname_prefix")}
)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(tmp_path_factory.mktemp("guarded"), admin_key=ADMIN_KEY, rate_limit=0) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        yield client


def send_raw(client: httpx.Client, method: str, target: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Send a target unescaped; httpx would escape it."""
    with closing(HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=HANG_TIMEOUT)) as connection:
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        document = json.loads(response.read() or b"{}")
        return response.status, as_problem(document, response.status, response.headers)


@pytest.mark.parametrize("text", [*NOT_UTF_8, *NOT_ESCAPES])
@pytest.mark.parametrize(("method", "path", "name"), QUERIES)
def test_query_that_is_not_utf_8_gets_400_with_the_reason(
    protected: httpx.Client, method: str, path: str, name: str, text: str
) -> None:
    path = path.replace("{person_id}", "0" * 32)
    status, problem = send_raw(protected, method, f"{path}?{name}={text}", AS_ADMIN)
    assert status == 400
    assert ("UTF-8" if text in NOT_UTF_8 else "%25") in problem["detail"]
    assert problem["request_id"]
    assert path != "/data" or problem["error"] == problem["detail"]


@pytest.mark.parametrize("text", NOT_UTF_8)
@pytest.mark.parametrize("path", ["/v1/people/{}", "/v1/people/{}/export", "/console/{}", "/docs/{}"])
def test_path_that_is_not_utf_8_gets_400(protected: httpx.Client, path: str, text: str) -> None:
    status, problem = send_raw(protected, "GET", path.format(text), AS_ADMIN)
    assert status == 400
    assert "path" in problem["detail"]


def test_utf_8_in_a_query_is_accepted(protected: httpx.Client) -> None:
    person = {"person_surname": "Müller 100%"}
    assert protected.post("/v1/people", json=person, headers=AS_ADMIN).status_code == 201
    found = protected.get(f"/v1/people?surname={quote('Müller 100%')}", headers=AS_ADMIN).json()["people"]
    assert [one["person_surname"] for one in found] == ["Müller 100%"]


@pytest.mark.parametrize("path", ["/v1/people", "/data", "/v1/people/export", SIGN_IN])
def test_query_has_a_limited_number_of_parameters(protected: httpx.Client, path: str) -> None:
    status, problem = send_raw(protected, "GET", f"{path}?" + "&".join(["a"] * 101), AS_ADMIN)
    assert status == 400
    assert "100 parameters" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("&".join(["a=1"] * 262_000), 413),
        ("key=" + "x" * 9_000, 413),
        ("user=PeopleInfo&key=a&next=b&key=c", 400),
        ("user=PeopleInfo&key=wrong&next=b", 401),
        ("key=a&key=b", 400),
        ("key=a&other=b", 400),
        ("key=%FC", 400),
        ("key=%zz", 400),
        ("key=\u00fc%C3", 400),
        ("", 401),
        ("key=wrong&next=/console", 401),
        (urlencode({"key": "clé"}), 401),
    ],
)
def test_sign_in_form_is_small_and_has_only_known_fields(protected: httpx.Client, body: str, expected: int) -> None:
    response = protected.post(SIGN_IN, content=body.encode(), headers=SAME_ORIGIN | FORM)
    assert response.status_code == expected


def test_sign_in_form_of_unknown_length_is_small(protected: httpx.Client) -> None:
    pieces = (b"key=" if n == 0 else b"x" * 1_000 for n in range(20))
    assert protected.post(SIGN_IN, content=pieces, headers=SAME_ORIGIN | FORM).status_code == 413


def test_sign_in_form_requires_the_form_media_type(protected: httpx.Client) -> None:
    headers = SAME_ORIGIN | {"Content-Type": "application/json"}
    assert protected.post(SIGN_IN, content=b'{"key": "x"}', headers=headers).status_code == 415


def test_sign_in_and_sign_out_succeed(protected: httpx.Client) -> None:
    form = {"key": ADMIN_KEY, "next": "/console/health"}
    assert (
        protected.post(SIGN_IN, data=form, headers={"Sec-Fetch-Site": "same-origin"}).headers["Location"]
        == "/console/health"
    )
    assert protected.get("/v1/people?surname=x").status_code == 200
    assert protected.post("/console/sign-out", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_body_is_not_awaited_before_the_client_is_authenticated(protected: httpx.Client, method: str) -> None:
    paths = {"POST": ["/v1/people", "/v1/people/import", "/v1/people/search", "/v1/people/export", "/data"]}
    for path in paths.get(method, ["/v1/people/x"]):
        status, _ = send_raw(protected, method, path, {"Content-Length": "1000000", "Content-Type": "application/json"})
        assert status == 401


@pytest.mark.parametrize(
    "other_cookies", ["", "a=b;" * 5_000, 'a="' + '\\"' * 10_000 + '";', ";" * 10_000, "a;" * 10_000]
)
def test_cookie_is_found_among_other_cookies(other_cookies: str) -> None:
    request = Request(testing.create_scope(headers={"Cookie": f"{other_cookies} wanted=found; wanted=later"}), None)  # type: ignore[arg-type]
    assert request_headers.cookie(request, "wanted") == "found"
    assert request_headers.cookie(request, "missing") is None


@pytest.mark.parametrize("header", ["xwanted=no; a=wanted=no", "unwanted=no;wanted2=no", "wanted"])
def test_cookie_whose_name_is_part_of_another_one_is_not_found(header: str) -> None:
    request = Request(testing.create_scope(headers={"Cookie": header}), None)  # type: ignore[arg-type]
    assert request_headers.cookie(request, "wanted") is None


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_long_list_of_entity_tags_is_rejected(protected: httpx.Client, name: str) -> None:
    for count, expected in ((1_000, 200 if name == "If-None-Match" else 412), (2_000, 400)):
        assert protected.get("/openapi.json", headers={name: '"a",' * count}).status_code == expected


@given(st.lists(st.sampled_from([*(f"%{byte:02X}" for byte in range(256)), "%c3%bc", "%E2%82%AC", "a", "&", "="])))
def test_target_is_invalid_exactly_if_its_escapes_are_not_utf_8(parts: list[str]) -> None:
    text = "".join(parts).encode()
    try:
        unquote_to_bytes(text).decode()
        is_valid = True
    except UnicodeDecodeError:
        is_valid = False
    assert (falcon_app.target_error({"query_string": text, "raw_path": b"/"}) is None) == is_valid


def test_long_accept_is_rejected(protected: httpx.Client) -> None:
    headers = AS_ADMIN | {"Accept": 'text/csv;a="' + ";" * 16_000 + '"'}
    assert protected.get("/v1/people/export", headers=headers).status_code == 400


def test_json_has_a_limited_number_of_values(protected: httpx.Client) -> None:
    for body in (b"[" + b"[]," * 340_000 + b"1]", b'{"x":"' + b"," * 70_000 + b'"}'):
        response = protected.post("/v1/people", content=body, headers=AS_ADMIN | {"Content-Type": "application/json"})
        assert response.status_code == 400
        with pytest.raises(InvalidJson, match="commas"):
            strict_json.parse(body)


def test_largest_record_has_few_enough_values(protected: httpx.Client) -> None:
    person = {"person_name": "x", "pad": [0] * 32_000}
    assert protected.post("/v1/people", json=person, headers=AS_ADMIN).status_code == 201


async def test_heavy_bodies_in_progress_are_limited_and_light_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODIES", budget := memory_budget.Budget(1_500_000))
    requests = [await body_of(b"x" * 700_000), await body_of(b"x" * 700_000)]
    assert budget.used == 1_400_000
    with pytest.raises(Overloaded):
        await body_of(b"x" * 700_000)
    with pytest.raises(Overloaded):
        await body_of(b"[" + b"0," * 5_000 + b"0]")  # its values take more memory than its text
    await body_of(b"x" * 10_000)
    for request in requests:
        budget.release(request.scope["counted"])
    await body_of(b"x" * 700_000)


def test_heavy_bodies_count_only_while_their_requests_are_in_progress(protected: httpx.Client) -> None:
    body = b'{"person_name":"x","pad":"' + b"x" * 900_000 + b'"}'
    for _ in range(2 * memory_budget.BODIES.size // len(body)):
        response = protected.post("/v1/people", content=body, headers=AS_ADMIN | {"Content-Type": "application/json"})
        assert response.status_code == 422


async def body_of(body: bytes) -> Request:
    pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    events.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        await asyncio.sleep(0)
        return events.pop(0)

    scope = testing.create_scope(method="POST", headers={"Content-Type": "application/json"})
    request = Request(scope, receive)
    assert await bodies.read_body(request, seconds=HANG_TIMEOUT) == body
    return request
