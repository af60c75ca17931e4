"""Apply converted copies of the stacks to an emulator of AWS, with HashiCorp's own provider.

AWS_EMULATOR names a Python with requirements/apply.lock, TF_MIRROR a folder of providers where no registry is reachable: `make iac-apply`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from tests.iac.conversion import convert
from tests.iac.terraform import IAC
from tests.limits import HANG_TIMEOUT
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON: Final = os.environ.get("AWS_EMULATOR", "")
ORDER: Final = ("bootstrap", "basic_iac", "app_iac", "deploy_iac")
REGION: Final = "eu-west-1"
_CHANGE: Final = re.compile(r"# (\S+) ((?:will|must) be .*)")
_HANGS: Final = 900


class Failed(Exception):
    """Terraform ended with an error."""


class Account:
    """An empty account with one hosted zone, to which stacks are applied in their order."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint
        shutil.copytree(
            IAC, folder / "iac", ignore=shutil.ignore_patterns(".terraform*", "tests", "terraform.tfstate*")
        )
        (folder / "observability").symlink_to(IAC.with_name("observability"))
        convert(folder / "iac", endpoint)
        zone = self.service("route53").create_hosted_zone(Name="qa.example.org", CallerReference="tests")
        self._zone = zone["HostedZone"]["Id"].removeprefix("/hostedzone/")
        self._environment = _environment(folder)

    def service(self, name: str) -> Any:
        """Return a client of the emulator."""
        session = botocore.session.get_session()
        session.set_credentials("tests", "tests")
        return session.create_client(name, region_name=REGION, endpoint_url=self._endpoint)

    def apply(self, stack: str) -> int:
        """Apply a stack and return the number of resources that its plan announced. Raises Failed."""
        self._run(stack, "init", "-input=false")
        self._run(stack, "plan", "-input=false", "-out=made", *self._variables(stack))
        output = self._run(stack, "apply", "-input=false", "made")
        found = re.search(r"Apply complete! Resources: (\d+) added, 0 changed, 0 destroyed", output)
        assert found, output[-2000:]
        return int(found[1])

    def resources(self, stack: str) -> list[str]:
        """Return the addresses of a stack's resources, one for each instance."""
        state = json.loads((self._folder / "iac" / stack / "terraform.tfstate").read_text())
        managed = [one for one in state["resources"] if one["mode"] == "managed"]
        return [f"{one['type']}.{one['name']}" for one in managed for _ in one["instances"]]

    def changes(self, stack: str) -> list[str]:
        """Return what another plan would change. Raises Failed."""
        output = self._run(stack, "plan", "-input=false", *self._variables(stack))
        changes = [" ".join(found.groups()) for found in _CHANGE.finditer(output)]
        assert changes or "No changes." in output, output[-2000:]
        return changes

    def destroy(self, stack: str) -> None:
        """Destroy a stack. Raises Failed."""
        self._run(stack, "destroy", "-input=false", "-auto-approve", *self._variables(stack))

    def _variables(self, stack: str) -> list[str]:
        if stack == "bootstrap":
            return ["-var=environment=qa", f"-var=region={REGION}"]
        more = {
            "app_iac": [f'-var=endpoint={{ domain_name = "people.qa.example.org", zone_id = "{self._zone}" }}'],
            "deploy_iac": [f"-var=image_version=sha256:{'d' * 64}"],
        }
        return ["-var-file=environments/qa/terraform.tfvars.example", *more.get(stack, ())]

    def _run(self, stack: str, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", f"-chdir={self._folder / 'iac' / stack}", *arguments, "-no-color"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_HANGS,
            check=False,
        )
        if done.returncode:
            raise Failed(f"terraform {arguments[0]} of {stack}: {done.stdout[-4000:]}")
        return done.stdout


@contextmanager
def account(folder: Path) -> Iterator[Account]:
    """Start the emulator and return the account that it emulates."""
    port = free_port()
    with (folder / "emulator.log").open("wb") as log:
        command = [str(Path(PYTHON).absolute()), str(Path(__file__).with_name("emulator.py")), str(port)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _await_start(process, port, folder / "emulator.log")
        yield Account(folder, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(HANG_TIMEOUT)


def _await_start(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = monotonic() + HANG_TIMEOUT
    while "Running on" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert monotonic() < end, f"the emulator does not start on port {port}"
        sleep(0.1)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of Terraform: no settings of the caller but the mirror of providers."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    settings = {"TF_IN_AUTOMATION": "true", "CHECKPOINT_DISABLE": "true", "AWS_EC2_METADATA_DISABLED": "true"}
    if mirror := os.environ.get("TF_MIRROR"):
        settings["TF_CLI_CONFIG_FILE"] = str(folder / "terraform.rc")
        (folder / "terraform.rc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
    return inherited | settings
