"""Each role has exactly the permissions of its calls, and none for another environment.

The calls are derived: from a run of every job of the workflows with recorders in place of the tools, and from the resources of the stacks that
Terraform reads and writes. IAM's own reference says which actions, resource types and condition keys exist.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo import __version__
from tests.delivery.pipeline import BEFORE, DIGEST, Pipeline, pipeline, values
from tests.delivery.test_workflows import jobs_with_a_role
from tests.iac import derived, iam
from tests.iac.iam import ACCOUNT, Principal, Request, listed, trusts, workflow_role
from tests.iac.terraform import IAC

if TYPE_CHECKING:
    from pathlib import Path

    from tests.iac.terraform import Stacks

TASKS = ["deploy", "image", "infrastructure", "plan", "preview"]

# Calls that a role denies on purpose.
REFUSED = {
    "infrastructure": {
        "sns:Unsubscribe": "IAM cannot limit it to one environment: an administrator removes a subscription",
        "sns:SetSubscriptionAttributes": "as above; subscriptions by e-mail have no attributes that change",
    },
    "preview": {
        "elasticloadbalancing:AddTags": "tags of a rule decide whose it is, so they are set once, when it is created",
        "elasticloadbalancing:RemoveTags": "as above",
    },
}
# Permissions of a role without a derived call.
SPARE = {
    "infrastructure": dict.fromkeys(
        ("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
         "application-autoscaling:ListTagsForResource", "ecs:DescribeServiceDeployments", "ecs:DescribeServices",
         "ecs:DescribeTaskDefinition", "ecs:ListServiceDeployments"),
        "it reads with the policy of `plan`, which compares deploy_iac too",
    ),
}  # fmt: skip

# Mutating actions that IAM cannot limit to a resource.
UNLIMITED = {
    "acm:RequestCertificate": "creates a certificate with the tags of this environment",
    "aps:CreateWorkspace": "creates a workspace with the tags of this environment",
    "kms:CreateKey": "creates a key with the tags of this environment",
    "elasticloadbalancing:SetWebAcl": "part of wafv2:AssociateWebACL and DisassociateWebACL, which are limited to balancers of this environment",
}
# Resources that the environments of an account share.
SHARED = {
    "iam:GetOpenIDConnectProvider": "an account has one provider for GitHub's tokens",
    "route53:GetChange": "the progress of a change has no owner",
    "route53:GetHostedZone": "a zone may hold the names of several environments",
    "route53:ListResourceRecordSets": "a zone may hold the names of several environments",
}
# Untagged resources that a role may tag: IAM cannot distinguish them from resources under creation.
CLAIMED = {"acm:AddTagsToCertificate", "aps:TagResource", "aps:CreateRuleGroupsNamespace", "kms:TagResource", "application-autoscaling:TagResource",
           "application-autoscaling:RegisterScalableTarget"}  # fmt: skip
BY_ID = {"acm", "application-autoscaling", "aps", "ec2", "kms"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """Run every job that assumes a role, and return the commands of each role in qa."""
    if shutil.which("jq") is None:
        pytest.skip("needs jq")
    with pipeline(tmp_path_factory.mktemp("pipeline")) as project:
        run_every_job(project)
        return derived.roles_of(project.calls_by_role)


def run_every_job(project: Pipeline) -> None:
    project.change(
        versions=project.world["versions"] | {DIGEST: __version__, "1.0.0": "1.0.0"},
        history=["1.0.0", BEFORE],
        labelled=[],
    )
    told = values(**{"needs.version.outputs.version": "1.0.0", "needs.image.outputs.digest": DIGEST})
    project.job("application_build_push_deploy", "image", told)
    inputs = {"inputs.environment": "qa", "inputs.version": __version__, "inputs.only-newer": "false"}
    project.job("deploy", "deploy", values(**inputs, **{"inputs.image": DIGEST}))
    project.job("deploy", "deploy", values(**inputs | {"inputs.image": "running", "inputs.version": ""}))
    project.then(built_from=project.project.git("rev-parse", "HEAD"))
    project.job("application_build_push_deploy", "sign", values(**inputs))
    project.run("scripts/rollback qa", {"RECORDER_ROLE": "qa/deploy"})
    project.job("settings", "plan", values(**{"inputs.environment": "qa"}))
    for stack in ("basic_iac", "app_iac"):
        inputs = values(**{"inputs.stack": stack, "inputs.environment": "qa", "github.event.pull_request.number": "7"})
        project.job("terraform", "plan", inputs)
        project.job("terraform", "apply", inputs)
    project.change(plan="No changes.")
    for stack in ("basic_iac", "app_iac", "deploy_iac"):
        project.job("drift", "look", values(**{"matrix.stack": stack, "matrix.environment": "qa"}))
    numbered = values(**{"github.event.pull_request.number || inputs.number": "7"})
    for job in ("up", "down", "up", "sweep"):
        project.job("preview", job, numbered)


@pytest.fixture
def requests(commands: dict[str, list[list[str]]]) -> dict[str, list[Request]]:
    return {task: sorted({one for call in calls for one in derived.of_tools(call)}) for task, calls in commands.items()}


@pytest.fixture
def roles(stacks: Stacks) -> dict[str, Principal]:
    return {task: workflow_role(stacks.resources("basic_iac"), task) for task in TASKS}


def test_commands_are_recorded_for_every_role(commands: dict[str, list[list[str]]]) -> None:
    assert sorted(commands) == TASKS


def test_every_recorded_command_is_an_operation_of_aws(commands: dict[str, list[list[str]]]) -> None:
    for call in (call for calls in commands.values() for call in calls if call[0] == "aws"):
        name = "".join(part.title() for part in call[2].split("-"))
        known = {one.lower() for one in derived.cli_operations(call[1:])}
        assert name.lower() in known | {"getloginpassword", "wait"}, call


@pytest.mark.parametrize("task", TASKS)
def test_role_allows_every_derived_call(
    task: str, roles: dict[str, Principal], requests: dict[str, list[Request]]
) -> None:
    missing = [
        str(one) for one in requests[task] if not roles[task].allows(one) and one.action not in REFUSED.get(task, {})
    ]
    assert missing == []


@pytest.mark.parametrize("task", TASKS)
def test_role_allows_no_other_call(task: str, roles: dict[str, Principal], requests: dict[str, list[Request]]) -> None:
    spare = roles[task].granted() - {one.action for one in requests[task]}
    assert spare == set(SPARE.get(task, {}))


@pytest.mark.parametrize("task", TASKS)
def test_intentionally_denied_calls_are_derived(task: str, requests: dict[str, list[Request]]) -> None:
    assert set(REFUSED.get(task, {})) <= {one.action for one in requests[task]}


def test_every_action_of_a_policy_exists_and_has_no_wildcard(stacks: Stacks) -> None:
    for stack in ("basic_iac", "app_iac"):
        for address, resource in stacks.resources(stack).items():
            if address.startswith(("aws_iam_role_policy.", "aws_iam_policy.")):
                for statement in json.loads(resource["policy"])["Statement"]:
                    for action in listed(statement["Action"]):
                        whole = action == "*" and statement["Effect"] == "Deny"
                        assert whole or iam.exists(action), f"{address}: IAM knows no {action}"


def reached(role: Principal, environment: str, *, tagged: bool, services: set[str] | None = None) -> set[str]:
    """Return the actions that a role may perform on the resources of an environment with any condition keys."""
    found = set()
    for action in sorted(role.granted()):
        service = action.partition(":")[0]
        if services is None or service in services:
            found |= {
                action for kind in iam.types_of(action) if may_reach(role, action, kind, environment, tagged=tagged)
            }
    return found


def may_reach(role: Principal, action: str, kind: str, environment: str, *, tagged: bool) -> bool:
    service = action.partition(":")[0]
    if service == "wafv2" and kind == "managedruleset":
        return False  # rules that AWS creates
    known = iam.reference()[service]["resources"].get(kind)
    if known is None:
        return False
    base: dict[str, Any] = {
        "aws:RequestTag/environment": "qa", "aws:RequestTag/project": "people-info", "aws:RequestTag/stack": "preview",
        "iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/people-info-qa-boundary",
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": "people.example.org",
    }  # fmt: skip
    if not iam.supports(action, kind, "aws:RequestTag"):
        base = {key: value for key, value in base.items() if "RequestTag" not in key}
    if tagged and iam.supports(action, kind, "aws:ResourceTag"):
        base |= {f"aws:ResourceTag/{key}": value for key, value in iam.tags(environment, "app").items()}
    resource = iam.arn(service, kind, environment)
    more = [{}, *({"iam:PassedToService": f"{one}.amazonaws.com"} for one in ("ecs", "ecs-tasks", "vpc-flow-logs"))]
    more += [{"kms:ViaService": f"{one}.{iam.REGION}.amazonaws.com"} for one in ("secretsmanager", "dynamodb", "aps")]
    return any(role.may(action, resource, context=base | extra) for extra in more) and not _is_created(action, kind)


def _is_created(action: str, kind: str) -> bool:
    """Return whether the action creates the resource of this type, so that it has no owner yet."""
    return action.startswith("ec2:") and not iam.supports(action, kind, "aws:ResourceTag")


@pytest.mark.parametrize("task", TASKS)
def test_role_of_qa_neither_reads_nor_changes_resources_of_prod(task: str, roles: dict[str, Principal]) -> None:
    assert reached(roles[task], "prod", tagged=True) <= set(SHARED)


@pytest.mark.parametrize("task", TASKS)
def test_role_of_qa_changes_no_untagged_resource(task: str, roles: dict[str, Principal]) -> None:
    assert reached(roles[task], "other", tagged=False, services=BY_ID) <= CLAIMED


@pytest.mark.parametrize("task", TASKS)
def test_actions_without_resource_limits_change_no_other_environment(task: str, roles: dict[str, Principal]) -> None:
    wild = {action for action in roles[task].granted() if not iam.types_of(action)}
    writes = {action for action in wild if iam.privilege(action)["access_level"] not in ("Read", "List")}
    assert writes <= set(UNLIMITED)


def test_simulation_detects_a_role_without_limits() -> None:
    everything = Principal([json.dumps({"Statement": [{"Effect": "Allow", "Action": ["dynamodb:DeleteTable", "secretsmanager:GetSecretValue", "ec2:DeleteVpc"], "Resource": "*"}]})])  # fmt: skip
    assert reached(everything, "prod", tagged=True) == everything.granted()


SECRETS = [
    (
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-{}/{}-AbCdEf",
        name,
    )
    for name in ("admin_key", "cache_password", "oidc_client_secret", "preview_admin_key")
]


@pytest.mark.parametrize("task", TASKS)
def test_workflows_read_only_the_secret_that_cloudformation_needs(task: str, roles: dict[str, Principal]) -> None:
    allowed = {
        (environment, name)
        for environment in ("qa", "prod")
        for action, resource, name in SECRETS
        if roles[task].may(action, resource.format(environment, name))
    }
    assert allowed == ({("qa", "cache_password")} if task == "infrastructure" else set())


def test_environment_name_has_no_hyphen() -> None:
    for stack in IAC.glob("*/variables.tf"):
        text = stack.read_text()
        assert 'regex("^[a-z][a-z0-9]{1,9}$", var.environment)' in text, (
            "NAME-* would reach the environment qa-2 from qa"
        )


SUBJECTS = {
    "plan": ["environment:qa-plan"],
    "infrastructure": ["environment:qa"],
    "image": ["environment:qa"],
    "deploy": ["environment:qa"],
    "preview": ["environment:preview", "environment:preview-sweep"],
}
OURS = ["example/people-info", "example@4242/people-info@6464"]
FOREIGN = [
    "other/people-info", "example@4242/people-info@1", "example@1/people-info@6464", "other@4242/people-info@6464", "example/people-info@6464",
    "example@4242/people-info", "example/people-info-fork", "Example/people-info",
]  # fmt: skip
CONTEXTS = ["pull_request", "ref:refs/heads/main", "ref:refs/heads/feature", "ref:refs/tags/v1.0.0", "environment:qa", "environment:prod",
            "environment:prod-plan", "environment:qa-plan", "environment:preview", "environment:preview-sweep", "environment:QA"]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_role_trusts_both_subject_forms_of_its_environment_only(task: str, stacks: Stacks) -> None:
    basic = stacks.resources("basic_iac")
    trusted = {
        (name, context)
        for name in OURS + FOREIGN
        for context in CONTEXTS
        if trusts(basic, task, f"repo:{name}:{context}")
    }
    assert trusted == {(name, context) for name in OURS for context in SUBJECTS[task]}


def test_role_of_each_job_trusts_the_subject_of_the_job(stacks: Stacks) -> None:
    basic = stacks.resources("basic_iac")
    for workflow, job, role, environment in jobs_with_a_role():
        for name in OURS:
            subject = f"repo:{name}:environment:{environment}"
            assert trusts(basic, role, subject), f"{workflow}.{job} cannot take {role}"


# Faults in the permissions of workflows: the original text, the planted text, the role, and the action that a check must report.
PLANTED = [
    ("github_permissions.tf", '"ecs:DescribeServices", ', "", "deploy", "ecs:DescribeServices"),
    ("github_permissions.tf", '["bootstrap", "basic", "app", "deploy"]', '["basic", "app", "deploy"]', "deploy", "ssm:GetParameter"),
    ("github_permissions.tf", '"ssm:GetParameterHistory"', '"ssm:GetParametersByPath"', "deploy", "ssm:GetParameterHistory"),
    ("github_permissions.tf", '"ecr:DescribeImageScanFindings"', '"ecr:DescribeImages"', "image", "ecr:DescribeImageScanFindings"),
    ("github_permissions.tf", 'Action   = ["s3:GetObject", "s3:PutObject"]', 'Action = ["s3:GetObject"]', "deploy", "s3:PutObject"),
    ("github_permissions.tf", 'Action = "kms:Decrypt", Resource = local.state_key_arn', 'Action = "kms:DescribeKey", Resource = local.state_key_arn', "plan", "kms:Decrypt"),
    ("manage_rights.tf", '["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]', '["ssm:*TagsFor*", "ssm:DeleteParameter", "ssm:PutParameter"]', "infrastructure", "ssm:AddTagsToResource"),
    ("manage_rights.tf", '"logs:PutRetentionPolicy", ', "", "infrastructure", "logs:PutRetentionPolicy"),
    ("manage_rights.tf", '"ec2:DeleteVpcEndpoints", ', "", "infrastructure", "ec2:DeleteVpcEndpoints"),
    ("read_rights.tf", '"dynamodb:DescribeTimeToLive", ', "", "plan", "dynamodb:DescribeTimeToLive"),
    ("preview_permissions.tf", '"ssm:DescribeParameters",\n', "", "preview", "ssm:DescribeParameters"),
    ("owned.tf", "secret:${local.name}/*", "secret:${local.name}-*", "infrastructure", "secretsmanager:CreateSecret"),
]  # fmt: skip


def test_missing_permission_is_detected(stacks: Stacks, requests: dict[str, list[Request]], tmp_path: Path) -> None:
    folder = stacks.copied("basic_iac", tmp_path)
    for file, old, new, _, _ in PLANTED:
        text = (folder / file).read_text()
        assert old in text, f"the fault no longer fits the file: {old}"
        (folder / file).write_text(text.replace(old, new))
    resources = stacks.resources_in(folder)
    for _, old, _, task, action in PLANTED:
        role = workflow_role(resources, task)
        assert any(one.action == action and not role.allows(one) for one in requests[task]), old


def test_missing_denial_or_condition_is_detected(stacks: Stacks, tmp_path: Path) -> None:
    folder = stacks.copied("basic_iac", tmp_path)
    planted = {
        ("owned.tf", '"aws:ResourceTag/environment" = var.environment, '): "",
        ("owned.tf", '"aws:RequestTag/environment" = var.environment, '): "",
        ("github.tf", "concat(local.workflows[each.key].statements, local.other_environments)"): "local.workflows[each.key].statements",
        ("owned.tf", "table/${local.name}-*"): "table/*",
        ("github_permissions.tf", 'NotResource = "${local.arn_of.secretsmanager}:secret:${local.name}/cache_password-*"'): 'NotResource = "*"',
    }  # fmt: skip
    for (file, old), new in planted.items():
        text = (folder / file).read_text()
        assert old in text, f"the fault no longer fits the file: {old}"
        (folder / file).write_text(text.replace(old, new))
    found = reached(workflow_role(stacks.resources_in(folder), "infrastructure"), "prod", tagged=True)
    assert {"dynamodb:DeleteTable", "ec2:DeleteVpc", "kms:ScheduleKeyDeletion", "ec2:DeleteSubnet"} <= found


def of_the_execution_role(stacks: Stacks) -> list[Request]:
    """Return the calls of ECS with the execution role to start the task of deploy_iac."""
    containers = json.loads(stacks.resources("deploy_iac")["aws_ecs_task_definition.default"]["container_definitions"])
    people = stacks.resources("app_iac")["module.people_key.aws_kms_key.default"]["arn"]
    through = (("kms:ViaService", "secretsmanager.eu-west-1.amazonaws.com"), *derived._tagged("app"))
    repository = iam.arn("ecr", "repository", "qa")
    found = [Request("ecr:GetAuthorizationToken", "*"), Request("kms:Decrypt", people, through)]
    found += [
        Request(f"ecr:{action}", repository)
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    ]
    for one in containers:
        found += [Request("secretsmanager:GetSecretValue", secret["valueFrom"]) for secret in one["secrets"]]
        stream = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{one['logConfiguration']['options']['awslogs-group']}:log-stream:{one['name']}/1"
        found += [Request(f"logs:{action}", stream) for action in ("CreateLogStream", "PutLogEvents")]
    return found


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html, for a rule without a test listener
MOVES_TRAFFIC = [
    Request(f"elasticloadbalancing:{action}", "*")
    for action in ("DescribeListeners", "DescribeRules", "DescribeTargetGroups", "DescribeTargetHealth")
]


def of_the_traffic_role(stacks: Stacks) -> list[Request]:
    app = stacks.resources("app_iac")
    groups = [values["arn"] for address, values in app.items() if address.startswith("aws_lb_target_group.")]
    rule = app["aws_lb_listener_rule.service"]["arn"]
    targets = [
        Request(f"elasticloadbalancing:{action}", group)
        for action in ("RegisterTargets", "DeregisterTargets")
        for group in groups
    ]
    return [*MOVES_TRAFFIC, *targets, Request("elasticloadbalancing:ModifyRule", rule)]


@pytest.mark.parametrize(("role", "calls"), [("execution", of_the_execution_role), ("blue_green", of_the_traffic_role)])
def test_service_role_allows_its_calls_within_the_boundary(role: str, calls: Any, stacks: Stacks) -> None:
    boundary = stacks.resources("basic_iac")["aws_iam_policy.boundary"]["policy"]
    principal = Principal([stacks.resources("app_iac")[f"aws_iam_role_policy.{role}"]["policy"]], boundary)
    needed = calls(stacks)
    assert [str(one) for one in needed if not principal.allows(one)] == []
    assert principal.granted() == {one.action for one in needed}


def test_boundary_reaches_no_other_environment(stacks: Stacks) -> None:
    boundary = Principal([stacks.resources("basic_iac")["aws_iam_policy.boundary"]["policy"]])
    assert reached(boundary, "prod", tagged=True) == set()


def test_boundary_allows_only_the_permissions_of_its_roles(stacks: Stacks) -> None:
    boundary = Principal([stacks.resources("basic_iac")["aws_iam_policy.boundary"]["policy"]])
    text = "".join(
        file.read_text()
        for stack in ("app_iac", "basic_iac")
        for file in (IAC / stack).glob("*.tf")
        if file.name != "boundary.tf"
    )
    unused = {action for action in boundary.granted() if not re.search(f'"{action}"', text)}
    assert (
        unused
        == {
            "dynamodb:ConditionCheckItem",
            "kms:DescribeKey",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
        }
        & unused
    )
