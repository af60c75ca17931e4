"""The schema of the database file and its migrations."""

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
SECRET: Final = 32  # bytes of the deployment's secret; with encryption the key file contains it, and this file a fingerprint of 16 bytes

# Migration n changes schema version n to n + 1. A released migration is never changed.
#
# Records are clustered by surname key, so that a search reads neighbouring pages of the file, whatever its size (ADR 2). `seq` is the order
# of creation and is never reused; the id of a record is derived from it.
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
        content BLOB NOT NULL,      -- digest of the request
        seq INTEGER NOT NULL,
        answer BLOB,                -- JSON of the first response; NULL after the record was deleted
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
    CREATE TABLE foreign_ids (      -- of records from another store (ADR 11)
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
    """
    ALTER TABLE imports RENAME TO checkpoints;
    ALTER TABLE checkpoints RENAME COLUMN import_id TO operation_id;
    ALTER TABLE checkpoints ADD COLUMN position BLOB NOT NULL DEFAULT x'';
    ALTER TABLE checkpoints ADD COLUMN finished INTEGER NOT NULL DEFAULT 0;
    DELETE FROM checkpoints WHERE operation_id = x'69db8feca4137f7fe17b513682d68d4ef883d7dd55062b460b57545e7e369169'; -- the lease of the retention
    -- A copy stored its position as the digest of its rows, a restore a fixed word. A finished copy had neither.
    UPDATE checkpoints SET finished = 1 WHERE digest = x'';
    UPDATE checkpoints SET digest = x'' WHERE digest = CAST('restore' AS BLOB);
    UPDATE checkpoints SET position = digest, digest = x'' WHERE length(digest) NOT IN (0, 32);

    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder BLOB NOT NULL,
        expires_at INTEGER NOT NULL -- seconds since 1970
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE people ADD COLUMN operation TEXT; -- of the current version; NULL for a new record
    ALTER TABLE people ADD COLUMN principal TEXT;
    CREATE TABLE history (              -- replaced versions, in the order of their replacement
        n INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL,
        version INTEGER NOT NULL,
        operation TEXT,                 -- that created this version
        principal TEXT,
        replaced_at INTEGER NOT NULL,   -- milliseconds since 1970
        body BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX history_by_version ON history (seq, version);
    CREATE TABLE changes (              -- the feed, in the order of the commits
        n INTEGER PRIMARY KEY,
        person_id BLOB NOT NULL,
        version INTEGER NOT NULL,
        operation TEXT NOT NULL,
        at INTEGER NOT NULL             -- milliseconds since 1970
    ) STRICT;
    """,
    """
    ALTER TABLE people ADD COLUMN plan INTEGER NOT NULL DEFAULT 0; -- of the search entries of the person; 0: not indexed

    CREATE TABLE search_entries (   -- ADR 16
        key TEXT NOT NULL,          -- kind and word
        names TEXT NOT NULL,        -- order of the person
        seq INTEGER NOT NULL,
        PRIMARY KEY (key, names, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE search_words (     -- the vocabulary of names
        key TEXT NOT NULL,          -- similar words share a key
        word TEXT NOT NULL,
        PRIMARY KEY (key, word)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE search_plans (
        plan INTEGER PRIMARY KEY AUTOINCREMENT,
        text TEXT NOT NULL UNIQUE,
        position INTEGER NOT NULL,  -- seq up to which reindex has indexed the people
        complete INTEGER NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE checkpoints ADD COLUMN started_at TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE match_statistics (     -- `peopleinfo.matching.statistics`
        only INTEGER PRIMARY KEY CHECK (only = 1),
        body BLOB NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE people ADD COLUMN import_id BLOB; -- of the current version; NULL if no import stored it
    ALTER TABLE history ADD COLUMN import_id BLOB;
    CREATE TABLE imports (
        import_id BLOB PRIMARY KEY,     -- in the order of the imports
        state TEXT NOT NULL,
        body BLOB NOT NULL              -- the JSON of an ImportEntry
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE imported (             -- people of an import, in batches
        import_id BLOB NOT NULL,
        n INTEGER NOT NULL,
        people BLOB NOT NULL,
        outcome BLOB,                   -- of their undo
        PRIMARY KEY (import_id, n)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE trash (                -- deleted people; none of them is in the table of people
        seq INTEGER PRIMARY KEY,
        person_id BLOB NOT NULL,
        version INTEGER NOT NULL,       -- that the deletion created
        body BLOB NOT NULL,
        principal TEXT,                 -- that deleted the person
        deleted_at INTEGER NOT NULL,    -- milliseconds since 1970
        expires_at INTEGER NOT NULL     -- milliseconds since 1970
    ) STRICT;
    CREATE INDEX trash_by_deletion ON trash (deleted_at, seq);
    CREATE INDEX trash_by_expiry ON trash (expires_at);
    CREATE TABLE unused_keys (          -- keys of erased people, which are about to be deleted
        seq INTEGER PRIMARY KEY
    ) STRICT;
    """,
    """
    ALTER TABLE changes ADD COLUMN merged_into BLOB;
    CREATE TABLE merged_people (        -- records merged into another one; none of them is in the table of people
        seq INTEGER PRIMARY KEY,
        person_id BLOB NOT NULL,
        survivor_seq INTEGER NOT NULL,
        merged_into BLOB NOT NULL,      -- id of the survivor
        merge_id BLOB NOT NULL,
        version INTEGER NOT NULL,       -- before the merge
        operation TEXT,
        principal TEXT,
        import_id BLOB,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX merged_people_by_survivor ON merged_people (survivor_seq);
    CREATE TABLE merge_logs (           -- events of the records into which others are merged
        seq INTEGER PRIMARY KEY,
        version INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE merges (               -- without values; also undone merges
        n INTEGER PRIMARY KEY,
        merge_id BLOB NOT NULL UNIQUE,
        body BLOB NOT NULL              -- the JSON of a MergeRecord
    ) STRICT;
    CREATE TABLE merge_members (
        seq INTEGER NOT NULL,
        merge_id BLOB NOT NULL,
        PRIMARY KEY (seq, merge_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX merge_members_by_merge ON merge_members (merge_id);
    """,
    """
    CREATE TABLE links (                -- pairs of possible duplicates
        first BLOB NOT NULL,            -- ids, in order
        second BLOB NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        grade INTEGER NOT NULL,         -- 0: certain
        doubt INTEGER NOT NULL,
        body BLOB NOT NULL,             -- the JSON of a Link
        PRIMARY KEY (first, second)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX links_by_second ON links (second);
    CREATE INDEX links_in_order ON links (state, grade, doubt, first, second);
    """,
    """
    ALTER TABLE search_entries RENAME TO settled_entries;
    CREATE TABLE recent_entries (       -- of imports (`peopleinfo.stores.sqlite.entry_rows`)
        key TEXT NOT NULL,
        names TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (key, names, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE VIEW search_entries AS
        SELECT key, names, seq FROM settled_entries UNION ALL SELECT key, names, seq FROM recent_entries;
    """,
)

# The views for reading records; `person_keys` defines decrypting views with the same names.
READABLE: Final = "CREATE TEMP VIEW readable AS SELECT * FROM people"
IN_ORDER: Final = "CREATE TEMP VIEW in_order AS SELECT * FROM people INDEXED BY people_by_seq"
READABLE_MERGED: Final = "CREATE TEMP VIEW readable_merged AS SELECT * FROM merged_people"
READABLE_LOGS: Final = "CREATE TEMP VIEW readable_logs AS SELECT * FROM merge_logs"
READABLE_HISTORY: Final = "CREATE TEMP VIEW readable_history AS SELECT * FROM history"
READABLE_TRASH: Final = "CREATE TEMP VIEW readable_trash AS SELECT * FROM trash"


def migrate(
    db: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS, *, application: int = APPLICATION_ID
) -> None:
    """Migrate the file to the newest schema, after copying it to a backup next to it (for example `people.db.v1.bak`).

    Several processes may call this at once. Raises StoreConfigurationError for a newer schema or a file of another program.
    """
    if schema_version(db, path, len(migrations), application=application) == len(migrations):
        return
    db.create_function("new_secret", 0, lambda: secrets.token_bytes(SECRET))
    db.execute("BEGIN IMMEDIATE")
    try:
        before = schema_version(
            db, path, len(migrations), application=application
        )  # another process may have migrated it
        if 0 < before < len(migrations):
            _copy(path, path.with_name(f"{path.name}.v{before}.bak"))
        for step in range(before, len(migrations)):
            for statement in _statements(migrations[step]):
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(f"PRAGMA user_version = {len(migrations)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it itself on a full disk, for example
            db.execute("ROLLBACK")
        raise


def schema_version(
    db: sqlite3.Connection, path: Path, newest: int = len(MIGRATIONS), *, application: int = APPLICATION_ID
) -> int:
    """Return the schema version, 0 for an empty file. Raises StoreConfigurationError for a newer schema or a file of another program."""
    # Read the tables first: one transaction creates them and both header values, so tables imply the header values.
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if tables and application_id != application:
        raise StoreConfigurationError(
            f"{path} is a database of another program; set PEOPLEINFO_STORE_URL to another file"
        )
    if version > newest:
        raise StoreConfigurationError(
            f"{path} was written by a newer PeopleInfo (schema version {version}, supported: {newest}); upgrade PeopleInfo, "
            f"or restore the copy made before the upgrade ({path.name}.v{newest}.bak, if it exists)"
        )
    return int(version)


def is_encrypted(db: sqlite3.Connection) -> bool:
    """Return whether the file contains a fingerprint in place of the deployment's secret."""
    (size,) = db.execute("SELECT length(secret) FROM deployment").fetchone()
    return bool(size != SECRET)


def _copy(path: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    # A separate connection, as SQLite cannot copy from one with a write transaction.
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(target)) as copy:
        db.backup(copy)


def _statements(script: str) -> list[str]:
    """Split a script into statements; `executescript` would commit the transaction first."""
    statements, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
