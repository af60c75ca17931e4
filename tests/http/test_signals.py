"""One signal ends the service cleanly, whenever it arrives."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.serving import COMMAND, HANG_TIMEOUT, REPOSITORY, environment, started
from tests.store_kinds import store_url

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNAL_POINTS = 8  # evenly distributed over the function calls from start to exit
SIGNALLED = (sys.executable, str(Path(__file__).with_name("signalled_service.py")))
NEW_PID_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")


def count_calls(folder: Path, workers: int) -> int:
    """Return the number of function calls of a service from start to exit."""
    with started(folder, workers=workers, command=(*SIGNALLED, "-1", "SIGTERM")) as server:
        assert server.terminate() == 0
        return int(server.log.read_text().splitlines()[-1])


def run_to_exit(folder: Path, command: Sequence[str], **settings: object) -> tuple[int, str]:
    """Run a service until it exits, and return its exit code and error output."""
    settings = {"port": 0, "store_url": store_url("sqlite", folder)} | settings
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(**settings), capture_output=True, timeout=HANG_TIMEOUT, check=False
    )
    lines = done.stderr.decode().splitlines()
    return done.returncode, "\n".join(line for line in lines if not line.startswith("PeopleInfo serves "))


@pytest.mark.parametrize("workers", [1, 2])
def test_signal_at_any_moment_ends_the_service_with_0(tmp_path: Path, workers: int) -> None:
    calls = count_calls(tmp_path, workers)
    for point in range(SIGNAL_POINTS):
        at = (str(1 + calls * point // SIGNAL_POINTS), ("SIGTERM", "SIGINT")[point % 2])
        assert run_to_exit(tmp_path, (*SIGNALLED, *at), workers=workers) == (0, ""), at


@pytest.mark.parametrize("command", [COMMAND, (str(Path(sys.executable).with_name("peopleinfo")), "serve")])
def test_signal_pending_before_the_start_is_not_lost(tmp_path: Path, command: tuple[str]) -> None:
    assert run_to_exit(tmp_path, (*with_pending_signal(), *command)) == (0, "")


def test_signal_to_pid_1_is_not_lost(tmp_path: Path) -> None:
    require_pid_namespaces()
    at_once = (*NEW_PID_NAMESPACE, *with_pending_signal(), *COMMAND)
    assert run_to_exit(tmp_path, at_once) == (0, "")
    calls = count_calls(tmp_path, 1)
    for point in range(0, SIGNAL_POINTS, 2):
        at = str(1 + calls * point // SIGNAL_POINTS)
        assert run_to_exit(tmp_path, (*NEW_PID_NAMESPACE, *SIGNALLED, at, "SIGTERM")) == (0, ""), at


def with_pending_signal() -> tuple[str, ...]:
    """Return a command that blocks SIGTERM, sends it to itself, and executes another command."""
    script = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
        "os.kill(os.getpid(), signal.SIGTERM); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return (sys.executable, "-c", script)


def require_pid_namespaces() -> None:
    """Skip the test if processes cannot have their own PID namespace."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (Debian: util-linux)")
    if subprocess.run([*NEW_PID_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make PID namespaces: run as root, outside a restricted container")
