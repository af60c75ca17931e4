"""Erasure of people with every copy of their records in the files.

With encryption, the keys are in a second file, which SQLite commits first. An erasure is therefore two transactions: the first removes the
person from the file of people and notes the key as unused, the second deletes the key. If the process ends in between, another process
deletes the key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from peopleinfo.errors import OutcomeUnknown
from peopleinfo.stores.sqlite import batches
from peopleinfo.stores.sqlite.duplicate_links import erase_links
from peopleinfo.stores.sqlite.merge_rows import missing, outermost, take_merged
from peopleinfo.stores.sqlite.search_entries import delete_people
from peopleinfo.stores.sqlite.unused_keys import delete_unused_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from peopleinfo.stores.sqlite.history import Recorder
    from peopleinfo.stores.sqlite.search_entries import SearchEntries
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

T = TypeVar("T")

_FORGET_ID: Final = "DELETE FROM foreign_ids WHERE person_id = ?"
_CLEAR_RESPONSES: Final = "UPDATE once SET answer = NULL WHERE seq = ?"
_NOTE_KEY: Final = "INSERT OR IGNORE INTO unused_keys VALUES (?)"

_FOREIGN_IDS: Final = "SELECT person_id FROM foreign_ids WHERE seq IN (SELECT value FROM json_each(?))"
_PURGE: Final = (
    "DELETE FROM people WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM trash WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM merged_people WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM merge_logs WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM history WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM foreign_ids WHERE seq IN (SELECT value FROM json_each(?))",  # one scan for all
    "UPDATE once SET answer = NULL WHERE seq IN (SELECT value FROM json_each(?))",
)


class Eraser:
    """Erases people."""

    def __init__(
        self,
        writer: GroupCommitWriter,
        recorder: Recorder,
        entries: SearchEntries,
        now: Callable[[], datetime],
        *,
        encrypted: bool,
    ) -> None:
        """`encrypted`: each person has a key."""
        self._writer = writer
        self._recorder = recorder
        self._entries = entries
        self._now = now
        self._encrypted = encrypted

    async def delete(self, person_id: str, seq: int, expected: int | None) -> None:
        """Erase a stored person; see `PersonWriter.delete`."""

        def change(db: sqlite3.Connection) -> None:
            survivor_id, survivor = outermost(db, person_id, seq)
            if survivor != seq and expected is not None:
                raise missing(db, person_id, seq)
            version, body, plan = batches.read_expected(db, survivor_id, survivor, expected)
            self._entries.remove(db, survivor, body, plan)
            db.execute("DELETE FROM people WHERE seq = ?", (survivor,))
            self.erase_copies(db, survivor_id, survivor, version)

        await self.run(change)

    def erase_copies(self, db: sqlite3.Connection, person_id: str, seq: int, version: int) -> None:
        """Erase the copies of a person whose row at its last `version` was deleted, and record the deletion.

        Also erases all records that are merged into this one: they are one person.
        """
        self._recorder.deleted(db, seq, person_id, version, self._now())
        db.execute(_FORGET_ID, (bytes.fromhex(person_id),))
        clear_responses(db, seq)
        erase_links(db, person_id)
        if self._encrypted:
            db.executemany(_NOTE_KEY, [(seq,), (-seq,)])
        for merged in take_merged(db, seq):
            self.erase_copies(db, *merged)

    async def run(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change that makes keys unused, return its result, then delete the keys.

        Raises OutcomeUnknown if keys remain until `resume`.
        """
        result = await self._writer.run(change, deletes=not self._encrypted)
        if self._encrypted:
            try:
                await self._writer.run(delete_unused_keys, deletes=True)
            except Exception as error:
                raise OutcomeUnknown("the encryption key of the person could not be deleted yet") from error
        return result

    async def resume(self) -> None:
        """Delete the keys that an interrupted erasure left."""
        if self._encrypted:
            await self._writer.run(delete_unused_keys, deletes=True)


def clear_responses(db: sqlite3.Connection, seq: int) -> None:
    """Delete the responses under idempotency keys for a deleted person."""
    db.execute(_CLEAR_RESPONSES, (seq,))


def purge_people(db: sqlite3.Connection, seqs: list[int], id_of: Callable[[int], str]) -> None:
    """Erase people whose keys are missing; `id_of` returns the id that this store issues for a seq."""
    values = (json.dumps(seqs),)
    foreign_ids = [person_id.hex() for (person_id,) in db.execute(_FOREIGN_IDS, values)]
    for person_id in (*map(id_of, seqs), *foreign_ids):
        erase_links(db, person_id)
    for statement in _PURGE:
        db.execute(statement, values)
    delete_people(db, *values)
