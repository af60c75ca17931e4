"""`peopleinfo imports`: list, show and undo imports, without a server."""

from __future__ import annotations

import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.errors import ImportNotFound
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.bulk.import_history import ImportSummary
    from peopleinfo.people.import_log import LeftPerson
    from peopleinfo.privacy.audit import AuditLog

app = typer.Typer(name="imports", help="List, show and undo imports.", no_args_is_help=True)

EXIT_LEFT = 3
_LIMIT = 100
_Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the import.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print NDJSON on a terminal too.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Number of imports.")] = _LIMIT,
    json: _Json = False,
    store: options.Store = None,
) -> None:
    """List the newest imports with their file, their principal and their numbers of people.

    Example: peopleinfo imports list
    """
    _print(run(_list(Settings.load(store_url=store), limit)), json=json)


@app.command()
def show(import_id: _Id, json: _Json = False, store: options.Store = None) -> None:
    """Show an import, and print the people that its undo left unchanged as NDJSON.

    Example: peopleinfo imports show 0000019ab543a1c86f0d2b7e1c9a4f35
    """
    found, left = run(_show(Settings.load(store_url=store), _parse_id(import_id)))
    _print([found], json=json)
    _print_left(left)


@app.command()
def undo(import_id: _Id, store: options.Store = None) -> None:
    """Delete the people that an import created, and restore those that it updated.

    People that have changed since are left unchanged and printed as NDJSON; then the command exits 3. Run the same command again to
    resume an interrupted undo. The changes are recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo imports undo 0000019ab543a1c86f0d2b7e1c9a4f35
    """
    with resumable():
        found, left = run(_undo(Settings.load(store_url=store), _parse_id(import_id)))
    _print_left(left)
    counts = found.counts
    print(f"{counts.deleted:,} people deleted, {counts.restored:,} restored, {counts.left:,} left", file=sys.stderr)
    if any(person.reason == "no-history" for person in left):
        print("no-history: PEOPLEINFO_HISTORY keeps no version from before the import", file=sys.stderr)
    if left:
        raise typer.Exit(EXIT_LEFT)


async def _list(settings: Settings, limit: int) -> list[ImportSummary]:
    from peopleinfo.app import open_import_history

    async with open_import_history(settings) as imports:
        found, _ = await imports.list(before=None, limit=limit)
        return found


async def _show(settings: Settings, import_id: bytes) -> tuple[ImportSummary, list[LeftPerson]]:
    from peopleinfo.app import open_import_history

    async with open_import_history(settings) as imports:
        return await imports.get(import_id), [person async for person in imports.left(import_id)]


async def _undo(settings: Settings, import_id: bytes) -> tuple[ImportSummary, list[LeftPerson]]:
    from peopleinfo.app import open_audit_file, open_import_history
    from peopleinfo.privacy.audit import COMMAND

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        imports = await stack.enter_async_context(open_import_history(settings))
        counts = (await imports.get(import_id)).counts
        done = counts.deleted + counts.restored + counts.left
        advance = stack.enter_context(progress_bar("undo", counts.created + counts.updated, done))
        _record(audit, (), intent=True)
        async for step in imports.undo(import_id, principal=COMMAND):
            _record(audit, step.changed)
            advance(len(step.changed) + len(step.left))
        return await imports.get(import_id), [person async for person in imports.left(import_id)]


def _record(audit: AuditLog | None, people: tuple[str, ...], *, intent: bool = False) -> None:
    from peopleinfo.privacy.audit import COMMAND, AuditEvent

    if audit is not None:
        audit.check_writable(change=True)
        event = AuditEvent(time.time(), COMMAND, "undoImport", 0 if intent else 200, people, (), "", "", intent)
        audit.write(event)


def _parse_id(import_id: str) -> bytes:
    try:
        return bytes.fromhex(import_id)
    except ValueError:
        raise ImportNotFound from None


def _fields(found: ImportSummary) -> dict[str, Any]:
    fields = found._asdict() | {"file": found.file._asdict()}
    counts = fields.pop("counts")
    return fields | {name: getattr(counts, name) for name in counts.__struct_fields__}


def _print_left(left: Iterable[LeftPerson]) -> None:
    sys.stdout.buffer.writelines(strict_json.encode(person._asdict()) + b"\n" for person in left)


def _print(imports: Iterable[ImportSummary], *, json: bool) -> None:
    if json or not sys.stdout.isatty():
        sys.stdout.buffer.writelines(strict_json.encode(_fields(found)) + b"\n" for found in imports)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("id", "time", "principal", "file", "state", "created", "updated", "deleted", "restored", "left")
    for found in imports:
        fields = _fields(found) | {"file": found.file.name or "", "principal": found.principal or ""}
        table.add_row(*(Text(str(value)) for value in fields.values()))
    Console().print(table)
