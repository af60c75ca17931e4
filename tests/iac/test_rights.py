"""The role of the service allows exactly the calls of the code, by a simulator of IAM policies.

The calls are recorded from the real store on a local DynamoDB server. For the workflows that deploy versions and previews, the calls of
Terraform must be allowed and all calls beyond them denied.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)

import peopleinfo.stores.dynamodb
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.matching.review_queue import Review
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.store import Checkpoint
from peopleinfo.people.trash import Trash
from peopleinfo.stores.dynamodb.client import TableClient
from tests.store_kinds import ENCRYPTED_TABLE, Clock, open_store, person_data, person_filter, scan_all
from tests.stores.test_match import service as matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.people.store import Store
    from peopleinfo.stores.service_store import OpenedStore
    from tests.iac.terraform import Stacks

ACCOUNT = "123456789012"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/people-info-qa-people"
IN_QA = {"aws:resourcetag/environment": "qa", "aws:resourcetag/project": "people-info"}  # required by the boundary
OF_THE_TABLE = {"kms:viaservice": "dynamodb.eu-west-1.amazonaws.com"} | IN_QA
OF_THE_SERVICE = {"kms:encryptioncontext:service": "peopleinfo"} | IN_QA
CODE = "".join(file.read_text() for file in Path(peopleinfo.stores.dynamodb.__path__[0]).glob("*.py"))
_IN_A_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_MANAGING = {"CreateTable", "DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups",
             "UpdateTimeToLive", "UpdateContinuousBackups"}  # fmt: skip

_OPERATORS = {"ConditionCheckItem"}  # `encryption purge`, which an administrator runs (iac/README.md)


class Role:
    """A role with its permissions boundary, if any, as Terraform defines them."""

    def __init__(self, policy: dict[str, Any], boundary: dict[str, Any] | None = None) -> None:
        self._policies = [parse_policy_document(policy["policy"])]
        self._limits = [[parse_policy_document(boundary["policy"])]] if boundary else []

    def may(self, action: str, resource: str, **context: Any) -> bool:
        evaluation = EvalContext(
            principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/people-info-qa/task",
            principal_type="AssumedRole",
            principal_account=ACCOUNT,
            action=action,
            resource_arn=resource,
            region="eu-west-1",
            source_ip="10.20.64.7",
            secure_transport=True,
            service_context=context.get("context", {}),
        )
        return bool(evaluate(evaluation, self._policies, *self._limits).decision == "Allow")


@pytest.fixture
def task(stacks: Stacks) -> Role:
    return _of_the_service(stacks, "task")


@pytest.fixture
def execution(stacks: Stacks) -> Role:
    return _of_the_service(stacks, "execution")


@pytest.fixture
def deploy(stacks: Stacks) -> Role:
    return Role(stacks.resources("basic_iac")['aws_iam_role_policy.workflow["deploy"]'])


@pytest.fixture
def previews(stacks: Stacks) -> Role:
    return Role(stacks.resources("basic_iac")['aws_iam_role_policy.workflow["preview"]'])


def _of_the_service(stacks: Stacks, name: str) -> Role:
    boundary = stacks.resources("basic_iac")["aws_iam_policy.boundary"]
    return Role(stacks.resources("app_iac")[f"aws_iam_role_policy.{name}"], boundary)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Return the permissions and resources of all operations of the store, with and without encryption."""
    called: set[tuple[str, str]] = set()
    real = TableClient.call

    async def recorded(self: TableClient, action: str, payload: dict[str, Any], seconds: float, **more: Any) -> Any:
        called.update(asked_for(self.name, action, payload))
        return await real(self, action, payload, seconds, **more)

    async def used() -> None:
        for kind in ("ministack", ENCRYPTED_TABLE):
            clock = Clock()
            async with open_store(kind, tmp_path_factory.mktemp("store"), clock) as store:
                await everything(store)
                await later_operations(store, clock)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TableClient, "call", recorded)
        asyncio.run(used())
    return {call for call in called if call[0] not in _MANAGING}


def asked_for(table: str, action: str, payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the permissions that a call needs, with the table or index."""
    if action == "TransactWriteItems":
        writes = [(kind, write["TableName"]) for one in payload["TransactItems"] for kind, write in one.items()]
        yield from ((_IN_A_TRANSACTION[kind], arn(table)) for kind, table in writes)
    elif "RequestItems" in payload:
        yield from ((action, arn(table)) for table in payload["RequestItems"])
    else:
        index = payload.get("IndexName")
        yield action, f"{arn(table)}/index/{index}" if index else arn(table)


def arn(table: str) -> str:
    return f"{TABLE}-keys" if table.endswith("-keys") else TABLE


async def everything(store: Store) -> None:
    await store.check()
    made = await store.create(person_data("First"), idempotency_key=IdempotencyKey(b"k" * 32, b"c" * 32))
    await store.create(person_data("First"), idempotency_key=IdempotencyKey(b"k" * 32, b"c" * 32))
    changed = await store.replace(made.person_id, person_data("First", "Again"), expected=1)
    moved = await store.replace(made.person_id, person_data("Second"), expected=changed.version)
    await store.get(moved.person_id)
    await store.find(person_filter(surname="second"), after=None, limit=10)
    await store.find(person_filter(surname_prefix="sec"), after=None, limit=10)
    await scan_all(store)
    await store.create_many([person_data("Third"), person_data("Fourth")])
    started = Checkpoint(b"i" * 32)
    await store.create_many(
        [person_data("Fifth")], checkpoint=(started, Checkpoint(b"i" * 32, rows=1, stored=1, digest=b"d" * 32))
    )
    await store.read_checkpoint(b"i" * 32)
    await store.delete(moved.person_id)


async def later_operations(store: OpenedStore, clock: Clock) -> None:
    """Use the trash, merges with their undo, the review queue, the history, the feed and the log of imports."""
    first, second, third = [await store.create(person_data("Sixth", name)) for name in ("Ann", "Anna", "Anne")]
    position = (await store.read_changes(since=None, limit=1)).next
    trash = Trash(store.trash, age=timedelta(days=1), now=clock.now)
    await trash.add(third.person_id, expected=1)
    await trash.page(after=None, limit=10)
    third = await trash.restore(third.person_id)
    await trash.add(third.person_id, expected=None)
    await store.trash.expired(limit=10)
    await trash.erase(third.person_id)
    review = Review(matches(store), store, clock.now)
    await review.add(first.person_id)
    for pair in (await review.page("open", limit=10)).pairs:
        await review.decide(pair.link.pair, "later", by=None)
    merges = MergeService(store.merges, secret=store.secret, now=clock.now)
    versions = {first.person_id: 1, second.person_id: 1}
    merged, _ = await merges.merge(MergeRequest(first.person_id, (second.person_id,), versions, {}))
    await merges.merges_of(first.person_id)
    await merges.undo(str(merged.merge_id), keep={})
    await store.read_versions(first.person_id, after=0, limit=10)
    await store.read_changes(since=position, limit=100)
    await store.expire_history()
    await store.imports.list_imports(before=None, limit=10)
    await store.delete(first.person_id)


def test_every_call_of_the_store_is_allowed(task: Role, calls: set[tuple[str, str]]) -> None:
    assert [call for call in sorted(calls) if not task.may(f"dynamodb:{call[0]}", call[1])] == []


def test_every_call_of_the_store_was_recorded(calls: set[tuple[str, str]]) -> None:
    written = set(re.findall(r'\bcall\(\s*"(\w+)"', CODE)) - _MANAGING - {"TransactWriteItems"}
    written |= {_IN_A_TRANSACTION[kind] for kind in re.findall(r'"(Put|Update|Delete|ConditionCheck)":', CODE)}
    assert written - _OPERATORS == {action for action, _ in calls}


def test_every_permission_is_used(stacks: Stacks, calls: set[tuple[str, str]]) -> None:
    statements = json.loads(stacks.resources("app_iac")["aws_iam_role_policy.task"]["policy"])["Statement"]
    given = {
        (action.removeprefix("dynamodb:"), one["Resource"])
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        if action.startswith("dynamodb:")
    }
    assert given == calls


def test_kms_keys_are_limited_to_their_purpose(stacks: Stacks, task: Role) -> None:
    app = stacks.resources("app_iac")
    people, sealing = (app[f"module.{name}_key.aws_kms_key.default"]["arn"] for name in ("people", "sealing"))
    assert task.may("kms:Decrypt", people, context=OF_THE_TABLE)
    assert task.may("kms:Encrypt", sealing, context=OF_THE_SERVICE)
    assert task.may("kms:Decrypt", sealing, context=OF_THE_SERVICE)
    assert not task.may("kms:Decrypt", people), "copied data could be read"
    assert not task.may("kms:Decrypt", sealing), "data encrypted by others could be read"


DENIED = [
    ("dynamodb:DeleteTable", TABLE), ("dynamodb:UpdateTable", TABLE), ("dynamodb:CreateTable", TABLE),
    ("dynamodb:CreateBackup", TABLE), ("dynamodb:RestoreTableToPointInTime", TABLE),
    ("dynamodb:ExportTableToPointInTime", TABLE), ("dynamodb:UpdateContinuousBackups", TABLE),
    ("dynamodb:UpdateTimeToLive", TABLE), ("dynamodb:PartiQLSelect", TABLE), ("dynamodb:GetRecords", f"{TABLE}/stream/1"),
    ("dynamodb:Scan", f"{TABLE}/index/prefixes"), ("dynamodb:GetItem", TABLE.replace("people-info-qa-people", "people-info-prod-people")),
    ("dynamodb:PutItem", TABLE.replace("qa-people", "qa-people-2")), ("dynamodb:UpdateContinuousBackups", f"{TABLE}-keys"),
    ("dynamodb:Query", f"{TABLE}-keys"),
    ("dynamodb:ConditionCheckItem", f"{TABLE}-keys"), ("dynamodb:DeleteTable", f"{TABLE}-keys"),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/33333333-3333-3333-3333-333333333333"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:people-info-qa/admin_key-AbCdEf"),
    ("logs:DeleteLogStream", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/people-info-qa/audit:*"),
    ("logs:GetLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/people-info-qa/audit:*"),
    ("s3:GetObject", "arn:aws:s3:::people-info-qa-alb-logs-123456789012/x"), ("ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/people-info-qa/app/url"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-task"), ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-execution"),
    ("ecs:UpdateService", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/people-info-qa/people-info-qa-api"),
    ("elasticache:DeleteReplicationGroup", f"arn:aws:elasticache:eu-west-1:{ACCOUNT}:replicationgroup:people-info-qa"),
]  # fmt: skip


def test_forbidden_calls_of_the_service_are_denied(task: Role) -> None:
    allowed = [
        (action, resource)
        for action, resource in DENIED
        for context in ({}, OF_THE_TABLE, OF_THE_SERVICE)
        if task.may(action, resource, context=context)
    ]
    assert allowed == []


def test_execution_role_starts_tasks_and_cannot_read_people(execution: Role) -> None:
    secret = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:people-info-qa/admin_key-AbCdEf"
    assert execution.may("secretsmanager:GetSecretValue", secret)
    assert execution.may("ecr:GetAuthorizationToken", "*")
    assert execution.may("ecr:BatchGetImage", f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/people-info-qa-api")
    assert execution.may(
        "logs:PutLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/people-info-qa/audit:log-stream:1"
    )
    assert not execution.may("secretsmanager:GetSecretValue", secret.replace("people-info-qa", "people-info-prod"))
    assert not execution.may("dynamodb:GetItem", TABLE)
    assert not execution.may("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/people-info-qa-api")


STATES = "arn:aws:s3:::people-info-qa-state-123456789012"
BALANCER = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}"
LISTENER = f"{BALANCER}:listener/app/people-info-qa/0123456789abcdef/0123456789abcdef"
RULE = f"{BALANCER}:listener-rule/app/people-info-qa/0123456789abcdef/0123456789abcdef/0123456789abcdef"
OURS = {"aws:requesttag/stack": "preview"}
OF_ECS = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}

# Calls that would affect the environment.
FROM_A_PREVIEW = [
    ("s3:GetObject", f"{STATES}/app_iac.tfstate", {}), ("s3:PutObject", f"{STATES}/deploy_iac.tfstate", {}),
    ("dynamodb:GetItem", TABLE, {}), ("dynamodb:Query", TABLE, {}), ("dynamodb:DeleteTable", TABLE, {}), ("dynamodb:DeleteTable", f"{TABLE}-keys", {}),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:people-info-qa/admin_key-AbCdEf", {}),
    ("ssm:PutParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/people-info-qa/app/store_url", {}),
    ("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/people-info-qa-api", {}),
    ("ecs:UpdateService", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/people-info-qa/people-info-qa-api", {}),
    ("ecs:RunTask", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task-definition/people-info-qa-api:1", {}),
    ("ecs:ExecuteCommand", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task/people-info-qa/0123456789abcdef", {}),
    ("elasticloadbalancing:AddTags", RULE, OURS), ("elasticloadbalancing:AddTags", LISTENER, OURS | {"elasticloadbalancing:createaction": "CreateRule"}),
    ("elasticloadbalancing:CreateRule", LISTENER, {"aws:requesttag/stack": "app"}),
    ("elasticloadbalancing:DeleteRule", RULE, {"aws:resourcetag/stack": "app"}), ("elasticloadbalancing:ModifyRule", RULE, {"aws:resourcetag/stack": "app"}),
    ("elasticloadbalancing:ModifyListener", LISTENER, OURS),
    ("elasticloadbalancing:DeleteTargetGroup", f"{BALANCER}:targetgroup/people-info-qa-blue/0123456789abcdef", {}),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-task", OF_ECS), ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-preview-task", {}),
    ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-workflow-infrastructure", {}),
]  # fmt: skip


def test_preview_role_cannot_access_the_environment(previews: Role) -> None:
    assert [one for one in FROM_A_PREVIEW if previews.may(one[0], one[1], context=one[2])] == []


# Calls that do not belong to a deployment.
FROM_A_DEPLOYMENT = [
    ("s3:GetObject", f"{STATES}/app_iac.tfstate", {}), ("dynamodb:GetItem", TABLE, {}), ("dynamodb:DeleteTable", TABLE, {}),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:people-info-qa/admin_key-AbCdEf", {}),
    ("ecr:PutImage", f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/people-info-qa-api", {}), ("ecs:ExecuteCommand", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task/people-info-qa/0123456789abcdef", {}),
    ("ecs:RunTask", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task-definition/people-info-qa-api:1", {}), ("ecs:DeleteCluster", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/people-info-qa", {}),
    ("elasticloadbalancing:ModifyListener", LISTENER, {}), ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-workflow-infrastructure", OF_ECS),
    ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-x", {}), ("ssm:PutParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/people-info-qa/app/store_url", {}),
]  # fmt: skip


def test_deploy_role_can_only_deploy(deploy: Role) -> None:
    assert [one for one in FROM_A_DEPLOYMENT if deploy.may(one[0], one[1], context=one[2])] == []


def test_policies_of_a_role_fit_the_quotas_of_iam(stacks: Stacks) -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240 characters in a role, 6,144 in a policy of its own
    for stack in ("basic_iac", "app_iac"):
        for address, values in stacks.resources(stack).items():
            if "policy" in values and address.startswith(("aws_iam_role_policy.", "aws_iam_policy.")):
                most = 10_240 if address.startswith("aws_iam_role_policy.") else 6_144
                assert len("".join(values["policy"].split())) <= most, address
