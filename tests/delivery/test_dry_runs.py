"""Each workflow's jobs run in GitHub's order, under its conditions and with its outputs, in eight situations."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.dry_run import REPOSITORY, DryRun, Event, StartupFailure
from tests.delivery.pipeline import BEFORE, DIGEST, REVIEWERS, Failed, Pipeline, pipeline, workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RELEASE = "application_build_push_deploy"
BOTH = {"ENVIRONMENTS": '["qa", "prod"]', "PREVIEWS": "true"}
ONLY_QA = BOTH | {"ENVIRONMENTS": '["qa"]'}
CHECKS = ["checks/test (3.11)", "checks/test (3.13)", "checks/commits", "checks/speed", "checks/docs", "checks/audit"]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Pipeline]:
    if shutil.which("jq") is None:
        assert not os.environ.get("CI"), "jq is missing"
        pytest.skip("needs jq")
    with pipeline(tmp_path) as opened:
        yield opened


def push(message: str, *changed: str, variables: dict[str, str] = BOTH, **more: Any) -> Event:
    return Event("push", {"head_commit": {"message": message}}, changed=changed, variables=variables, **more)


def pull_request(
    action: str,
    *changed: str,
    fork: bool = False,
    state: str = "open",
    label: str = "preview",
    others: tuple[str, ...] = (),
) -> Event:
    head = {"repo": {"full_name": "contributor/fork" if fork else REPOSITORY}, "sha": "a" * 40}
    shown = {
        "number": 7,
        "state": state,
        "head": head,
        "base": {"sha": "b" * 40},
        "labels": [{"name": one} for one in ((*others,) if action == "unlabeled" else (label, *others))],
    }
    payload = {"action": action, "pull_request": shown, "label": {"name": label}}
    return Event("pull_request", payload, ref="refs/pull/7/merge", changed=changed, variables=BOTH)


def commit_file(project: Pipeline, message: str, file: str = "src/peopleinfo/more.py") -> None:
    path = project.project.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# more\n")
    project.project.git("add", file)
    project.project.commit(message)


def set_versions(project: Pipeline, **more: Any) -> None:
    project.change(versions=project.world["versions"] | {DIGEST: "1.1.0"}, **more)


def deployed(project: Pipeline) -> list[tuple[str, str]]:
    """Return environment and image of each apply of deploy_iac."""
    calls = [call for call in project.calls if call.startswith("terraform -chdir=iac/deploy_iac apply")]
    return [
        (call.split("environments/")[1].split("/")[0], call.split("image_version=")[1].split()[0]) for call in calls
    ]


def test_first_push_goes_through_qa_and_the_gate_to_prod(project: Pipeline) -> None:
    for environment in ("qa", "prod"):
        project.world["parameters"][f"/people-info-{environment}/deploy/image_version"] = "none"
    set_versions(project)
    commit_file(project, "feat: more")
    run = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py"))
    assert run.order == [*CHECKS, "version", "image", "qa/deploy", "carry", "prod/deploy", "notes"]
    skipped = {name for name, result in run.results.items() if result == "skipped"}
    assert skipped == {"settings-qa", "settings-prod", "by-hand", "sign"}
    assert deployed(project) == [("qa", DIGEST), ("prod", DIGEST)]
    assert [call for call in project.calls if call.startswith("skopeo copy") and "--preserve-digests" not in call] == []
    assert run.steps["image"][0] == "actions/checkout v1.1.0"
    roles = [step for path in ("image", "qa/deploy", "carry", "prod/deploy") for step in run.steps[path] if "actions/aws" in step]  # fmt: skip
    assert roles == [f"./.github/actions/aws {one}" for one in ("qa/image", "qa/image", "qa/deploy", "prod/image", "prod/image", "prod/deploy")]  # fmt: skip


def test_second_push_without_change_releases_nothing(project: Pipeline) -> None:
    release = DryRun(project, RELEASE, push("chore(release): 1.1.0", "src/peopleinfo/__init__.py"))
    assert release.order == []
    assert set(release.results.values()) == {"skipped"}, "the commit of a release would be released again"
    assert not DryRun(project, RELEASE, push("docs: more", "docs/aws.md")).started
    project.change(plan="No changes.")
    commit_file(project, "chore: tidy")
    run = DryRun(project, RELEASE, push("chore: tidy", "src/peopleinfo/more.py"))
    assert run.order == [*CHECKS, "version", "settings-qa/plan", "settings-prod/plan"]
    assert deployed(project) == []


def test_changed_configuration_is_applied_to_the_running_version(project: Pipeline) -> None:
    file = "iac/deploy_iac/environments/qa/terraform.tfvars"
    commit_file(project, "chore: larger tasks", file)
    run = DryRun(project, RELEASE, push("chore: larger tasks", file))
    assert run.order[len(CHECKS) :] == [
        "version", "settings-qa/plan", "settings-qa/apply/deploy", "settings-prod/plan", "settings-prod/apply/deploy",
    ]  # fmt: skip
    assert run.results["image"] == run.results["qa"] == run.results["notes"] == "skipped"
    assert deployed(project) == [("qa", BEFORE), ("prod", BEFORE)]


def test_failed_smoke_test_rolls_back_and_stops_before_prod(project: Pipeline) -> None:
    set_versions(project, broken=[DIGEST])
    commit_file(project, "feat: more")
    run = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py"))
    assert run.order[-1] == "qa/deploy"
    assert run.results["qa"] == "failure"
    assert {run.results[job] for job in ("carry", "prod", "notes", "settings-qa")} == {"skipped"}
    assert deployed(project) == [("qa", DIGEST), ("qa", BEFORE)]


def test_waiting_approval_blocks_no_other_run(project: Pipeline) -> None:
    set_versions(project)
    commit_file(project, "feat: more")
    first = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py", waiting=frozenset({"prod"})))
    assert [name for name, result in first.results.items() if result == "waiting"] == ["carry", "prod", "notes"]
    assert first.held == []
    assert deployed(project) == [("qa", DIGEST)]
    project.then(pushed=project.world["pushed"], digest=f"sha256:{'e' * 64}")
    project.then(versions=project.world["versions"] | {f"sha256:{'e' * 64}": "1.1.1"})
    commit_file(project, "fix: more", "src/peopleinfo/again.py")
    second = DryRun(project, RELEASE, push("fix: more", "src/peopleinfo/again.py", waiting=frozenset({"prod"})))
    assert second.results["qa"] == "success"
    assert deployed(project)[-1] == ("qa", f"sha256:{'e' * 64}")


def test_waiting_plan_of_prod_is_not_applied(project: Pipeline) -> None:
    event = push("feat: more", "iac/app_iac/alb.tf", waiting=frozenset({"prod"}))
    run = DryRun(project, "iac_app", event)
    assert run.order == ["test", "qa/plan", "qa/apply", "prod/plan"]
    assert run.results["prod/apply"] == "waiting"
    assert not [call for call in project.calls if "app_iac apply" in call and "prod" in call]


def test_pull_request_of_a_fork_assumes_no_role(project: Pipeline) -> None:
    for name, changed in (("iac_app", "iac/app_iac/alb.tf"), ("iac_deploy_basic", "iac/basic_iac/vpc.tf")):
        run = DryRun(project, name, pull_request("opened", changed, fork=True))
        assert run.order == ["test"]
        assert run.results["qa"] == run.results["prod"] == "skipped"
    for action in ("labeled", "closed"):
        run = DryRun(project, "preview", pull_request(action, fork=True))
        assert run.order == []
    assert DryRun(project, "checks", pull_request("opened", "src/peopleinfo/app.py", fork=True)).started
    assert [call for call in project.calls_by_role if call[0]] == []


def test_pull_request_of_the_repository_shows_both_plans_and_applies_none(project: Pipeline) -> None:
    run = DryRun(project, "iac_app", pull_request("opened", "iac/app_iac/alb.tf"))
    assert run.order == ["test", "qa/plan", "prod/plan"]
    assert run.results["qa/apply"] == run.results["prod/apply"] == "skipped"
    assert not [call for call in project.calls if " apply " in call]


def test_preview_is_opened_updated_and_closed(project: Pipeline) -> None:
    assert DryRun(project, "preview", pull_request("labeled")).order == ["up"]
    assert DryRun(project, "preview", pull_request("synchronize")).order == ["up"]
    assert DryRun(project, "preview", pull_request("labeled", label="other", others=("preview",))).order == []
    assert list(project.now("previews")) == ["7"]
    assert DryRun(project, "preview", pull_request("closed", state="closed")).order == ["down"]
    assert project.now("previews") == {}
    assert not DryRun(project, "preview", pull_request("opened")).started


def test_preview_that_lost_its_label_is_removed(project: Pipeline) -> None:
    assert DryRun(project, "preview", pull_request("labeled")).order == ["up"]
    assert DryRun(project, "preview", pull_request("unlabeled")).order == ["down"]


def test_setup_of_qa_alone_causes_no_failure_in_prod(project: Pipeline) -> None:
    set_versions(project)
    commit_file(project, "feat: more")
    run = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py", variables=ONLY_QA))
    assert run.order == [*CHECKS, "version", "image", "qa/deploy", "notes"]
    assert run.results["carry"] == run.results["prod"] == "skipped"
    stack = DryRun(project, "iac_app", push("feat: more", "iac/app_iac/alb.tf", variables=ONLY_QA))
    assert stack.order == ["test", "qa/plan", "qa/apply"]
    project.then(plan="No changes.")
    drift = DryRun(project, "drift", Event("schedule", variables=ONLY_QA))
    assert drift.results["reviewers"] == "skipped"
    assert drift.order == ["look (qa, basic_iac)", "look (qa, app_iac)", "look (qa, deploy_iac)"]
    assert not [call for call in project.calls if "people-info-prod" in call]


def test_no_job_uses_an_account_before_one_is_set_up(project: Pipeline) -> None:
    commit_file(project, "feat: more")
    run = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py", variables={}))
    assert run.order == CHECKS
    assert DryRun(project, "drift", Event("schedule")).order == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"protection_rules": [], "deployment_branch_policy": {"protected_branches": True}}, "no required reviewers"),
        (
            {"protection_rules": [REVIEWERS | {"reviewers": []}], "deployment_branch_policy": {}},
            "no required reviewers",
        ),
        ({"protection_rules": [REVIEWERS], "deployment_branch_policy": None}, "accepts every branch"),
        ({}, "no required reviewers"),
    ],
)
def test_prod_without_a_gate_is_not_deployed_to(project: Pipeline, settings: dict[str, Any], reason: str) -> None:
    set_versions(project, environments={"prod": settings})
    commit_file(project, "feat: more")
    run = DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py"))
    assert run.results["qa"] == "success"
    assert run.results["carry"] == "failure"
    assert reason in run.steps["carry"][-1]
    assert run.results["notes"] == "skipped"
    stack = DryRun(project, "iac_app", push("feat: more", "iac/app_iac/alb.tf"))
    assert stack.order[-2:] == ["prod/plan", "prod/apply"]
    assert stack.results["prod/apply"] == "failure"
    assert [call for call in project.calls_by_role if call[0].startswith("prod/") and call[0] != "prod/plan"] == []
    drift = DryRun(project, "drift", Event("schedule", variables=BOTH))
    assert drift.results["reviewers"] == "failure"


def test_signature_is_verified_by_exact_identity_and_issuer_before_each_deployment(project: Pipeline) -> None:
    set_versions(project)
    commit_file(project, "feat: more")
    DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py"))
    verified = [number for number, call in enumerate(project.calls) if call.startswith("cosign verify")]
    applied = [
        number for number, call in enumerate(project.calls) if call.startswith("terraform -chdir=iac/deploy_iac apply")
    ]
    assert [before < after for before, after in zip(verified, applied, strict=True)] == [True, True]
    for number in verified:
        words = project.calls[number].split()
        identity = f"https://github.com/{REPOSITORY}/.github/workflows/{RELEASE}.yml@refs/heads/main"
        assert words[words.index("--certificate-identity") + 1] == identity
        assert words[words.index("--certificate-oidc-issuer") + 1] == "https://token.actions.githubusercontent.com"
        assert "regexp" not in project.calls[number]


def test_deployed_image_is_protected_from_the_lifecycle_of_the_registry(project: Pipeline) -> None:
    set_versions(project)
    commit_file(project, "feat: more")
    DryRun(project, RELEASE, push("feat: more", "src/peopleinfo/more.py"))
    tag = f"ran-{DIGEST[7:19]}"
    assert project.now("pushed")[f"qa-api:{tag}"] == project.now("pushed")[f"prod-api:{tag}"] == DIGEST
    for _ in range(2):
        assert project.run("scripts/protect_image qa running") == ""
    assert len([call for call in project.calls if call.startswith("aws ecr put-image")]) == 2
    with pytest.raises(Failed, match="has no image"):
        project.run("scripts/protect_image qa 9.9.9")


def test_manual_deployment_runs_only_from_main(project: Pipeline) -> None:
    inputs = {"environment": "qa", "version": "1.0.0", "step": "deploy"}
    event = Event("workflow_dispatch", inputs=inputs, variables=BOTH)
    project.change(versions={"1.0.0": "1.0.0"})
    assert DryRun(project, RELEASE, event).order == ["by-hand/deploy"]
    assert deployed(project) == [("qa", "1.0.0")]
    event.ref = "refs/heads/other"
    assert DryRun(project, RELEASE, event).order == []


@pytest.mark.parametrize("permission", ["id-token", "contents"])
def test_called_workflow_that_requests_more_than_its_caller_grants_does_not_start(
    project: Pipeline, monkeypatch: pytest.MonkeyPatch, permission: str
) -> None:
    def changed(name: str) -> dict[str, Any]:
        definition = json.loads(json.dumps({str(key): one for key, one in workflow(name).items()}))
        definition[True] = definition.pop("True")
        for job in definition["jobs"].values():
            if "uses" in job:
                job["permissions"].pop(permission)
        return dict(definition)

    monkeypatch.setattr("tests.delivery.dry_run.workflow", changed)
    with pytest.raises(StartupFailure, match=f"requests '{permission}"):
        DryRun(project, "iac_app", push("feat: more", "iac/app_iac/alb.tf"))
