"""`peopleinfo changes`: the feed of changes, without a server."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.people import strict_json
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from peopleinfo.people.history import ChangePage

_PAGE: Final = 1_000
_POLL_INTERVAL: Final = 1.0  # seconds between two reads with --follow


def changes(
    since: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Token to continue from (default: the current one).")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for further changes until interrupted.")] = False,
    store: options.Store = None,
) -> None:
    """Print changes as NDJSON. The last line is the token to continue with; with --follow, one follows each batch.

    Example: peopleinfo changes --since TOKEN --follow
    """
    run(_print_changes(Settings.load(store_url=store), since, follow=follow))


async def _print_changes(settings: Settings, since: str | None, *, follow: bool) -> None:
    from peopleinfo.app import open_history

    async with open_history(settings) as (service, tokens):
        position = tokens.decode(since) if since is not None else None
        while True:
            page = await service.changes(position, limit=_PAGE)
            if page.changes or position is None or not (follow or page.more):
                _print_page(page, tokens.encode(page.next))
            position = page.next
            if not (follow or page.more):
                return
            if not page.more:
                await asyncio.sleep(_POLL_INTERVAL)


def _print_page(page: ChangePage, token: str) -> None:
    lines = [strict_json.encode(change.to_dict()) for change in page.changes]
    sys.stdout.buffer.write(b"\n".join([*lines, strict_json.encode({"next": token})]) + b"\n")
    sys.stdout.flush()
