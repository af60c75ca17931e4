"""A real server, a faulty proxy in front of it, and both clients behind one interface."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo_client import AsyncClient, Client
from tests.client.faulty_proxy import FaultyProxy, faulty_proxy
from tests.http.serving import Server, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("client")) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(server.address) as proxy:
        yield proxy


class BlockingAsyncClient:
    """An AsyncClient with the interface of Client, so that both pass the same tests."""

    def __init__(self, url: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = getattr(self._client, name)(*arguments, **named)
            return self._iterate(result) if hasattr(result, "__anext__") else self._runner.run(result)

        return call

    def _iterate(self, source: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(anext(source))
            except StopAsyncIteration:
                return

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Connect = Any  # (url, **options) -> Client


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    clients: list[Any] = []

    def connect(url: str, **options: Any) -> Any:
        clients.append((Client if request.param == "Client" else BlockingAsyncClient)(url, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@contextmanager
def raises(kind: type[Exception], message: str = ".") -> Iterator[pytest.ExceptionInfo[Any]]:
    """Like pytest.raises, but accept no subclass."""
    with pytest.raises(kind, match=message) as raised:
        yield raised
    assert type(raised.value) is kind
