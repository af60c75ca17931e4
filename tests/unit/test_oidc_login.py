"""The configuration of the provider is fetched at intervals, also while the provider is unavailable."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.auth.oidc_login import AuthorizationCodeFlow, PendingLogin
from peopleinfo.auth.provider import DOCUMENT_TTL, REFETCH_INTERVAL, ProviderUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store_kinds import MonotonicClock


class Provider(ThreadingHTTPServer):
    """A provider that counts requests for its configuration and can be unavailable."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.requests = 0
        self.is_down = False
        self.token_response = b'{"access_token": "a.b.c"}'


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.requests += 1
        issuer = self.server.issuer
        endpoints = {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token"}
        self._answer(json.dumps({"issuer": issuer, **endpoints}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.token_response)

    def _answer(self, body: bytes) -> None:
        self.send_response(500 if self.server.is_down else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client stops reading a long body
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever)
        thread.start()
        yield provider
        provider.shutdown()
        thread.join()


@pytest.fixture
def flow(provider: Provider, moment: MonotonicClock) -> AuthorizationCodeFlow:
    return AuthorizationCodeFlow(provider.issuer, "console", secret="", scopes="openid", monotonic=moment)


async def start_logins(flow: AuthorizationCodeFlow, times: int) -> int:
    """Start logins concurrently and return the number of successful ones."""
    logins = [flow.start("http://here/back", "/console") for _ in range(times)]
    results = await asyncio.gather(*logins, return_exceptions=True)
    assert all(isinstance(result, tuple | ProviderUnavailable) for result in results)
    return sum(isinstance(result, tuple) for result in results)


async def test_configuration_of_a_provider_is_cached(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    assert await start_logins(flow, 50) == 50
    moment.now += DOCUMENT_TTL - 1
    assert await start_logins(flow, 50) == 50
    assert provider.requests == 1
    moment.now += 1
    assert await start_logins(flow, 50) == 50
    assert provider.requests == 2


async def test_failed_request_to_a_provider_is_retried_after_an_interval(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    provider.is_down = True
    assert await start_logins(flow, 50) == 0
    moment.now += REFETCH_INTERVAL - 1
    assert await start_logins(flow, 50) == 0
    assert provider.requests == 1
    provider.is_down = False
    moment.now += 1
    assert await start_logins(flow, 50) == 50
    assert provider.requests == 2


async def test_cached_configuration_is_used_while_provider_is_down(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    assert await start_logins(flow, 1) == 1
    provider.is_down = True
    moment.now += DOCUMENT_TTL
    assert await start_logins(flow, 50) == 50
    assert provider.requests == 2


async def finish_login(flow: AuthorizationCodeFlow) -> str:
    """Complete a login and return its token."""
    _, pending = await flow.start("http://here/back", "/console")
    return await flow.finish(pending, {"state": pending.state, "code": "c"}, "http://here/back")


async def test_token_of_the_provider_completes_the_login(flow: AuthorizationCodeFlow) -> None:
    assert await finish_login(flow) == "a.b.c"


async def test_oversized_token_response_is_rejected(provider: Provider, flow: AuthorizationCodeFlow) -> None:
    provider.token_response = json.dumps({"access_token": "a.b.c", "more": "x" * 2_000_000}).encode()
    with pytest.raises(ProviderUnavailable, match="returned more than"):
        await finish_login(flow)


async def test_provider_that_is_down_is_no_rejected_code(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    provider.is_down = True
    with pytest.raises(ProviderUnavailable, match="500"):
        await flow.finish(PendingLogin("s", "v", "/console"), {"state": "s", "code": "c"}, "http://here/back")
