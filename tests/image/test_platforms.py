"""The image can be built for arm64: every locked package has a wheel for it, with a hash of the lock file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.image.containers import ROOT
from tests.package_index import pip_install

if TYPE_CHECKING:
    from pathlib import Path


def test_every_locked_package_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (version,) = re.findall(r"^ARG PYTHON_IMAGE=python:(3\.\d+)-slim$", dockerfile, re.MULTILINE)
    # The options of the Dockerfile: only wheels, verified by their hashes. Nothing is installed.
    target = ["--platform=manylinux2014_aarch64", "--platform=manylinux_2_28_aarch64", f"--python-version={version}", f"--target={tmp_path}"]  # fmt: skip
    locked = ["--require-hashes", "--only-binary=:all:", "--no-deps", f"--requirement={ROOT / 'requirements' / 'run.lock'}"]  # fmt: skip
    pip_install("--dry-run", "--ignore-installed", *target, *locked)
