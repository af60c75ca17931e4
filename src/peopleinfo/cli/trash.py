"""`peopleinfo trash`: list, restore or erase deleted people, without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from peopleinfo.people.trash import Trash, TrashedPerson

app = typer.Typer(name="trash", help="List, restore or erase deleted people.", no_args_is_help=True)
_PAGE: Final = 100
_Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the person.", show_default=False)]


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """List the people in the trash, the last deleted one first. Print a table on a terminal, NDJSON in a pipe.

    Example: peopleinfo trash list
    """
    people = run(_people(Settings.load(store_url=store)))
    if json or not sys.stdout.isatty():
        sys.stdout.buffer.writelines(strict_json.encode(person) + b"\n" for person in people)
    else:
        _print_table(people)


@app.command()
def restore(person_id: _Id, store: options.Store = None) -> None:
    """Move a person back from the trash, with its id and its history.

    The change is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo trash restore e953cc6a7f986f7bb8466799a8eb167a
    """
    from peopleinfo.privacy.audit import COMMAND

    settings = Settings.load(store_url=store)
    run(_audited(settings, "restoreDeletedPerson", person_id, lambda it: it.restore(person_id, principal=COMMAND)))
    print(f"{person_id} restored", file=sys.stderr)


@app.command()
def erase(person_id: _Id, store: options.Store = None) -> None:
    """Erase a person in the trash permanently.

    The erasure is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo trash erase e953cc6a7f986f7bb8466799a8eb167a
    """
    settings = Settings.load(store_url=store)
    run(_audited(settings, "eraseDeletedPerson", person_id, lambda trash: trash.erase(person_id)))
    print(f"{person_id} erased", file=sys.stderr)


async def _people(settings: Settings) -> list[dict[str, Any]]:
    from peopleinfo.app import open_trash
    from peopleinfo.people.trash import summary

    found: list[TrashedPerson] = []
    after, more = None, True
    async with open_trash(settings) as trash:
        while more:
            page = await trash.page(after=after, limit=_PAGE)
            found += page.people
            after, more = page.next, page.next is not None
    return [summary(person) for person in found]


async def _audited(
    settings: Settings, action: str, person_id: str, change: Callable[[Trash], Awaitable[object]]
) -> None:
    """Change the trash, and record the action in the audit log."""
    from peopleinfo.app import open_audit_file, open_trash
    from peopleinfo.privacy.audit import audited_command

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        trash = await stack.enter_async_context(open_trash(settings))
        with audited_command(audit, action, person_id):
            await change(trash)


def _print_table(people: Iterable[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = ("person_id", "person_name", "person_surname", "deleted_at", "deleted_by", "erased_after")
    table = Table("id", "name", "surname", "deleted at", "deleted by", "erased after")
    for person in people:
        table.add_row(*(Text(person.get(column) or "") for column in columns))
    Console().print(table)
