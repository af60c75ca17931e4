"""Operations on a whole database file: encrypt existing records and rotate keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from peopleinfo.crypto.person_ids import BLOCK_SIZE
from peopleinfo.crypto.rotation import PersonKey
from peopleinfo.crypto.store_keys import SECRET_OWNER
from peopleinfo.errors import StoreConfigurationError
from peopleinfo.stores.sqlite import person_keys, schema
from peopleinfo.stores.sqlite.search_entries import reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from peopleinfo.crypto.keyring import Wrapped
    from peopleinfo.crypto.master_key import Encryption

_BATCH_ROWS: Final = 500
_BATCH: Final = "SELECT surname_key, seq, fold, version, body FROM people WHERE seq > ? ORDER BY seq LIMIT ?"
_TRASH_BATCH: Final = "SELECT '', seq, 0, version, body FROM trash WHERE seq > ? ORDER BY seq LIMIT ?"
_HISTORY_BATCH: Final = "SELECT n, seq, version, body FROM history WHERE n > ? ORDER BY n LIMIT ?"


def encrypt_database(path: Path, encryption: Encryption, *, on_progress: Callable[[int], None]) -> int:
    """Encrypt all records in a file and return their number; `on_progress` receives the size of each batch.

    Atomic: an interruption leaves the file unchanged. Raises StoreConfigurationError, also if another process has the file open.
    """
    if not path.exists():
        raise StoreConfigurationError(
            f"{path} does not exist; to create an encrypted store, start the service with PEOPLEINFO_ENCRYPTION set"
        )
    with closing(sqlite3.connect(path)) as db:
        schema.schema_version(db, path)
    with closing(person_keys.open_key_db(path)) as db, _exclusive(db, path):
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
        if len(secret) != schema.SECRET:
            return 0
        encryptor = person_keys.EncryptingWriter(person_keys.init_encryption(db, encryption, secret))
        reset(db)  # the index contains readable words
        count = _encrypt_records(db, encryptor, on_progress)
        _encrypt_trash(db, encryptor)
        _encrypt_merges(db, encryptor)
        _encrypt_history(db, encryptor)
        for key, seq, response in db.execute("SELECT key, seq, answer FROM once WHERE answer IS NOT NULL").fetchall():
            db.execute("UPDATE once SET answer = ? WHERE key = ?", (encryptor.encrypt_response(db, seq, response), key))
    return count


def _encrypt_records(
    db: sqlite3.Connection, encryptor: person_keys.EncryptingWriter, on_progress: Callable[[int], None]
) -> int:
    count = last = 0
    while rows := db.execute(_BATCH, (last, _BATCH_ROWS)).fetchall():
        changed = [(key, body, seq) for key, seq, _, _, body in encryptor.encrypt_new(db, rows)]
        db.executemany("UPDATE people SET surname_key = ?, plan = 0, body = ? WHERE seq = ?", changed)
        last = rows[-1][1]
        count += len(rows)
        on_progress(len(rows))
    return count


def _encrypt_trash(db: sqlite3.Connection, encryptor: person_keys.EncryptingWriter) -> None:
    last = 0
    while rows := db.execute(_TRASH_BATCH, (last, _BATCH_ROWS)).fetchall():
        changed = [(body, seq) for _, seq, _, _, body in encryptor.encrypt_new(db, rows)]
        db.executemany("UPDATE trash SET body = ? WHERE seq = ?", changed)
        last = rows[-1][1]


def _encrypt_merges(db: sqlite3.Connection, encryptor: person_keys.EncryptingWriter) -> None:
    rows = db.execute("SELECT '', seq, 0, version, body FROM merged_people").fetchall()
    changed = [(body, seq) for _, seq, _, _, body in encryptor.encrypt_new(db, rows)]
    db.executemany("UPDATE merged_people SET body = ? WHERE seq = ?", changed)
    for seq, version, body in db.execute("SELECT seq, version, body FROM merge_logs").fetchall():
        encrypted = encryptor.encrypt_log(db, seq, version, body)
        db.execute("UPDATE merge_logs SET body = ? WHERE seq = ?", (encrypted, seq))


def _encrypt_history(db: sqlite3.Connection, encryptor: person_keys.EncryptingWriter) -> None:
    last = 0
    while rows := db.execute(_HISTORY_BATCH, (last, _BATCH_ROWS)).fetchall():
        changed = [(encryptor.encrypt_record(db, seq, version, body), n) for n, seq, version, body in rows]
        db.executemany("UPDATE history SET body = ? WHERE n = ?", changed)
        last = rows[-1][0]


@contextmanager
def _exclusive(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Lock the file of people for one transaction, then remove plaintext from its free pages."""
    with _translate_busy(path):
        _lock_exclusively(db, path)
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("COMMIT")
        db.execute("PRAGMA temp_store = FILE")  # do not hold the whole file in memory
        db.execute("VACUUM people_file")


def lock_exclusively(db: sqlite3.Connection, path: Path) -> None:
    """Lock the file of people until the connection closes. Raises StoreConfigurationError if another process has it open."""
    with _translate_busy(path):
        _lock_exclusively(db, path)
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")  # the lock remains


def _lock_exclusively(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA busy_timeout = 500")
    db.execute("PRAGMA people_file.locking_mode = EXCLUSIVE")
    # SQLite leaves WAL mode only if no other connection is open.
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


_IN_USE: Final = "another process has {} open; stop the service, then repeat the command. Nothing was changed."


class SqliteKeyStore:
    """The record keys of a database file, for a rotation."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def generations(self) -> Wrapped:
        """Return all generations."""
        return person_keys.generations(self._db)

    async def is_rotating(self) -> bool:
        """Return whether some keys are not yet wrapped with the newest generation."""
        (finished,) = self._db.execute("SELECT finished FROM generations ORDER BY generation DESC").fetchone()
        return not finished

    async def start(self, generation: int, wrapped: bytes) -> None:
        """Add a generation, which wraps new keys from now on."""
        self._db.execute("INSERT INTO generations VALUES (?, ?, 0)", (generation, wrapped))

    async def keys(self, position: bytes) -> tuple[list[PersonKey], bytes]:
        """Return a batch of keys and the position of the next batch, empty at the end."""
        first = int.from_bytes(position, signed=True) if position else -(1 << 63)  # a negative seq: the previous key
        rows = self._db.execute(
            "SELECT seq, wrapped FROM person_keys WHERE seq >= ? ORDER BY seq LIMIT ?", (first, _BATCH_ROWS)
        ).fetchall()
        next_position = (rows[-1][0] + 1).to_bytes(BLOCK_SIZE, signed=True) if len(rows) == _BATCH_ROWS else b""
        return [
            PersonKey(person_keys.owner_of(seq) if seq else SECRET_OWNER, wrapped) for seq, wrapped in rows
        ], next_position

    async def update(self, changed: Sequence[tuple[PersonKey, bytes]]) -> None:
        """Replace wrapped keys; skip keys that were deleted or changed since they were read."""
        with self._transaction():
            self._db.executemany(
                "UPDATE person_keys SET wrapped = ?1 WHERE seq IN (?2, -?2) AND wrapped = ?3",
                [(new, _seq(owner), old) for (owner, old), new in changed],
            )

    async def finish(self, generation: int) -> None:
        """Delete the older generations, which no key uses: each insert checks for the newest generation."""
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
            if self._db.in_transaction:  # SQLite ends it itself on a full disk, for example
                self._db.execute("ROLLBACK")
            raise


def _seq(owner: bytes) -> int:
    return 0 if owner == SECRET_OWNER else int.from_bytes(owner[: BLOCK_SIZE // 2])
