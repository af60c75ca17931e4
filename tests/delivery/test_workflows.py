"""The workflows are valid, request few permissions, and run only local or pinned code."""

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
# Permitted in a step in addition to scripts/ and make: variables and outputs of the workflow.
GLUE = re.compile(
    r'(\w+=\$\(scripts/[^()|;&]*\)|\{ echo .*; \} >>"\$GITHUB_OUTPUT"|echo .* >>"\$GITHUB_OUTPUT"|gh auth setup-git)'
)
OWN_COMMAND = re.compile(r"(scripts/\w+|make [a-z.]|sudo --preserve-env=\S+ env \S+ \.ci/run)[^;&|]*")


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", [])]


_EXPRESSION = re.compile(r"\$\{\{ (?:inputs|matrix)\.environment \}\}")


def jobs_with_a_role() -> Iterator[tuple[str, str, str, str]]:
    """Yield workflow, job, AWS role and GitHub environment in qa (or "") of each job that assumes a role."""
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


def test_job_that_reads_environment_variables_declares_its_environment() -> None:
    for name in NAMES:
        for job, body in workflow(name)["jobs"].items():
            reads = set(re.findall(r"vars\.(\w+)", str(body.get("steps", ""))))
            if reads - {"PYTHON_IMAGE", "ALLOWED_FINDINGS", "PREVIEWS", "RELEASE_APP_ID"}:
                assert body.get("environment"), f"{name}.{job} would read the variables of the repository"


def test_required_workflows_exist() -> None:
    assert {"iac_deploy_basic", "iac_app", "application_build_push_deploy"} <= set(NAMES)


def test_actionlint_accepts_the_workflows() -> None:
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
def test_file_matches_its_schema(schema: str, pattern: str) -> None:
    assert lint("check-jsonschema", "--builtin-schema", schema, *ROOT.glob(pattern)) == ""


def test_newer_providers_are_proposed_for_every_stack_and_module() -> None:
    (terraform,) = (one for one in yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"] if one["package-ecosystem"] == "terraform")  # fmt: skip
    assert terraform["directories"] == sorted(
        f"/{file.parent.relative_to(ROOT)}" for file in ROOT.glob("iac/**/terraform.tf")
    )


def test_third_party_action_is_pinned_to_one_commit_and_names_its_version() -> None:
    pinned: dict[str, set[str]] = {}
    for path in FILES:
        for used in re.findall(r"uses: (?!\./)(.*)", path.read_text()):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d[\d.]*", used), f"{path.name}: {used}"
            pinned.setdefault(used.partition("@")[0], set()).add(used)
    assert [uses for uses in pinned.values() if len(uses) > 1] == []


@pytest.mark.parametrize("name", NAMES)
def test_workflow_has_only_the_permissions_of_its_jobs(name: str) -> None:
    assert workflow(name)["permissions"] == {}
    for job in workflow(name)["jobs"].values():
        assert set(job["permissions"]) <= {"actions", "contents", "id-token", "pull-requests", "attestations"}


@pytest.mark.parametrize("name", NAMES)
def test_step_runs_only_scripts_of_the_repository_or_make(name: str) -> None:
    for step in steps(name):
        for line in str(step.get("run", "")).splitlines():
            assert GLUE.fullmatch(line.strip()) or OWN_COMMAND.fullmatch(line.strip()), line


@pytest.mark.parametrize("name", NAMES)
def test_no_step_ignores_failures(name: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text()
    for option in ("continue-on-error", "|| true", "always()", "failure()", "set +e"):
        assert option not in text


@pytest.mark.parametrize("name", NAMES)
def test_terraform_is_installed_before_its_tests(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        done = [str(step.get("uses", "")) + str(step.get("run", "")) for step in job.get("steps", [])]
        tests = [number for number, step in enumerate(done) if "make iac-test" in step or ".ci/run" in step]
        assert all(any("setup-terraform" in step for step in done[:number]) for number in tests), name


def test_infrastructure_test_target_fetches_its_tools(tmp_path: Path) -> None:
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


def test_no_aws_key_is_stored() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert not re.search(r"secrets\.(?!RELEASE_APP_KEY)|aws-access-key-id|aws-secret", text)
