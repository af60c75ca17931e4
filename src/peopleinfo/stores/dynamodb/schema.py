"""The tables that the code needs: one description of each, by which it is made and with which any table is compared."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.stores.dynamodb.client import RequestRejected
from peopleinfo.stores.dynamodb.items import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.stores.dynamodb.client import Json, TableClient

_PATIENCE: Final = 120  # tries, a second apart, until a new table is there
TTL: Final = "expires_at"


class TableSpec(NamedTuple):
    """What a table has to be like."""

    keys: Json
    keeps: bool
    """Whether it can be brought back as it was at any moment, and forgets what has expired; a table of persons' keys must do neither."""


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
    keeps=True,
)
KEYS: Final = TableSpec(
    {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "B"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    },
    keeps=False,
)
PROTECTION: Final[Json] = {
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "SSESpecification": {"Enabled": True, "SSEType": "KMS"},
}


async def create(table: TableClient, needs: TableSpec = PEOPLE) -> list[str]:
    """Make the table unless it is there, and return what could not be set on it. Raises Refused, StoreUnavailable."""
    try:
        await table.call("CreateTable", {**needs.keys, **PROTECTION}, table.timeouts.control)
    except RequestRejected as refused:
        if refused.code != "ResourceInUseException":
            raise
    await _until_active(table)
    if not needs.keeps:
        return []
    problems = []
    for action, asked in (
        ("UpdateTimeToLive", {"TimeToLiveSpecification": {"AttributeName": TTL, "Enabled": True}}),
        (
            "UpdateContinuousBackups",
            {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
        ),
    ):
        try:
            await table.call(action, asked, table.timeouts.control)
        except RequestRejected as refused:
            if "already enabled" not in str(refused):
                problems.append(str(refused))
    return problems


async def check(table: TableClient, needs: TableSpec = PEOPLE) -> list[str]:
    """Compare the table with what the code needs and return the differences. Raises Refused, StoreUnavailable."""
    described = (await table.call("DescribeTable", {}, table.timeouts.control))["Table"]
    differences = list(_differences(described, needs.keys))
    recovery = await _described(table, "DescribeContinuousBackups", "ContinuousBackupsDescription")
    is_kept = recovery.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
    if not needs.keeps:
        return [*differences, *([_BROUGHT_BACK] if is_kept else [])]
    ttl = await _described(table, "DescribeTimeToLive", "TimeToLiveDescription")
    if ttl.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING") or ttl.get("AttributeName") != TTL:
        differences.append(
            f"time to live is not enabled on the attribute {TTL}: idempotency keys would be kept for ever"
        )
    if not is_kept:
        differences.append("point-in-time recovery is not enabled: what is deleted by mistake cannot be brought back")
    return differences


_BROUGHT_BACK: Final = "point-in-time recovery is enabled on the keys: the key of whoever was erased could be brought back, and the person with it"


def _differences(described: Json, needed_keys: Json) -> Iterator[str]:
    if described["TableStatus"] not in ("ACTIVE", "UPDATING"):
        yield f"the table is {described['TableStatus']}, not ACTIVE"
    if _schema(described) != _schema(needed_keys):
        yield f"its keys are {_schema(described)}, not {_schema(needed_keys)}"
    attributes, needed = (
        {(one["AttributeName"], one["AttributeType"]) for one in side["AttributeDefinitions"]}
        for side in (described, needed_keys)
    )
    if missing := needed - attributes:
        yield f"attributes are not defined as {sorted(missing)}"
    indexes = {index["IndexName"]: index for index in described.get("GlobalSecondaryIndexes", ())}
    for needs in needed_keys.get("GlobalSecondaryIndexes", ()):
        index = indexes.get(needs["IndexName"])
        if index is None:
            yield f"the index {needs['IndexName']} is missing: searches by prefix would fail"
        elif _schema(index) != _schema(needs):
            yield f"the keys of the index {needs['IndexName']} are {_schema(index)}, not {_schema(needs)}"
    yield from _unprotected(described)


def _unprotected(described: Json) -> Iterator[str]:
    if described.get("BillingModeSummary", {}).get("BillingMode") != PROTECTION["BillingMode"]:
        yield "it is not billed on demand: a burst would be throttled at the provisioned capacity"
    if not described.get("DeletionProtectionEnabled"):
        yield "deletion protection is off"
    if described.get("SSEDescription", {}).get("Status") not in ("ENABLED", "ENABLING"):
        yield "it is not encrypted with a KMS key"


def _schema(side: Json) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in side["KeySchema"]]


async def _described(table: TableClient, action: str, member: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = (await table.call(action, {}, table.timeouts.control)).get(member, {})
    except RequestRejected:  # a stand-in for DynamoDB may not know it
        return {}
    return answer


async def _until_active(table: TableClient) -> None:
    for _ in range(_PATIENCE):
        described = (await table.call("DescribeTable", {}, table.timeouts.control))["Table"]
        states = [described["TableStatus"]]
        states += [index.get("IndexStatus", "ACTIVE") for index in described.get("GlobalSecondaryIndexes", ())]
        if set(states) == {"ACTIVE"}:
            return
        await asyncio.sleep(1)
