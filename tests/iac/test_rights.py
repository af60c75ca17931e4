"""The role of the service may do each call that the code makes, and nothing else: asked of a simulator of IAM's policies.

The calls are taken from a run of the real store against a server that stands in for DynamoDB.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    parse_policy_document,
)

import peopleinfo.dynamodb
from peopleinfo.crypto.rotation import rotate
from peopleinfo.dynamodb.keys import DynamoKeyStore
from peopleinfo.dynamodb.opening import open_table
from peopleinfo.dynamodb.table import Table
from peopleinfo.store import Once, Progress
from tests.stores_under_test import Clock, encryption, everyone_scanned, named, open_store, table_location, where

if TYPE_CHECKING:
    from tests.iac.terraform import Resources, Stacks

ACCOUNT = "123456789012"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/people-info-qa-people"
OF_THE_TABLE = {"kms:viaservice": "dynamodb.eu-west-1.amazonaws.com"}
OF_THE_SERVICE = {"kms:encryptioncontext:service": "peopleinfo"}
CODE = "".join(file.read_text() for file in Path(peopleinfo.dynamodb.__path__[0]).glob("*.py"))
_IN_A_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_MANAGING = {"CreateTable", "DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups",
             "UpdateTimeToLive", "UpdateContinuousBackups"}  # fmt: skip


class Role:
    """A role within its boundary, as Terraform describes them."""

    def __init__(self, name: str, app: Resources, basic: Resources) -> None:
        self._policies = [parse_policy_document(app[f"aws_iam_role_policy.{name}"]["policy"])]
        self._boundary = [parse_policy_document(basic["aws_iam_policy.boundary"]["policy"])]

    def may(self, action: str, resource: str, **context: Any) -> bool:
        asked = EvalContext(
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
        return bool(evaluate(asked, self._policies, self._boundary).decision == "Allow")


@pytest.fixture
def task(stacks: Stacks) -> Role:
    return Role("task", stacks.resources("app_iac"), stacks.resources("basic_iac"))


@pytest.fixture
def execution(stacks: Stacks) -> Role:
    return Role("execution", stacks.resources("app_iac"), stacks.resources("basic_iac"))


@pytest.fixture
async def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Return what the store calls for all that it can do: the right that is asked for, and of what."""
    called: set[tuple[str, str]] = set()
    real = Table.call

    async def recorded(self: Table, action: str, payload: dict[str, Any], seconds: float, **more: Any) -> Any:
        index = payload.get("IndexName")
        if action == "TransactWriteItems":
            parts = {_IN_A_TRANSACTION[kind] for write in payload["TransactItems"] for kind in write}
        else:
            parts = {action}
        called.update((part, f"{TABLE}/index/{index}" if index else TABLE) for part in parts)
        return await real(self, action, payload, seconds, **more)

    async with open_store("ministack", tmp_path, Clock()) as store:
        monkeypatch.setattr(Table, "call", recorded)
        await store.ready()
        made = await store.create(named("First"), once=Once(b"k" * 32, b"c" * 32))
        await store.create(named("First"), once=Once(b"k" * 32, b"c" * 32))
        changed = await store.replace(made.person_id, named("First", "Again"), expected=1)
        moved = await store.replace(made.person_id, named("Second"), expected=changed.version)
        await store.get(moved.person_id)
        await store.find(where(surname="second"), after=None, limit=10)
        await store.find(where(surname_prefix="sec"), after=None, limit=10)
        await everyone_scanned(store)
        await store.load([named("Third"), named("Fourth")])
        begun = Progress(b"i" * 32)
        await store.load([named("Fifth")], step=(begun, Progress(b"i" * 32, rows=1, stored=1, digest=b"d" * 32)))
        await store.progress(b"i" * 32)
        await store.erase(moved.person_id)
        monkeypatch.undo()
    return called


async def test_every_call_of_the_code_is_allowed(task: Role, calls: set[tuple[str, str]]) -> None:
    assert [call for call in sorted(calls) if not task.may(f"dynamodb:{call[0]}", call[1])] == []


async def test_every_call_in_the_code_was_made(calls: set[tuple[str, str]]) -> None:
    written = set(re.findall(r'\bcall\(\s*"(\w+)"', CODE)) - _MANAGING - {"TransactWriteItems"}
    written |= {_IN_A_TRANSACTION[kind] for kind in re.findall(r'"(Put|Update|Delete|ConditionCheck)":', CODE)}
    assert written == {action for action, _ in calls}


async def test_no_right_is_left_over(stacks: Stacks, calls: set[tuple[str, str]]) -> None:
    policy = stacks.resources("app_iac")["aws_iam_role_policy.task"]["policy"]
    given = {action.removeprefix("dynamodb:") for action in re.findall(r"dynamodb:[A-Z]\w+", policy)}
    assert given == {action for action, _ in calls}


def test_the_keys_are_used_for_what_they_are_there_for(stacks: Stacks, task: Role) -> None:
    app = stacks.resources("app_iac")
    people, sealing = (app[f"module.{name}_key.aws_kms_key.default"]["arn"] for name in ("people", "sealing"))
    assert task.may("kms:Decrypt", people, context=OF_THE_TABLE)
    assert task.may("kms:Encrypt", sealing, context=OF_THE_SERVICE)
    assert task.may("kms:Decrypt", sealing, context=OF_THE_SERVICE)
    assert not task.may("kms:Decrypt", people), "data that has been copied could be read"
    assert not task.may("kms:Decrypt", sealing), "what others have sealed could be read"


async def test_of_the_keys_everything_is_allowed_that_is_done_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Role
) -> None:
    called: set[str] = set()
    real = Table.call

    async def recorded(self: Table, action: str, payload: dict[str, Any], seconds: float, **more: Any) -> Any:
        asked = payload.get("RequestItems", {}) if action.startswith("Batch") else {self.name: None}
        if action == "TransactWriteItems":
            writes = [pair for write in payload["TransactItems"] for pair in write.items()]
            called.update(_IN_A_TRANSACTION[kind] for kind, one in writes if one["TableName"].endswith("-keys"))
        elif any(name.endswith("-keys") for name in asked):
            called.add(action)
        return await real(self, action, payload, seconds, **more)

    monkeypatch.setattr(Table, "call", recorded)
    async with open_store("ministack+sealed", tmp_path, Clock()) as store:
        made = await store.create(named("First"))
        await store.get(made.person_id)
        await store.replace(made.person_id, named("Second"), expected=1)
        await store.load([named("Third")])
        await everyone_scanned(store)
        await store.erase(made.person_id)
    async with open_table(table_location("ministack", tmp_path)) as table:
        keys = DynamoKeyStore(table.beside(table_location("ministack", tmp_path).keys))
        await rotate(keys, encryption(tmp_path).master, told=lambda _: None)
    monkeypatch.undo()
    called -= _MANAGING
    assert called == {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Scan", "UpdateItem"}
    assert [action for action in sorted(called) if not task.may(f"dynamodb:{action}", f"{TABLE}-keys")] == []
    assert not task.may("dynamodb:Query", f"{TABLE}-keys")


DENIED = [
    ("dynamodb:DeleteTable", TABLE), ("dynamodb:UpdateTable", TABLE), ("dynamodb:CreateTable", TABLE),
    ("dynamodb:CreateBackup", TABLE), ("dynamodb:RestoreTableToPointInTime", TABLE),
    ("dynamodb:ExportTableToPointInTime", TABLE), ("dynamodb:UpdateContinuousBackups", TABLE),
    ("dynamodb:UpdateTimeToLive", TABLE), ("dynamodb:PartiQLSelect", TABLE), ("dynamodb:GetRecords", f"{TABLE}/stream/1"),
    ("dynamodb:Scan", f"{TABLE}/index/prefixes"), ("dynamodb:GetItem", TABLE.replace("people-info-qa-people", "people-info-prod-people")),
    ("dynamodb:PutItem", TABLE.replace("qa-people", "qa-people-2")),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/33333333-3333-3333-3333-333333333333"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:people-info-qa/admin_key-AbCdEf"),
    ("logs:DeleteLogStream", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/people-info-qa/audit:*"),
    ("logs:GetLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/people-info-qa/audit:*"),
    ("s3:GetObject", "arn:aws:s3:::people-info-qa-alb-logs-123456789012/x"), ("ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/people-info-qa/app/url"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-task"), ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/people-info-qa-execution"),
    ("ecs:UpdateService", f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/people-info-qa/people-info-qa-api"),
    ("elasticache:DeleteReplicationGroup", f"arn:aws:elasticache:eu-west-1:{ACCOUNT}:replicationgroup:people-info-qa"),
]  # fmt: skip


def test_what_the_service_must_not_do_is_denied(task: Role) -> None:
    allowed = [
        (action, resource)
        for action, resource in DENIED
        for context in ({}, OF_THE_TABLE, OF_THE_SERVICE)
        if task.may(action, resource, context=context)
    ]
    assert allowed == []


def test_the_execution_role_starts_tasks_and_reads_no_people(execution: Role) -> None:
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
