"""`peopleinfo history` and `peopleinfo restore-version`: the versions of a record, without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Final

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.people.history import VersionSummary
    from peopleinfo.people.person import StoredPerson

_PAGE: Final = 500
_Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the person.", show_default=False)]
_Version = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Number of the version.", show_default=False)]


def history(
    person_id: _Id,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, help="Print the record at this version.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """List the versions of a record with the changed fields. Print a table on a terminal, NDJSON in a pipe.

    Example: peopleinfo history e953cc6a7f986f7bb8466799a8eb167a
    """
    settings = Settings.load(store_url=store)
    if version is not None:
        sys.stdout.buffer.write(run(_version(settings, person_id, version)).body + b"\n")
        return
    summaries = run(_summaries(settings, person_id))
    if json or not sys.stdout.isatty():
        lines = (strict_json.encode(summary._asdict()) + b"\n" for summary in summaries)
        sys.stdout.buffer.writelines(lines)
    else:
        _print_table(summaries)


def restore_version(person_id: _Id, version: _Version, store: options.Store = None) -> None:
    """Store the fields of an earlier version as a new version.

    The change is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo restore-version e953cc6a7f986f7bb8466799a8eb167a 3
    """
    record = run(_restore(Settings.load(store_url=store), person_id, version))
    print(f"version {version} of {person_id} is restored as version {record.version}", file=sys.stderr)


async def _summaries(settings: Settings, person_id: str) -> list[VersionSummary]:
    from peopleinfo.app import open_history

    found: list[VersionSummary] = []
    after: int | None = 0
    async with open_history(settings) as (service, _):
        while after is not None:
            page, after = await service.summaries(person_id, after=after, limit=_PAGE)
            found += page
    return found


async def _version(settings: Settings, person_id: str, version: int) -> StoredPerson:
    from peopleinfo.app import open_history

    async with open_history(settings) as (service, _):
        return await service.version(person_id, version)


async def _restore(settings: Settings, person_id: str, version: int) -> StoredPerson:
    from peopleinfo.app import open_audit_file, open_history
    from peopleinfo.people.preconditions import always_allow
    from peopleinfo.privacy.audit import COMMAND, audited_command

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        service, _ = await stack.enter_async_context(open_history(settings))
        with audited_command(audit, "restoreVersion", person_id):
            return await service.restore(person_id, version, precondition=always_allow, principal=COMMAND)


def _print_table(summaries: Iterable[VersionSummary]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("version", "time", "principal", "operation", "changed fields")
    for version, at, by, operation, fields in summaries:
        changed = ", ".join(fields) if fields is not None else "(unknown)"
        table.add_row(*map(Text, (str(version), at, by or "", operation, changed)))
    Console().print(table)
