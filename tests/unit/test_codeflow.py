"""The provider is asked for its configuration at intervals, whether or not it answers."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.auth.oidc import JWKS_REFETCH_INTERVAL, JWKS_TTL, ProviderUnavailable
from peopleinfo.auth.oidc_login import AuthorizationCodeFlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store_kinds import MonotonicClock


class Provider(ThreadingHTTPServer):
    """A provider that counts who asks for its configuration, and may be ill."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.asked = 0
        self.is_ill = False


class _Asked(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        issuer = self.server.issuer
        body = json.dumps({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize"}).encode()
        self.send_response(500 if self.server.is_ill else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
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


async def begun(flow: AuthorizationCodeFlow, times: int) -> int:
    """Begin to sign in so many times at once; return how many times the provider could be reached."""
    beginnings = [flow.start("http://here/back", "/console") for _ in range(times)]
    results = await asyncio.gather(*beginnings, return_exceptions=True)
    assert all(isinstance(result, tuple | ProviderUnavailable) for result in results)
    return sum(isinstance(result, tuple) for result in results)


async def test_a_provider_that_answers_is_asked_once_in_a_while(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    assert await begun(flow, 50) == 50
    moment.now += JWKS_TTL - 1
    assert await begun(flow, 50) == 50
    assert provider.asked == 1
    moment.now += 1
    assert await begun(flow, 50) == 50
    assert provider.asked == 2


async def test_a_provider_that_does_not_answer_is_asked_once_in_a_while(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    provider.is_ill = True
    assert await begun(flow, 50) == 0
    moment.now += JWKS_REFETCH_INTERVAL - 1
    assert await begun(flow, 50) == 0
    assert provider.asked == 1
    provider.is_ill = False
    moment.now += 1
    assert await begun(flow, 50) == 50
    assert provider.asked == 2


async def test_what_a_provider_said_before_it_was_ill_is_used(
    provider: Provider, flow: AuthorizationCodeFlow, moment: MonotonicClock
) -> None:
    assert await begun(flow, 1) == 1
    provider.is_ill = True
    moment.now += JWKS_TTL
    assert await begun(flow, 50) == 50
    assert provider.asked == 2
