"""The logs of records into which others are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.errors import VersionConflict
from peopleinfo.matching.merge_store import decode_log, encode_log
from peopleinfo.stores.dynamodb.items import bytes_attr, int_attr
from peopleinfo.stores.dynamodb.merge_items import log_item, log_key
from peopleinfo.stores.dynamodb.record_writes import SURVIVES

if TYPE_CHECKING:
    from peopleinfo.matching.merge_store import MergeLog
    from peopleinfo.people.person import PersonData, StoredPerson
    from peopleinfo.stores.dynamodb.client import Item, Json, TableClient
    from peopleinfo.stores.dynamodb.items import ItemKey
    from peopleinfo.stores.dynamodb.record_format import RecordFormat


class MergeLogs:
    """Reads logs and returns their writes, which belong to the transaction that writes the record."""

    def __init__(self, table: TableClient, record_format: RecordFormat) -> None:
        self._table = table
        self._format = record_format

    async def read(self, home: ItemKey, item: Item, version: int) -> MergeLog | None:
        """Return the log of a record at a version, None if the item of the record has none.

        Raises VersionConflict if the log is newer than the record.
        """
        if SURVIVES not in item:
            return None
        stored = await self._table.get(log_key(home))
        if stored is None or int_attr(stored, "version") > version:
            raise VersionConflict("", actual=version + 1)
        log = await self._format.decrypt_log(home, int_attr(stored, "version"), bytes_attr(stored, "log"))
        return decode_log(log) if log is not None else None

    async def writes(self, home: ItemKey, version: int, log: MergeLog | None) -> list[Json]:
        """Return the write of a log at a version of its record."""
        if log is None:
            return []
        body = await self._format.encrypt_log(home, version, encode_log(log))
        return [{"Put": {"Item": log_item(home, version, body)}}]

    async def edit_writes(
        self, home: ItemKey, item: Item, version: int, record: StoredPerson, data: PersonData
    ) -> list[Json]:
        """Return the write of the log for a change of a record at a version; `item` is its current item."""
        log = await self.read(home, item, version)
        return await self.writes(home, record.version, log.edited(data) if log else None)
