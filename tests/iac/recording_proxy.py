"""A proxy in front of an emulator of AWS that records the calls of a client: service, action and resource."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

_TARGETS: Final = {"DynamoDB_20120810": "dynamodb", "TrentService": "kms"}
_OBJECTS: Final = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}
_KEPT: Final = ("authorization", "content-type", "x-amz", "accept", "content-md5")


@contextmanager
def recording(endpoint: str) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Start the proxy, and return its URL and the calls that it records: (action, table, key or object)."""
    calls: set[tuple[str, str]] = set()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            calls.add(_call(self.command, self.path, self.headers.get("X-Amz-Target", ""), body))
            headers = {name: text for name, text in self.headers.items() if name.lower().startswith(_KEPT)}
            request = Request(endpoint + self.path, body or None, headers, method=self.command)
            try:
                with urlopen(request, timeout=HANG_TIMEOUT) as response:
                    self._pass_on(response.status, response.headers, response.read())
            except HTTPError as error:
                self._pass_on(error.code, error.headers, error.read())

        def _pass_on(self, status: int, headers: Any, body: bytes) -> None:
            self.send_response(status)
            for name, text in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # do_GET and so on
                return self._answer
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", calls
        finally:
            server.shutdown()
            thread.join()


def _call(method: str, path: str, target: str, body: bytes) -> tuple[str, str]:
    service, _, action = target.partition(".")
    if service not in _TARGETS:
        return f"s3:{_OBJECTS[method]}", path.partition("?")[0].removeprefix("/")
    given = json.loads(body)
    table = given.get("TableName") or next(iter(given.get("RequestItems", {})), "") or given.get("KeyId", "")
    return f"{_TARGETS[service]}:{action}", str(table)
