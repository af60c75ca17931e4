"""CORS: pages of configured origins may call the API; own pages have security headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOWED_ORIGIN, OTHER_ORIGIN = "https://app.example.org", "https://elsewhere.example"
PATH = "/v1/people?surname=x"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("browsers")
    origins = f"{ALLOWED_ORIGIN}, http://localhost:5173"
    with (
        serving(folder, admin_key=ADMIN_KEY, cors_origins=origins) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        yield client


def allowed_origin(response: httpx.Response) -> str | None:
    assert "Access-Control-Allow-Credentials" not in response.headers
    origin: str | None = response.headers.get("Access-Control-Allow-Origin")
    return origin


def test_page_of_an_allowed_origin_may_send_credentials(client: httpx.Client) -> None:
    preflight = client.options("/v1/people/0", headers={"Origin": ALLOWED_ORIGIN} | PREFLIGHT)
    assert (preflight.status_code, preflight.content, allowed_origin(preflight)) == (204, b"", ALLOWED_ORIGIN)
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "If-Match"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    response = client.get(PATH, headers=AS_ADMIN | {"Origin": ALLOWED_ORIGIN})
    assert (response.status_code, allowed_origin(response)) == (200, ALLOWED_ORIGIN)
    assert {"Changes-Token", "Duplicates", "ETag"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Origin" in response.headers["Vary"]


def test_page_of_an_allowed_origin_can_read_errors(client: httpx.Client) -> None:
    response = client.get(PATH, headers={"Origin": ALLOWED_ORIGIN})
    assert (response.status_code, allowed_origin(response)) == (401, ALLOWED_ORIGIN)


@pytest.mark.parametrize(
    "origin",
    [
        OTHER_ORIGIN,
        "null",
        "*",
        ALLOWED_ORIGIN.upper(),
        f"{ALLOWED_ORIGIN}:8443",
        f"{ALLOWED_ORIGIN}.evil.example",
        "http://app.example.org",
        "",
    ],
)
def test_page_of_another_origin_is_not_allowed(client: httpx.Client, origin: str) -> None:
    preflight = client.options("/v1/people/0", headers={"Origin": origin} | PREFLIGHT)
    assert (preflight.status_code, allowed_origin(preflight)) == (401, None)
    response = client.get(PATH, headers=AS_ADMIN | {"Origin": origin})
    assert allowed_origin(response) is None
    assert "Origin" in response.headers["Vary"]  # so that caches keep responses apart by origin


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_of_another_origin_can_read_why_it_is_rejected(client: httpx.Client, site: str) -> None:
    browser = {"Origin": OTHER_ORIGIN, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": site}
    preflight = client.options(PATH, headers=browser | PREFLIGHT)
    assert (preflight.status_code, allowed_origin(preflight)) == (204, OTHER_ORIGIN)
    response = client.get(PATH, headers=AS_ADMIN | browser)
    assert (response.status_code, allowed_origin(response)) == (403, OTHER_ORIGIN)
    assert "PEOPLEINFO_CORS_ORIGINS" in response.json()["detail"]
    assert response.headers["Content-Type"] == "application/problem+json"


def test_own_page_is_not_a_foreign_origin(client: httpx.Client) -> None:
    browser = {"Origin": OTHER_ORIGIN, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert client.get(PATH, headers=AS_ADMIN | browser).status_code == 200


def test_options_request_that_is_no_preflight_requires_a_key(client: httpx.Client) -> None:
    assert client.options("/v1/people/0", headers={"Origin": ALLOWED_ORIGIN}).status_code == 401


def test_wildcard_allows_every_origin(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("all"), admin_key=ADMIN_KEY, cors_origins="*") as server:
        response = httpx.get(server.url + PATH, headers=AS_ADMIN | {"Origin": OTHER_ORIGIN})
        assert allowed_origin(response) == "*"


@pytest.mark.parametrize(("origins", "origin", "expected"), [
    ("", ALLOWED_ORIGIN, 403), ("*", ALLOWED_ORIGIN, 403), (ALLOWED_ORIGIN, ALLOWED_ORIGIN, 200), (ALLOWED_ORIGIN, OTHER_ORIGIN, 403),
])  # fmt: skip
def test_server_without_keys_accepts_only_named_origins(
    tmp_path_factory: pytest.TempPathFactory, origins: str, origin: str, expected: int
) -> None:
    with serving(tmp_path_factory.mktemp("keyless"), cors_origins=origins) as server:
        assert httpx.get(server.url + PATH, headers={"Origin": origin}).status_code == expected


@pytest.mark.parametrize("page", ["/docs", "/console/sign-in"])
def test_own_page_has_security_headers(client: httpx.Client, page: str) -> None:
    headers = client.get(page).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
