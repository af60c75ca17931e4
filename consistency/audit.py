"""The audit of a store after a run: its indexes contain exactly the people, and nothing remains of erased people.

A run with killed servers and lost responses leaves interrupted writes. The audit first runs the jobs that a deployment runs daily.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from consistency.workload import SURNAMES
from peopleinfo.people.index_entries import IndexPlan
from peopleinfo.people.person import decode_header, utc_now
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb.factory import open_dynamodb
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.store_kinds import all_items, raw_bytes, scan_all
from tests.stores.test_search import check_index, reindex_all

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from peopleinfo.stores.service_store import OpenedStore

PLAN: Final = IndexPlan(identifiers=("mark",))  # the plan of the servers
_PAGE: Final = 100  # people


async def audit(store_url: str) -> list[str]:
    """Compare the indexes with the people, then erase all people and look for their names. Return the problems."""
    table = DynamoDBUrl.parse(store_url) if store_url.startswith("dynamodb:") else None
    path = Path(store_url.removeprefix("sqlite:///"))
    problems = []
    async with _open(table or path) as store:
        await store.expire_history()
        await reindex_all(store)
        try:
            await check_index(store, path)
        except AssertionError as error:
            problems.append(f"an index differs from the people: {error!s:.500}")
        await _erase_all(store)
    if table:
        stored = raw_bytes(await all_items(table, table.table))
    else:
        stored = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    names = [name for name in SURNAMES if name.encode() in stored or name.lower().encode() in stored]
    return problems + [f"the store contains {name} after the erasure of all people" for name in names]


def _later() -> datetime:
    """Return a time at which every interrupted write of the run has ended."""
    return utc_now() + timedelta(hours=1)


def _open(place: DynamoDBUrl | Path) -> AbstractAsyncContextManager[OpenedStore]:
    if isinstance(place, DynamoDBUrl):
        return open_dynamodb(place, now=_later, plan=PLAN, create=False)
    return open_sqlite(place, now=_later, plan=PLAN)


async def _erase_all(store: OpenedStore) -> None:
    for body in await scan_all(store):
        await store.delete(decode_header(body).person_id)
    while people := (await store.trash.page(after=None, limit=_PAGE)).people:
        for person in people:
            await store.trash.erase(person.person_id)
