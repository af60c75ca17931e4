"""The commands of docs/aws.md in a fresh clone: from an empty account to the first `curl`, and back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.delivery.pipeline import DIGEST, REGISTRY, ROOT, Failed, Pipeline, pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "aws.md").read_text()
ENV = "qa"


def commands(*headings: str) -> str:
    """Return the commands in sections of the page; "" is the introduction."""
    sections = re.split(r"^## (.*)$", f"## \n{PAGE}", flags=re.MULTILINE)[1:]
    chosen = [body for heading, body in zip(sections[::2], sections[1::2], strict=True) if heading in headings]
    assert len(chosen) == len(headings), f"the page has {sections[::2]}"
    return "\n".join(line[4:] for body in chosen for line in body.splitlines() if line.startswith("    "))


# Parameters that the stacks of a second environment publish.
SECOND = {"/people-info-prod/bootstrap/state_bucket_name": "states-of-prod", "/people-info-prod/bootstrap/state_key_arn": "key-of-prod"}  # fmt: skip


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Pipeline]:
    """An empty account, a clone of this repository, and tools that record their calls."""
    if absent := [tool for tool in ("curl", "jq", "openssl") if shutil.which(tool) is None]:
        assert not os.environ.get("CI"), f"{absent} are missing"
        pytest.skip(f"needs {', '.join(absent)}")
    with pipeline(tmp_path) as opened:
        world = opened.world["parameters"]
        url = world[f"/people-info-{ENV}/app/url"]
        opened.change(
            parameters={},
            publishes={
                "bootstrap": published("bootstrap", state_bucket_name="states", state_key_arn="key") | SECOND,
                "basic_iac": published(
                    "basic", ecr_repository_url=f"{REGISTRY}/{ENV}-api", ecs_cluster_name=f"people-info-{ENV}"
                ),
                "app_iac": published("app", url=url),
            },
            versions={DIGEST: "0.1.0"},
        )
        (opened.folder / "bin" / "make").unlink()
        clone(opened.project.root)
        yield opened


def published(stack: str, **values: str) -> dict[str, str]:
    return {f"/people-info-{ENV}/{stack}/{name}": value for name, value in values.items()}


def clone(to: Path) -> None:
    """Replace the project by the files of this repository in their current state."""
    shutil.rmtree(to)
    to.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    remote = ["remote", "add", "origin", str(to.with_name("fork.git"))]
    first_commit = ["commit", "--quiet", "--message=feat: start"]
    for command in (
        ["init", "--quiet", "--bare", remote[-1]],
        ["init", "--quiet"],
        remote,
        ["add", "--all"],
        first_commit,
    ):
        subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *command], cwd=to, check=True)
    # Already set up: `make next-version` would need a minute.
    python = to / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for ready in ("run", "test"):
        (to / ".venv" / f"ready-to-{ready}").touch()


def test_page_leads_from_an_empty_account_to_a_request_and_back(account: Pipeline) -> None:
    up = commands("", "1. Create the stacks", "2. Publish the first version", "3. Send the first request")
    output = account.run(f"{up.replace('curl', 'curl --fail --silent --show-error')}\n")
    assert '"version": "0.1.0"' in output
    assert account.now("running") == DIGEST
    stacks = [call.split()[1].rpartition("/")[2] for call in account.calls if " apply " in call]
    assert stacks == ["bootstrap", "basic_iac", "app_iac", "deploy_iac"]
    for call in account.calls:
        for folder, values in re.findall(r"-chdir=(\S+) .*-var-file=(\S+)", call):
            assert (account.project.root / folder / values).is_file(), f"{values} is missing for {folder}"
    assert account.project.git("ls-remote", "origin", "v0.1.0^{}").split()[0] == account.project.git(
        "rev-parse", "HEAD"
    )
    committed = account.project.git("show", "--name-only", "--format=", "HEAD^").splitlines()
    assert {f"iac/app_iac/environments/{ENV}/terraform.tfvars", "iac/app_iac/.terraform.lock.hcl"} <= set(committed)
    assert account.project.git("status", "--porcelain") == "", "some files are neither committed nor ignored"

    before = len(account.calls)
    account.run(f"export AWS_REGION=eu-west-1 ENV={ENV}\n{commands('Cost and teardown')}")
    destroyed = [call.split()[1].rpartition("/")[2] for call in account.calls[before:] if " destroy " in call]
    assert destroyed == stacks[::-1]


def test_second_environment_changes_no_resource_of_the_first(account: Pipeline) -> None:
    stacks = commands("1. Create the stacks")
    for environment in (ENV, "prod"):
        account.run(f"export AWS_REGION=eu-west-1 ENV={environment}\n{stacks}")
    assert account.now("bootstrapped") == {ENV: ENV, "prod": "prod"}
    inits = [call for call in account.calls if "-backend-config=bucket=" in call]
    assert ["bucket=states-of-prod " in call for call in inits] == [False] * (len(inits) // 2) + [True] * (
        len(inits) // 2
    )
    assert account.project.git("status", "--porcelain") == ""


def test_second_environment_in_the_state_of_the_first_is_detected(account: Pipeline) -> None:
    stacks = re.sub(r".*workspace select.*\n", "", commands("1. Create the stacks"))
    account.run(f"export AWS_REGION=eu-west-1 ENV={ENV}\n{stacks}")
    with pytest.raises(Failed, match="9 to destroy"):
        account.run(f"export AWS_REGION=eu-west-1 ENV=prod\n{stacks}")


def test_every_script_and_target_on_the_page_exists() -> None:
    for name in re.findall(r"\bscripts/(\w+)", PAGE):
        assert (ROOT / "scripts" / name).exists(), name
    for target in re.findall(r"\bmake (?:-s )?([a-z-]+)", PAGE):
        assert f"\n{target}: " in (ROOT / "Makefile").read_text(), target
