"""The undocumented parts of libraries that the service uses are those that it was written for (docs/adr/0020)."""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any

import falcon.asgi
import pytest
from falcon import testing
from redis.asyncio.connection import AbstractConnection
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

if TYPE_CHECKING:
    from collections.abc import Callable

# The source of each part, and the module that adapts it. After an upgrade of the library changes a part, read what
# changed, adapt the module, then update the digest.
PARTS: dict[Callable[..., Any], tuple[str, str]] = {
    HttpToolsProtocol: ("http/uvicorn_protocol.py", "18fdf324b11bf160"),
    RequestResponseCycle: ("http/uvicorn_cycle.py", "e67d470d435dcc1c"),
    FlowControl: ("http/uvicorn_cycle.py", "126debcdaa894c83"),
    ServerState: ("http/uvicorn_protocol.py", "f2260fbf10154746"),
    Multiprocess: ("cli/supervisor.py", "ea4650ac0ee7c09c"),
    Process: ("cli/supervisor.py", "c3105a4518e3195a"),
    AbstractConnection.connect: ("stores/cached/pipelined_connection.py", "08c5daf33e6e52ef"),
    AbstractConnection.disconnect: ("stores/cached/pipelined_connection.py", "11194f01c2f6d3c2"),
}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__qualname__)
def test_adapted_part_of_a_library_is_unchanged(part: Callable[..., Any]) -> None:
    module, digest = PARTS[part]
    source = inspect.getsource(part).encode()
    assert hashlib.sha256(source).hexdigest()[:16] == digest, f"{part.__qualname__} has changed: check {module}"


async def test_falcon_request_receives_events_by_the_adapted_name() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    request = falcon.asgi.Request(testing.create_scope(), receive)
    assert await request._receive() == {"type": "http.disconnect"}
