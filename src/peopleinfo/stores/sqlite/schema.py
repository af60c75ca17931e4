"""The layout of the database file, and how a file of an older layout comes to today's."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from peopleinfo.errors import StoreConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

APPLICATION_ID: Final = 0x50656F70  # "Peop", in the file's header
SECRET: Final = 32  # bytes of the deployment's secret; where people are sealed it lies with their keys, and here is a mark of 16 bytes

# Step n takes a file from layout n to layout n + 1. A step that was released is never changed.
#
# People lie in the order of their surname's key, so that a page of one surname is read from neighbouring pages of the file however large
# it grows (ADR 2). `seq` is the order of creation and is never used twice; the id of a person is made from it.
MIGRATIONS: Final = (
    """
    CREATE TABLE people (
        surname_key TEXT NOT NULL,
        seq INTEGER NOT NULL,
        fold INTEGER NOT NULL,      -- FOLD_VERSION of surname_key
        version INTEGER NOT NULL,
        body BLOB NOT NULL,         -- the JSON that is sent
        PRIMARY KEY (surname_key, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX people_by_seq ON people (seq);

    CREATE TABLE once (             -- idempotency keys of the last day
        key BLOB PRIMARY KEY,
        content BLOB NOT NULL,      -- digest of what was asked
        seq INTEGER NOT NULL,
        answer BLOB,                -- the JSON of the first answer; NULL when the person has been erased
        expires_at INTEGER NOT NULL -- seconds since 1970
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX once_by_seq ON once (seq);
    CREATE INDEX once_by_expiry ON once (expires_at);

    CREATE TABLE imports (
        import_id BLOB PRIMARY KEY,
        rows INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE deployment (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        secret BLOB NOT NULL,
        last_seq INTEGER NOT NULL
    ) STRICT;
    INSERT INTO deployment VALUES (1, new_secret(), 0);
    """,
    """
    CREATE TABLE api_keys (
        digest BLOB PRIMARY KEY,
        body BLOB NOT NULL          -- the JSON of an ApiKey
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE foreign_ids (      -- of people who were taken over from another store (ADR 11)
        person_id BLOB PRIMARY KEY,
        seq INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE ended_sessions (   -- of the console, until their cookies expire
        session_id BLOB PRIMARY KEY,
        expires_at INTEGER NOT NULL -- seconds since 1970
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ended_sessions_by_expiry ON ended_sessions (expires_at);
    """,
)

# How people are read; sealed ones by views of the same names (`keys`).
READABLE: Final = "CREATE TEMP VIEW readable AS SELECT * FROM people"
IN_ORDER: Final = "CREATE TEMP VIEW in_order AS SELECT * FROM people INDEXED BY people_by_seq"


def migrate(
    db: sqlite3.Connection, path: Path, steps: Sequence[str] = MIGRATIONS, *, application: int = APPLICATION_ID
) -> None:
    """Bring the file to today's layout; an older one is copied beside itself first (`people.db.v1.bak`).

    Several processes may do this at once: the first one does the work. Raises StoreUnusable for a newer layout or another program's file.
    """
    if schema_version(db, path, len(steps), application=application) == len(steps):
        return
    db.create_function("new_secret", 0, lambda: secrets.token_bytes(SECRET))
    db.execute("BEGIN IMMEDIATE")
    try:
        before = schema_version(db, path, len(steps), application=application)  # another process may have been faster
        if 0 < before < len(steps):
            _copy(path, path.with_name(f"{path.name}.v{before}.bak"))
        for step in range(before, len(steps)):
            for statement in _statements(steps[step]):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it
            db.execute("ROLLBACK")
        raise


def schema_version(
    db: sqlite3.Connection, path: Path, newest: int = len(MIGRATIONS), *, application: int = APPLICATION_ID
) -> int:
    """Return the layout of the file, 0 when it is empty. Raises StoreUnusable for a newer layout or another program's file."""
    # The tables first: they and the marks come in one transaction, so where there are tables of ours the marks are there too.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (made_by,) = db.execute("PRAGMA application_id").fetchone()
    (number,) = db.execute("PRAGMA user_version").fetchone()
    if tables and made_by != application:
        raise StoreConfigurationError(
            f"{path} is a database of another program: name another file in PEOPLEINFO_STORE_URL"
        )
    if number > newest:
        raise StoreConfigurationError(
            f"{path} was written by a newer PeopleInfo (layout {number}, this one knows {newest}): upgrade PeopleInfo, "
            f"or go back to the copy made before the upgrade ({path.name}.v{newest}.bak, if it is there)"
        )
    return int(number)


def _copy(path: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    # Read by a connection of its own: SQLite does not copy from one that is writing.
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(target)) as copy:
        db.backup(copy)


def _statements(script: str) -> list[str]:
    """Divide a script into statements; `executescript` would commit the transaction first."""
    statements, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
