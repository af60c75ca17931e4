"""`peopleinfo store`: create a store or check its configuration."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.stores.dynamodb.client import TableClient
    from peopleinfo.stores.dynamodb.schema import TableSpec

app = typer.Typer(name="store", help="Create a store or check its configuration.", no_args_is_help=True)


@app.command()
def create(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Create the SQLite file or the DynamoDB table if it does not exist.

    The table has on-demand capacity, encryption at rest, point-in-time recovery and deletion protection. With PEOPLEINFO_ENCRYPTION
    the command also creates the table of record keys. It has no point-in-time recovery: a deleted key must stay deleted.

    Example: peopleinfo store create --store-url dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    run(_create(settings))
    print(f"{settings.store_url} is ready")


@app.command()
def check(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Compare the configuration of the table with the required one. Print each difference and exit 1 if there is one.

    Example: peopleinfo store check --store-url dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    differences = run(_check(settings))
    for difference in differences:
        print(f"FAIL  {difference}")
    if differences:
        raise typer.Exit(1)
    print(f"ok    {settings.store_url} is configured correctly")


async def _create(settings: Settings) -> None:
    from peopleinfo.app import open_people

    if isinstance(settings.location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb import schema

        for name, spec in _tables(settings.location, encrypted=bool(settings.encryption)):
            async with _table(settings.location, name) as table:
                for problem in await schema.create(table, spec):
                    print(f"FAIL  {name}: {problem}")
    async with open_people(settings, create=True) as people:
        await people.store.check()


async def _check(settings: Settings) -> list[str]:
    from peopleinfo.app import open_people

    location = settings.location
    differences = []
    if isinstance(location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb import schema

        for name, spec in _tables(location, encrypted=bool(settings.encryption)):
            async with _table(location, name) as table:
                differences += [f"{name}: {difference}" for difference in await schema.check(table, spec)]
    async with open_people(settings):
        return differences


def _tables(location: DynamoDBUrl, *, encrypted: bool) -> list[tuple[str, TableSpec]]:
    from peopleinfo.stores.dynamodb.schema import KEYS, PEOPLE

    return [(location.table, PEOPLE), *([(location.key_table, KEYS)] if encrypted else [])]


@asynccontextmanager
async def _table(location: DynamoDBUrl, name: str) -> AsyncIterator[TableClient]:
    from peopleinfo.stores.dynamodb.factory import open_table, table_errors

    async with open_table(location) as table:
        with table_errors(name):
            yield table.for_table(name)
