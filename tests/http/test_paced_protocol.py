"""Clients without a credential cannot use up the CPU time of the server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import pytest
from falcon import testing
from falcon.asgi import Request, Response
from uvicorn import Config
from uvicorn.server import ServerState

from peopleinfo.auth.authenticator import Authenticator
from peopleinfo.errors import NotAuthenticated
from peopleinfo.http import paced_protocol
from peopleinfo.http.middleware.auth import AuthMiddleware
from peopleinfo.http.paced_protocol import AUTHENTICATED, PacedProtocol
from peopleinfo.telemetry.metrics import REQUESTS_DELAYED
from tests.http.serving import ADMIN_KEY, HANG_TIMEOUT
from tests.http.test_uvicorn_protocol import no_content, status
from tests.store_kinds import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.auth.api_keys import ApiKeyStore
    from peopleinfo.http.sessions import Sessions

ONE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
COUNT = 50
FOREVER = 1e6  # seconds


async def authenticated(scope: Any, receive: Any, send: Any) -> None:
    scope[AUTHENTICATED] = True
    await no_content(scope, receive, send)


@asynccontextmanager
async def connections_to(
    app: Any, count: int = 1
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Serve an app with the protocol alone, and yield connections to it."""
    config = Config(app, interface="asgi3", log_config=None, ws="none")
    config.load()
    state = ServerState()
    listening = await asyncio.get_running_loop().create_server(lambda: PacedProtocol(config, state, {}), "127.0.0.1", 0)
    async with listening, asyncio.timeout(HANG_TIMEOUT):
        address = listening.sockets[0].getsockname()
        connections = [await asyncio.open_connection(*address) for _ in range(count)]
        try:
            yield connections
        finally:
            for _, writer in connections:
                writer.close()


async def test_requests_without_a_credential_wait_after_the_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced_protocol, "INTERVAL", FOREVER)
    monkeypatch.setattr(paced_protocol, "BURST", 2.5 * FOREVER)
    before = REQUESTS_DELAYED.values[()]
    async with connections_to(no_content, 2) as ((reader, writer), (other_reader, other_writer)):
        writer.write(ONE * COUNT)
        for _ in range(3):
            assert status(await reader.readuntil(b"\r\n\r\n")) == 204
        while REQUESTS_DELAYED.values[()] == before:
            await asyncio.sleep(0)
        other_writer.write(ONE)
        assert status(await other_reader.readuntil(b"\r\n\r\n")) == 204
        next_response = asyncio.ensure_future(reader.read(1))
        for _ in range(100):  # iterations of the event loop in which it could respond
            await asyncio.sleep(0)
        assert not next_response.done()
        assert REQUESTS_DELAYED.values[()] == before + 1
        next_response.cancel()


@pytest.mark.parametrize("app", [no_content, authenticated])
async def test_every_request_gets_its_response(monkeypatch: pytest.MonkeyPatch, app: Any) -> None:
    monkeypatch.setattr(paced_protocol, "INTERVAL", 0.0005)
    monkeypatch.setattr(paced_protocol, "BURST", 0)
    before = REQUESTS_DELAYED.values[()]
    async with connections_to(app) as ((reader, writer),):
        writer.write(ONE * COUNT)
        for _ in range(COUNT):
            assert status(await reader.readuntil(b"\r\n\r\n")) == 204
        writer.write(b"GARBAGE\r\n\r\n")
        assert status(await reader.read()) == 400
    assert (REQUESTS_DELAYED.values[()] > before) == (app is no_content)


async def test_app_reports_requests_with_a_valid_credential() -> None:
    authenticator = Authenticator(cast("ApiKeyStore", None), now=Clock().now, admin_key=ADMIN_KEY)
    middleware = AuthMiddleware(authenticator, None, cast("Sessions", None), open_metrics=False)
    for credential, is_valid in ((ADMIN_KEY, True), ("", False)):
        req = Request(testing.create_scope(headers={"Authorization": f"Bearer {credential}"}), None)  # type: ignore[arg-type]
        req.uri_template = "/v1/changes"
        with nullcontext() if is_valid else pytest.raises(NotAuthenticated):
            await middleware.process_resource(req, Response(), None, {})
        assert (AUTHENTICATED in req.scope) == is_valid
