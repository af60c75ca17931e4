"""Terraform, run on copies of the stacks: `TERRAFORM` names the command. `make iac-test` sets it; other targets download nothing large."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

IAC: Final = Path(__file__).parents[2] / "iac"
STACKS: Final = sorted(str(found.parent.relative_to(IAC)) for found in IAC.glob("**/terraform.tf"))
COMMAND: Final = os.environ.get("TERRAFORM", "")
_HANGS: Final = 900

Resources = dict[str, dict[str, Any]]  # address → the values of a resource


class Stacks:
    """A copy of all stacks; each is initialized on its first use."""

    def __init__(self, folder: Path) -> None:
        if not COMMAND or shutil.which(COMMAND) is None:
            assert not os.environ.get("CI"), "in CI, TERRAFORM must name an existing terraform"
            pytest.skip("needs Terraform: make iac-test")
        self._folder = folder / "iac"
        self._plugins = folder / "plugins"  # providers are downloaded once
        self._plugins.mkdir()
        self._ready: set[str] = set()
        self._states: dict[str, Resources] = {}
        self._changes: dict[str, list[str]] = {}
        shutil.copytree(IAC, self._folder, ignore=shutil.ignore_patterns(".terraform*"))
        _beside(self._folder)

    def initialised(self, stack: str) -> Path:
        """Return the folder of a stack, ready for tests."""
        folder = self._folder / stack
        if stack not in self._ready:
            done = self.run(folder, "init", "-backend=false")
            assert done.returncode == 0, done.stdout
            self._ready.add(stack)
        return folder

    def copied(self, stack: str, to: Path) -> Path:
        """Return the folder of a stack in a writable copy of all stacks."""
        self.initialised(stack)
        shutil.copytree(self._folder, to / "iac", symlinks=True)
        _beside(to / "iac")
        return to / "iac" / stack

    def resources(self, stack: str) -> Resources:
        """Return the resources of a stack in `qa`: the state after the first run of its contract test, with mocked values."""
        if stack not in self._states:
            reports = self._contract(self.initialised(stack))
            self._states[stack] = _state(reports)
            plan = reports["test_plan", "applied_again_it_changes_nothing"]["test_plan"]
            self._changes[stack] = [
                one["address"] for one in plan["resource_changes"] if one["change"]["actions"] != ["no-op"]
            ]
        return self._states[stack]

    def profiles(self, stack: str) -> dict[str, Resources]:
        """Return the resources of a stack in each profile: the states after the runs of its profile test."""
        reports = self._reports(self.initialised(stack), "profiles")
        return {profile: _state(reports, profile) for profile in ("small", "standard", "prod")}

    def resources_in(self, folder: Path) -> Resources:
        """Return the same for a changed copy of a stack."""
        return _state(self._contract(folder))

    def _contract(self, folder: Path) -> dict[tuple[str, str | None], Any]:
        (name,) = (
            file.name.partition(".")[0]
            for file in (folder / "tests").glob("*.tftest.hcl")
            if "applied_again_it_changes_nothing" in file.read_text()
        )
        return self._reports(folder, name)

    def _reports(self, folder: Path, name: str) -> dict[tuple[str, str | None], Any]:
        (test,) = (folder / "tests").glob(f"{name}.tftest.hcl")
        done = self.run(folder, "test", "-json", "-verbose", f"-filter=tests/{test.name}")
        assert done.returncode == 0, done.stdout[-2000:]
        return {(one["type"], one.get("@testrun")): one for one in map(json.loads, done.stdout.splitlines())}

    def changes(self, stack: str) -> list[str]:
        """Return the changes of a second plan after that first run."""
        self.resources(stack)
        return self._changes[stack]

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform in a folder and merge its output streams."""
        settings = {
            "TF_IN_AUTOMATION": "true",
            "TF_PLUGIN_CACHE_DIR": str(self._plugins),
            "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "true",  # there is no such file in a copy
        }
        return subprocess.run(
            [COMMAND, *arguments, "-no-color"],
            cwd=folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_HANGS,
            check=False,
        )


def _state(reports: dict[tuple[str, str | None], Any], run: str = "by_default") -> Resources:
    root = reports["test_state", run]["test_state"]["root_module"]
    modules = [root, *root.get("child_modules", ())]
    return {one["address"]: one["values"] for module in modules for one in module["resources"]}


def _beside(copy: Path) -> None:
    """Copy the linter rules to the folders where the stacks expect them."""
    copy.with_name("observability").symlink_to(IAC.with_name("observability"))
