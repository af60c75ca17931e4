"""Package installation with pip, for tests that need the package index."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

_UNREACHABLE: Final = (
    "NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "Connection refused",
)  # fmt: skip


def pip_install(*arguments: str | Path, python: str | Path = sys.executable) -> None:
    """Run `pip install` for an interpreter, without output. Skips the test where the package index is unreachable."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries=1", f"--python={python}"]
    done = subprocess.run(
        [*command, "install", "--quiet", *arguments], capture_output=True, text=True, timeout=HANG_TIMEOUT, check=False
    )
    if done.returncode and any(message in done.stderr for message in _UNREACHABLE):
        pytest.skip("needs access to the package index")
    assert done.returncode == 0, done.stderr
