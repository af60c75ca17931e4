"""Writes of the search index, in the transaction that changes the records."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import derive_key
from peopleinfo.errors import IdentifierConflict, StoreDamaged
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.index_entries import (
    IDENTIFIER,
    NAME,
    IndexPlan,
    entries,
    have_equal_entries,
    map_words,
    vocabulary_words,
)
from peopleinfo.people.person import StoredPerson, decode_fields, split_record
from peopleinfo.people.similarity import bucket_keys, deletion_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from peopleinfo.people.person import PersonData

    Rows = dict[tuple[str, str, int], str]  # key, order and seq of an entry, and the name word behind it or ""

ORDER_CODE: Final = 4  # characters of a hash in an order
_CODE_SIZE: Final = 8  # bytes of the hash of a word
_COLLAPSED: Final = "="  # first letter of the key that every word of the vocabulary has
_HASHED: Final = (_COLLAPSED, "~")  # keys of the vocabulary in an index of hashes: words with the same letters or sound
_INSERT: Final = "INSERT OR IGNORE INTO search_entries (key, names, seq) VALUES (?, ?, ?)"
_DELETE: Final = "DELETE FROM search_entries WHERE key = ? AND names = ? AND seq = ?"
_HAS_KEY: Final = "SELECT 1 FROM search_entries WHERE key = ? LIMIT 1"
_OTHERS: Final = """
    SELECT body FROM readable WHERE seq IN (SELECT seq FROM search_entries WHERE key = ? AND seq != ?) ORDER BY seq
"""
_KNOWN: Final = "SELECT 1 FROM search_words WHERE key = ? AND word = ?"
_DELETE_OF_PEOPLE: Final = "DELETE FROM search_entries WHERE seq IN (SELECT value FROM json_each(?))"
_DELETE_UNUSED_WORDS: Final = f"""
    DELETE FROM search_words WHERE NOT EXISTS (SELECT 1 FROM search_entries WHERE key = '{NAME}' || search_words.word)
"""  # noqa: S608 - a constant


def word_coder(secret: bytes) -> Callable[[str], str]:
    """Return the function that replaces each word in an index of hashes."""
    key = derive_key(secret, "search index")
    return lambda word: blake2b(word.encode(), key=key, digest_size=_CODE_SIZE).hexdigest()


class SearchEntries:
    """Writes entries and the vocabulary. With `code` the index contains a hash in place of each word."""

    def __init__(self, db: sqlite3.Connection, plan: IndexPlan, code: Callable[[str], str] | None = None) -> None:
        """Register the plan, outside a transaction."""
        self.plan = plan
        self.code = code
        self.number = _register(db, f"{'hashes' if code else 'words'}:{plan.text}")
        self._plans = {self.number: plan}

    def add(self, db: sqlite3.Connection, people: Iterable[tuple[int, PersonData]]) -> None:
        """Add new people, without a check of unique identifiers."""
        rows: Rows = {}
        for seq, data in people:
            rows |= self._rows(seq, data, self.plan)
        self._insert(db, rows)

    def add_unique(self, db: sqlite3.Connection, people: Iterable[tuple[int, PersonData]]) -> None:
        """Add new people. Raises IdentifierConflict if another person has a unique identifier of one of them."""
        if not self.plan.unique:
            self.add(db, people)
            return
        for seq, data in people:
            self.check_unique(db, seq, data)
            self._insert(db, self._rows(seq, data, self.plan))

    def check_unique(self, db: sqlite3.Connection, seq: int, data: PersonData) -> None:
        """Raise IdentifierConflict if another person has a unique identifier of this one."""
        for name, value in values_of(data.extra, sorted(self.plan.unique)):
            for key in keys_of(name, value):
                key = IDENTIFIER + (self.code(key) if self.code else key)  # noqa: PLW2901
                for (body,) in db.execute(_OTHERS, (key, seq)).fetchall():
                    fields = decode_fields(body)
                    if any(is_same(name, value, other) for _, other in values_of(fields, [name])):
                        raise IdentifierConflict(name, str(fields["person_id"]))

    def remove(self, db: sqlite3.Connection, seq: int, body: bytes, number: int) -> None:
        """Remove a person that was indexed under a plan, even if its record is damaged."""
        try:
            data, _ = split_record(StoredPerson("", 0, body))
        except StoreDamaged:
            delete_people(db, f"[{seq}]")
        else:
            self._delete(db, self._indexed(db, seq, data, number))

    def replace(self, db: sqlite3.Connection, seq: int, old: PersonData, number: int, new: PersonData) -> None:
        """Replace the entries of a person that was indexed under a plan."""
        if number == self.number and have_equal_entries(old, new, self.plan):
            return
        before, after = self._indexed(db, seq, old, number), self._rows(seq, new, self.plan)
        self._insert(db, {row: word for row, word in after.items() if row not in before})
        self._delete(db, {row: word for row, word in before.items() if row not in after})

    def _indexed(self, db: sqlite3.Connection, seq: int, data: PersonData, number: int) -> Rows:
        if not number:
            return {}
        if number not in self._plans:
            (text,) = db.execute("SELECT text FROM search_plans WHERE plan = ?", (number,)).fetchone()
            self._plans[number] = IndexPlan.parse(text.split(":", 1)[1])
        return self._rows(seq, data, self._plans[number])

    def _rows(self, seq: int, data: PersonData, plan: IndexPlan) -> Rows:
        found = entries(data, plan)
        words = set(vocabulary_words(found))
        if self.code is None or not found:
            return {
                (key, order, seq): key[1:] if key[0] == NAME and key[1:] in words else "" for key, order, _ in found
            }
        code = self.code
        hashed = map_words(found[0].order, lambda word: code(word)[:ORDER_CODE])
        return {(key[0] + code(key[1:]), hashed, seq): key[1:] if key[0] == NAME else "" for key, _, _ in found}

    def _insert(self, db: sqlite3.Connection, rows: Rows) -> None:
        db.executemany(_INSERT, sorted(rows) if len(rows) > 1 else rows)
        for word in {word for word in rows.values() if word}:
            keys = self._vocabulary_keys(word)
            if db.execute(_KNOWN, keys[0]).fetchone() is None:
                db.executemany("INSERT OR IGNORE INTO search_words (key, word) VALUES (?, ?)", keys)

    def _delete(self, db: sqlite3.Connection, rows: Rows) -> None:
        db.executemany(_DELETE, rows)
        for (key, _, _), word in rows.items():
            if word and db.execute(_HAS_KEY, (key,)).fetchone() is None:
                db.executemany("DELETE FROM search_words WHERE key = ? AND word = ?", self._vocabulary_keys(word))

    def _vocabulary_keys(self, word: str) -> list[tuple[str, str]]:
        """Return the rows of the vocabulary for a word; the first exists for every word."""
        if self.code is None:
            return [(key, word) for key in sorted(deletion_keys(word), key=lambda key: (key[0] != _COLLAPSED, key))]
        code = self.code(word)
        return [(self.code(key), code) for key in sorted(bucket_keys(word)) if key[0] in _HASHED]


def delete_people(db: sqlite3.Connection, seqs: str) -> None:
    """Delete all entries of people, given as a JSON array, whose records cannot be read, then the unused words. Scans the index."""
    db.execute(_DELETE_OF_PEOPLE, (seqs,))
    db.execute(_DELETE_UNUSED_WORDS)


def reset(db: sqlite3.Connection) -> None:
    """Delete the whole index; until `reindex` ends, searches read the records."""
    db.execute("DELETE FROM search_entries")
    db.execute("DELETE FROM search_words")
    db.execute("DELETE FROM search_plans")


def _register(db: sqlite3.Connection, text: str) -> int:
    """Return the number of a plan; a new plan is complete if no people are stored."""
    if row := db.execute("SELECT plan FROM search_plans WHERE text = ?", (text,)).fetchone():
        return int(row[0])
    db.execute(
        "INSERT OR IGNORE INTO search_plans (text, position, complete) SELECT ?, 0, NOT EXISTS (SELECT 1 FROM people)",
        (text,),
    )
    (number,) = db.execute("SELECT plan FROM search_plans WHERE text = ?", (text,)).fetchone()
    return int(number)
