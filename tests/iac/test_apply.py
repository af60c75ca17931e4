"""HashiCorp's own provider applies the stacks to an emulator of AWS, changes nothing the second time, and destroys all of it."""

from __future__ import annotations

import logging
import os
import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.iac import conversion
from tests.iac.applied import ORDER, PYTHON, Account, account
from tests.iac.terraform import IAC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST: Final = {"bootstrap": 8, "basic_iac": 55, "app_iac": 40, "deploy_iac": 8}  # resources
_LOG: Final = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    if not PYTHON or shutil.which("terraform") is None:
        assert not os.environ.get("CI"), "in CI, AWS_EMULATOR names a Python with requirements/apply.lock"
        pytest.skip("needs Terraform and an emulator of AWS: make iac-apply")
    with account(tmp_path_factory.mktemp("account")) as made:
        yield made


def test_stacks_are_applied_and_planned_again_and_destroyed(emulated: Account) -> None:
    for stack in ORDER:
        planned = emulated.apply(stack)
        _LOG.info("%s: %d resources created", stack, planned)
        assert len(emulated.resources(stack)) == planned >= LEAST[stack]
    # What a later stack publishes or attaches must not change an earlier one.
    assert {stack: emulated.changes(stack) for stack in ORDER} == {stack: [] for stack in ORDER}
    for stack in reversed(ORDER):
        emulated.destroy(stack)
        assert emulated.resources(stack) == []
    assert emulated.service("dynamodb").list_tables()["TableNames"] == []
    assert emulated.service("iam").list_roles()["Roles"] == []
    assert emulated.service("s3").list_buckets()["Buckets"] == []
    assert emulated.service("elbv2").describe_load_balancers()["LoadBalancers"] == []
    assert emulated.service("ssm").describe_parameters()["Parameters"] == []


def test_each_rule_of_the_conversion_matches_a_stack() -> None:
    text = "\n".join(file.read_text() for file in sorted(IAC.rglob("*.tf")))
    for pattern, replacement in [*conversion.RENAMED, *conversion.CHANGED.values()]:
        text, times = re.subn(pattern, replacement, text)
        assert times, f"remove the rule {pattern}: no stack needs it"
    for kind, names in conversion.LEFT_OUT.items():
        assert f'resource "{kind}"' in text, f"remove {kind}: no stack has it"
        for name in names or ():
            assert re.search(rf"\b{name}\b", text), f"remove {kind}.{name}: no stack has it"


def test_readme_lists_the_parts_that_are_not_applied() -> None:
    section = (IAC / "README.md").read_text().split("### Parts that are not applied\n")[1].split("\n#")[0]
    listed = {
        found[1]: set(re.findall(r"`(\w+)`", found[2]))
        for found in re.finditer(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    }
    assert listed == {kind: set(names or ()) for kind, names in conversion.LEFT_OUT.items()}
    assert set(conversion.CHANGED) == set(re.findall(r"^- `([\w ]+)`:", section, re.MULTILINE))


def test_converted_security_group_rule_keeps_its_meaning(tmp_path: Path) -> None:
    (tmp_path / "rules.tf").write_text(
        'resource "aws_vpc_security_group_egress_rule" "cache" {\n  security_group_id = a.id\n'
        '  referenced_security_group_id = b.id\n  ip_protocol = "tcp"\n  from_port = 1\n  to_port = 2\n}\n'
    )
    conversion.convert(tmp_path, "http://127.0.0.1:1")
    assert (tmp_path / "rules.tf").read_text() == (
        'resource "aws_security_group_rule" "cache" {\n  type = "egress"\n  security_group_id = a.id\n'
        '  source_security_group_id = b.id\n  protocol = "tcp"\n  from_port = 1\n  to_port = 2\n}\n'
    )
