"""Leases in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import binary, number, singleton_key

if TYPE_CHECKING:
    from datetime import datetime

    from peopleinfo.people.store import Lease
    from peopleinfo.stores.dynamodb.client import TableClient


async def acquire_lease(table: TableClient, lease: Lease, now: datetime) -> bool:
    """Acquire or renew a lease; see `LeaseStore.acquire_lease`. DynamoDB deletes the item some time after its expiry."""
    try:
        await table.update(
            singleton_key(b"lease " + lease.name.encode()),
            "SET lease_holder = :holder, expires_at = :expiry",
            "attribute_not_exists(pk) OR lease_holder = :holder OR expires_at <= :now",
            {
                ":holder": binary(lease.holder),
                ":expiry": number(int(lease.expires_at.timestamp())),
                ":now": number(int(now.timestamp())),
            },
        )
    except ConditionFailed:
        return False
    return True
