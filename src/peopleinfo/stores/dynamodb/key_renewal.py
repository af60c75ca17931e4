"""The end of an undo: the survivor's versions lose the values of the other records and are encrypted with the new key.

The marker of an undo is stored before its transaction. If the process ends after the transaction, another process continues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.errors import PersonNotFound
from peopleinfo.matching.merge_rules import Redaction
from peopleinfo.matching.merge_store import redacted
from peopleinfo.people import strict_json
from peopleinfo.people.person import StoredPerson, decode_header
from peopleinfo.stores.dynamodb.client import ConditionFailed
from peopleinfo.stores.dynamodb.items import (
    ItemKey,
    binary,
    bytes_attr,
    int_attr,
    item_key_of,
    number,
    singleton_key,
)
from peopleinfo.stores.dynamodb.merge_items import merge_key, merge_of
from peopleinfo.stores.dynamodb.queries import query_items

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from peopleinfo.matching.merge_store import UndoWrite
    from peopleinfo.stores.dynamodb.client import Item, TableClient
    from peopleinfo.stores.dynamodb.history import VersionItems
    from peopleinfo.stores.dynamodb.record_format import KeyRenewal, RecordFormat
    from peopleinfo.stores.dynamodb.record_writes import Located

_RENEWING: Final = b"renewing"
_MIN_AGE: Final = 300  # seconds after which the transaction of a marker's undo has ended


class KeyRenewals:
    """Rewrites the versions of survivors."""

    def __init__(
        self,
        table: TableClient,
        record_format: RecordFormat,
        versions: VersionItems,
        locate: Callable[[ItemKey, str], Awaitable[Located | None]],
        now: Callable[[], datetime],
    ) -> None:
        """`locate` reads the current item of the record with a home key."""
        self._table = table
        self._format = record_format
        self._versions = versions
        self._locate = locate
        self._now = now

    def marker(self, home: ItemKey, renewal: KeyRenewal, write: UndoWrite, version: int) -> Item:
        """Return the marker of an undo that replaces a version of the survivor."""
        since, values, moved, before = write.redaction
        text = strict_json.encode([since, values, sorted(moved), before])
        return _marker_key(home) | {
            "at": number(int(self._now().timestamp())),
            "version": number(version),
            "merge_id": binary(bytes.fromhex(write.record.merge_id)),
            "redaction": binary(renewal.encrypt_log(version, text)),
        }

    async def finish(self, home: ItemKey, marker: Item) -> None:
        """Rewrite the versions up to that of a marker, then delete the marker. Safe to repeat."""
        version = int_attr(marker, "version")
        text = await self._format.decrypt_log(home, version, bytes_attr(marker, "redaction"))
        if text is not None:
            redaction = _redaction(text)
            await self._versions.rewrite(home, version, lambda body: _redact(body, redaction))
            await self._renew_response(home)
            await self._format.finish_renewal(home)
        await self._table.write_many([], [_marker_key(home)])

    async def resume(self) -> None:
        """Finish the undos that were interrupted after their transaction."""
        oldest = int(self._now().timestamp()) - _MIN_AGE
        async for item in query_items(self._table, "pk = :pk", {":pk": binary(_RENEWING)}):
            if int_attr(item, "at") >= oldest:
                continue
            home = item_key_of(bytes_attr(item, "sk"))
            merge = await self._table.get(merge_key(bytes_attr(item, "merge_id").hex()))
            if merge is not None and merge_of(merge).undone_at is not None:
                await self.finish(home, item)
            else:
                await self._table.write_many([], [_marker_key(home)])

    async def _renew_response(self, home: ItemKey) -> None:
        """Encrypt the saved response of the survivor with its new key."""
        found = await self._locate(home, "version, once, moved_to")
        if found is None or "once" not in found.item:
            return
        key = singleton_key(b"once" + bytes_attr(found.item, "once"))
        saved = await self._table.get(key)
        if saved is None or "answer" not in saved or bytes_attr(saved, "place") != home.block:
            return
        body = await self._format.read_response(home, bytes_attr(saved, "answer"))
        if body is None:
            return
        values = {":new": binary(await self._format.encrypt_response(home, body)), ":old": saved["answer"]}
        try:
            await self._table.update(key, "SET answer = :new", "answer = :old", values)
        except (ConditionFailed, PersonNotFound):
            return


def _redact(body: bytes, redaction: Redaction) -> bytes:
    header = decode_header(body)
    return redacted(StoredPerson(header.person_id, header.version, body), redaction).body


def _redaction(text: bytes) -> Redaction:
    since, values, moved, before = msgspec.json.decode(text, type=tuple[int, msgspec.Raw, list[str], msgspec.Raw])
    parsed: list[Any] = [strict_json.parse(bytes(each)) for each in (values, before)]
    return Redaction(since, parsed[0], frozenset(moved), parsed[1])


def _marker_key(home: ItemKey) -> Item:
    return ItemKey(_RENEWING, home.block).key
