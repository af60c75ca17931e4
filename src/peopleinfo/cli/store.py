"""`peopleinfo store`: create a store or check its configuration."""

from __future__ import annotations

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.settings import Settings

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
    from peopleinfo.stores.registry import create_tables, open_service_store

    for problem in await create_tables(settings):
        print(f"FAIL  {problem}")
    async with open_service_store(settings, create=True) as store:
        await store.people.check()


async def _check(settings: Settings) -> list[str]:
    from peopleinfo.stores.registry import check_tables, open_service_store

    differences = await check_tables(settings)
    async with open_service_store(settings):
        return differences
