"""`peopleinfo person` and `peopleinfo sweep`: the rights of those who are stored, without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from datetime import timedelta

    from peopleinfo.people.service import PeopleService
    from peopleinfo.privacy.audit import AuditLog

app = typer.Typer(name="person", help="All that is held about one person, and its end.", no_args_is_help=True)
_Id = Annotated[str, typer.Argument(help="The person's id.")]
_Retention = Annotated[str, options.setting("retention_period")]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the ids of those who would be erased, and erase nobody.")
]


@app.command()
def export(person_id: _Id, store: options.Store = None) -> None:
    """Print as JSON all that is held about a person: the record, and the audit's events where PEOPLEINFO_AUDIT_LOG names its file.

    Example: peopleinfo person export e953cc6a7f986f7bb8466799a8eb167a > person.json
    """
    document = run(_export(Settings.load(store_url=store), person_id))
    sys.stdout.buffer.write(document + b"\n")


@app.command()
def erase(person_id: _Id, store: options.Store = None) -> None:
    """Erase a person for good, with every copy in the store and the cache; written down where PEOPLEINFO_AUDIT_LOG names a file.

    Example: peopleinfo person erase e953cc6a7f986f7bb8466799a8eb167a
    """
    run(_erase(Settings.load(store_url=store), person_id))
    print(f"{person_id} is erased", file=sys.stderr)


def sweep(retention: _Retention = "", dry_run: _DryRun = False, store: options.Store = None) -> None:
    """Erase everybody whom nobody has changed for as long as PEOPLEINFO_RETENTION_PERIOD says, as a server does once a day.

    Example: peopleinfo sweep --retention-period 730d --dry-run
    """
    settings = Settings.load(store_url=store, retention_period=retention or None)
    retained = settings.retention
    if retained is None:
        raise InvalidSettings("say how long people are kept: --retention-period 730d, or PEOPLEINFO_RETENTION_PERIOD")
    count = run(_sweep(settings, retained, dry_run=dry_run))
    print(f"{count} people {'would be' if dry_run else 'were'} erased", file=sys.stderr)


async def _opened(settings: Settings, stack: AsyncExitStack) -> tuple[PeopleService, AuditLog | None]:
    from peopleinfo.app import open_audit, open_people

    # What would go to stdout has to leave that to what a command prints.
    audit = open_audit(settings, stack) if settings.audit_file else None
    return await stack.enter_async_context(open_people(settings)), audit


async def _export(settings: Settings, person_id: str) -> bytes:
    from peopleinfo.privacy import retention

    async with AsyncExitStack() as stack:
        people, audit = await _opened(settings, stack)
        document = await retention.export_personal_data(people, audit, person_id)
        retention.audit_action(audit, "exportPerson", person_id, by=retention.COMMAND)
        return document


async def _erase(settings: Settings, person_id: str) -> None:
    from peopleinfo.privacy import retention

    async with AsyncExitStack() as stack:
        people, audit = await _opened(settings, stack)
        retention.announced(audit, "erasePerson", person_id, by=retention.COMMAND)
        await people.delete(person_id)
        retention.audit_action(audit, "erasePerson", person_id, by=retention.COMMAND)


async def _sweep(settings: Settings, retained: timedelta, *, dry_run: bool) -> int:
    from peopleinfo.app import utc_now
    from peopleinfo.privacy import retention

    before = utc_now() - retained
    async with AsyncExitStack() as stack:
        people, audit = await _opened(settings, stack)
        if not dry_run:
            return await retention.delete_expired(people.store, audit, before=before, by=retention.COMMAND)
        count = 0
        async for person_id, _ in retention.iter_expired(people.store, before=before):
            print(person_id)
            count += 1
        return count
