"""Clients without a credential cannot use up the CPU time of the server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from peopleinfo.http import paced_protocol
from peopleinfo.http.paced_protocol import AUTHENTICATED, PacedProtocol
from peopleinfo.telemetry.metrics import REQUESTS_DELAYED
from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_uvicorn_protocol import exchange, no_content, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ONE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
COUNT = 50
FOREVER = 1e6  # seconds
DELAYED = "peopleinfo_http_requests_delayed_total"


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


def test_server_delays_no_client_with_a_credential(tmp_path: Path) -> None:
    request_ = b"GET /v1/changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % ADMIN_KEY.encode()
    requests = [request_] * (3 * int(paced_protocol.BURST / paced_protocol.INTERVAL))
    requests.append(request_.replace(b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n"))
    with serving(tmp_path, admin_key=ADMIN_KEY) as server:
        assert exchange(server, b"".join(requests)).count(b"HTTP/1.1 200 OK") == len(requests)
        assert f"\n{DELAYED} 0.0\n" in httpx.get(f"{server.url}/metrics", headers=AS_ADMIN).text
