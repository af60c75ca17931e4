"""Every parameter that a stack reads is published by another one and listed in the README."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.iac.terraform import IAC

_READS = re.compile(r'data "aws_ssm_parameter" "(\w+)" \{\s*for_each = toset\(\[(.*?)\]\)', re.DOTALL)
_PATHS = re.compile(r'data "aws_ssm_parameter" "(\w+)" \{.*?\n  name += "([^"]+)"', re.DOTALL)
_USES = re.compile(r'local\.(basic|app)\["(\w+)"\]')
_ROW = re.compile(r"^\| `(\w+/\w+)` \| .+ \| (.+) \|$", re.MULTILINE)


def published() -> set[str]:
    """Return the names of the published parameters."""
    names = set()
    for file in IAC.glob("*/ssm_outputs.tf"):
        stack = file.parent.name.removesuffix("_iac")
        entries = re.findall(r"(?:published = |for_each = )\{\n(.*?)^  \}", file.read_text(), re.DOTALL | re.MULTILINE)
        assert entries
        found = re.findall(r"^    (\w+) +=", "".join(entries), re.MULTILINE)
        names |= {f"{stack}/{name}" for name in found}
    return names


def readers() -> dict[str, set[str]]:
    """Return the readers of each parameter."""
    reading = defaultdict(set)
    for file in IAC.glob("*/ssm_inputs.tf"):
        for publisher, names in _READS.findall(file.read_text()):
            for name in re.findall(r'"(\w+)"', names):
                reading[f"{publisher}/{name}"].add(f"`{file.parent.name}`")
    return reading


def test_every_parameter_that_is_read_is_published() -> None:
    assert set(readers()) <= published()


def test_parameter_is_read_by_the_path_of_its_publication() -> None:
    for file in IAC.glob("*/ssm_inputs.tf"):
        for publisher, name in _PATHS.findall(file.read_text()):
            assert name == f"/${{local.name}}/{publisher}/${{each.key}}", file.parent.name
    for file in IAC.glob("*/ssm_outputs.tf"):
        stack = file.parent.name.removesuffix("_iac")
        place = "preview/${local.preview}" if stack == "preview" else stack
        names = re.findall(r'^  name +=\s"(.*)"$', file.read_text(), re.MULTILINE)
        assert names
        assert set(names) == {f"/${{local.name}}/{place}/${{each.key}}"}, stack


def test_every_state_is_locked_and_has_a_unique_key() -> None:
    texts = {file.parent.name: file.read_text() for file in IAC.glob("*_iac/terraform.tf")}
    keys = [
        re.search(r'backend "s3" \{\s+key += "([^"]+)".*?use_lockfile = true\n', text, re.DOTALL)
        for text in texts.values()
    ]
    assert all(keys), "two runs could write a state at the same time"
    assert len({key[1] for key in keys if key}) == len(texts)


def test_every_parameter_that_is_read_is_used() -> None:
    for stack in {file.parent for file in IAC.glob("*/ssm_inputs.tf")} - {IAC / "basic_iac"}:
        used = {"/".join(found) for file in stack.glob("*.tf") for found in _USES.findall(file.read_text())}
        assert used == {name for name, who in readers().items() if f"`{stack.name}`" in who}


def test_readme_lists_the_readers_of_each_parameter() -> None:
    table = dict(_ROW.findall((IAC / "README.md").read_text()))
    assert set(table) == published()
    for name, consumers in table.items():
        assert set(re.findall(r"`\w+_iac`", consumers)) == readers().get(name, set()), name
        assert consumers.strip(), f"no stack reads {name}"
