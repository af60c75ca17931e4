"""Writes with a failed condition as an expected result."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from peopleinfo.stores.dynamodb.client import ConditionFailed, TransactionCancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from peopleinfo.stores.dynamodb.client import Json, TableClient


async def is_applied(write: Awaitable[None]) -> bool:
    """Run a write; return False if a condition failed."""
    try:
        await write
    except ConditionFailed:
        return False
    except TransactionCancelled as cancelled:
        if not any(cancelled.failed):
            raise
        return False
    return True


async def transact(table: TableClient, writes: Sequence[Json], optional: Sequence[Json] = ()) -> bool:
    """Run a transaction, without the `optional` writes if only their conditions fail; return False if another one fails."""
    try:
        await table.transact_write(*writes, *optional, token=secrets.token_hex(16))
    except TransactionCancelled as cancelled:
        if not any(cancelled.failed):
            raise
        if any(cancelled.failed[: len(writes)]):
            return False
    else:
        return True
    return await transact(table, writes)
