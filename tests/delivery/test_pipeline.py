"""The workflows' own steps, from a commit to a running version and back, with recorders in place of the tools."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo import __version__
from tests.delivery.pipeline import (
    BEFORE,
    DIGEST,
    REGISTRY,
    ROOT,
    WORKFLOWS,
    Failed,
    Pipeline,
    pipeline,
    values,
    workflow,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RELEASE = "application_build_push_deploy"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Pipeline]:
    if shutil.which("jq") is None:
        assert not os.environ.get("CI"), "jq is missing"
        pytest.skip("needs jq")
    with pipeline(tmp_path) as opened:
        yield opened


def release(project: Pipeline) -> str:
    """Run the jobs of the release until one fails, and return the version."""
    version = project.job(RELEASE, "version", values()).get("version", "")
    if not version:
        return ""
    project.change(versions={**project.world["versions"], DIGEST: version})
    github_values = values(**{"needs.version.outputs.version": version})
    github_values["needs.image.outputs.digest"] = project.job(RELEASE, "image", github_values)["digest"]
    for environment in ("qa", "prod"):
        if environment == "prod":
            project.job(RELEASE, "carry", github_values)
        deploy(project, environment, github_values["needs.image.outputs.digest"], version)
    project.job(RELEASE, "notes", github_values)
    return version


def deploy(project: Pipeline, environment: str, image: str, version: str) -> None:
    given = {
        "inputs.environment": environment,
        "inputs.image": image,
        "inputs.version": version,
        "inputs.only-newer": "false",
    }
    project.job("deploy", "deploy", values(**given))


def position(project: Pipeline, prefix: str, *, last: bool = False) -> int:
    """Return the position of a tool's call among all calls."""
    found = [number for number, call in enumerate(project.calls) if call.startswith(prefix)]
    assert found, f"{prefix} was never called: {project.calls}"
    return found[-1 if last else 0]


def applied(project: Pipeline) -> list[str]:
    """Return the images that were applied, in order."""
    return [call.rpartition("image_version=")[2].split()[0] for call in project.calls if "image_version=" in call]


def test_feature_becomes_a_running_version(project: Pipeline) -> None:
    project.project.commit("feat: more")
    assert release(project) == "1.1.0"
    assert project.project.git("ls-remote", "origin", "v1.1.0^{}").split()[0] == project.project.git(
        "rev-parse", "HEAD"
    )
    order = [
        position(project, "docker buildx build"),
        position(project, "aws ecr describe-image-scan-findings"),
        position(project, f"cosign sign --yes {REGISTRY}/qa-api@{DIGEST}"),
        position(project, "terraform -chdir=iac/deploy_iac apply -var-file=environments/qa/terraform.tfvars"),
        position(project, "skopeo copy --all --preserve-digests oci-archive:image.oci"),
        position(project, "terraform -chdir=iac/deploy_iac apply -var-file=environments/prod/terraform.tfvars"),
        position(project, "gh release create v1.1.0 --verify-tag"),
    ]
    assert order == sorted(order)
    assert applied(project) == [DIGEST, DIGEST]


def test_release_has_the_wheels_of_server_and_client(project: Pipeline) -> None:
    project.project.commit("feat: more")
    release(project)
    call = " ".join(project.calls[position(project, "gh release create") :])
    assert re.findall(r"[^/ ]+\.whl", call) == [
        "peopleinfo-1.1.0-py3-none-any.whl",
        "peopleinfo_client-1.1.0-py3-none-any.whl",
    ]


def test_image_records_its_source(project: Pipeline) -> None:
    project.project.commit("feat: more")
    release(project)
    build = project.calls[position(project, "docker buildx build")]
    assert "--build-arg VERSION=1.1.0 " in build
    assert f"--build-arg REVISION={project.project.git('rev-parse', 'v1.1.0^{}')} " in build
    assert f"--tag {REGISTRY}/qa-api:1.1.0 " in build
    assert "--platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max " in build


def test_failed_smoke_test_restores_the_old_version(project: Pipeline) -> None:
    project.project.commit("feat: more")
    project.change(broken=[DIGEST])
    with pytest.raises(Failed, match=r"(?s)^1: .*going back to"):
        release(project)
    assert applied(project) == [DIGEST, BEFORE]
    assert project.now("running") == BEFORE
    assert not [call for call in project.calls if "prod" in call]
    assert not [call for call in project.calls if call.startswith("gh release")]


def test_service_of_another_version_fails_the_deployment(project: Pipeline) -> None:
    with pytest.raises(Failed, match=r"the version is \?, not 9.9.9"):
        deploy(project, "qa", DIGEST, "9.9.9")
    assert project.now("running") == BEFORE


def test_failed_apply_restores_the_old_version(project: Pipeline) -> None:
    failing = f"terraform -chdir=iac/deploy_iac apply -var-file=environments/qa/terraform.tfvars -input=false -var image_version={DIGEST}"
    project.change(failing=[failing])
    with pytest.raises(Failed, match=r"(?s)^1: .*going back to"):
        deploy(project, "qa", DIGEST, "1.1.0")
    assert applied(project) == [DIGEST, BEFORE]


def test_failed_rollback_is_reported(project: Pipeline) -> None:
    project.change(broken=[DIGEST, BEFORE])
    with pytest.raises(Failed, match=r"(?s)^2: .*does not work in qa either"):
        deploy(project, "qa", DIGEST, "1.1.0")


def test_failed_first_deployment_has_no_version_to_restore(project: Pipeline) -> None:
    del project.world["parameters"]["/people-info-qa/deploy/image_version"]
    project.change(broken=[DIGEST])
    with pytest.raises(Failed, match=r"(?s)^2: .*there is nothing to go back to"):
        deploy(project, "qa", DIGEST, "1.1.0")


def test_chores_release_no_version(project: Pipeline) -> None:
    project.project.commit("chore: tidy", "docs: explain")
    assert release(project) == ""
    assert workflow(RELEASE)["jobs"]["image"]["if"] == "needs.version.outputs.version != ''"


def test_concurrent_push_leaves_the_release_to_the_next_run(project: Pipeline, tmp_path: Path) -> None:
    project.project.git("clone", "--quiet", str(tmp_path / "origin.git"), str(tmp_path / "other"))
    other = "cd ../other && git -c user.name=T -c user.email=t@example.org commit -q --allow-empty -m 'fix: x' && git push -q"
    project.run(other)
    project.project.commit("feat: more")
    with pytest.raises(Failed, match="rejected"):
        release(project)
    assert not [call for call in project.calls if call.startswith("docker")]
    assert project.project.git("ls-remote", "origin", "v1.1.0") == ""


@pytest.mark.parametrize(
    ("world", "later_call"),
    [
        ({"findings": [{"name": "CVE-2026-1", "severity": "HIGH"}]}, "cosign sign"),
        ({"findings": [{"name": "CVE-2026-1", "severity": "CRITICAL"}]}, "cosign sign"),
        ({"scan": "FAILED"}, "cosign sign"),
        ({"scan": "IN_PROGRESS"}, "cosign sign"),
        ({"failing": ["docker buildx build"]}, "aws ecr describe-image-scan-findings"),
        ({"failing": ["cosign sign"]}, "skopeo"),
        ({"failing": ["cosign verify"]}, "terraform"),
        ({"failing": ["aws ecr get-login-password"]}, "docker buildx build"),
    ],
)
def test_failed_step_prevents_all_later_steps(project: Pipeline, world: dict[str, Any], later_call: str) -> None:
    project.project.commit("feat: more")
    project.change(**world)
    with pytest.raises(Failed):
        release(project)
    assert not [call for call in project.calls if call.startswith((later_call, "terraform"))]


@pytest.mark.parametrize("broken", ["make test", "make check"])
def test_failed_tests_or_checks_prevent_a_release(project: Pipeline, broken: str) -> None:
    project.change(failing=[broken])
    with pytest.raises(Failed):
        project.run(".ci/run")
    jobs = workflow(RELEASE)["jobs"]
    assert ".ci/run" in str(workflow("checks")["jobs"]["test"]["steps"])
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    for job in set(jobs) - {"checks", "by-hand", "sign"}:
        assert "checks" in upstream(jobs, job), f"{job} would run although the checks failed"


def upstream(jobs: dict[str, Any], job: str) -> set[str]:
    """Return every job that must succeed before a job starts."""
    needs = jobs[job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(upstream(jobs, other) for other in direct))


def test_make_targets_push_and_deploy_manually(project: Pipeline) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target, script in (
        ("image", "build_image"),
        ("push", "push_image"),
        ("deploy", "deploy"),
        ("rollback", "rollback"),
    ):
        assert f"\n{target}: " in makefile
        assert f"\t@scripts/{script} $(" in makefile
    assert project.run("scripts/push_image qa").strip() == DIGEST
    project.change(versions={"1.0.0": "1.0.0"})
    project.run("scripts/deploy qa 1.0.0")
    assert project.now("running") == "1.0.0"


def test_manual_rollback_deploys_the_previous_version(project: Pipeline) -> None:
    project.change(history=["1.0.0", "1.1.0", "1.2.0", "1.2.0"], versions={"1.1.0": "1.1.0"})
    project.run("scripts/rollback qa")
    assert applied(project) == ["1.1.0"]


def test_job_that_waits_for_a_reviewer_blocks_no_concurrency_group() -> None:
    for name in ("application_build_push_deploy", "iac_app", "iac_deploy_basic"):
        group = workflow(name).get("concurrency", {"group": "github.run_id"})["group"]
        assert "github.run_id" in group, f"{name}: a run that waits would hold up the next one"
    for name in ("application_build_push_deploy", "deploy", "settings", "terraform"):
        for job in workflow(name)["jobs"].values():
            if "environment" in job and "concurrency" in job:
                assert (
                    job["concurrency"]["group"] == "deploy-${{ inputs.environment == 'qa' && 'qa' || github.run_id }}"
                )
    assert "-lock-timeout=30m" in (ROOT / "scripts" / "terraform").read_text()


def test_version_that_ecs_rolled_back_is_a_failure(project: Pipeline) -> None:
    project.change(taken_back=[DIGEST], versions=project.world["versions"] | {DIGEST: "1.1.0"})
    with pytest.raises(Failed, match=r"(?s)^1: .*ECS rolled the deployment back.*going back to"):
        deploy(project, "qa", DIGEST, "1.1.0")
    assert applied(project) == [DIGEST, BEFORE]
    assert project.now("parameters")["/people-info-qa/deploy/image_version"] == BEFORE
    published = [call for call in project.calls if call.startswith("aws ssm put-parameter")]
    assert [f"--value {DIGEST}" in call for call in published] == [False]


@pytest.mark.parametrize("rollout", ["IN_PROGRESS", "FAILED", "UNKNOWN"])
def test_incomplete_deployment_is_a_failure(project: Pipeline, rollout: str) -> None:
    project.change(rollout=rollout)
    with pytest.raises(Failed, match=r"(?s)^2: .*does not work in qa either"):
        deploy(project, "qa", DIGEST, "1.1.0")


def test_version_is_published_after_its_verification(project: Pipeline) -> None:
    project.project.commit("feat: more")
    release(project)
    order = [
        position(project, "terraform -chdir=iac/deploy_iac apply"),
        position(project, "aws ecs describe-services --cluster people-info-qa --services people-info-qa-api"),
        position(project, "aws ssm put-parameter --name /people-info-qa/deploy/image_version"),
    ]
    assert order == sorted(order)
    assert project.now("parameters")["/people-info-qa/deploy/image_version"] == DIGEST


def test_digest_without_a_version_is_resolved_and_verified(project: Pipeline) -> None:
    project.change(pushed=project.world["pushed"] | {"qa-api:1.1.0": DIGEST})
    with pytest.raises(Failed, match=r"the version is \?, not 1.1.0"):
        project.run(f"scripts/deploy qa {DIGEST}")
    with pytest.raises(Failed, match=r"^2: .*no version with the digest"):
        project.run(f"scripts/deploy qa sha256:{'e' * 64}")


def test_restored_version_is_verified(project: Pipeline) -> None:
    project.change(broken=[DIGEST], versions={BEFORE: "0.9.0"})
    with pytest.raises(Failed, match=r"(?s)^2: .*the version is 0.9.0, not 1.0.0.*does not work in qa either"):
        deploy(project, "qa", DIGEST, "1.1.0")


def test_late_approval_replaces_no_newer_version(project: Pipeline) -> None:
    project.change(pushed={"qa-api:1.10.0": BEFORE, "qa-api:1.9.0": DIGEST})
    output = project.run(f"scripts/deploy qa {DIGEST} 1.9.0", {"ONLY_NEWER": "true"})
    assert "runs 1.10.0 already" in output
    assert applied(project) == []
    for job in ("qa", "prod"):
        assert workflow(RELEASE)["jobs"][job]["with"]["only-newer"] is True
    assert "only-newer" not in workflow(RELEASE)["jobs"]["by-hand"]["with"]


def settings(project: Pipeline, environment: str = "qa") -> None:
    """Run the jobs that apply changed settings, if their conditions permit."""
    github_values = project.job("settings", "plan", values(**{"inputs.environment": environment}))
    if github_values["changes"] == "true":
        deploy(project, environment, "running", "")


def test_changed_tfvars_file_is_applied_to_the_running_version(project: Pipeline) -> None:
    file = "iac/deploy_iac/environments/qa/terraform.tfvars"
    (project.project.root / file).parent.mkdir(parents=True)
    (project.project.root / file).write_text('environment = "qa"\n')
    project.project.git("add", file)
    project.project.commit("chore: larger tasks")
    assert release(project) == ""
    jobs = workflow(RELEASE)["jobs"]
    assert "iac/deploy_iac/**" in (WORKFLOWS / f"{RELEASE}.yml").read_text()
    assert jobs["settings-qa"]["if"] == "needs.version.outputs.version == ''"
    settings(project)
    assert applied(project) == [BEFORE, BEFORE]  # planned, then applied
    assert position(project, "terraform -chdir=iac/deploy_iac apply")
    verified = project.calls[position(project, "cosign verify")]
    assert verified.endswith(f" {REGISTRY}/qa-api@{BEFORE}")


def test_unchanged_settings_require_no_reviewer(project: Pipeline) -> None:
    project.change(plan="No changes.")
    settings(project)
    assert not [call for call in project.calls if "deploy_iac apply" in call]


def test_settings_without_a_running_version_are_not_applied(project: Pipeline) -> None:
    project.world["parameters"]["/people-info-qa/deploy/image_version"] = "none"
    project.change()
    settings(project)
    assert applied(project) == []


def test_scan_that_has_not_started_is_awaited(project: Pipeline) -> None:
    project.change(errors={"aws ecr describe-image-scan-findings": "ScanNotFoundException"})
    assert "no known hole" in project.run(f"scripts/check_image_scan qa {DIGEST}", {"SCAN_SECONDS": "600"})
    project.change(errors={"aws ecr describe-image-scan-findings": "AccessDeniedException"})
    with pytest.raises(Failed, match="AccessDenied"):
        project.run(f"scripts/check_image_scan qa {DIGEST}")


def test_image_job_can_be_repeated(project: Pipeline) -> None:
    project.project.commit("feat: more")
    version = project.job(RELEASE, "version", values())["version"]
    project.then(built_from=project.project.git("rev-parse", "HEAD"))
    github_values = values(**{"needs.version.outputs.version": version, "needs.image.outputs.digest": DIGEST})
    for _ in range(2):
        assert project.job(RELEASE, "image", github_values)["digest"] == DIGEST
        project.job(RELEASE, "carry", github_values)
    assert len([call for call in project.calls if call.startswith("docker buildx build")]) == 1
    assert (
        len([call for call in project.calls if call.startswith("skopeo copy") and "docker://" in call.split()[-1]]) == 1
    )


def test_second_image_of_a_pushed_version_is_rejected(project: Pipeline) -> None:
    pushed = {f"qa-api:{__version__}": BEFORE, "prod-api:1.0.0": BEFORE}
    project.change(pushed=pushed, built_from="f" * 40)
    with pytest.raises(Failed, match="release a new version"):
        project.run("scripts/push_image qa")
    with pytest.raises(Failed, match="release a new version"):
        project.run(f"scripts/promote_image prod {DIGEST} load image.oci 1.0.0")


def test_workflow_signs_a_first_version_that_was_pushed_manually(project: Pipeline) -> None:
    project.change(built_from=project.project.git("rev-parse", "HEAD"))
    inputs = values(**{"inputs.environment": "qa", "inputs.version": "1.0.0"})
    project.job(RELEASE, "sign", inputs)
    assert position(project, f"cosign sign --yes {REGISTRY}/qa-api@{BEFORE}")
    project.change(built_from="f" * 40)
    with pytest.raises(Failed, match="not from the commit of its tag"):
        project.job(RELEASE, "sign", inputs)
    assert workflow(RELEASE)["jobs"]["sign"]["environment"] == "${{ inputs.environment }}"


def test_stack_is_applied_as_planned_and_shown(project: Pipeline) -> None:
    inputs = {"inputs.stack": "app_iac", "inputs.environment": "qa", "github.event.pull_request.number": "7"}
    assert project.job("terraform", "plan", values(**inputs)) == {"changes": "true"}
    assert "Plan: 1 to add" in (project.folder / "summary").read_text()
    assert position(project, "gh pr comment 7 --body-file")
    project.then(comment="4711")
    project.job("terraform", "plan", values(**inputs))
    assert position(project, "gh api --method PATCH repos/example/people-info/issues/comments/4711")
    assert len([call for call in project.calls if call.startswith("gh pr comment")]) == 1
    project.job("terraform", "apply", values(**inputs))
    assert project.now("applied") == "the plan that was shown"
    assert not [call for call in project.calls if "-auto-approve" in call]


def test_plan_without_changes_requires_no_reviewer(project: Pipeline) -> None:
    project.change(plan="No changes. Your infrastructure matches the configuration.")
    inputs = {"inputs.stack": "app_iac", "inputs.environment": "qa", "github.event.pull_request.number": ""}
    assert project.job("terraform", "plan", values(**inputs)) == {"changes": "false"}


def test_drift_from_the_running_version_fails_the_run(project: Pipeline) -> None:
    matrix = {"matrix.stack": "deploy_iac", "matrix.environment": "qa"}
    with pytest.raises(Failed, match=r"(?s)^2: "):
        project.job("drift", "look", values(**matrix))
    assert project.calls[-1].endswith(f"-var image_version={BEFORE} -lock=false -detailed-exitcode")
    project.change(plan="No changes.")
    project.job("drift", "look", values(**matrix))


def test_newer_dependencies_become_a_pull_request(project: Pipeline) -> None:
    python = values(**{"matrix.what": "python"})
    project.job("dependencies", "lock", python)
    assert not [call for call in project.calls if call.startswith("gh pr")]
    project.change(newest="newer==2")
    project.job("dependencies", "lock", python)
    branch = project.project.git("branch", "--show-current")
    assert position(project, f"gh pr create --head {branch} ")
    assert project.project.git("ls-remote", "origin", branch)
    assert project.project.git("show", "HEAD:requirements/run.lock") == "newer==2"


def test_plan_requires_locked_providers(project: Pipeline) -> None:
    plan = {"inputs.stack": "app_iac", "inputs.environment": "qa", "github.event.pull_request.number": "7"}
    with pytest.raises(Failed, match=r"iac/app_iac/.terraform.lock.hcl is missing: scripts/lock_providers makes it"):
        project.job("terraform", "plan", values(**plan), CI="true")
    providers = values(**{"matrix.what": "providers"})
    project.job("dependencies", "lock", providers)
    locked = project.calls[position(project, "terraform -chdir=iac/app_iac providers lock")]
    assert "-platform=linux_amd64 -platform=linux_arm64" in locked
    assert position(project, "gh pr create --head dependencies/providers-")
    assert "iac/app_iac/.terraform.lock.hcl" in project.project.git("show", "--name-only", "HEAD")
    project.job("terraform", "plan", values(**plan), CI="true")
    assert "-lockfile=readonly" in project.calls[position(project, "terraform -chdir=iac/app_iac init", last=True)]


def preview(project: Pipeline, job: str) -> None:
    project.job("preview", job, values(**{"github.event.pull_request.number || inputs.number": "7"}))


def test_preview_of_a_branch_is_created_and_destroyed(project: Pipeline) -> None:
    image = f"{REGISTRY}/qa-preview@{DIGEST}"
    preview(project, "up")
    assert project.now("previews") == {"7": image}
    order = [
        position(project, "docker buildx build"),
        position(project, "terraform -chdir=iac/preview_iac init"),
        position(project, "terraform -chdir=iac/preview_iac apply -var-file=environments/qa/terraform.tfvars"),
        position(project, "gh pr comment 7 --edit-last --create-if-none --body Preview of"),
    ]
    assert order == sorted(order)
    assert f"--tag {REGISTRY}/qa-preview:pr-7-" in project.calls[order[0]]
    assert f"--build-arg REVISION={project.project.git('rev-parse', 'HEAD')} " in project.calls[order[0]]
    assert "-backend-config=key=preview/pr-7.tfstate" in project.calls[order[1]]
    preview(project, "down")
    assert project.now("previews") == {}
    assert project.now("states") == []
    assert "-backend-config=key=preview/pr-7.tfstate" in project.calls[position(project, "terraform", last=True) - 1]
    assert not [call for call in project.calls if "deploy_iac" in call or "prod" in call]


def test_broken_preview_is_not_announced(project: Pipeline) -> None:
    project.change(broken=[f"{REGISTRY}/qa-preview@{DIGEST}"])
    with pytest.raises(Failed, match="503"):
        preview(project, "up")
    assert not [call for call in project.calls if call.startswith("gh")]


@pytest.mark.parametrize("number", ["7/../../deploy_iac", "0", "007", "123456", "", "7 -var environment=prod"])
def test_preview_accepts_only_numbers(project: Pipeline, number: str) -> None:
    for step in ("up", "down"):
        with pytest.raises(Failed):
            project.run(f'scripts/preview {step} qa "$NUMBER"', {"NUMBER": number})
    assert project.calls == []


def test_unused_previews_are_destroyed_nightly(project: Pipeline) -> None:
    for number in ("7", "77", "8", "9"):
        project.run(f"scripts/preview up qa {number}")
    stuck = (
        "terraform -chdir=iac/preview_iac destroy -var-file=environments/qa/terraform.tfvars -input=false -var number=8"
    )
    project.then(labelled=["77", "12"], failing=[stuck])
    with pytest.raises(Failed, match="nobody looks at pr-9"):  # one failure does not prevent the others
        project.job("preview", "sweep", values())
    assert project.now("states") == ["preview/pr-77.tfstate", "preview/pr-8.tfstate"]
    project.then(failing=[])
    project.job("preview", "sweep", values())
    assert list(project.now("previews")) == ["77"]


def test_no_preview_is_destroyed_while_its_use_is_unknown(project: Pipeline) -> None:
    project.run("scripts/preview up qa 7")
    project.then(failing=["gh pr list"])
    with pytest.raises(Failed):
        project.job("preview", "sweep", values())
    assert project.now("states") == ["preview/pr-7.tfstate"]


def test_pending_destruction_of_a_preview_is_not_cancelled() -> None:
    definition = workflow("preview")
    assert "concurrency" not in definition, "a run for another label would replace it and skip its jobs"
    assert definition["jobs"]["up"]["concurrency"] == definition["jobs"]["down"]["concurrency"]
    assert definition["jobs"]["down"]["concurrency"]["cancel-in-progress"] is False


def test_preview_ends_with_its_pull_request_and_runs_no_code_of_forks() -> None:
    jobs = workflow("preview")["jobs"]
    assert "github.event.action == 'closed'" in jobs["down"]["if"]
    for job in (jobs["up"], jobs["down"]):
        assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
        assert job["environment"] == "preview"
    assert jobs["sweep"]["if"].endswith("github.event_name == 'schedule'"), (
        "code of a branch would run without the gate"
    )
    assert "pull_request_target" not in (WORKFLOWS / "preview.yml").read_text()
