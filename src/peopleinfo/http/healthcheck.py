"""Whether the service that runs here answers: `python -m peopleinfo.http.healthcheck`, for containers, which have no curl.

Not a command of `peopleinfo`, because it runs twice a minute all day, and loading all commands costs four times as much.
"""

from __future__ import annotations

import socket
import sys
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT: Final = 4  # seconds: less than whoever runs the check waits
WILDCARD_HOSTS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one that listens everywhere is found


def main() -> None:
    """Ask the service of the settings in the environment whether it lives; exits 1 when nothing answers.

    Not whether it can serve: a store that is away is no reason to replace the service, which could not bring it back.
    """
    settings = Settings.load()
    connection, place = _connection(settings)
    try:
        connection.request("GET", "/status/live")
        print(f"the service answers {connection.getresponse().status}")  # noqa: T201
    except (OSError, HTTPException) as error:
        sys.exit(f"nothing answers on {place}: {error}")
    finally:
        connection.close()


def _connection(settings: Settings) -> tuple[HTTPConnection, str]:
    """Return a connection to the service that is not open yet, and the place that it leads to."""
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
