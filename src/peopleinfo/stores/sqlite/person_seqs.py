"""The number of each record in the database file (`seq`), which its id contains."""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import BLOCK_SIZE, IdCipher
from peopleinfo.errors import PersonNotFound
from peopleinfo.people.person import is_id
from peopleinfo.stores.sqlite.paging import SEQ_SIZE
from peopleinfo.stores.sqlite.upsert import foreign_seq

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peopleinfo.stores.sqlite.errors import ErrorTranslator

_ID_CHECK: Final = bytes(BLOCK_SIZE - SEQ_SIZE)  # second half of an id's block; identifies ids that this store issued


class PersonSeqs:
    """Maps ids to seqs. Encodes in the writer's thread only, decodes in the event loop only."""

    def __init__(self, reader: sqlite3.Connection, errors: ErrorTranslator, secret: bytes) -> None:
        self._reader = reader
        self._errors = errors
        self._ids = IdCipher(secret)

    def of(self, person_id: str) -> int:
        """Return the seq of an id. Raises PersonNotFound for an id that no record can have."""
        seq = self.own(person_id)
        if seq is None and (seq := self._foreign(person_id)) is None:
            raise PersonNotFound(person_id)
        return seq

    def of_all(self, person_ids: Sequence[str]) -> list[int]:
        """Return the seqs of ids; 0 for an unknown id."""
        if blocks := self._ids.decode_all(person_ids):
            numbers = struct.unpack(f">{len(blocks) // SEQ_SIZE}Q", blocks)
            if not any(numbers[1::2]):  # the second half of each block is _ID_CHECK
                return list(numbers[::2])
        return [self.own(person_id) or self._foreign(person_id) or 0 for person_id in person_ids]

    def own(self, person_id: str) -> int | None:
        """Return the seq encoded in an id that this store issued, None for any other id."""
        block = self._ids.decode(person_id)
        return int.from_bytes(block[:SEQ_SIZE]) if block is not None and block[SEQ_SIZE:] == _ID_CHECK else None

    def id_of(self, seq: int) -> str:
        """Return the id of a record that this store creates."""
        return self._ids.encode(seq.to_bytes(SEQ_SIZE) + _ID_CHECK)

    def _foreign(self, person_id: str) -> int | None:
        if not is_id(person_id):
            return None
        try:
            return foreign_seq(self._reader, person_id)
        except sqlite3.Error as error:
            raise self._errors.translate(error) from error
