"""From the path of a file to the store in it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreConfigurationError, StoreMissing
from peopleinfo.stores.sqlite import connection, schema
from peopleinfo.stores.sqlite.connection import connect, make_private, require_exists
from peopleinfo.stores.sqlite.errors import ErrorTranslator, code_of
from peopleinfo.stores.sqlite.files import Files, path_of_keys
from peopleinfo.stores.sqlite.store import SqliteStore
from peopleinfo.stores.sqlite.writer import GroupCommitWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from peopleinfo.crypto.master_key import Encryption
    from peopleinfo.crypto.record_encryption import RecordEncryption
    from peopleinfo.stores.sqlite.person_keys import DecryptingReader, EncryptingWriter

_READ_BUSY_TIMEOUT_MS: Final = 250  # how long a read in the loop waits for a process that recovers the file
_CHECKPOINT_PAGES: Final = 8_000  # of 4 KiB; a page that many writes touch is copied to the file once for all of them


@asynccontextmanager
async def open_sqlite(
    path: Path, *, now: Callable[[], datetime], encryption: Encryption | None = None, create: bool = True
) -> AsyncIterator[SqliteStore]:
    """Open the store in a file. With `create` a missing file is made, readable by its owner alone.

    With `encryption` whatever is kept of people is sealed. Raises StoreMissing; StoreUnusable, saying what to mend.
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
            sealer, secret = _load_encryption(reader, path, encryption, create=create)
            scanner = stack.enter_context(closing(connect(path)))
            written = stack.enter_context(closing(_open_writer(path, sealed=sealer is not None)))
            reads, _, _ = [_create_views(db, path, sealer, errors) for db in (reader, scanner, written)]
            files = Files(_databases(path, sealed=sealer is not None), after_connections)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error
        threads = stack.enter_context(ThreadPoolExecutor(1, "sqlite-scanner"))
        reader.execute(f"PRAGMA busy_timeout = {_READ_BUSY_TIMEOUT_MS}")
        writer = GroupCommitWriter(
            written, files.guard(written), two_files=sealer is not None, errors=errors, log_size=files.log_size
        )
        stack.push_async_callback(writer.close)
        sealed = _encrypting_writer(sealer)
        yield SqliteStore(
            reader, scanner, threads, writer, files, errors, now, secret=secret, sealed=sealed, reads=reads
        )


def _load_encryption(
    db: sqlite3.Connection, path: Path, encryption: Encryption | None, *, create: bool
) -> tuple[RecordEncryption | None, bytes]:
    """Return what people are sealed with, None when they are not, and the secret of the deployment."""
    (secret,) = db.execute("SELECT secret FROM deployment").fetchone()
    if encryption is not None:
        from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - a plain store has no use for it

        sealer = person_keys.open_encryption(path, encryption, create=create)
        return sealer, sealer.secret
    if len(secret) != schema.SECRET:
        raise StoreConfigurationError(
            f"the people in {path} are sealed: say in PEOPLEINFO_ENCRYPTION where the key is (docs/encryption.md)"
        )
    return None, secret


def _encrypting_writer(sealer: RecordEncryption | None) -> EncryptingWriter | None:
    if sealer is None:
        return None
    from peopleinfo.stores.sqlite.person_keys import EncryptingWriter  # noqa: PLC0415 - as above

    return EncryptingWriter(sealer)


def _open_writer(path: Path, *, sealed: bool) -> sqlite3.Connection:
    if sealed:
        from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - as above

        db = person_keys.connect_to_both(path)
    else:
        db = connect(path)
    db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return db


def _databases(path: Path, *, sealed: bool) -> list[Path]:
    return [path, path_of_keys(path)] if sealed else [path]


def _create_views(
    db: sqlite3.Connection, path: Path, sealer: RecordEncryption | None, errors: ErrorTranslator
) -> DecryptingReader | None:
    """Make the views by which people are read: whatever lies in the file, they show it plain."""
    if sealer is None:
        db.execute(schema.READABLE)
        db.execute(schema.IN_ORDER)
        return None
    from peopleinfo.stores.sqlite import person_keys  # noqa: PLC0415 - as above

    if len(db.execute("PRAGMA database_list").fetchall()) == 1:
        connection.attach(db, path_of_keys(path), "keys")
    return person_keys.DecryptingReader(db, sealer, errors)


def _unusable(path: Path, error: Exception) -> StoreConfigurationError:
    """Return the error for a file that cannot be opened: what is wrong with it, and what to do."""
    if path.is_dir():
        return StoreConfigurationError(f"{path} is a directory: PEOPLEINFO_STORE_URL has to name a file")
    if not isinstance(error, sqlite3.Error):
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return StoreConfigurationError(f"cannot open {path}: {reason}; see PEOPLEINFO_STORE_URL and its permissions")
    code = code_of(error)
    remedy = next((remedy for start, remedy in _REMEDIES.items() if code.startswith(start)), _PERMISSIONS)
    return StoreConfigurationError(f"cannot open {path}: {error} ({code}); {remedy}")


_PERMISSIONS: Final = "see PEOPLEINFO_STORE_URL and the permissions of the file and its folder"
_REMEDIES: Final = {  # beginning of SQLite's code → remedy
    "SQLITE_CORRUPT": "`peopleinfo doctor` names the damaged file; restore a backup (docs/operations.md, Damaged files)",
    "SQLITE_NOTADB": "name another file in PEOPLEINFO_STORE_URL, or restore a backup (docs/operations.md, Damaged files)",
    "SQLITE_FULL": "free space on its disk",
    "SQLITE_IOERR": "check that its disk works and has free space",
    "SQLITE_BUSY": "end the program that has locked it",
}
