"""`peopleinfo search`, `count` and `get`: read records without a server."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from peopleinfo.people.people_list import Count
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.store import Page

_PAGE: Final = 500
Sort = Literal["name", "-updated_at"]


def search(
    text: Annotated[
        str | None,
        typer.Argument(
            help="Text of a search box: names in any order, a birthdate, an address, a mail address or a phone number.",
            show_default=False,
        ),
    ] = None,
    surname: options.Surname = None,
    prefix: options.Prefix = None,
    name: options.Name = None,
    born_from: options.BornFrom = None,
    born_to: options.BornTo = None,
    exact: options.Exact = False,
    forgiving: Annotated[
        bool, typer.Option("--forgiving/--no-forgiving", help="With TEXT: find typos and other spellings too.")
    ] = True,
    sort: Annotated[Sort | None, typer.Option(help="Order of the records; not with TEXT.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of records.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """Search records. Print a table on a terminal, NDJSON in a pipe.

    Example: peopleinfo search --surname muller --born-from 1990, or peopleinfo search "muller anna"
    """
    filters = (surname, prefix, name, born_from, born_to)
    settings = Settings.load(store_url=store)
    if text is not None:
        if any(filters) or exact or sort:
            raise typer.BadParameter("TEXT cannot be combined with filters or --sort: leave out one of them")
        people = run(_search_text(settings, text, limit, forgiving=forgiving))
    else:
        people = run(_find(settings, options.person_filter(*filters, exact=exact), limit, sort))
    if json or not sys.stdout.isatty():
        sys.stdout.buffer.writelines(body + b"\n" for body in people)
    else:
        _print_table(people)
    if not people:
        print("no records found", file=sys.stderr)
    elif len(people) == limit:
        print(f"first {limit} records; use --limit for more", file=sys.stderr)


def count(
    surname: options.Surname = None,
    prefix: options.Prefix = None,
    name: options.Name = None,
    born_from: options.BornFrom = None,
    born_to: options.BornTo = None,
    exact: options.Exact = False,
    store: options.Store = None,
) -> None:
    """Print the number of records that match all filters; without filters, of all records.

    Example: peopleinfo count --surname-prefix m
    """
    criteria = options.person_filter(surname, prefix, name, born_from, born_to, exact=exact)
    found = run(_count(Settings.load(store_url=store), criteria))
    print(found.people)
    if not found.is_exact:
        print("this number is an estimate, or with filters the number of records found so far", file=sys.stderr)


def get(
    person_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of people.", show_default=False)],
    store: options.Store = None,
) -> None:
    """Print records as JSON, one after the other. Exit with 1 if there is no person with one of the ids.

    Example: peopleinfo get e953cc6a7f986f7bb8466799a8eb167a
    """
    found = run(_get(Settings.load(store_url=store), person_ids))
    for record in filter(None, found):
        sys.stdout.buffer.write((_indented(record.body) if sys.stdout.isatty() else record.body) + b"\n")
    sys.stdout.flush()
    if missing := [person_id for person_id, record in zip(person_ids, found, strict=True) if record is None]:
        for person_id in missing:
            print(f"peopleinfo: {person_id}: there is no person with this id", file=sys.stderr)
        raise typer.Exit(1)


def _indented(body: bytes) -> bytes:
    import msgspec

    return msgspec.json.format(body, indent=2)


async def _find(settings: Settings, criteria: PersonFilter, limit: int, sort: Sort | None) -> list[bytes]:
    from peopleinfo.app import open_people, open_people_list

    if sort:
        async with open_people_list(settings) as people_list:
            return await _read(partial(people_list.page, sort=sort), criteria, limit)
    async with open_people(settings) as people:
        return await _read(people.find, criteria, limit)


async def _read(page_of: Callable[..., Awaitable[Page]], criteria: PersonFilter, limit: int) -> list[bytes]:
    found: list[bytes] = []
    after: bytes | None = None
    while len(found) < limit:
        page = await page_of(criteria, after=after, limit=min(limit - len(found), _PAGE))
        found += page.people
        after = page.next
        if after is None:
            break
    return found


async def _count(settings: Settings, criteria: PersonFilter) -> Count:
    from peopleinfo.app import open_people_list

    async with open_people_list(settings) as people:
        return await people.count(criteria)


async def _search_text(settings: Settings, text: str, limit: int, *, forgiving: bool) -> list[bytes]:
    from peopleinfo.app import open_people
    from peopleinfo.people.text_query import parse

    query = parse(text)
    async with open_people(settings) as people:
        result = await people.search(query, limit=limit, forgiving=forgiving)
    return [strict_json.encode(found.fields | {"found_by": found.found_by}) for found in result.people]


async def _get(settings: Settings, person_ids: list[str]) -> list[StoredPerson | None]:
    from peopleinfo.app import open_people

    async with open_people(settings) as people:
        found, _ = await people.get_many(person_ids, fresh=True)
        return [found.get(person_id) for person_id in person_ids]


def _print_table(people: Iterable[bytes]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("surname", "name", "born", "address", "id")
    for body in people:
        person = strict_json.parse(body)
        cells = (person.get(f"person_{field}", "") for field in ("surname", "name", "birthdate", "address", "id"))
        table.add_row(*(Text(cell.replace("\n", ", ")) for cell in cells))
    Console().print(table)
