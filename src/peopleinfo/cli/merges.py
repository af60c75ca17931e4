"""`peopleinfo merge` and `peopleinfo merges`: merge records of one person and undo merges, without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peopleinfo.matching.merge_rules import Keep
    from peopleinfo.matching.merge_service import MergeResult, UndoResult

app = typer.Typer(name="merges", help="List, show or undo merges.", no_args_is_help=True)
_PersonId = Annotated[str, typer.Argument(metavar="ID", help="Id of the person.", show_default=False)]
_MergeId = Annotated[str, typer.Argument(metavar="MERGE_ID", help="Id of the merge.", show_default=False)]
Take = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=ID", help="Take a field from this record (default: the survivor's). Repeatable."),
]
Preview = Annotated[bool, typer.Option("--preview", help="Print the result without a change.")]


def merge(
    survivor: Annotated[
        str, typer.Argument(metavar="SURVIVOR", help="Id of the record that remains.", show_default=False)
    ],
    merged: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the other records.", show_default=False)],
    take: Take = None,
    preview: Preview = False,
    store: options.Store = None,
) -> None:
    """Merge records of one person into a survivor. Prints the result as JSON.

    A merge deletes nothing: `peopleinfo merges undo` restores all records. The change is recorded in the audit log when
    PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo merge e953cc6a7f986f7bb8466799a8eb167a 0c1d9be7c94d7b1a2f3e4d5c6b7a8990
    """
    settings = Settings.load(store_url=store)
    _print(run(_merge(settings, [survivor, *merged], _pairs("--take", take), preview=preview)))


@app.command("list")
def list_(person_id: _PersonId, store: options.Store = None) -> None:
    """Print the merges of a person as NDJSON, the newest first.

    Example: peopleinfo merges list e953cc6a7f986f7bb8466799a8eb167a
    """
    for record in run(_list(Settings.load(store_url=store), person_id)):
        _print(record)


@app.command()
def show(merge_id: _MergeId, store: options.Store = None) -> None:
    """Print a merge as JSON, without values.

    Example: peopleinfo merges show 5b0d1c3f8e7a49c2b6d4e0f1a2938475
    """
    _print(run(_show(Settings.load(store_url=store), merge_id)))


@app.command()
def undo(
    merge_id: _MergeId,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=RECORD",
            help="Record that has a later change of the field: survivor, merged or both. Repeatable.",
        ),
    ] = None,
    preview: Preview = False,
    store: options.Store = None,
) -> None:
    """Undo a merge. Prints the restored records as JSON.

    The change is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo merges undo 5b0d1c3f8e7a49c2b6d4e0f1a2938475 --keep person_address=merged
    """
    decisions = _pairs("--keep", keep)
    if any(record not in ("survivor", "merged", "both") for record in decisions.values()):
        raise typer.BadParameter("the record must be survivor, merged or both", param_hint="--keep")
    _print(run(_undo(Settings.load(store_url=store), merge_id, decisions, preview=preview)))


async def _merge(settings: Settings, ids: Sequence[str], take: Mapping[str, str], *, preview: bool) -> dict[str, Any]:
    from peopleinfo.app import open_audit_file, open_merges
    from peopleinfo.matching.merge_service import MergeRequest
    from peopleinfo.privacy.audit import COMMAND, audited_command

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        merges = await stack.enter_async_context(open_merges(settings))
        request = MergeRequest(ids[0], tuple(ids[1:]), await merges.versions(ids), take)
        if preview:
            return _merge_document(await merges.preview(request))
        with audited_command(audit, "mergePeople", *ids):
            result, _ = await merges.merge(request, principal=COMMAND)
        return _merge_document(result)


async def _list(settings: Settings, person_id: str) -> list[dict[str, Any]]:
    from peopleinfo.app import open_merges
    from peopleinfo.http.merges import summary_of

    async with open_merges(settings) as merges:
        return [summary_of(record) for record in await merges.merges_of(person_id)]


async def _show(settings: Settings, merge_id: str) -> dict[str, Any]:
    from peopleinfo.app import open_merges
    from peopleinfo.http.merges import summary_of

    async with open_merges(settings) as merges:
        return summary_of(await merges.get(merge_id))


async def _undo(settings: Settings, merge_id: str, keep: Mapping[str, str], *, preview: bool) -> dict[str, Any]:
    from peopleinfo.app import open_audit_file, open_merges
    from peopleinfo.privacy.audit import COMMAND, audited_command

    decisions = cast("Mapping[str, Keep]", keep)
    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        merges = await stack.enter_async_context(open_merges(settings))
        if preview:
            return _undo_document(await merges.preview_undo(merge_id, keep=decisions))
        with audited_command(audit, "undoMerge", *(await merges.get(merge_id)).people):
            result, _ = await merges.undo(merge_id, keep=decisions, principal=COMMAND)
        return _undo_document(result)


def _merge_document(result: MergeResult) -> dict[str, Any]:
    return {
        "merge_id": result.merge_id,
        "survivor": msgspec.Raw(result.survivor.body),
        "replaces": result.replaces,
        "differences": [difference._asdict() for difference in result.differences],
    }


def _undo_document(result: UndoResult) -> dict[str, Any]:
    return {
        "merge_id": result.merge_id,
        "survivor": msgspec.Raw(result.survivor.body) if result.survivor else None,
        "merged": [msgspec.Raw(record.body) for record in result.merged],
        "edited": list(result.edited),
    }


def _pairs(option: str, values: list[str] | None) -> dict[str, str]:
    """Return the fields and values of an option. Raises BadParameter."""
    pairs = [value.partition("=") for value in values or ()]
    if not all(field and value for field, _, value in pairs):
        raise typer.BadParameter("must have the form FIELD=VALUE", param_hint=option)
    return {field: value for field, _, value in pairs}


def _print(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(strict_json.encode(document) + b"\n")
