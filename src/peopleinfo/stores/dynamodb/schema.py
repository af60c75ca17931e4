"""The schemas of the tables: `create` creates a table, `check` compares an existing one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.stores.dynamodb.client import RequestRejected
from peopleinfo.stores.dynamodb.items import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.stores.dynamodb.client import Json, TableClient

_MAX_POLLS: Final = 120  # polls, one second apart, until a new table is active
TTL: Final = "expires_at"


class TableSpec(NamedTuple):
    """The required schema and protection of a table."""

    keys: Json
    recoverable: bool
    """Whether the table has point-in-time recovery and a time to live; a key table must have neither."""


PEOPLE: Final = TableSpec(
    {
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "B"},
            {"AttributeName": "sk", "AttributeType": "B"},
            {"AttributeName": "prefix_pk", "AttributeType": "S"},
            {"AttributeName": "prefix_sk", "AttributeType": "B"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": PREFIXES,
                "KeySchema": [
                    {"AttributeName": "prefix_pk", "KeyType": "HASH"},
                    {"AttributeName": "prefix_sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    },
    recoverable=True,
)
KEYS: Final = TableSpec(
    {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "B"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    },
    recoverable=False,
)
PROTECTION: Final[Json] = {
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "SSESpecification": {"Enabled": True, "SSEType": "KMS"},
}


async def create(table: TableClient, spec: TableSpec = PEOPLE) -> list[str]:
    """Create the table unless it exists; return the errors of options that could not be set.

    Raises RequestRejected, StoreUnavailable.
    """
    try:
        await table.call("CreateTable", {**spec.keys, **PROTECTION}, table.timeouts.control)
    except RequestRejected as error:
        if error.code != "ResourceInUseException":
            raise
    await _until_active(table)
    if not spec.recoverable:
        return []
    problems = []
    for action, options in (
        ("UpdateTimeToLive", {"TimeToLiveSpecification": {"AttributeName": TTL, "Enabled": True}}),
        (
            "UpdateContinuousBackups",
            {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
        ),
    ):
        try:
            await table.call(action, options, table.timeouts.control)
        except RequestRejected as error:
            if "already enabled" not in str(error):
                problems.append(str(error))
    return problems


async def check(table: TableClient, spec: TableSpec = PEOPLE) -> list[str]:
    """Return the differences between the table and the schema. Raises RequestRejected, StoreUnavailable."""
    described = (await table.call("DescribeTable", {}, table.timeouts.control))["Table"]
    differences = list(_differences(described, spec.keys))
    recovery = await _described(table, "DescribeContinuousBackups", "ContinuousBackupsDescription")
    has_recovery = recovery.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
    if not spec.recoverable:
        return [*differences, *([_RECOVERABLE_KEYS] if has_recovery else [])]
    ttl = await _described(table, "DescribeTimeToLive", "TimeToLiveDescription")
    if ttl.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING") or ttl.get("AttributeName") != TTL:
        differences.append(
            f"time to live is not enabled on the attribute {TTL}: expired idempotency keys would never be deleted"
        )
    if not has_recovery:
        differences.append("point-in-time recovery is not enabled: accidental deletions cannot be undone")
    return differences


_RECOVERABLE_KEYS: Final = (
    "point-in-time recovery is enabled on the key table: a restored key would make an erased person readable again"
)


def _differences(described: Json, required: Json) -> Iterator[str]:
    if described["TableStatus"] not in ("ACTIVE", "UPDATING"):
        yield f"the table is {described['TableStatus']}, not ACTIVE"
    if _schema(described) != _schema(required):
        yield f"the key schema is {_schema(described)}, not {_schema(required)}"
    attributes, required_attributes = (
        {(attribute["AttributeName"], attribute["AttributeType"]) for attribute in side["AttributeDefinitions"]}
        for side in (described, required)
    )
    if missing := required_attributes - attributes:
        yield f"attribute definitions are missing: {sorted(missing)}"
    indexes = {index["IndexName"]: index for index in described.get("GlobalSecondaryIndexes", ())}
    for spec in required.get("GlobalSecondaryIndexes", ()):
        index = indexes.get(spec["IndexName"])
        if index is None:
            yield f"the index {spec['IndexName']} is missing: searches by prefix would fail"
        elif _schema(index) != _schema(spec):
            yield f"the key schema of the index {spec['IndexName']} is {_schema(index)}, not {_schema(spec)}"
    yield from _unprotected(described)


def _unprotected(described: Json) -> Iterator[str]:
    if described.get("BillingModeSummary", {}).get("BillingMode") != PROTECTION["BillingMode"]:
        yield "the billing mode is not on-demand: bursts above the provisioned capacity would be throttled"
    if not described.get("DeletionProtectionEnabled"):
        yield "deletion protection is off"
    if described.get("SSEDescription", {}).get("Status") not in ("ENABLED", "ENABLING"):
        yield "the table is not encrypted with a KMS key"


def _schema(side: Json) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in side["KeySchema"]]


async def _described(table: TableClient, action: str, field: str) -> dict[str, Any]:
    try:
        description: dict[str, Any] = (await table.call(action, {}, table.timeouts.control)).get(field, {})
    except RequestRejected:  # an emulator may not implement the action
        return {}
    return description


async def _until_active(table: TableClient) -> None:
    for _ in range(_MAX_POLLS):
        described = (await table.call("DescribeTable", {}, table.timeouts.control))["Table"]
        states = [described["TableStatus"]]
        states += [index.get("IndexStatus", "ACTIVE") for index in described.get("GlobalSecondaryIndexes", ())]
        if set(states) == {"ACTIVE"}:
            return
        await asyncio.sleep(1)
