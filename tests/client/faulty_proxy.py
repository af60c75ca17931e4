"""A proxy in front of a real server. It can refuse a request, lose or truncate a response, and request a delay."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import deque
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Fault = Literal["drop", "lose", "truncate", "throttle", "throttle for long", "unavailable", "bad gateway", "unknown"]
_PROBLEM = b'{"type":"urn:peopleinfo:problem:%s","detail":"simulated"}'
_RESPONSES: dict[str, tuple[int, str | None, bytes]] = {
    "throttle": (429, "1", _PROBLEM % b"rate-limit-exceeded"),
    "throttle for long": (429, "3600", _PROBLEM % b"rate-limit-exceeded"),
    "unavailable": (503, None, _PROBLEM % b"store-unavailable"),
    "bad gateway": (502, None, b"<html>"),
    "unknown": (503, None, _PROBLEM % b"outcome-unknown"),
}


class FaultyProxy(ThreadingHTTPServer):
    """Forwards requests to `address`. Each request consumes the next of the `faults`, if any."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = address
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        self.server.requests.append((self.command, self.path))
        self.server.authorizations.append(self.headers.get("Authorization"))
        fault = self.server.faults.popleft() if self.server.faults else None
        body = self._read_body()
        if fault == "drop":
            self._reset()
        elif fault in _RESPONSES:
            self._respond(*_RESPONSES[str(fault)])
        else:
            self._forward(body, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - names that http.server requires

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(*self.server.address, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except OSError:
            self._reset()
            return
        finally:
            connection.close()
        if fault == "lose":
            self._reset()
            return
        self.send_response(response.status)
        for name in ("Content-Type", "Content-Encoding", "ETag", "Retry-After"):
            if value := response.headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "truncate" else content)

    def _respond(self, status: int, retry_after: str | None, body: bytes) -> None:
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()
        self.close_connection = True  # without this, the handler waits for the next request

    def log_message(self, *_: object) -> None:
        pass

    def finish(self) -> None:
        with suppress(OSError):  # after a reset
            super().finish()


@contextmanager
def faulty_proxy(address: tuple[str, int]) -> Iterator[FaultyProxy]:
    """Run a proxy in front of the server at `address`."""
    with FaultyProxy(address) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
