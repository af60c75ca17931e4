"""Container health check without curl: `python -m peopleinfo.http.healthcheck`.

It is not a command of `peopleinfo`: it runs twice a minute, and loading all commands costs four times as much CPU.
"""

from __future__ import annotations

import socket
import sys
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT: Final = 4  # seconds; shorter than the timeout of the container runtime
WILDCARD_HOSTS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a server that listens on all addresses


def main() -> None:
    """Check the liveness of the service that the environment configures; exit 1 without a response.

    The readiness is not checked: replacing the container does not repair an unavailable store.
    """
    settings = Settings.load()
    connection, address = _connection(settings)
    try:
        connection.request("GET", "/status/live")
        print(f"the service responds with status {connection.getresponse().status}")  # noqa: T201
    except (OSError, HTTPException) as error:
        sys.exit(f"no response on {address}: {error}")
    finally:
        connection.close()


def _connection(settings: Settings) -> tuple[HTTPConnection, str]:
    """Return an unopened connection to the service, and its address as text."""
    if settings.socket_path:
        return _UnixConnection(settings.socket_path), settings.listen_address
    host = WILDCARD_HOSTS.get(settings.host, settings.host)
    return HTTPConnection(host, settings.port, timeout=TIMEOUT), f"{host} port {settings.port}"


class _UnixConnection(HTTPConnection):
    """A connection through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


if __name__ == "__main__":
    main()
