"""Updates of surname keys and search entries to the current rules, while the store is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.people.folding import FOLD_VERSION
from peopleinfo.people.person import PersonData, StoredPerson, split_record
from peopleinfo.stores.sqlite.update_order import apply_plan

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from peopleinfo.stores.sqlite.search_entries import SearchEntries

INDEXED_BY: Final = "SELECT seq, fold, plan FROM people INDEXED BY people_by_seq WHERE seq > ? ORDER BY seq LIMIT ?"
_READ: Final = "SELECT body, surname_key, plan FROM readable WHERE seq = ?"
_UPDATE: Final = "UPDATE people SET surname_key = ?, fold = ?, plan = ? WHERE seq = ?"
_PROGRESS: Final = "UPDATE search_plans SET position = max(position, ?), complete = max(complete, ?) WHERE plan = ?"

Keys = list[tuple[str, str]]


class Reindex:
    """Updates the people of one batch; `rows` are those of `INDEXED_BY`."""

    def __init__(
        self, rows: Sequence[tuple[int, int, int]], index: Callable[[str], str], entries: SearchEntries
    ) -> None:
        """`index` returns the indexed form of a surname key."""
        current = (FOLD_VERSION, entries.number)
        self.outdated = [seq for seq, fold, plan in rows if (fold, plan) != current]
        self._last = rows[-1][0] if rows else 0
        self._index = index
        self._entries = entries

    def run(self, db: sqlite3.Connection, *, is_last: bool) -> Keys:
        """Update the outdated people and the progress of the plan; return the old and new indexed keys that differ."""
        keys = [pair for seq in self.outdated if (pair := self._update(db, seq))]
        if is_last:
            apply_plan(db, self._entries.plan)
        db.execute(_PROGRESS, (self._last, is_last, self._entries.number))
        return keys

    def _update(self, db: sqlite3.Connection, seq: int) -> tuple[str, str] | None:
        row = db.execute(_READ, (seq,)).fetchone()
        if row is None:
            return None
        body, old_key, plan = row
        data = data_of(body)
        key = self._index(data.surname_key)
        self._entries.replace(db, [(seq, data, plan, data)])
        db.execute(_UPDATE, (key, FOLD_VERSION, self._entries.number, seq))
        return (str(old_key), key) if key != old_key else None


def data_of(body: bytes) -> PersonData:
    """Return the fields that a client set in a stored record. Raises StoreDamaged."""
    data, _ = split_record(StoredPerson("", 0, body))
    return data
