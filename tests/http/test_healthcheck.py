"""The health check of the container."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.http.serving import environment, serving
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


def healthcheck(port: int, host: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "peopleinfo.http.healthcheck"]
    settings = environment(port=port, host=host, allow_anonymous="true")
    return subprocess.run(command, env=settings, capture_output=True, text=True, check=False)


def test_responding_service_is_healthy_on_every_address(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = server.address[1]
        for host in ("127.0.0.1", "0.0.0.0", "localhost"):
            assert (healthcheck(port, host).returncode, healthcheck(port, host).stdout) == (
                0,
                "the service responds with status 200\n",
            )


def test_health_check_fails_with_a_reason_if_nothing_listens() -> None:
    checked = healthcheck(port := free_port(), "127.0.0.1")
    assert checked.returncode == 1
    assert checked.stderr.startswith(f"no response on 127.0.0.1 port {port}: ")
    assert "Traceback" not in checked.stderr
