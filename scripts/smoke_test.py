"""Check a deployed service from outside: `python3 -m scripts.smoke_test URL [--version 1.2.3]`. Requires Python only.

The service must be healthy, run one version behind all its addresses, and reject requests without credentials.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from http import HTTPStatus
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_TIMES: Final = 5  # in a row: a load balancer has then sent requests to each of several tasks
_HANGS: Final = 10


class DoesNotWork(Exception):
    """The service failed a check."""


def look(url: str, version: str | None) -> None:
    """Check the responses to requests without credentials. Raises DoesNotWork."""
    status, body = _get(f"{url}/status")
    if status != HTTPStatus.OK:
        raise DoesNotWork(f"/status responds {status}")
    report = json.loads(body)
    if version and report.get("version") != version:
        raise DoesNotWork(f"the version is {report.get('version')}, not {version}")
    status, _ = _get(f"{url}/v1/people?limit=1")
    if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise DoesNotWork(f"/v1/people responds {status} to a request without credentials")


def wait(url: str, version: str | None, *, seconds: float, pause: float = 2) -> None:
    """Check until five checks in a row succeed. Raises DoesNotWork after the timeout."""
    deadline = time.monotonic() + seconds
    good = 0
    while good < _TIMES:
        try:
            look(url, version)
            good += 1
        except (DoesNotWork, OSError, ValueError) as error:
            good = 0
            if time.monotonic() > deadline:
                raise DoesNotWork(f"{url} does not work: {error}") from error
            time.sleep(pause)


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(Request(url, headers={"Cache-Control": "no-cache"}), timeout=_HANGS) as response:  # noqa: S310 - the operator's URL
            return response.status, response.read()
    except HTTPError as error:
        return error.code, b""


def main() -> None:
    """Wait until a service works; exit 1 if it does not."""
    parser = argparse.ArgumentParser(description="Check a deployed service from outside.")
    parser.add_argument("url")
    parser.add_argument("--version", help="the version that must run")
    default = float(os.environ.get("SMOKE_SECONDS", "120"))
    parser.add_argument("--seconds", type=float, default=default, help="timeout in seconds (or SMOKE_SECONDS)")
    arguments = parser.parse_args()
    try:
        wait(arguments.url.rstrip("/"), arguments.version, seconds=arguments.seconds)
    except DoesNotWork as error:
        sys.exit(str(error))
    print(f"{arguments.url} works")


if __name__ == "__main__":
    main()
