"""Writes of the search index, in the transaction that changes the records."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.errors import IdentifierConflict, StoreDamaged
from peopleinfo.people.identifiers import is_same, keys_of, values_of
from peopleinfo.people.index_entries import (
    IDENTIFIER,
    NAME,
    IndexPlan,
    keys_and_order,
    map_words,
    name_of,
    plan_of_change,
)
from peopleinfo.people.person import StoredPerson, decode_fields, split_record
from peopleinfo.people.similarity import bucket_keys, deletion_keys
from peopleinfo.people.words import collapse
from peopleinfo.stores.search_words import ORDER_CODE
from peopleinfo.stores.sqlite.batches import insert_rows, insert_values
from peopleinfo.stores.sqlite.entry_rows import (
    StagedEntries,
    delete_all_entries,
    delete_entries,
    delete_entries_of,
    insert_entries,
)
from peopleinfo.stores.sqlite.match_rows import texts_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from peopleinfo.matching.match_entries import MatchEntries
    from peopleinfo.people.person import PersonData

_COLLAPSED: Final = "="  # first letter of the key that every word of the vocabulary has
_HASHED: Final = (_COLLAPSED, "~")  # keys of the vocabulary in an index of hashes: words with the same letters or sound
_HAS_KEY: Final = "SELECT 1 FROM search_entries WHERE key = ? LIMIT 1"
_OTHERS: Final = """
    SELECT body FROM readable WHERE seq IN (SELECT seq FROM search_entries WHERE key = ? AND seq != ?) ORDER BY seq
"""
_INSERT_WORD: Final = "INSERT OR IGNORE INTO search_words (key, word) VALUES"
_DELETE_WORD: Final = "DELETE FROM search_words WHERE key = ? AND word = ?"
_STAGED_PEOPLE: Final = 500  # more people are staged, as many at a time
_DELETE_UNUSED_WORDS: Final = f"""
    DELETE FROM search_words WHERE NOT EXISTS (SELECT 1 FROM search_entries WHERE key = '{NAME}' || search_words.word)
"""  # noqa: S608 - a constant


class _Entries(NamedTuple):
    """The entries of a person: the stored order, the keys before their words are hashed, and the match entries."""

    order: str
    keys: list[str]
    match_order: str
    match_keys: list[str]

    def without(self, other: _Entries) -> _Entries:
        """Return the entries that the other ones lack."""
        kept = () if self.order != other.order else other.keys
        kept_matches = () if self.match_order != other.match_order else other.match_keys
        return self._replace(
            keys=[key for key in self.keys if key not in kept],
            match_keys=[key for key in self.match_keys if key not in kept_matches],
        )


_Indexed = tuple[int, _Entries]  # the seq of a person and its entries


class _Rows(NamedTuple):
    """Rows of the table of entries, as columns."""

    keys: list[str]
    names: list[str]
    seqs: list[int]

    def values(self) -> list[str | int]:
        """Return the values of all rows. One list: many tuples would be slow to collect."""
        values: list[str | int] = [0] * (3 * len(self.keys))
        values[0::3], values[1::3], values[2::3] = self
        return values

    def sorted_values(self) -> list[str | int]:
        """Return the values of all rows in the order of the file."""
        order = sorted(range(len(self.keys)), key=self.keys.__getitem__)
        keys, names, seqs = self
        ordered = _Rows([keys[i] for i in order], [names[i] for i in order], [seqs[i] for i in order])
        return ordered.values()


class SearchEntries:
    """Writes entries and the vocabulary. With `code` the index contains a hash in place of each word."""

    def __init__(
        self,
        db: sqlite3.Connection,
        plan: IndexPlan,
        duplicates: MatchEntries,
        code: Callable[[str], str] | None = None,
    ) -> None:
        """Register the plan, outside a transaction."""
        self.plan = plan
        self._duplicates = duplicates
        self.code = code
        self.number = _register(db, f"{'hashes' if code else 'words'}:{plan.text}")
        self._plans = {self.number: plan}
        self._staged = StagedEntries()

    def add(self, db: sqlite3.Connection, people: Sequence[tuple[int, PersonData]]) -> None:
        """Add new people, without a check of unique identifiers."""
        if len(people) > _STAGED_PEOPLE:
            self._add_staged(db, people)
        else:
            self._insert(db, [(seq, self._derive(data, self.plan)) for seq, data in people])

    def add_unique(self, db: sqlite3.Connection, people: Sequence[tuple[int, PersonData]]) -> None:
        """Add new people. Raises IdentifierConflict if another person has a unique identifier of one of them."""
        if not self.plan.unique:
            self.add(db, people)
            return
        for seq, data in people:
            self.check_unique(db, seq, data)
            self.add(db, [(seq, data)])

    def check_unique(self, db: sqlite3.Connection, seq: int, data: PersonData) -> None:
        """Raise IdentifierConflict if another person has a unique identifier of this one."""
        for name, value in values_of(data.extra, sorted(self.plan.unique)):
            for key in keys_of(name, value):
                for (body,) in db.execute(_OTHERS, (self._stored_key(IDENTIFIER + key), seq)).fetchall():
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
            self._delete(db, [(seq, self._indexed(db, data, number))])

    def replace(self, db: sqlite3.Connection, people: Iterable[tuple[int, PersonData, int, PersonData]]) -> None:
        """Replace the entries of people: the seq, the old fields, the plan of their entries, and the new fields of each."""
        added: list[_Indexed] = []
        removed: list[_Indexed] = []
        for seq, old, number, new in people:
            if number == self.number:  # most changes leave the names and their entries as they are
                plan = plan_of_change(old, new, self.plan)
                before, after = self._derive(old, plan), self._derive(new, plan)
            else:
                before, after = self._indexed(db, old, number), self._derive(new, self.plan)
            added.append((seq, after.without(before)))
            removed.append((seq, before.without(after)))
        self._insert(db, added)
        self._delete(db, removed)

    def _indexed(self, db: sqlite3.Connection, data: PersonData, number: int) -> _Entries:
        if not number:
            return _Entries("", [], "", [])
        if number not in self._plans:
            (text,) = db.execute("SELECT text FROM search_plans WHERE plan = ?", (number,)).fetchone()
            self._plans[number] = IndexPlan.parse(text.split(":", 1)[1])
        return self._derive(data, self._plans[number])

    def _derive(self, data: PersonData, plan: IndexPlan) -> _Entries:
        keys, order = keys_and_order(data, plan)
        if code := self.code:
            order = map_words(order, lambda word: code(word)[:ORDER_CODE])
        match_keys, match_order = texts_of(*self._duplicates.keys_and_sub(data, plan))
        return _Entries(order, keys, match_order, match_keys)

    def _add_staged(self, db: sqlite3.Connection, people: Sequence[tuple[int, PersonData]]) -> None:
        """Add many people. Rows in the order of the file change each of its pages once."""
        words: set[str] = set()
        self._staged.start(db)
        for start in range(0, len(people), _STAGED_PEOPLE):
            entries = [(seq, self._derive(data, self.plan)) for seq, data in people[start : start + _STAGED_PEOPLE]]
            self._staged.add(db, self._rows(entries).values())
            words |= _words_of(entries)
        self._staged.finish(db)
        self._insert_words(db, words)

    def _insert(self, db: sqlite3.Connection, people: list[_Indexed]) -> None:
        people = sorted(people, key=lambda person: person[1].order)
        insert_entries(db, self._rows(people).sorted_values())
        self._insert_words(db, _words_of(people))

    def _rows(self, people: list[_Indexed]) -> _Rows:
        all_keys: list[str] = []
        names: list[str] = []
        seqs: list[int] = []
        for seq, (order, keys, match_order, match_keys) in people:
            all_keys += map(self._stored_key, keys) if self.code else keys
            all_keys += match_keys
            names += [order] * len(keys) + [match_order] * len(match_keys)
            seqs += [seq] * (len(keys) + len(match_keys))
        return _Rows(all_keys, names, seqs)

    def _insert_words(self, db: sqlite3.Connection, words: Iterable[str]) -> None:
        first = {self._first_row(word): word for word in words}
        unknown = insert_values(db, _INSERT_WORD, 2, [*chain.from_iterable(sorted(first))], "RETURNING key, word")
        rows = sorted(row for found in unknown for row in self._vocabulary_rows(first[found]))
        insert_rows(db, _INSERT_WORD, rows)

    def _delete(self, db: sqlite3.Connection, people: list[_Indexed]) -> None:
        rows = sorted(zip(*self._rows(people), strict=True))
        if rows:
            delete_entries(db, rows)
        for word in _words_of(people):
            if db.execute(_HAS_KEY, (self._stored_key(NAME + word),)).fetchone() is None:
                db.executemany(_DELETE_WORD, self._vocabulary_rows(word))

    def _stored_key(self, key: str) -> str:
        return key[0] + self.code(key[1:]) if self.code else key

    def _first_row(self, word: str) -> tuple[str, str]:
        """Return the row of the vocabulary that every word has."""
        key = _COLLAPSED + collapse(word)
        return (self.code(key), self.code(word)) if self.code else (key, word)

    def _vocabulary_rows(self, word: str) -> list[tuple[str, str]]:
        """Return the rows of the vocabulary for a word."""
        if self.code is None:
            return [(key, word) for key in deletion_keys(word)]
        code = self.code(word)
        return [(self.code(key), code) for key in bucket_keys(word) if key[0] in _HASHED]


def _words_of(people: Iterable[_Indexed]) -> set[str]:
    """Return the words of the names of people."""
    return {word for _, entries in people for key in entries.keys if (word := name_of(key))}


def delete_people(db: sqlite3.Connection, seqs: str) -> None:
    """Delete all entries of people, given as a JSON array, whose records cannot be read, then the unused words. Scans the index."""
    delete_entries_of(db, seqs)
    db.execute(_DELETE_UNUSED_WORDS)


def reset(db: sqlite3.Connection) -> None:
    """Delete the whole index; until `reindex` ends, searches read the records."""
    delete_all_entries(db)
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
