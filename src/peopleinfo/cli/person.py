"""`peopleinfo person`: export or delete the data of one person, without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from peopleinfo.people.service import PeopleService

app = typer.Typer(name="person", help="Export, delete or erase the data of one person.", no_args_is_help=True)
_Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the person.", show_default=False)]


@app.command()
def export(person_id: _Id, store: options.Store = None) -> None:
    """Print all data about a person as JSON.

    The document holds the record and its earlier versions, also of a person in the trash, and the records merged into it. It also holds
    the audit events of these records when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo person export e953cc6a7f986f7bb8466799a8eb167a > person.json
    """
    document = run(_export(Settings.load(store_url=store), person_id))
    sys.stdout.buffer.write(document + b"\n")


@app.command()
def delete(person_id: _Id, store: options.Store = None) -> None:
    """Delete a person from the store and the cache: move it to the trash, or erase it if PEOPLEINFO_TRASH is empty.

    The deletion is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo person delete e953cc6a7f986f7bb8466799a8eb167a
    """
    settings = Settings.load(store_url=store)
    if settings.trash_age is None:
        run(_erase(settings, person_id))
        print(f"{person_id} deleted", file=sys.stderr)
    else:
        run(_delete(settings, person_id))
        print(f"{person_id} deleted; `peopleinfo trash restore {person_id}` restores it", file=sys.stderr)


@app.command()
def erase(person_id: _Id, store: options.Store = None) -> None:
    """Erase a person permanently from the store, the cache and the trash.

    The erasure is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo person erase e953cc6a7f986f7bb8466799a8eb167a
    """
    run(_erase(Settings.load(store_url=store), person_id))
    print(f"{person_id} erased", file=sys.stderr)


async def _export(settings: Settings, person_id: str) -> bytes:
    from peopleinfo.app import open_audit_file
    from peopleinfo.privacy.audit import COMMAND, audit_action
    from peopleinfo.privacy.subject_export import PersonalDataExport
    from peopleinfo.stores.registry import open_service_store

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        store = await stack.enter_async_context(open_service_store(settings))
        document = await PersonalDataExport(store.people, store.archive, store.trash, audit).document(person_id)
        audit_action(audit, "exportPerson", person_id, by=COMMAND)
        return document


async def _delete(settings: Settings, person_id: str) -> None:
    from peopleinfo.privacy.audit import COMMAND

    await _remove(settings, person_id, "deletePerson", lambda people: people.delete(person_id, principal=COMMAND))


async def _erase(settings: Settings, person_id: str) -> None:
    await _remove(settings, person_id, "erasePerson", lambda people: people.erase(person_id))


async def _remove(
    settings: Settings, person_id: str, action: str, remove: Callable[[PeopleService], Awaitable[None]]
) -> None:
    """Delete or erase a person, and record the action in the audit log."""
    from peopleinfo.app import open_audit_file, open_people
    from peopleinfo.privacy.audit import audited_command

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        people = await stack.enter_async_context(open_people(settings))
        with audited_command(audit, action, person_id):
            await remove(people)
