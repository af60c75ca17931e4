"""The feed of changes in the table.

    partition key `pk`                    sort key `sk`                       item
    "changes" + day + shard of a person   time, random bytes and the shard    a change (`home`, `person`, `version`, `operation`, `at`)

A change is announced before its write, because a process may end between the two; so every applied write has an item. The item's time
increases from version to version of a record, whatever the clocks, because each record holds the time of its last change (`made_at`).

A reader reads up to `HOLD_BACK` before its own clock, when all items of that time are visible: the writer checks after the announcement that
it took at most `_MAX_ANNOUNCEMENT`, and clocks differ by at most `MAX_CLOCK_SKEW`. A writer that finishes later than `_MAX_WRITE`
announces the change again before it acknowledges the write. The reader omits changes that were not applied: their version does not exist.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import ChangesExpired, OutcomeUnknown, StoreUnavailable
from peopleinfo.people.history import Change, ChangePage, Operation
from peopleinfo.people.person import timestamp
from peopleinfo.stores.dynamodb.history import moment
from peopleinfo.stores.dynamodb.items import ItemKey, binary, bytes_attr, int_attr, item_key_of, number
from peopleinfo.stores.dynamodb.schema import TTL
from peopleinfo.stores.dynamodb.trash_items import deleted_of, trash_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from peopleinfo.crypto.person_ids import IdCipher
    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.stores.dynamodb.client import Item, TableClient

_SECOND: Final = 1_000_000  # microseconds
_DAY: Final = 24 * 60 * 60 * _SECOND
MAX_CLOCK_SKEW: Final = 4 * _SECOND
_MAX_ANNOUNCEMENT: Final = 2 * _SECOND  # from the time of an item until it is visible
_MAX_WRITE: Final = (
    2 * _SECOND
)  # from the time of an item until its write is applied, unless the change is announced again
HOLD_BACK: Final = MAX_CLOCK_SKEW + _MAX_ANNOUNCEMENT + _SECOND
_MAX_ANNOUNCEMENTS: Final = 10  # attempts to announce a change within `_MAX_ANNOUNCEMENT`
_SHARDS: Final = 4  # each takes 1,000 changes per second
_TIME_SIZE: Final = 7  # bytes
_RANDOM_SIZE: Final = 3
_POSITION_SIZE: Final = _TIME_SIZE + _RANDOM_SIZE + 1
_MAX_DAYS: Final = 10  # days that one page reads
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Announcement(NamedTuple):
    """A change of the record with a home key, and its time in microseconds; `foreign_id` is the id of another store."""

    home: ItemKey
    version: int
    operation: Operation
    foreign_id: str | None = None
    after: int = 0
    """The time of the previous change of the record."""
    time: int = 0
    sort_key: bytes = b""
    merged_into: str | None = None

    @property
    def shard(self) -> int:
        """The shard of the record, the same for all its changes."""
        return self.home.sk[-1] % _SHARDS

    @property
    def key(self) -> Item:
        """The key of the item."""
        return ItemKey(_partition(self.time // _DAY, self.shard), self.sort_key).key


class ChangeFeed:
    """Announces and reads the changes of a table. `now` is the clock of this process."""

    def __init__(self, table: TableClient, ids: IdCipher, limits: HistoryLimits, now: Callable[[], datetime]) -> None:
        self._table = table
        self._ids = ids
        self._age = limits.changes_age
        self._now = now

    async def announce(
        self, changes: Sequence[Announcement], *, more: Sequence[Item] = (), obsolete: Sequence[Item] = ()
    ) -> list[Announcement]:
        """Store the items of changes, at most `MAX_BATCH_WRITE`, and return the changes with their times.

        Stores the items `more` with them, and deletes those with the keys `obsolete`. Raises StoreUnavailable.
        """
        items = list(more)
        for _ in range(_MAX_ANNOUNCEMENTS):
            timed = [self._timed(change) for change in changes]
            await self._table.write_many([*items, *map(self._item, timed)], obsolete)
            if self._age_of(timed) <= _MAX_ANNOUNCEMENT:
                return timed
            items, obsolete = [], ()
        raise StoreUnavailable("the table is too slow to announce changes; try again")

    @asynccontextmanager
    async def writing(self, changes: Sequence[Announcement], *, atomic: bool = True) -> AsyncIterator[None]:
        """Run the write of announced changes: withdraw them after a failure, and announce them again if its outcome is late or unknown.

        A write that is not `atomic` may have been applied in part after any error.
        """
        try:
            yield
        except Exception as error:
            if atomic and not isinstance(error, OutcomeUnknown):
                await self.withdraw(changes)
            else:
                with suppress(StoreUnavailable):
                    await self.announce(changes)
            raise
        if self._age_of(changes) > _MAX_WRITE:
            try:
                await self.announce(changes)
            except StoreUnavailable as error:
                raise OutcomeUnknown(str(error)) from error

    async def withdraw(self, changes: Sequence[Announcement]) -> None:
        """Delete the items of changes that were not applied. A reader omits them in any case, unless the record is deleted."""
        with suppress(StoreUnavailable):
            await self._table.write_many([], [change.key for change in changes])

    async def read(self, *, since: bytes | None, limit: int) -> ChangePage:
        """Return a page of changes; see `ChangeReader.read_changes`. Raises ChangesExpired."""
        now = self._microseconds()
        end = (now - HOLD_BACK).to_bytes(_TIME_SIZE) + b"\xff" * (_RANDOM_SIZE + 1)
        if since is None:
            return ChangePage([], end, more=False)
        if _time(since) < now - self._age // timedelta(microseconds=1):
            raise ChangesExpired
        if since >= end:  # issued by a process with a later clock
            return ChangePage([], since, more=False)
        items, position = await self._items(since, end, limit)
        return ChangePage(await self._applied(items), position, more=position < end)

    async def _items(self, since: bytes, end: bytes, limit: int) -> tuple[list[Item], bytes]:
        """Return the items of up to `limit` changes after a position, and the position after them."""
        first, last = _time(since) // _DAY, _time(end) // _DAY
        found: list[Item] = []
        for day in range(first, min(last, first + _MAX_DAYS) + 1):
            shards = [self._query(day, shard, since, end, limit) for shard in range(_SHARDS)]
            pages = await asyncio.gather(*shards)
            # After the last item of a truncated page, items of its shard are missing.
            bound = min([bytes_attr(items[-1], "sk") for items, truncated in pages if truncated], default=end)
            by_key = {bytes_attr(item, "sk"): item for items, _ in pages for item in items}
            complete = [key for key in sorted(by_key) if key <= bound][: limit - len(found)]
            found += [by_key[key] for key in complete]
            if len(found) == limit and complete:
                return found, complete[-1]
            if bound < end:
                return found, bound
        return found, end if last <= first + _MAX_DAYS else _start_of_day(first + _MAX_DAYS + 1)

    async def _query(self, day: int, shard: int, since: bytes, end: bytes, limit: int) -> tuple[list[Item], bool]:
        """Return the next items of a shard, and whether more follow."""
        start = (int.from_bytes(since) + 1).to_bytes(_POSITION_SIZE)
        values = {":pk": binary(_partition(day, shard)), ":start": binary(start), ":end": binary(end)}
        condition = "pk = :pk AND sk BETWEEN :start AND :end"
        items, last = await self._table.query(condition, values, limit=limit, ConsistentRead=True)
        return items, last is not None

    async def _applied(self, items: list[Item]) -> list[Change]:
        """Return the changes of the items, without those that were not applied and without repetitions."""
        versions = await self._versions(homes := {bytes_attr(item, "home") for item in items})
        stored = set(versions)
        versions |= await self._deleted_versions(homes - stored)
        changes: dict[tuple[str, int, Operation], Change] = {}
        for item in items:
            home, version = bytes_attr(item, "home"), int_attr(item, "version")
            operation = Operation(item["operation"]["S"])
            if (current := versions.get(home)) is not None and current < version:
                continue
            if current == version and operation in (Operation.DELETED, Operation.MERGED) and home in stored:
                continue
            person_id = bytes_attr(item, "person").hex() if "person" in item else self._ids.encode(home)
            at = timestamp(moment(int_attr(item, "at")))
            merged_into = bytes_attr(item, "into").hex() if "into" in item else None
            change = Change(person_id, version, operation, at, merged_into)
            changes.setdefault(change[:3], change)
        return list(changes.values())

    async def _versions(self, homes: set[bytes]) -> dict[bytes, int]:
        """Return the current versions of records by home key; deleted records are absent."""
        keys = {home: item_key_of(home) for home in homes}
        versions: dict[bytes, int] = {}
        while keys:
            items = await self._table.get_many([key.key for key in keys.values()], "pk, sk, version, moved_to")
            by_key = {(item["pk"]["B"], item["sk"]["B"]): item for item in items}
            moved = {}
            for home, item_key in keys.items():
                item = by_key.get((item_key.key["pk"]["B"], item_key.key["sk"]["B"]))
                if item is not None and "moved_to" in item:
                    moved[home] = ItemKey(bytes_attr(item, "moved_to"), item_key.sk)
                elif item is not None:
                    versions[home] = int_attr(item, "version")
                elif item_key != item_key_of(home):  # moved again since
                    moved[home] = item_key_of(home)
            keys = moved
        return versions

    async def _deleted_versions(self, homes: set[bytes]) -> dict[bytes, int]:
        """Return the versions of people in the trash by home key; erased people are absent."""
        keys = [trash_key(item_key_of(home)) for home in homes]
        items = map(deleted_of, await self._table.get_many(keys, "pk, sk, version"))
        return {deleted.home.block: deleted.version for deleted in items}

    def _timed(self, change: Announcement) -> Announcement:
        time = max(self._microseconds(), change.after + 1)
        sort_key = time.to_bytes(_TIME_SIZE) + secrets.token_bytes(_RANDOM_SIZE) + bytes([change.shard])
        return change._replace(time=time, sort_key=sort_key)

    def _item(self, change: Announcement) -> Item:
        expires_at = change.time // _SECOND + int(self._age.total_seconds()) + _DAY // _SECOND
        item = change.key | {
            "home": binary(change.home.block),
            "version": number(change.version),
            "operation": {"S": change.operation},
            "at": number(change.time),
            TTL: number(expires_at),
        }
        ids = {"person": change.foreign_id, "into": change.merged_into}
        return item | {name: binary(bytes.fromhex(value)) for name, value in ids.items() if value}

    def _age_of(self, changes: Sequence[Announcement]) -> int:
        """Return the time since the oldest of these changes was announced, in microseconds."""
        return self._microseconds() - min((change.time for change in changes), default=self._microseconds())

    def _microseconds(self) -> int:
        return (self._now() - _EPOCH) // timedelta(microseconds=1)


def _partition(day: int, shard: int) -> bytes:
    return b"changes" + day.to_bytes(4) + bytes([shard])


def _start_of_day(day: int) -> bytes:
    return (day * _DAY).to_bytes(_TIME_SIZE) + bytes(_RANDOM_SIZE + 1)


def _time(position: bytes) -> int:
    return int.from_bytes(position[:_TIME_SIZE])
