"""The workflows are what GitHub understands, ask for little, and run nothing that is not in this repository or pinned."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.delivery.pipeline import ROOT, WORKFLOWS, workflow
from tests.delivery.test_linters import lint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))
FILES = [*WORKFLOWS.glob("*.yml"), *(ROOT / ".github" / "actions").glob("*/action.yml")]
# What may stand in a step beside scripts/ and make: variables, and what tells the workflow of an output.
GLUE = re.compile(
    r'(\w+=\$\(scripts/[^()|;&]*\)|\{ echo .*; \} >>"\$GITHUB_OUTPUT"|echo .* >>"\$GITHUB_OUTPUT"|gh auth setup-git)'
)
OURS = re.compile(r"(scripts/\w+|make [a-z.]|sudo --preserve-env=\S+ env \S+ \.ci/run)[^;&|]*")


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", [])]


_EXPRESSION = re.compile(r"\$\{\{ (?:inputs|matrix)\.environment \}\}")


def jobs_with_a_role() -> Iterator[tuple[str, str, str, str]]:
    """Yield workflow, job, role of AWS and GitHub environment in qa (or "") of each job that signs in."""
    for name in NAMES:
        for job, body in workflow(name)["jobs"].items():
            for step in body.get("steps", []):
                if step.get("uses") == "./.github/actions/aws":
                    yield (
                        name,
                        job,
                        step["with"]["role"],
                        _EXPRESSION.sub("qa", body.get("environment", "")).replace("prod", "qa"),
                    )


def test_a_job_that_reads_what_differs_between_environments_declares_its_environment() -> None:
    for name in NAMES:
        for job, body in workflow(name)["jobs"].items():
            reads = set(re.findall(r"vars\.(\w+)", str(body.get("steps", ""))))
            if reads - {"PYTHON_IMAGE", "ALLOWED_FINDINGS", "PREVIEWS", "RELEASE_APP_ID"}:
                assert body.get("environment"), f"{name}.{job} would read the variables of the repository"


def test_the_workflows_of_the_first_service_are_there() -> None:
    assert {"iac_deploy_basic", "iac_app", "application_build_push_deploy"} <= set(NAMES)


def test_actionlint_has_nothing_to_say() -> None:
    assert lint("actionlint", *WORKFLOWS.glob("*.yml")) == ""


def test_zizmor_finds_nothing_of_medium_severity_or_higher() -> None:
    assert lint("zizmor", "--offline", "--quiet", "--min-severity", "medium", ".github") == ""


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("vendor.github-actions", ".github/actions/*/action.yml"),
        ("vendor.dependabot", ".github/dependabot.yml"),
    ],
)
def test_the_schema_is_kept(schema: str, pattern: str) -> None:
    assert lint("check-jsonschema", "--builtin-schema", schema, *ROOT.glob(pattern)) == ""


def test_newer_providers_are_proposed_for_every_stack_and_module() -> None:
    (terraform,) = (one for one in yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"] if one["package-ecosystem"] == "terraform")  # fmt: skip
    assert terraform["directories"] == sorted(
        f"/{file.parent.relative_to(ROOT)}" for file in ROOT.glob("iac/**/terraform.tf")
    )


def test_every_action_of_others_is_pinned_by_one_commit_and_says_its_version() -> None:
    pinned: dict[str, set[str]] = {}
    for path in FILES:
        for used in re.findall(r"uses: (?!\./)(.*)", path.read_text()):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d[\d.]*", used), f"{path.name}: {used}"
            pinned.setdefault(used.partition("@")[0], set()).add(used)
    assert [uses for uses in pinned.values() if len(uses) > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_rights_but_those_a_job_asks_for(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    for job in workflow(name)["jobs"].values():
        assert set(job["permissions"]) <= {"actions", "contents", "id-token", "pull-requests", "attestations"}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_step_is_a_script_of_ours_or_a_target_of_make(name: str) -> None:
    for step in steps(name):
        for line in str(step.get("run", "")).splitlines():
            assert GLUE.fullmatch(line.strip()) or OURS.fullmatch(line.strip()), line


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_fails_is_passed_over(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text()
    for excuse in ("continue-on-error", "|| true", "always()", "failure()", "set +e"):
        assert excuse not in text


@pytest.mark.parametrize("name", NAMES)
def test_terraform_is_there_before_its_tests(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        done = [str(step.get("uses", "")) + str(step.get("run", "")) for step in job.get("steps", [])]
        tests = [number for number, step in enumerate(done) if "make iac-test" in step or ".ci/run" in step]
        assert all(any("setup-terraform" in step for step in done[:number]) for number in tests), name


def test_the_target_of_the_infrastructures_tests_fetches_what_they_need(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    for name in ("run", "dev", "iac"):
        (tmp_path / "requirements").mkdir(exist_ok=True)
        (tmp_path / "requirements" / f"{name}.lock").touch()
    for project in (tmp_path, tmp_path / "clients" / "python"):
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").touch()
    done = subprocess.run(
        ["make", "--dry-run", "iac-test"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    tests = done.index("-m pytest")
    assert "TERRAFORM=" in done
    for needed in ("requirements/dev.lock", "requirements/iac.lock", "mv unpacked/helm/helm"):
        assert 0 <= done.index(needed) < tests


def test_no_key_of_aws_is_kept() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert not re.search(r"secrets\.(?!RELEASE_APP_KEY)|aws-access-key-id|aws-secret", text)
