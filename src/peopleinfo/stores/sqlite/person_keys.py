"""The key file (`keys-of-people.db`), next to the file of people: one key per person, excluded from backups of the records.

A connection that writes both files has the key file as its main database, because SQLite commits the main database first. A crash between the
commits may leave a key without a record. `deletion` deletes a key after its record. A stored record always has its key.
"""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.crypto.cipher import KEY_SIZE
from peopleinfo.crypto.ciphertext_format import MERGE_LOG, RECORD, RESPONSE, context
from peopleinfo.crypto.keyring import KeyCache, Keyring, Wrapped
from peopleinfo.crypto.store_keys import SECRET_OWNER, RecordEncryption, check_index, fingerprint
from peopleinfo.errors import DecryptionFailed, StoreConfigurationError, StoreMissing
from peopleinfo.stores.sqlite import schema
from peopleinfo.stores.sqlite.connection import attach, connect, make_private
from peopleinfo.stores.sqlite.decrypted_pages import DecryptedPages
from peopleinfo.stores.sqlite.files import path_of_keys
from peopleinfo.stores.sqlite.paging import full_page
from peopleinfo.stores.sqlite.unused_keys import delete_unused_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from pathlib import Path

    from peopleinfo.crypto.cipher import Cipher
    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.people.store import Page
    from peopleinfo.stores.sqlite.errors import ErrorTranslator

    Row = tuple[str, int, int, int, bytes]  # of table people: surname_key, seq, fold, version, body

_block: Final = Struct(">QQ").pack
_APPLICATION_ID: Final = 0x50656F4B  # "PeoK", in the file's header
_MIGRATIONS: Final = (
    """
    CREATE TABLE person_keys (
        seq INTEGER PRIMARY KEY,    -- of the record; 0: the deployment's secret
        wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE generations (
        generation INTEGER PRIMARY KEY,
        wrapped BLOB NOT NULL,      -- with the master key
        finished INTEGER NOT NULL   -- whether it wraps every key
    ) STRICT;
    CREATE TABLE sealing (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        prefixes INTEGER NOT NULL   -- whether the index contains unhashed surname keys
    ) STRICT;
    """,
)
_DECRYPTED_VIEW: Final = """
    CREATE TEMP VIEW {name} AS
    SELECT p.surname_key, p.seq, p.fold, p.version, p.operation, p.principal, p.import_id, p.plan,
        decrypted(p.seq, p.version, p.body, k.wrapped) AS body
    FROM people p {index} CROSS JOIN person_keys k ON k.seq = p.seq
"""
_DECRYPTED_HISTORY: Final = """
    CREATE TEMP VIEW readable_history AS
    SELECT h.seq, h.version, h.operation, h.principal, h.import_id, h.replaced_at,
        decrypted(h.seq, h.version, h.body, k.wrapped) AS body
    FROM history h CROSS JOIN person_keys k ON k.seq = h.seq
"""
_DECRYPTED_TRASH: Final = """
    CREATE TEMP VIEW readable_trash AS
    SELECT t.seq, t.person_id, t.version, t.principal, t.deleted_at, t.expires_at,
        decrypted(t.seq, t.version, t.body, k.wrapped) AS body
    FROM trash t CROSS JOIN person_keys k ON k.seq = t.seq
"""
_DECRYPTED_MERGED: Final = """
    CREATE TEMP VIEW readable_merged AS
    SELECT m.seq, m.merge_id, m.merged_into, m.version, m.operation, m.principal, m.import_id,
        decrypted(m.seq, m.version, m.body, k.wrapped) AS body
    FROM merged_people m CROSS JOIN person_keys k ON k.seq = m.seq
"""
_DECRYPTED_LOGS: Final = """
    CREATE TEMP VIEW readable_logs AS
    SELECT l.seq, l.version, decrypted_log(l.seq, l.version, l.body, k.wrapped) AS body
    FROM merge_logs l CROSS JOIN person_keys k ON k.seq = l.seq
"""
_KEY_MISSING: Final = """
    SELECT p.seq, k.seq IS NULL FROM people p INDEXED BY people_by_seq LEFT JOIN person_keys k ON k.seq = p.seq
    WHERE p.seq > ? ORDER BY p.seq LIMIT ?
"""
_OTHER_KEY_MISSING: Final = """
    SELECT t.seq FROM trash t LEFT JOIN person_keys k ON k.seq = t.seq WHERE k.seq IS NULL
    UNION ALL SELECT m.seq FROM merged_people m LEFT JOIN person_keys k ON k.seq = m.seq WHERE k.seq IS NULL
"""
_KEEP_PREVIOUS: Final = "INSERT INTO person_keys SELECT -seq, wrapped FROM person_keys WHERE seq = ?"
_RESPONSES: Final = "SELECT key, answer FROM once WHERE seq = ? AND answer IS NOT NULL"
# A page of one surname, without the SQL function: calling it from SQLite costs half as much as the decryption.
_BY_SURNAME: Final = """
    SELECT p.seq, p.version, p.body, k.wrapped FROM people p CROSS JOIN person_keys k ON k.seq = p.seq
    WHERE p.surname_key = ? AND p.seq > ? ORDER BY p.seq LIMIT ?
"""


def connect_to_both(people: Path) -> sqlite3.Connection:
    """Return a connection to the key file with the file of people attached."""
    db = connect(path_of_keys(people), _APPLICATION_ID)
    attach(db, people, "people_file")
    return db


def open_encryption(people: Path, encryption: Encryption, *, create: bool = True) -> RecordEncryption:
    """Return the encryption of the records in a file; with `create` an empty store becomes encrypted.

    Raises StoreMissing, StoreConfigurationError with a remedy, sqlite3.Error and OSError.
    """
    path = path_of_keys(people)
    is_encrypted = _stored_fingerprint(people) is not None
    if not path.exists() and is_encrypted:
        raise StoreConfigurationError(
            f"the key file of {people} is missing; restore {path}, without it the records cannot be read"
        )
    if not is_encrypted and _contains_people(people):
        raise StoreConfigurationError(
            f"the records in {people} are not encrypted; stop the service and run `peopleinfo encryption enable`, "
            "or unset PEOPLEINFO_ENCRYPTION"
        )
    if not (create or is_encrypted):
        raise StoreMissing(f"encrypted store in {people}")
    with closing(open_key_db(people)) as db:
        if not is_encrypted:
            _encrypt_empty(db, path, encryption)
        record_encryption = load_encryption(db, people, encryption)
        (stored,) = db.execute("SELECT secret FROM deployment").fetchone()
        if stored != fingerprint(record_encryption.secret):
            raise StoreConfigurationError(
                f"{path} does not belong to the records in {people}; restore the matching key file"
            )
        if db.execute("SELECT 1 FROM unused_keys").fetchone():  # an erasure was interrupted
            db.execute("BEGIN IMMEDIATE")
            delete_unused_keys(db)
            db.execute("COMMIT")
        # The file of people may come from a backup: do not reuse numbers that were assigned since.
        db.execute("UPDATE deployment SET last_seq = max(last_seq, (SELECT max(seq) FROM person_keys))")
    return record_encryption


def open_key_db(people: Path) -> sqlite3.Connection:
    """Create the key file if it is missing, and return a connection to it with the file of people attached."""
    make_private(path_of_keys(people))
    db = connect_to_both(people)
    try:
        schema.migrate(db, path_of_keys(people), _MIGRATIONS, application=_APPLICATION_ID)
    except BaseException:
        db.close()
        raise
    return db


def init_encryption(db: sqlite3.Connection, encryption: Encryption, secret: bytes) -> RecordEncryption:
    """Create the first generation and store the deployment's secret, in the current transaction; return the encryption."""
    if not db.execute("SELECT 1 FROM generations").fetchone():
        wrapped = encryption.master.wrap(os.urandom(KEY_SIZE), 1)
        db.execute("INSERT INTO generations VALUES (1, ?, 1)", (wrapped,))
    keyring = Keyring(encryption.master, lambda: generations(db))
    db.execute("INSERT OR REPLACE INTO person_keys VALUES (0, ?)", (keyring.wrap(SECRET_OWNER, secret),))
    db.execute("INSERT OR REPLACE INTO sealing VALUES (1, ?)", (bool(encryption.prefixes),))
    db.execute("UPDATE deployment SET secret = ?", (fingerprint(secret),))
    return RecordEncryption(keyring, secret, prefixes=bool(encryption.prefixes))


def load_encryption(db: sqlite3.Connection, people: Path, encryption: Encryption) -> RecordEncryption:
    """Return the encryption of the records. Raises StoreConfigurationError for another master key or kind of surname index."""

    def read() -> Wrapped:
        with closing(connect(path_of_keys(people), _APPLICATION_ID)) as fresh:
            return generations(fresh)

    keyring = Keyring(encryption.master, read)
    (prefixes,) = db.execute("SELECT prefixes FROM sealing").fetchone()
    check_index(encryption, prefixes=bool(prefixes))
    (wrapped,) = db.execute("SELECT wrapped FROM person_keys WHERE seq = 0").fetchone()
    return RecordEncryption(keyring, keyring.unwrap(SECRET_OWNER, wrapped), prefixes=bool(prefixes))


def generations(db: sqlite3.Connection) -> Wrapped:
    """Return the generations in the key file."""
    return dict(db.execute("SELECT generation, wrapped FROM generations"))


class DecryptingReader:
    """Decrypts the records that one connection reads. A record without a stored key does not exist, even if its key is cached."""

    def __init__(self, db: sqlite3.Connection, encryption: RecordEncryption, errors: ErrorTranslator) -> None:
        """Create the views for reading records."""
        self._db = db
        self._errors = errors
        self._unwrap_key = encryption.keys.key
        self._cache: KeyCache[bytes, Cipher] = KeyCache()  # wrapped key → key
        self._pages = DecryptedPages(db)
        db.create_function("decrypted", 4, self.decrypt)
        db.execute(_DECRYPTED_VIEW.format(name="readable", index=""))
        db.execute(_DECRYPTED_VIEW.format(name="in_order", index="INDEXED BY people_by_seq"))
        db.execute(_DECRYPTED_HISTORY)
        db.execute(_DECRYPTED_TRASH)
        db.create_function("decrypted_log", 4, partial(self.decrypt, kind=MERGE_LOG))
        db.execute(_DECRYPTED_MERGED)
        db.execute(_DECRYPTED_LOGS)

    def decrypt(self, seq: int, version: int, body: bytes, wrapped: bytes, kind: bytes = RECORD) -> bytes:
        """Return the JSON of a record (the SQL function `decrypted`) or of a log. Raises StoreDamaged."""
        self._cache.expire()
        text = context(kind, owner_of(seq), version)
        try:
            key = self._cache.get(wrapped) or self._unwrap(seq, wrapped)
            return key.decrypt(body, text)
        except DecryptionFailed as error:
            return self._decrypt_with_previous(seq, body, text, error)

    def _decrypt_with_previous(self, seq: int, body: bytes, text: bytes, error: DecryptionFailed) -> bytes:
        """Decrypt with the key before the last one, which remains if the renewal of the key was interrupted."""
        row = self._db.execute("SELECT wrapped FROM person_keys WHERE seq = ?", (-seq,)).fetchone()
        try:
            if row is not None:
                return self._unwrap(seq, row[0]).decrypt(body, text)
        except DecryptionFailed:
            pass
        raise self._errors.decryption_failed() from error

    def find_page(self, key: str, after: int, limit: int) -> Page:
        """Return a page of the records with an indexed surname key, after a seq. Raises StoreDamaged, sqlite3.Error."""
        name = key, after, limit + 1
        if page := self._pages.get(name):
            return page
        ciphertexts: list[bytes] = []
        page = full_page(self._read_by_surname(name, ciphertexts), limit)
        self._pages.put(name, ciphertexts, page)
        return page

    def _read_by_surname(self, name: tuple[str, int, int], ciphertexts: list[bytes]) -> Generator[tuple[int, bytes]]:
        """Yield seq and JSON of the records of a page, and append their ciphertexts."""
        self._cache.expire()
        cached = self._cache.get
        with closing(self._db.execute(_BY_SURNAME, name)) as rows:
            for seq, version, body, wrapped in rows:
                ciphertexts.append(body)
                try:
                    record_key = cached(wrapped) or self._unwrap(seq, wrapped)
                    text = record_key.decrypt(body, context(RECORD, _block(seq, 0), version))
                except DecryptionFailed:
                    text = self.decrypt(seq, version, body, wrapped)
                yield seq, text

    def _unwrap(self, seq: int, wrapped: bytes) -> Cipher:
        return self._cache.put(wrapped, self._unwrap_key(owner_of(seq), wrapped))


class EncryptingWriter:
    """Encrypts the records that a store writes. Each method runs in the current transaction of its connection."""

    def __init__(self, encryption: RecordEncryption) -> None:
        self._keys = encryption.keys
        self.index = encryption.index
        self.index_lookup = encryption.index_lookup

    def encrypt_new(self, db: sqlite3.Connection, rows: list[Row]) -> list[Row]:
        """Create keys for new records, and return the encrypted rows."""
        (newest,) = db.execute("SELECT max(generation) FROM generations").fetchone()
        if newest != self._keys.newest:  # another process started a rotation
            self._keys.refresh()
        encrypted, keys = [], []
        for surname_key, seq, fold, version, body in rows:
            owner = owner_of(seq)
            key, wrapped = self._keys.new(owner)
            keys.append((seq, wrapped))
            ciphertext = key.encrypt(body, context(RECORD, owner, version))
            encrypted.append((self.index(surname_key), seq, fold, version, ciphertext))
        # A crash between the commits may have left keys without a record.
        db.executemany("INSERT OR REPLACE INTO person_keys VALUES (?, ?)", keys)
        return encrypted

    def encrypt_record(self, db: sqlite3.Connection, seq: int, version: int, body: bytes) -> bytes:
        """Encrypt another version of a stored record."""
        return self._encrypt(db, seq, RECORD, version, body)

    def encrypt_log(self, db: sqlite3.Connection, seq: int, version: int, body: bytes) -> bytes:
        """Encrypt the log of a record into which others are merged."""
        return self._encrypt(db, seq, MERGE_LOG, version, body)

    def renew_key(self, db: sqlite3.Connection, seq: int) -> None:
        """Give a record a new key, with which the caller encrypts all its data again, except for saved responses.

        SQLite commits the key file first. The previous key remains as an unused key, so the data can be decrypted if the process ends
        before the commit of the other file.
        """
        responses = [
            (key, self.decrypt_response(db, seq, response))
            for key, response in db.execute(_RESPONSES, (seq,)).fetchall()
        ]
        if db.execute("DELETE FROM unused_keys WHERE seq = ?", (-seq,)).rowcount:
            db.execute("DELETE FROM person_keys WHERE seq = ?", (-seq,))
        if not db.execute("SELECT 1 FROM person_keys WHERE seq = ?", (-seq,)).fetchone():
            db.execute(_KEEP_PREVIOUS, (seq,))
            _, wrapped = self._keys.new(owner_of(seq))
            db.execute("UPDATE person_keys SET wrapped = ? WHERE seq = ?", (wrapped, seq))
        db.execute("INSERT INTO unused_keys VALUES (?)", (-seq,))
        for key, response in responses:
            if response is not None:
                db.execute("UPDATE once SET answer = ? WHERE key = ?", (self.encrypt_response(db, seq, response), key))

    def encrypt_response(self, db: sqlite3.Connection, seq: int, body: bytes) -> bytes:
        """Encrypt the response stored under an idempotency key."""
        return self._encrypt(db, seq, RESPONSE, 1, body)

    def decrypt_response(self, db: sqlite3.Connection, seq: int, ciphertext: bytes) -> bytes | None:
        """Return the response; None if the key of its record was deleted."""
        row = db.execute("SELECT wrapped FROM person_keys WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return None
        owner = owner_of(seq)
        return self._keys.key(owner, row[0]).decrypt(ciphertext, context(RESPONSE, owner, 1))

    def without_key(self, db: sqlite3.Connection, after: int, limit: int) -> tuple[list[int], list[int]]:
        """Return the next records after a seq, and those without a key.

        The first call also returns the people in the trash and the merged records without a key.
        """
        rows = db.execute(_KEY_MISSING, (after, limit)).fetchall()
        without_key = [seq for seq, lacks_key in rows if lacks_key]
        if not after:
            without_key += [seq for (seq,) in db.execute(_OTHER_KEY_MISSING)]
        return [seq for seq, _ in rows], without_key

    def _encrypt(self, db: sqlite3.Connection, seq: int, kind: bytes, version: int, body: bytes) -> bytes:
        (wrapped,) = db.execute("SELECT wrapped FROM person_keys WHERE seq = ?", (seq,)).fetchone()
        owner = owner_of(seq)
        return self._keys.key(owner, wrapped).encrypt(body, context(kind, owner, version))


def owner_of(seq: int) -> bytes:
    """Return the 16 bytes encoded in the id of a record."""
    return _block(abs(seq), 0)


def _stored_fingerprint(people: Path) -> bytes | None:
    """Return the fingerprint of the secret, which an encrypted file contains in its place; None if not encrypted."""
    with closing(connect(people)) as db:
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
    return None if len(secret) == schema.SECRET else bytes(secret)


def _contains_people(people: Path) -> bool:
    with closing(connect(people)) as db:
        found: tuple[Any, ...] = db.execute(
            "SELECT EXISTS (SELECT 1 FROM people UNION SELECT 1 FROM once UNION SELECT 1 FROM trash "
            "UNION SELECT 1 FROM merged_people)"
        ).fetchone()
    return bool(found[0])


def _encrypt_empty(db: sqlite3.Connection, path: Path, encryption: Encryption) -> None:
    """Make an empty store encrypted."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
        if len(secret) == schema.SECRET:  # else another process did it
            if db.execute("SELECT 1 FROM person_keys WHERE seq > 0").fetchone():
                raise StoreConfigurationError(
                    f"{path} contains keys of records that are missing; restore the file of people, or move the key file away"
                )
            init_encryption(db, encryption, os.urandom(schema.SECRET))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it itself on a full disk, for example
            db.execute("ROLLBACK")
        raise
