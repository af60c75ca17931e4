"""The image can be built for the other processor too: everything that is locked is there for it, by the hashes of the lock file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.image.containers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_HANGS = 300
_OFFLINE = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ProxyError", "Connection refused")


def test_whatever_is_locked_is_there_for_arm64(tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (version,) = re.findall(r"^ARG PYTHON_IMAGE=python:(3\.\d+)-slim$", dockerfile, re.MULTILINE)
    # As the Dockerfile asks for it: wheels alone, by their hashes. Nothing is installed.
    target = ["--platform=manylinux2014_aarch64", "--platform=manylinux_2_28_aarch64", f"--python-version={version}", f"--target={tmp_path}"]  # fmt: skip
    asked = ["--require-hashes", "--only-binary=:all:", "--no-deps", f"--requirement={ROOT / 'requirements' / 'run.lock'}"]  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "--retries=1", "install", "--dry-run", "--quiet", "--ignore-installed", *target, *asked],
        capture_output=True, text=True, timeout=_HANGS, check=False,
    )  # fmt: skip
    if ran.returncode and not os.environ.get("CI") and any(sign in ran.stderr for sign in _OFFLINE):
        pytest.skip("needs a way to the index of packages")
    assert ran.returncode == 0, ran.stderr
