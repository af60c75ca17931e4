"""`make run-cloud`: the service with a local DynamoDB emulator and a local Valkey. All data is deleted at the end."""

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
    """Start the servers and the service, and stop all at Ctrl-C. Other settings come from the environment."""
    local = dynamodb_servers.missing_requirement("dynamodb-local") is None
    kind = "dynamodb-local" if local else "ministack"
    os.environ |= dynamodb_servers.CREDENTIALS
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "PEOPLEINFO_STORE_URL": store_url(kind, Path(folder), timeout=1),
                "PEOPLEINFO_CACHE_URL": valkey_servers.shared_url(),
            }
            print(f"store: {kind}, cache: Valkey; both are deleted at the end", file=sys.stderr)  # noqa: T201
            command = [sys.executable, "-m", "peopleinfo", "serve"]
            service = subprocess.Popen(command, env=os.environ | settings, start_new_session=True)
            for number in (signal.SIGINT, signal.SIGTERM):  # the service shuts down before the servers stop
                signal.signal(number, lambda *_: service.terminate())
            return service.wait()
    finally:
        dynamodb_servers.stop_all()
        valkey_servers.stop_all()


if __name__ == "__main__":
    sys.exit(main())
