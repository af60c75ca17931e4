"""`make run-cloud`: the service as it runs in the cloud, against a DynamoDB server and a Valkey on this machine. All is gone when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import dynamodb_servers, valkey_servers
from tests.store_kinds import store_url


def main() -> int:
    """Start everything, serve until Ctrl-C, and end everything; the settings of the environment count, but for the store and the cache."""
    local = dynamodb_servers.missing_requirement("dynamodb-local") is None
    kind = "dynamodb-local" if local else "ministack"
    os.environ |= dynamodb_servers.CREDENTIALS
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "PEOPLEINFO_STORE_URL": store_url(kind, Path(folder), timeout=1),
                "PEOPLEINFO_CACHE_URL": valkey_servers.shared_url(),
            }
            print(f"people are in {kind}, answers in Valkey; both end with the service", file=sys.stderr)  # noqa: T201
            command = [sys.executable, "-m", "peopleinfo", "serve"]
            service = subprocess.Popen(command, env=os.environ | settings, start_new_session=True)
            for ending in (
                signal.SIGINT,
                signal.SIGTERM,
            ):  # the service finishes what it is at, and its servers end after it
                signal.signal(ending, lambda *_: service.terminate())
            return service.wait()
    finally:
        dynamodb_servers.stop_all()
        valkey_servers.stop_all()


if __name__ == "__main__":
    sys.exit(main())
