"""Each stack and module is formatted and valid, and passes its Terraform tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.iac.terraform import COMMAND, IAC, STACKS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.iac.terraform import Stacks

_VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def test_files_are_formatted(stacks: Stacks) -> None:
    done = stacks.run(IAC, "fmt", "-check", "-diff", "-recursive")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stack", STACKS)
def test_terraform_tests_of_the_stack_pass(stacks: Stacks, stack: str) -> None:
    folder = stacks.initialised(stack)
    for command in ("validate", "test"):
        done = stacks.run(folder, command)
        assert done.returncode == 0, done.stdout
        assert "Warning" not in done.stdout
    assert re.search(r"[1-9]\d* passed, 0 failed", done.stdout)


@pytest.mark.parametrize("stack", ["basic_iac", "app_iac", "deploy_iac", "eks_iac", "preview_iac"])
def test_second_plan_is_empty(stacks: Stacks, stack: str) -> None:
    assert stacks.changes(stack) == []


@pytest.mark.parametrize("stack", STACKS)
def test_variables_are_in_order_and_described(stack: str) -> None:
    variables = _VARIABLE.findall((IAC / stack / "variables.tf").read_text())
    assert [name for name, _ in variables] == sorted(name for name, _ in variables)
    for name, body in variables:
        assert re.search(r'description = "[A-Z].*\."$', body, re.MULTILINE), (
            f"{name} has no sentence as its description"
        )
        assert re.search(r"^  type +=", body, re.MULTILINE), f"{name} has no type"
        assert "nullable" in body or re.search(r"default += null", body), f"{name} does not explain null"


@pytest.mark.parametrize(
    "example", sorted(IAC.glob("*/environments/*/*.example")), ids=lambda path: "/".join(path.parts[-4:-1])
)
def test_example_sets_only_existing_variables(example: Path) -> None:
    variables = dict(_VARIABLE.findall((example.parents[2] / "variables.tf").read_text()))
    given = set(re.findall(r"^(\w+) +=", example.read_text(), re.MULTILINE))
    assert given <= set(variables)
    assert {name for name, body in variables.items() if "  default" not in body} <= given, "one must be given"


@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.endswith("_iac")])
def test_each_environment_has_an_example(stack: str) -> None:
    assert {path.parent.name for path in (IAC / stack).glob("environments/*/terraform.tfvars.example")} == {
        "qa",
        "prod",
    }


@pytest.mark.usefixtures("stacks")
def test_providers_are_locked_in_a_fresh_clone(tmp_path: Path) -> None:
    shutil.copytree(IAC, tmp_path / "iac", ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copytree(IAC.with_name("scripts"), tmp_path / "scripts")
    # Without a registry this fails in `providers lock`, after the modules are installed.
    terraform = tmp_path / "terraform"
    terraform.write_text(
        f"""#!/bin/sh
case "$*" in *"providers lock"*) ;; *) exec {COMMAND} "$@" ;; esac
cd "${{1#-chdir=}}"
if grep -q 'source *= "[.]' ./*.tf && ! test -e .terraform/modules/modules.json; then echo Module not installed; exit 1; fi
"""
    )
    terraform.chmod(0o755)
    environment = os.environ | {"TERRAFORM": str(terraform)}
    done = subprocess.run(
        [tmp_path / "scripts" / "lock_providers"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What EC2 and WAF document for descriptions; others accept all printable characters.
_DESCRIPTIONS = {
    "aws_security_group": r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}",
    "aws_vpc_security_group_ingress_rule": r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}",
    "aws_vpc_security_group_egress_rule": r"[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}",
    "aws_wafv2_web_acl": r"[\w+=:#@/,.-][\w+=:#@/,.\s-]{1,254}[\w+=:#@/,.-]",
}
_RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def test_descriptions_have_only_characters_that_aws_accepts() -> None:
    refused = [
        (kind, name, description)
        for file in IAC.rglob("*.tf")
        for kind, name, body in _RESOURCE.findall(file.read_text())
        if kind in _DESCRIPTIONS
        for description in re.findall(r'^  description +=\s"(.*)"$', body, re.MULTILINE)
        if not re.fullmatch(_DESCRIPTIONS[kind], re.sub(r"\$\{[^}]*\}", "x", description))
    ]
    assert refused == []
