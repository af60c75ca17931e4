"""Creates and checks the tables of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.stores.dynamodb import schema
from peopleinfo.stores.dynamodb.factory import open_table, table_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from peopleinfo.settings.urls import DynamoDBUrl
    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.schema import TableSpec


async def create_tables(location: DynamoDBUrl, *, encrypted: bool) -> list[str]:
    """Create the missing tables; return the errors of options that could not be set. Raises StoreConfigurationError."""
    return await _findings(schema.create, location, encrypted=encrypted)


async def check_tables(location: DynamoDBUrl, *, encrypted: bool) -> list[str]:
    """Return the differences between the tables and the required schema. Raises StoreConfigurationError."""
    return await _findings(schema.check, location, encrypted=encrypted)


async def _findings(
    operation: Callable[[TableClient, TableSpec], Awaitable[list[str]]], location: DynamoDBUrl, *, encrypted: bool
) -> list[str]:
    """Run an operation on each table; return its findings with the name of the table."""
    specs = {location.table: schema.PEOPLE} | ({location.key_table: schema.KEYS} if encrypted else {})
    findings = []
    async with open_table(location) as table:
        for name, spec in specs.items():
            with table_errors(name):
                findings += [f"{name}: {finding}" for finding in await operation(table.for_table(name), spec)]
    return findings
