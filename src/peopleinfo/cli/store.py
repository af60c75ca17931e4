"""`peopleinfo store`: make the table of a store, and compare one with what the service needs."""

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

app = typer.Typer(
    name="store", help="Make the table of a store, or compare one with what the service needs.", no_args_is_help=True
)


@app.command()
def create(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Make the table (on demand, encrypted, with recovery to a point in time and protected from deletion) or the file, unless it is there.

    With encryption the table of persons' keys, too, which has no recovery: so nobody who was erased comes back.

    Example: peopleinfo store create --store-url dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    run(_create(settings))
    print(f"{settings.store_url} is there and can be used")


@app.command()
def check(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Compare the table with what the service needs, and name every difference; exits 1 when there is one.

    Example: peopleinfo store check --store-url dynamodb://eu-west-1/PeopleInfo
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    differences = run(_check(settings))
    for difference in differences:
        print(f"FAIL  {difference}")
    if differences:
        raise typer.Exit(1)
    print(f"ok    {settings.store_url} is as the service needs it")


async def _create(settings: Settings) -> None:
    from peopleinfo.app import open_people

    if isinstance(settings.location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb import schema

        for name, needs in _tables(settings.location, sealed=bool(settings.encryption)):
            async with _table(settings.location, name) as table:
                for problem in await schema.create(table, needs):
                    print(f"FAIL  could not be set: {problem}")
    async with open_people(settings, create=True) as people:
        await people.store.check()


async def _check(settings: Settings) -> list[str]:
    from peopleinfo.app import open_people

    location = settings.location
    differences = []
    if isinstance(location, DynamoDBUrl):
        from peopleinfo.stores.dynamodb import schema

        for name, needs in _tables(location, sealed=bool(settings.encryption)):
            async with _table(location, name) as table:
                differences += [f"{name}: {difference}" for difference in await schema.check(table, needs)]
    async with open_people(settings):
        return differences


def _tables(location: DynamoDBUrl, *, sealed: bool) -> list[tuple[str, TableSpec]]:
    from peopleinfo.stores.dynamodb.schema import KEYS, PEOPLE

    return [(location.table, PEOPLE), *([(location.key_table, KEYS)] if sealed else [])]


@asynccontextmanager
async def _table(location: DynamoDBUrl, name: str) -> AsyncIterator[TableClient]:
    from peopleinfo.stores.dynamodb.factory import open_table, table_errors

    async with open_table(location) as table:
        with table_errors(name):
            yield table.for_table(name)
