"""The links of possible duplicates in the file. Implements `peopleinfo.matching.duplicate_links.LinkStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.matching.duplicate_links import LinkPage, decode_link, encode_link
from peopleinfo.matching.scoring import GRADES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from peopleinfo.matching.duplicate_links import Link, LinkState
    from peopleinfo.matching.scoring import Grade
    from peopleinfo.stores.sqlite.connection import ReadInThread
    from peopleinfo.stores.sqlite.writer import GroupCommitWriter

_RANKS: Final = {grade: rank for rank, (grade, _) in enumerate(GRADES)}
_GET: Final = "SELECT body FROM links WHERE first = ? AND second = ?"
_INSERT: Final = (
    "INSERT OR IGNORE INTO links (first, second, version, state, grade, doubt, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE: Final = """
    UPDATE links SET version = ?, state = ?, grade = ?, doubt = ?, body = ? WHERE first = ? AND second = ? AND version = ?
"""
_DELETE: Final = "DELETE FROM links WHERE first = ? AND second = ? AND version = ?"
_OF_PERSON: Final = """
    SELECT body FROM links WHERE first = ?1 UNION ALL SELECT body FROM links WHERE second = ?1
"""
_ERASE: Final = "DELETE FROM links WHERE first = ?1 OR second = ?1"
_PAGE: Final = """
    SELECT grade, doubt, first, second, body FROM links
    WHERE state = ? AND grade BETWEEN ? AND ? AND (grade, doubt, first, second) > (?, ?, ?, ?)
    ORDER BY grade, doubt, first, second LIMIT ?
"""
_Position = tuple[int, int, bytes, bytes]
_FIRST: Final[_Position] = (-1, 0, b"", b"")
_decode_position: Final = msgspec.msgpack.Decoder(_Position).decode


class SqliteLinks:
    """Pairs of records in the file."""

    def __init__(self, run: ReadInThread, writer: GroupCommitWriter) -> None:
        """`run` runs a read in the thread of long reads."""
        self._run = run
        self._writer = writer

    async def get(self, first: str, second: str) -> Link | None:
        key = (bytes.fromhex(first), bytes.fromhex(second))
        row = await self._run(lambda db: db.execute(_GET, key).fetchone())
        return decode_link(row[0]) if row else None

    async def put(self, link: Link) -> bool:
        key = (bytes.fromhex(link.first), bytes.fromhex(link.second))
        values = (link.version, link.state, _RANKS[link.grade], link.doubt, encode_link(link))

        def change(db: sqlite3.Connection) -> bool:
            if link.version == 1:
                return bool(db.execute(_INSERT, (*key, *values)).rowcount)
            return bool(db.execute(_UPDATE, (*values, *key, link.version - 1)).rowcount)

        return await self._writer.run(change)

    async def delete(self, link: Link) -> None:
        key = (bytes.fromhex(link.first), bytes.fromhex(link.second), link.version)
        await self._writer.run(lambda db: db.execute(_DELETE, key))

    async def of_person(self, person_id: str) -> list[Link]:
        key = (bytes.fromhex(person_id),)
        return [decode_link(body) for (body,) in await self._run(lambda db: db.execute(_OF_PERSON, key).fetchall())]

    async def page(self, state: LinkState, grades: Sequence[Grade], *, after: bytes | None, limit: int) -> LinkPage:
        ranks = [_RANKS[grade] for grade in grades]
        position = _decode_position(after) if after else _FIRST
        bounds = (state, min(ranks), max(ranks), *position, limit + 1)
        rows: list[Any] = await self._run(lambda db: db.execute(_PAGE, bounds).fetchall())
        end = msgspec.msgpack.encode(rows[limit - 1][:4]) if len(rows) > limit else None
        return LinkPage([decode_link(row[4]) for row in rows[:limit]], end)


def erase_links(db: sqlite3.Connection, person_id: str) -> None:
    """Delete the links of an erased person."""
    db.execute(_ERASE, (bytes.fromhex(person_id),))
