"""`peopleinfo reindex`: update the search indexes of a store."""

from __future__ import annotations

import sys

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.settings import Settings

_PAGE = 1_000  # records


def reindex(store: options.Store = None) -> None:
    """Update the surname keys and the search indexes of all records, while the service runs.

    Run it when the changelog announces it, and after a change of PEOPLEINFO_SEARCH_INDEXES or PEOPLEINFO_IDENTIFIERS. Until then, searches
    may miss records with old keys.

    Example: peopleinfo reindex
    """
    with resumable():
        people, changed = run(_reindex(Settings.load(store_url=store)))
    print(f"{people:,} records checked, {changed:,} reindexed", file=sys.stderr)


async def _reindex(settings: Settings) -> tuple[int, int]:
    from peopleinfo.stores.registry import open_service_store

    people = changed = 0
    after: bytes | None = None
    async with open_service_store(settings) as store:
        with progress_bar("reindexing", await store.people.estimate()) as advance:
            while True:
                page = await store.people.reindex(after=after, limit=_PAGE)
                people, changed, after = people + page.people, changed + len(page.keys), page.next
                advance(page.people)
                if after is None:
                    return people, changed
