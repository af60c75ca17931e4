"""Rate limits of principals and networks, and the limit of failed authentication attempts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from falcon import testing

from peopleinfo.auth.api_keys import generate_key
from peopleinfo.auth.rate_limit import MAX_FAILURES, MAX_PUBLIC_REQUESTS, TokenBuckets
from peopleinfo.errors import RateLimitExceeded
from peopleinfo.http.middleware.auth import AuthMiddleware
from peopleinfo.http.middleware.request_limits import RateLimiter
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.store_kinds import MonotonicClock

LIMIT = 120
PERSON = f"/v1/people/{'0' * 32}"
COSTS = [
    ("GET", PERSON, 1),
    ("GET", "/v1/people?surname=x", 5),
    ("HEAD", "/v1/people?surname=x", 5),
    ("DELETE", PERSON, 10),
    ("GET", "/v1/people/export", 100),
    ("POST", "/v1/people/export", 100),
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(tmp_path, admin_key=ADMIN_KEY, rate_limit=LIMIT, trusted_proxies=1) as server:  # noqa: SIM117 - as elsewhere
        with httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as client:
            yield client


@pytest.mark.parametrize(("method", "path", "cost"), COSTS)
def test_cost_of_a_request_depends_on_its_operation(tmp_path: Path, method: str, path: str, cost: int) -> None:
    limit = 2 * cost - 1  # so that less than half remains and the headers appear
    with serving(tmp_path, admin_key=ADMIN_KEY, rate_limit=limit) as server, httpx.Client() as client:
        headers = client.request(method, server.url + path, headers=AS_ADMIN).headers
    assert headers["RateLimit-Policy"] == f'"default";q={limit};w=60'
    found = re.fullmatch(r'"default";r=(\d+);t=(\d+)', headers["RateLimit"])
    assert found
    assert int(found[1]) == limit - cost
    assert 1 <= int(found[2]) <= 60


def test_remaining_quota_is_reported_below_one_half(client: httpx.Client) -> None:
    assert "RateLimit" not in client.get(PERSON).headers
    assert client.get("/v1/people/export").headers.keys() >= {"ratelimit", "ratelimit-policy"}


def test_principal_above_its_limit_gets_429_with_a_delay(client: httpx.Client, tmp_path: Path) -> None:
    other = make_key(tmp_path, name="other")
    while (response := client.get("/v1/people?surname=x")).status_code == 200:
        pass
    assert response.status_code == 429
    assert response.json()["type"] == "urn:peopleinfo:problem:rate-limit-exceeded"
    assert 1 <= int(response.headers["Retry-After"]) <= 5
    assert client.get("/status").status_code == 200
    assert client.get("/v1/people?surname=x", headers=bearer(other)).status_code == 200


def test_invalid_keys_are_limited_by_network(client: httpx.Client, tmp_path: Path) -> None:
    used_key, unused_key = make_key(tmp_path, name="known"), make_key(tmp_path, name="new")
    path = f"/v1/people/{'0' * 32}"
    assert client.get(path, headers=bearer(used_key)).status_code == 404
    same_network = {"X-Forwarded-For": "192.0.2.66"}
    guesses = [client.get(path, headers=bearer(generate_key()) | same_network) for _ in range(MAX_FAILURES + 10)]
    assert {response.status_code for response in guesses[:MAX_FAILURES]} == {401}
    assert guesses[-1].status_code == 429
    assert int(guesses[-1].headers["Retry-After"]) >= 1
    # A key that was accepted before stays valid from this network, and every key from another one.
    assert client.get(path, headers=bearer(used_key) | same_network).status_code == 404
    assert client.get(path, headers=bearer(unused_key) | {"X-Forwarded-For": "192.0.2.67"}).status_code == 404


def test_anonymous_requests_are_limited_by_network(tmp_path: Path) -> None:
    with (
        serving(tmp_path, allow_anonymous="true", rate_limit=LIMIT, trusted_proxies=1) as server,
        httpx.Client() as client,
    ):
        url = f"{server.url}/v1/people/export"
        one, same_site, another = (
            {"X-Forwarded-For": address} for address in ("2001:db8::1", "2001:db8::2", "192.0.2.1")
        )
        assert client.get(url, headers=one).status_code == 200
        assert client.get(url, headers=same_site).status_code == 429
        assert client.get(url, headers=another).status_code == 200


def test_loopback_requests_without_keys_are_not_limited(tmp_path: Path) -> None:
    with serving(tmp_path, rate_limit=1) as server, httpx.Client() as client:
        responses = [client.get(f"{server.url}/v1/people?surname=x") for _ in range(5)]
    assert {response.status_code for response in responses} == {200}
    assert "RateLimit" not in responses[0].headers


def test_invalid_keys_in_the_sign_in_form_are_limited_by_network(client: httpx.Client) -> None:
    same_origin = {"Sec-Fetch-Site": "same-origin"}

    def sign_in(key: str, network: str) -> int:
        headers = same_origin | {"X-Forwarded-For": network}
        return client.post("/console/sign-in", data={"key": key}, headers=headers).status_code

    statuses = [sign_in(generate_key(), f"192.0.2.66:{port}") for port in range(1, MAX_FAILURES + 11)]
    assert set(statuses[:MAX_FAILURES]) == {401}
    assert statuses[-1] == 429
    assert sign_in(ADMIN_KEY, "192.0.2.66") == 429
    assert sign_in(ADMIN_KEY, "192.0.2.67") == 303
    # The form and the header share one limit for each network.
    same_network = {"X-Forwarded-For": "192.0.2.66"}
    assert client.get(PERSON, headers=bearer(generate_key()) | same_network).status_code == 429


@pytest.mark.parametrize("path", ["/status", "/status/live", "/docs", "/openapi.json", "/console/sign-in", "/"])
async def test_requests_to_public_routes_are_limited_by_network(path: str, moment: MonotonicClock) -> None:
    limits = RateLimiter(LIMIT, limit_anonymous=False, proxies=1)
    limits._public = TokenBuckets(MAX_PUBLIC_REQUESTS, monotonic=moment)
    authentication = AuthMiddleware(cast("Any", None), limits, cast("Any", None), open_metrics=True)

    async def send_from(address: str) -> None:
        request = testing.create_asgi_req(path=path, headers={"X-Forwarded-For": address})
        request.uri_template = path
        await authentication.process_resource(request, cast("Any", None), None, None)

    for number in range(MAX_PUBLIC_REQUESTS):
        await send_from(f"2001:db8::{number % 100:x}")
    with pytest.raises(RateLimitExceeded):
        await send_from("2001:db8::1")
    await send_from("2001:db8:0:1::1")
