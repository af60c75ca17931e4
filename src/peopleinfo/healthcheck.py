"""Whether the service that runs here answers: `python -m peopleinfo.healthcheck`, for containers, which have no curl.

Not a command of `peopleinfo`, because it runs twice a minute all day, and loading all commands costs four times as much.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

from peopleinfo.settings import Settings

_HANGS: Final = 4  # seconds: less than whoever runs the check waits
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one that listens everywhere is found


def main() -> None:
    """Ask the service of the settings in the environment whether it lives; ends with 1 when nothing answers.

    Not whether it can serve: a store that is away is no reason to replace the service, which could not bring it back.
    """
    settings = Settings.load()
    host = _EVERYWHERE.get(settings.host, settings.host)
    connection = HTTPConnection(host, settings.port, timeout=_HANGS)
    try:
        connection.request("GET", "/status/live")
        print(f"the service answers {connection.getresponse().status}")  # noqa: T201
    except (OSError, HTTPException) as error:
        sys.exit(f"nothing answers on {host} port {settings.port}: {error}")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
