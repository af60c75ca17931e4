"""What is done to a whole file: its people are sealed, and the generation of their keys is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.ids import BLOCK_SIZE
from peopleinfo.crypto.record_encryption import SECRET_OWNER
from peopleinfo.crypto.rotation import PersonKey
from peopleinfo.errors import StoreConfigurationError
from peopleinfo.stores.sqlite import person_keys, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from peopleinfo.crypto.keyring import Wrapped
    from peopleinfo.crypto.master_key import Encryption

_BATCH_ROWS: Final = 500
_BATCH: Final = "SELECT surname_key, seq, fold, version, body FROM people WHERE seq > ? ORDER BY seq LIMIT ?"


def encrypt_database(path: Path, encryption: Encryption, *, told: Callable[[int], None]) -> int:
    """Seal everybody in a file that nobody else has open, and return how many there were; `told` hears how many at a time.

    All or nobody: what is cut short has changed nothing. Raises StoreUnusable.
    """
    if not path.exists():
        raise StoreConfigurationError(
            f"there is no {path}: a new store is sealed from the beginning when PEOPLEINFO_ENCRYPTION is set"
        )
    with closing(sqlite3.connect(path)) as db:
        schema.schema_version(db, path)
    with closing(person_keys.open_key_db(path)) as db, _exclusive(db, path):
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
        if len(secret) != schema.SECRET:
            return 0
        sealed = person_keys.EncryptingWriter(person_keys.init_encryption(db, encryption, secret))
        count = _encrypt_records(db, sealed, told)
        for key, seq, answer in db.execute("SELECT key, seq, answer FROM once WHERE answer IS NOT NULL").fetchall():
            db.execute("UPDATE once SET answer = ? WHERE key = ?", (sealed.encrypt_response(db, seq, answer), key))
    return count


def _encrypt_records(db: sqlite3.Connection, sealed: person_keys.EncryptingWriter, told: Callable[[int], None]) -> int:
    count = last = 0
    while rows := db.execute(_BATCH, (last, _BATCH_ROWS)).fetchall():
        changed = [(key, body, seq) for key, seq, _, _, body in sealed.encrypt_new(db, rows)]
        db.executemany("UPDATE people SET surname_key = ?, body = ? WHERE seq = ?", changed)
        last = rows[-1][1]
        count += len(rows)
        told(len(rows))
    return count


@contextmanager
def _exclusive(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Hold the people's file against everybody else for one transaction, and leave nothing plain in what is free of it."""
    with _translate_busy(path):
        _lock_exclusively(db, path)
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("COMMIT")
        db.execute("PRAGMA temp_store = FILE")  # not the whole file in memory
        db.execute("VACUUM people_file")


def lock_exclusively(db: sqlite3.Connection, path: Path) -> None:
    """Keep every other process from opening the people's file until a connection is closed. Raises StoreUnusable when one has it open."""
    with _translate_busy(path):
        _lock_exclusively(db, path)
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")  # the lock remains


def _lock_exclusively(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA busy_timeout = 500")
    db.execute("PRAGMA people_file.locking_mode = EXCLUSIVE")
    # Leaving the write-ahead log is allowed to the only one who has the file open.
    if db.execute("PRAGMA people_file.journal_mode = DELETE").fetchone() != ("delete",):
        raise StoreConfigurationError(_IN_USE.format(path))


@contextmanager
def _translate_busy(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise StoreConfigurationError(_IN_USE.format(path)) from error
        raise


_IN_USE: Final = "somebody has {} open: stop the service, then run this again; nothing was changed"


class SqliteKeyStore:
    """The keys of a file of people, for a rotation."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def generations(self) -> Wrapped:
        """Return every generation there is."""
        return person_keys.generations(self._db)

    async def is_rotating(self) -> bool:
        """Say whether the newest generation has not come to everybody yet."""
        (finished,) = self._db.execute("SELECT finished FROM generations ORDER BY generation DESC").fetchone()
        return not finished

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation, which wraps what is new from now on."""
        self._db.execute("INSERT INTO generations VALUES (?, ?, 0)", (generation, wrapped))

    async def keys(self, position: bytes) -> tuple[list[PersonKey], bytes]:
        """Return some keys and what to ask for next."""
        first = int.from_bytes(position)
        rows = self._db.execute(
            "SELECT seq, wrapped FROM person_keys WHERE seq >= ? ORDER BY seq LIMIT ?", (first, _BATCH_ROWS)
        ).fetchall()
        more = (rows[-1][0] + 1).to_bytes(BLOCK_SIZE) if len(rows) == _BATCH_ROWS else b""
        return [PersonKey(person_keys.owner_of(seq) if seq else SECRET_OWNER, wrapped) for seq, wrapped in rows], more

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Put newly wrapped keys in the place of the old ones."""
        with self._transaction():
            self._db.executemany(
                "UPDATE person_keys SET wrapped = ? WHERE seq = ? AND wrapped = ?",
                [(new, _seq(owner), old) for (owner, old), new in changed],
            )

    async def finish(self, generation: int) -> None:
        """Remove the generations before; whoever adds somebody looks which one is the newest, so nobody has those any more."""
        with self._transaction():
            self._db.execute("DELETE FROM generations WHERE generation < ?", (generation,))
            self._db.execute("UPDATE generations SET finished = 1")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it
                self._db.execute("ROLLBACK")
            raise


def _seq(owner: bytes) -> int:
    return 0 if owner == SECRET_OWNER else int.from_bytes(owner[: BLOCK_SIZE // 2])
