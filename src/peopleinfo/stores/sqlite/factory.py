"""Opens the store in a database file."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreConfigurationError, StoreMissing
from peopleinfo.matching.match_entries import MatchEntries
from peopleinfo.people.history import DEFAULT_LIMITS
from peopleinfo.people.index_entries import DEFAULT_PLAN
from peopleinfo.stores.search_words import word_coder
from peopleinfo.stores.sqlite import connection, schema, update_order
from peopleinfo.stores.sqlite.connection import connect, make_private, require_exists
from peopleinfo.stores.sqlite.errors import ErrorTranslator, code_of
from peopleinfo.stores.sqlite.files import StoreFiles, path_of_keys
from peopleinfo.stores.sqlite.history import Recorder
from peopleinfo.stores.sqlite.search_entries import SearchEntries
from peopleinfo.stores.sqlite.store import SqliteStore
from peopleinfo.stores.sqlite.writer import GroupCommitWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.crypto.store_keys import RecordEncryption
    from peopleinfo.people.history import HistoryLimits
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.stores.sqlite.person_keys import DecryptingReader, EncryptingWriter

_READ_BUSY_TIMEOUT_MS: Final = 250  # reads in the event loop wait for a process that recovers the file
_CHECKPOINT_PAGES: Final = 8_000  # of 4 KiB; a checkpoint copies a page once, however many writes changed it


@asynccontextmanager
async def open_sqlite(
    path: Path,
    *,
    now: Callable[[], datetime],
    encryption: Encryption | None = None,
    limits: HistoryLimits = DEFAULT_LIMITS,
    plan: IndexPlan = DEFAULT_PLAN,
    create: bool = True,
) -> AsyncIterator[SqliteStore]:
    """Open the store in a file. With `create` a missing file is created, readable only by its owner.

    With `encryption` all stored records are encrypted. `limits` bound their history. `plan` selects the search indexes.
    Raises StoreMissing, and StoreConfigurationError with a remedy.
    """
    errors = ErrorTranslator()
    async with AsyncExitStack() as stack:
        after_connections = stack.enter_context(ExitStack())
        try:
            make_private(path) if create else require_exists(path)
            reader = stack.enter_context(closing(connect(path)))
            if not create and schema.schema_version(reader, path) == 0:
                raise StoreMissing(f"store in {path}")
            schema.migrate(reader, path)
            record_encryption, secret = _load_encryption(reader, path, encryption, create=create)
            scanner = stack.enter_context(closing(connect(path)))
            is_encrypted = record_encryption is not None
            writing = stack.enter_context(closing(_open_writer(path, encrypted=is_encrypted)))
            decryptor, _, _ = [_create_views(db, path, record_encryption, errors) for db in (reader, scanner, writing)]
            code = word_coder(secret) if record_encryption and not record_encryption.prefixes else None
            entries = SearchEntries(writing, plan, MatchEntries(secret), code)
            update_order.prepare_new_file(writing, plan)
            files = StoreFiles(_databases(path, encrypted=is_encrypted), after_connections)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error
        threads = stack.enter_context(ThreadPoolExecutor(1, "sqlite-scanner"))
        reader.execute(f"PRAGMA busy_timeout = {_READ_BUSY_TIMEOUT_MS}")
        writer = GroupCommitWriter(writing, files.guard(writing), errors=errors, log_size=files.log_size)
        stack.push_async_callback(writer.close)
        encryptor = _encrypting_writer(record_encryption)
        yield SqliteStore(
            reader,
            scanner,
            threads,
            writer,
            files,
            errors,
            now,
            secret=secret,
            encryptor=encryptor,
            decryptor=decryptor,
            recorder=Recorder(limits, now),
            entries=entries,
        )


def _load_encryption(
    db: sqlite3.Connection, path: Path, encryption: Encryption | None, *, create: bool
) -> tuple[RecordEncryption | None, bytes]:
    """Return the encryption of the records, None if they are not encrypted, and the deployment's secret."""
    (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
    if encryption is not None:
        from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - an unencrypted store does not need it

        record_encryption = person_keys.open_encryption(path, encryption, create=create)
        return record_encryption, record_encryption.secret
    if len(secret) != schema.SECRET:
        raise StoreConfigurationError(
            f"the records in {path} are encrypted; set PEOPLEINFO_ENCRYPTION to their master key (docs/encryption.md)"
        )
    return None, secret


def _encrypting_writer(record_encryption: RecordEncryption | None) -> EncryptingWriter | None:
    if record_encryption is None:
        return None
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter  # noqa: PLC0415 - as above

    return EncryptingWriter(record_encryption)


def _open_writer(path: Path, *, encrypted: bool) -> sqlite3.Connection:
    if encrypted:
        from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - as above

        db = person_keys.connect_to_both(path)
    else:
        db = connect(path)
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return db


def _databases(path: Path, *, encrypted: bool) -> list[Path]:
    return [path, path_of_keys(path)] if encrypted else [path]


def _create_views(
    db: sqlite3.Connection, path: Path, record_encryption: RecordEncryption | None, errors: ErrorTranslator
) -> DecryptingReader | None:
    """Create the views for reading records, which return plaintext in any store."""
    if record_encryption is None:
        db.execute(schema.READABLE)
        db.execute(schema.IN_ORDER)
        db.execute(schema.READABLE_HISTORY)
        db.execute(schema.READABLE_TRASH)
        db.execute(schema.READABLE_MERGED)
        db.execute(schema.READABLE_LOGS)
        return None
    from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - as above

    if "people_file" not in {
        name for _, name, _ in db.execute("PRAGMA database_list")
    }:  # the writer has both files open
        connection.attach(db, path_of_keys(path), "keys")
    return person_keys.DecryptingReader(db, record_encryption, errors)


def _unusable(path: Path, error: Exception) -> StoreConfigurationError:
    """Return the error for a file that cannot be opened, with its cause and a remedy."""
    if path.is_dir():
        return StoreConfigurationError(f"{path} is a directory; PEOPLEINFO_STORE_URL must name a file")
    if not isinstance(error, sqlite3.Error):
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return StoreConfigurationError(
            f"cannot open {path}: {reason}; check PEOPLEINFO_STORE_URL and the permissions of the path"
        )
    code = code_of(error)
    remedy = next((remedy for start, remedy in _REMEDIES.items() if code.startswith(start)), _PERMISSIONS)
    return StoreConfigurationError(f"cannot open {path}: {error} ({code}); {remedy}")


_PERMISSIONS: Final = "check PEOPLEINFO_STORE_URL and the permissions of the file and its directory"
_REMEDIES: Final = {  # prefix of SQLite's error code → remedy
    "SQLITE_CORRUPT": "`peopleinfo doctor` names the damaged file; restore a backup (docs/operations.md, Damaged files)",
    "SQLITE_NOTADB": "set PEOPLEINFO_STORE_URL to another file, or restore a backup (docs/operations.md, Damaged files)",
    "SQLITE_FULL": "free space on its disk",
    "SQLITE_IOERR": "check that its disk works and has free space",
    "SQLITE_BUSY": "end the process that holds the lock",
}
