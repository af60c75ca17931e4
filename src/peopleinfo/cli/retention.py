"""`peopleinfo retention`: delete records that are older than the retention period."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run as run_async
from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from datetime import timedelta

app = typer.Typer(
    name="retention", help="Delete records that are older than the retention period.", no_args_is_help=True
)


@app.command()
def run(
    period: Annotated[str, options.setting("retention_period")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the ids of the expired records and delete nothing.")
    ] = False,
    store: options.Store = None,
) -> None:
    """Delete records that were not modified for the retention period.

    A server does the same once a day when PEOPLEINFO_RETENTION_PERIOD is set.

    Example: peopleinfo retention run --retention-period 730d --dry-run
    """
    settings = Settings.load(store_url=store, retention_period=period or None)
    if settings.retention is None:
        raise InvalidSettings("no retention period: set --retention-period, for example to 730d")
    count = run_async(_delete_expired(settings, settings.retention, dry_run=dry_run))
    print(f"{count} records {'would be deleted' if dry_run else 'deleted'}", file=sys.stderr)


async def _delete_expired(settings: Settings, period: timedelta, *, dry_run: bool) -> int:
    from peopleinfo.app import open_audit_file
    from peopleinfo.people.person import utc_now
    from peopleinfo.privacy import retention
    from peopleinfo.privacy.audit import COMMAND
    from peopleinfo.stores.registry import open_service_store

    before = utc_now() - period
    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        store = await stack.enter_async_context(open_service_store(settings))
        if not dry_run:
            return await retention.delete_expired(store.people, audit, before=before, by=COMMAND)
        count = 0
        async for person_id, _ in retention.iter_expired(store.people, before=before):
            print(person_id)
            count += 1
        return count
