"""Pages of other origins may ask where that was said, and nowhere else; pages of ours are told what they must not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS, THEIRS = "https://app.example.org", "https://elsewhere.example"
PATH = "/v1/people?surname=x"
ASKING_FIRST = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("browsers")
    origins = f"{OURS}, http://localhost:5173"
    with (
        serving(folder, admin_key=ADMIN_KEY, cors_origins=origins) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        yield client


def allowed(answer: httpx.Response) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer.headers
    origin: str | None = answer.headers.get("Access-Control-Allow-Origin")
    return origin


def test_a_page_of_a_known_origin_may_ask_with_its_key(client: httpx.Client) -> None:
    first = client.options("/v1/people/0", headers={"Origin": OURS} | ASKING_FIRST)
    assert (first.status_code, first.content, allowed(first)) == (204, b"", OURS)
    assert "PATCH" in first.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "If-Match"} <= set(first.headers["Access-Control-Allow-Headers"].split(", "))
    answer = client.get(PATH, headers=AS_ADMIN | {"Origin": OURS})
    assert (answer.status_code, allowed(answer)) == (200, OURS)
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


def test_a_refusal_can_be_read_by_the_page_too(client: httpx.Client) -> None:
    answer = client.get(PATH, headers={"Origin": OURS})
    assert (answer.status_code, allowed(answer)) == (401, OURS)


@pytest.mark.parametrize(
    "origin", [THEIRS, "null", "*", OURS.upper(), f"{OURS}:8443", f"{OURS}.evil.example", "http://app.example.org", ""]
)
def test_a_page_of_another_origin_may_not(client: httpx.Client, origin: str) -> None:
    first = client.options("/v1/people/0", headers={"Origin": origin} | ASKING_FIRST)
    assert (first.status_code, allowed(first)) == (401, None)
    answer = client.get(PATH, headers=AS_ADMIN | {"Origin": origin})
    assert allowed(answer) is None
    assert "Origin" in answer.headers["Vary"]  # or what is kept of it would be shown to others


def test_what_is_no_question_of_a_browser_is_not_answered_without_a_key(client: httpx.Client) -> None:
    assert client.options("/v1/people/0", headers={"Origin": OURS}).status_code == 401


def test_every_page_may_ask_when_it_is_said_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("all"), admin_key=ADMIN_KEY, cors_origins="*") as server:
        answer = httpx.get(server.url + PATH, headers=AS_ADMIN | {"Origin": THEIRS})
        assert allowed(answer) == "*"


@pytest.mark.parametrize(("origins", "origin", "expected"), [
    ("", OURS, 403), ("*", OURS, 403), (OURS, OURS, 200), (OURS, THEIRS, 403),
])  # fmt: skip
def test_without_keys_only_pages_of_named_origins_are_answered(
    tmp_path_factory: pytest.TempPathFactory, origins: str, origin: str, expected: int
) -> None:
    with serving(tmp_path_factory.mktemp("keyless"), cors_origins=origins) as server:
        assert httpx.get(server.url + PATH, headers={"Origin": origin}).status_code == expected


@pytest.mark.parametrize("page", ["/docs", "/console/sign-in"])
def test_a_page_of_ours_is_told_what_it_must_not_do(client: httpx.Client, page: str) -> None:
    headers = client.get(page).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
