"""The file of persons' keys, beside the file of the people (`keys-of-people.db`): whoever backs one up does not back up the other.

Where both are written the keys' file is the first of the connection, as SQLite commits one file after the other: a crash in between may leave a
key of nobody, or take away the key of somebody who was about to be erased. It never leaves somebody without a key whom a client was told of.
"""

from __future__ import annotations

import json
import os
from contextlib import closing
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.crypto.envelope import KEY_SIZE, RECORD, RESPONSE, DecryptionFailed, decrypt, encrypt
from peopleinfo.crypto.keyring import KeyCache, Keyring, Wrapped
from peopleinfo.crypto.record_encryption import SECRET_OWNER, RecordEncryption, check_index, fingerprint
from peopleinfo.errors import StoreConfigurationError, StoreMissing
from peopleinfo.stores.sqlite import schema
from peopleinfo.stores.sqlite.connection import attach, connect, make_private
from peopleinfo.stores.sqlite.files import path_of_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from pathlib import Path

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.stores.sqlite.errors import ErrorTranslator

    Row = tuple[str, int, int, int, bytes]  # of the table of people: surname_key, seq, fold, version, body

_block: Final = Struct(">QQ").pack
_APPLICATION_ID: Final = 0x50656F4B  # "PeoK", in the file's header
_MIGRATIONS: Final = (
    """
    CREATE TABLE person_keys (
        seq INTEGER PRIMARY KEY,    -- the person's; 0 is the deployment's secret
        wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE generations (
        generation INTEGER PRIMARY KEY,
        wrapped BLOB NOT NULL,      -- by the master key
        finished INTEGER NOT NULL   -- whether it has come to every person's key
    ) STRICT;
    CREATE TABLE sealing (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        prefixes INTEGER NOT NULL   -- whether surnames stand in the index as they are
    ) STRICT;
    """,
)
_DECRYPTED_VIEW: Final = """
    CREATE TEMP VIEW {name} AS
    SELECT p.surname_key, p.seq, p.fold, p.version, decrypted(p.seq, p.version, p.body, k.wrapped) AS body
    FROM people p {index} CROSS JOIN person_keys k ON k.seq = p.seq
"""
_KEY_EXISTS: Final = """
    SELECT p.seq, k.seq IS NULL FROM people p INDEXED BY people_by_seq LEFT JOIN person_keys k ON k.seq = p.seq
    WHERE p.seq > ? ORDER BY p.seq LIMIT ?
"""
_PURGE: Final = (
    "DELETE FROM people WHERE seq IN (SELECT value FROM json_each(?))",
    "DELETE FROM foreign_ids WHERE seq IN (SELECT value FROM json_each(?))",  # looked through once for all
    "UPDATE once SET answer = NULL WHERE seq IN (SELECT value FROM json_each(?))",
)
# A page of one surname without the function: to be called by SQLite, for each of a hundred people, costs half as much as the opening itself.
_BY_SURNAME: Final = """
    SELECT p.seq, p.version, p.body, k.wrapped FROM people p CROSS JOIN person_keys k ON k.seq = p.seq
    WHERE p.surname_key = ? AND p.seq > ? ORDER BY p.seq LIMIT ?
"""


def connect_to_both(people: Path) -> sqlite3.Connection:
    """Return a connection that writes keys and people."""
    db = connect(path_of_keys(people), _APPLICATION_ID)
    attach(db, people, "people_file")
    return db


def open_encryption(people: Path, encryption: Encryption, *, create: bool = True) -> RecordEncryption:
    """Return what the people in a file are sealed with; with `create` an empty store is encrypted from now on.

    Raises StoreMissing; StoreUnusable, saying what to mend; sqlite3.Error, OSError.
    """
    path = path_of_keys(people)
    is_sealed = _stored_fingerprint(people) is not None
    if not path.exists() and is_sealed:
        raise StoreConfigurationError(
            f"the keys of the people in {people} are missing: bring {path} back, nobody can be read without it"
        )
    if not is_sealed and _contains_people(people):
        raise StoreConfigurationError(
            f"the people in {people} are not sealed: stop the service and run `peopleinfo encryption enable`, "
            "or leave PEOPLEINFO_ENCRYPTION empty"
        )
    if not (create or is_sealed):
        raise StoreMissing(f"encrypted store in {people}")
    with closing(open_key_db(people)) as db:
        if not is_sealed:
            _encrypt_empty(db, path, encryption)
        opened = load_encryption(db, people, encryption)
        (mark,) = db.execute("SELECT secret FROM deployment").fetchone()
        if mark != fingerprint(opened.secret):
            raise StoreConfigurationError(
                f"the keys in {path} are not those of the people in {people}: bring the right ones back"
            )
        # A file of people from a backup: what was given out since is not given out again.
        db.execute("UPDATE deployment SET last_seq = max(last_seq, (SELECT max(seq) FROM person_keys))")
    return opened


def open_key_db(people: Path) -> sqlite3.Connection:
    """Make the file of keys unless it is there, and return a connection that writes keys and people."""
    make_private(path_of_keys(people))
    db = connect_to_both(people)
    try:
        schema.migrate(db, path_of_keys(people), _MIGRATIONS, application=_APPLICATION_ID)
    except BaseException:
        db.close()
        raise
    return db


def init_encryption(db: sqlite3.Connection, encryption: Encryption, secret: bytes) -> RecordEncryption:
    """Make the first generation and keep the deployment's secret, in the transaction that is under way; return what seals in it."""
    if not db.execute("SELECT 1 FROM generations").fetchone():
        wrapped = encryption.master.wrap(os.urandom(KEY_SIZE), 1)
        db.execute("INSERT INTO generations VALUES (1, ?, 1)", (wrapped,))
    keyring = Keyring(encryption.master, lambda: generations(db))
    db.execute("INSERT OR REPLACE INTO person_keys VALUES (0, ?)", (keyring.wrap(SECRET_OWNER, secret),))
    db.execute("INSERT OR REPLACE INTO sealing VALUES (1, ?)", (bool(encryption.prefixes),))
    db.execute("UPDATE deployment SET secret = ?", (fingerprint(secret),))
    return RecordEncryption(keyring, secret, prefixes=bool(encryption.prefixes))


def load_encryption(db: sqlite3.Connection, people: Path, encryption: Encryption) -> RecordEncryption:
    """Return what people are sealed with. Raises StoreUnusable for another master key or another kind of index."""

    def read() -> Wrapped:
        with closing(connect(path_of_keys(people), _APPLICATION_ID)) as fresh:
            return generations(fresh)

    keyring = Keyring(encryption.master, read)
    (prefixes,) = db.execute("SELECT prefixes FROM sealing").fetchone()
    check_index(encryption, prefixes=bool(prefixes))
    (wrapped,) = db.execute("SELECT wrapped FROM person_keys WHERE seq = 0").fetchone()
    return RecordEncryption(keyring, keyring.unwrap(SECRET_OWNER, wrapped), prefixes=bool(prefixes))


def generations(db: sqlite3.Connection) -> Wrapped:
    """Return the generations in the file of keys."""
    return dict(db.execute("SELECT generation, wrapped FROM generations"))


class DecryptingReader:
    """How people are read by one connection. Whose key is not in the file any more is not there, also when it is held still."""

    def __init__(self, db: sqlite3.Connection, load_encryption: RecordEncryption, errors: ErrorTranslator) -> None:
        """Make the views by which people are read."""
        self._db = db
        self._errors = errors
        self._key = load_encryption.keys.key
        self._held: KeyCache[bytes, AESGCM] = KeyCache()  # wrapped → ready to use
        db.create_function("decrypted", 4, self.decrypt)
        db.execute(_DECRYPTED_VIEW.format(name="readable", index=""))
        db.execute(_DECRYPTED_VIEW.format(name="in_order", index="INDEXED BY people_by_seq"))

    def decrypt(self, seq: int, version: int, sealed: bytes, wrapped: bytes) -> bytes:
        """Return the JSON of a person: the function of SQL. Raises StoreDamaged."""
        self._held.expire()
        try:
            key = self._held.get(wrapped) or self._unwrap(seq, wrapped)
            return decrypt(key, owner_of(seq), RECORD, version, sealed)
        except DecryptionFailed as error:
            raise self._errors.decryption_failed() from error

    def read_by_surname(self, index: str, after: int, limit: int) -> Generator[tuple[int, bytes]]:
        """Yield seq and JSON of people under a key of the index, beyond a seq. Raises StoreDamaged, sqlite3.Error."""
        self._held.expire()
        held = self._held.get
        try:
            with closing(self._db.execute(_BY_SURNAME, (index, after, limit))) as rows:
                for seq, version, sealed, wrapped in rows:
                    key = held(wrapped) or self._unwrap(seq, wrapped)
                    yield seq, decrypt(key, _block(seq, 0), RECORD, version, sealed)
        except DecryptionFailed as error:
            raise self._errors.decryption_failed() from error

    def _unwrap(self, seq: int, wrapped: bytes) -> AESGCM:
        return self._held.put(wrapped, self._key(owner_of(seq), wrapped))


class EncryptingWriter:
    """What a sealed store does with what it writes; each within the transaction of the connection that it is given."""

    def __init__(self, load_encryption: RecordEncryption) -> None:
        self._keys = load_encryption.keys
        self.index = load_encryption.index
        self.looked_up = load_encryption.index_lookup

    def encrypt_new(self, db: sqlite3.Connection, rows: list[Row]) -> list[Row]:
        """Make keys for new people, and return their rows as they are to be kept."""
        (newest,) = db.execute("SELECT max(generation) FROM generations").fetchone()
        if newest != self._keys.newest:  # a rotation has begun elsewhere
            self._keys.refresh()
        kept, keys = [], []
        for surname_key, seq, fold, version, body in rows:
            owner = owner_of(seq)
            key, wrapped = self._keys.new(owner)
            keys.append((seq, wrapped))
            sealed = encrypt(key, owner, RECORD, version, body)
            kept.append((self.index(surname_key), seq, fold, version, sealed))
        # There may be keys of people whom a crash has kept from being stored.
        db.executemany("INSERT OR REPLACE INTO person_keys VALUES (?, ?)", keys)
        return kept

    def encrypt_record(self, db: sqlite3.Connection, seq: int, version: int, body: bytes) -> bytes:
        """Seal another version of somebody who is there."""
        return self._encrypt(db, seq, RECORD, version, body)

    def encrypt_response(self, db: sqlite3.Connection, seq: int, body: bytes) -> bytes:
        """Seal the answer that is kept under an idempotency key."""
        return self._encrypt(db, seq, RESPONSE, 1, body)

    def decrypt_response(self, db: sqlite3.Connection, seq: int, sealed: bytes) -> bytes | None:
        """Return the answer; None when the person's key is gone."""
        row = db.execute("SELECT wrapped FROM person_keys WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return None
        owner = owner_of(seq)
        return decrypt(self._keys.key(owner, row[0]), owner, RESPONSE, 1, sealed)

    def delete_key(self, db: sqlite3.Connection, seq: int) -> None:
        """Destroy somebody's key."""
        db.execute("DELETE FROM person_keys WHERE seq = ?", (seq,))

    def purge(self, db: sqlite3.Connection, after: int, limit: int, *, remove: bool) -> tuple[list[int], int]:
        """Return the next people beyond a seq, and of how many of them the key is gone; `remove` what is left of those."""
        rows = db.execute(_KEY_EXISTS, (after, limit)).fetchall()
        gone = [seq for seq, is_gone in rows if is_gone]
        for statement in _PURGE if gone and remove else ():
            db.execute(statement, (json.dumps(gone),))
        return [seq for seq, _ in rows], len(gone)

    def _encrypt(self, db: sqlite3.Connection, seq: int, kind: bytes, version: int, body: bytes) -> bytes:
        (wrapped,) = db.execute("SELECT wrapped FROM person_keys WHERE seq = ?", (seq,)).fetchone()
        owner = owner_of(seq)
        return encrypt(self._keys.key(owner, wrapped), owner, kind, version, body)


def owner_of(seq: int) -> bytes:
    """Return the 16 bytes behind the id of a person."""
    return _block(seq, 0)


def _stored_fingerprint(people: Path) -> bytes | None:
    """Return what stands in the place of the secret of a sealed file, None when it is plain."""
    with closing(connect(people)) as db:
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
    return None if len(secret) == schema.SECRET else bytes(secret)


def _contains_people(people: Path) -> bool:
    with closing(connect(people)) as db:
        found: tuple[Any, ...] = db.execute("SELECT EXISTS (SELECT 1 FROM people UNION SELECT 1 FROM once)").fetchone()
    return bool(found[0])


def _encrypt_empty(db: sqlite3.Connection, path: Path, encryption: Encryption) -> None:
    """Seal a file that nobody is in."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
        if len(secret) == schema.SECRET:  # else another process was faster
            if db.execute("SELECT 1 FROM person_keys WHERE seq > 0").fetchone():
                raise StoreConfigurationError(
                    f"{path} holds keys of people who are not here: bring their file back, or move the keys away"
                )
            init_encryption(db, encryption, os.urandom(schema.SECRET))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it
            db.execute("ROLLBACK")
        raise
