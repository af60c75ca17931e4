"""`peopleinfo match` and `peopleinfo duplicates`: detection of duplicates without a server."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from peopleinfo.cli import certain_merges, merges, options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.errors import InvalidSettings
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from peopleinfo.bulk.rows import RowResult
    from peopleinfo.matching.duplicate_links import LinkState
    from peopleinfo.matching.duplicate_scan import ScanProgress
    from peopleinfo.matching.match_service import Matched, MatchService
    from peopleinfo.matching.review_queue import Review

_Pair = Annotated[str, typer.Argument(metavar="PAIR", help="Id of the pair, from `list`.", show_default=False)]
app = typer.Typer(name="duplicates", help="Find records of one person.", no_args_is_help=True)


def match(
    name: Annotated[str | None, typer.Option("--name", help="Given names.")] = None,
    surname: Annotated[str | None, typer.Option("--surname", help="Family name.")] = None,
    born: Annotated[str | None, typer.Option("--born", help="Birthdate, for example 1980-04-03.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Postal address.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Maximum number of candidates.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """Find the records that may be of a person. Print a table on a terminal, JSON in a pipe.

    Example: peopleinfo match --name Jon --surname Smyth --born 1980-04-03
    """
    given = {"person_name": name, "person_surname": surname, "person_birthdate": born, "person_address": address}
    fields = {field: value for field, value in given.items() if value is not None}
    if not fields:
        raise typer.BadParameter("no field is given: use for example --name and --surname")
    found = run(_match(Settings.load(store_url=store), fields, count))
    if json or not sys.stdout.isatty():
        from peopleinfo.matching.match_service import encode

        sys.stdout.buffer.write(encode(found) + b"\n")
    else:
        _print_table(found)


@app.command()
def count(store: options.Store = None) -> None:
    """Count names and common values of all records, from which the grades are computed.

    The server does it daily. Run it after a large import.

    Example: peopleinfo duplicates count
    """
    people = run(_count(Settings.load(store_url=store)))
    print(f"{people:,} records counted", file=sys.stderr)


@app.command()
def scan(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the pairs, and add none to the queue.")] = False,
    store: options.Store = None,
) -> None:
    """Compare all records and add the probable duplicates to the review queue, while the service runs.

    Run the command again to resume an interrupted scan.

    Example: peopleinfo duplicates scan
    """
    with resumable():
        done = run(_scan(Settings.load(store_url=store), dry_run=dry_run))
    print(f"{done.people:,} records compared, {done.pairs:,} new pairs", file=sys.stderr)


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(metavar="open|different|later", help="State of the pairs.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of pairs.")] = 50,
    store: options.Store = None,
) -> None:
    """List the pairs of the review queue, the most certain first, as NDJSON.

    Example: peopleinfo duplicates list --state different
    """
    from peopleinfo.matching.duplicate_links import STATES

    if state not in STATES:
        raise InvalidSettings(f"--state must be {', '.join(STATES[:-1])} or {STATES[-1]} (got {state})")
    for line in run(_list(Settings.load(store_url=store), state, limit)):
        sys.stdout.buffer.write(line + b"\n")


@app.command()
def show(pair: _Pair, store: options.Store = None) -> None:
    """Print a pair with its two records and the evidence.

    Example: peopleinfo duplicates show 0123…
    """
    sys.stdout.buffer.write(run(_show(Settings.load(store_url=store), pair)) + b"\n")


@app.command()
def different(
    pair: _Pair,
    note: Annotated[str, typer.Option(help="A reason, without personal data.")] = "",
    store: options.Store = None,
) -> None:
    """Decide that the two records of a pair are of different people. The pair leaves the queue.

    The decision is recorded in the audit log when PEOPLEINFO_AUDIT_LOG is a file.

    Example: peopleinfo duplicates different 0123…
    """
    run(_decide(Settings.load(store_url=store), pair, note))
    print("the pair is decided: different", file=sys.stderr)


@app.command()
def merge(
    pair: Annotated[str | None, typer.Argument(metavar="PAIR", help="Id of the pair, from `list`.")] = None,
    take: merges.Take = None,
    preview: merges.Preview = False,
    grade: Annotated[
        str | None, typer.Option(metavar="certain", help="All open pairs of this grade, instead of one pair.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Merge the pairs of --grade (default: list them).")] = False,
    store: options.Store = None,
) -> None:
    """Merge the second record of a pair into the first one, or all certain pairs. Prints the result as JSON; see `peopleinfo merge`.

    With `--grade certain`, the record that was added first remains. Where values differ, it takes that of the record that changed last.
    Each pair has a line with its outcome: certain (in a dry run), merged, changed, decided, not-certain or too-large.

    Examples:
      peopleinfo duplicates merge 0123… --take person_address=0c1d9be7c94d7b1a2f3e4d5c6b7a8990
      peopleinfo duplicates merge --grade certain --apply
    """
    settings = Settings.load(store_url=store)
    if grade is None and pair is not None and not apply:
        survivor, merged = run(_people_of(settings, pair))
        merges.merge(survivor, [merged], take, preview, store)
    elif grade == "certain" and pair is None and not take and not preview:
        certain_merges.merge_all(settings, apply=apply)
    else:
        raise typer.BadParameter("give either a PAIR, with --take or --preview, or --grade certain, with --apply")


def print_duplicates(results: Iterable[RowResult]) -> None:
    """Print the rows of an import that have a duplicate as NDJSON, without values of the records."""
    for result in results:
        if result.duplicate is not None:
            fields = {"line": result.row.line, "result": result.status, "person_id": result.person_id}
            duplicate = {name: value for name, value in result.duplicate._asdict().items() if name != "row_index"}
            line = strict_json.encode(fields | {"duplicate": duplicate})
            sys.stdout.buffer.write(line + b"\n")


async def _scan(settings: Settings, *, dry_run: bool) -> ScanProgress:
    from peopleinfo.app import match_service, review_of
    from peopleinfo.matching.duplicate_scan import DuplicateScan, ScanProgress
    from peopleinfo.stores.registry import open_service_store

    done = ScanProgress(0, 0)
    async with open_service_store(settings) as store:
        matches = match_service(store, settings)
        task = DuplicateScan(matches, review_of(matches, store), store.people, dry_run=dry_run)
        with progress_bar("comparing", await store.people.estimate()) as advance:
            async for progress in task.run():
                advance(progress.people - done.people)
                done = progress
    return done


async def _list(settings: Settings, state: LinkState, limit: int) -> list[bytes]:
    from peopleinfo.http.review_queue import fields_of

    async with _open_review(settings) as review:
        page = await review.page(state, limit=limit)
    return [strict_json.encode(fields_of(pair)) for pair in page.pairs]


async def _show(settings: Settings, pair: str) -> bytes:
    from peopleinfo.http.review_queue import fields_of

    async with _open_review(settings) as review:
        return strict_json.encode(fields_of(await review.get(pair)))


async def _people_of(settings: Settings, pair: str) -> list[str]:
    async with _open_review(settings) as review:
        return [person.person_id for person in (await review.get(pair)).people]


async def _decide(settings: Settings, pair: str, note: str) -> None:
    from peopleinfo.app import open_audit_file
    from peopleinfo.privacy.audit import COMMAND, audited_command

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)
        review = await stack.enter_async_context(_open_review(settings))
        people = [person.person_id for person in (await review.get(pair)).people]
        with audited_command(audit, "decideDuplicate", *people):
            await review.decide(pair, "different", by=COMMAND, note=note)


@asynccontextmanager
async def _open_review(settings: Settings) -> AsyncIterator[Review]:
    from peopleinfo.app import match_service, review_of
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        yield review_of(match_service(store, settings), store)


async def _match(settings: Settings, fields: dict[str, str], count: int) -> Matched:
    from peopleinfo.matching.match_service import MatchOptions
    from peopleinfo.people.birthdate import earliest_date
    from peopleinfo.people.person import parse_person, utc_now

    data = parse_person(fields, today=earliest_date(utc_now()), require_name=False)
    async with _open(settings) as matches:
        return await matches.match(data.to_dict(), MatchOptions(count))


async def _count(settings: Settings) -> int:
    async with _open(settings) as matches:
        return (await matches.count()).people


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[MatchService]:
    from peopleinfo.app import match_service
    from peopleinfo.stores.registry import open_service_store

    async with open_service_store(settings) as store:
        yield match_service(store, settings)


def _print_table(found: Matched) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("grade", "score", "because", "id")
    for one in found.match.candidates:
        because = ", ".join(item.because for item in one.evidence if item.bits > 0)
        table.add_row(one.grade, f"{one.score:.3f}", because, one.person_id)
    Console().print(table)
    for rest in found.match.not_examined:
        print(f"{rest.people:,} records were not examined (same {rest.by})", file=sys.stderr)
