"""`peopleinfo encryption`, and other commands on an encrypted store."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.commands import run, stderr_of
from tests.http.serving import HANG_TIMEOUT, serving
from tests.store_kinds import store_url

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "Zxqkanarie"


@pytest.fixture
def encryption(tmp_path: Path) -> str:
    """Create a key and return the value of PEOPLEINFO_ENCRYPTION that the command prints."""
    finished = run(tmp_path, "encryption", "create-key", "keys/master.key")
    assert finished.returncode == 0, finished.stderr
    printed = finished.stdout.decode().strip()
    assert printed == f"PEOPLEINFO_ENCRYPTION=file://{tmp_path}/keys/master.key"
    return printed.partition("=")[2]


def import_people(folder: Path, encryption: str = "") -> None:
    rows = "".join(json.dumps({"person_surname": f"{CANARY}{number}"}) + "\n" for number in range(3))
    finished = run(
        folder, "import", "-", "--format", "ndjson", stdin=rows.encode(), settings={"ENCRYPTION": encryption}
    )
    assert finished.returncode == 0, finished.stderr


def file_contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("*people.db*")).lower()


def test_store_is_encrypted_and_its_keys_are_rotated_while_it_is_served(tmp_path: Path, encryption: str) -> None:
    import_people(tmp_path)
    assert CANARY.lower().encode() in file_contents(tmp_path)
    rejected = run(tmp_path, "search", "--surname", CANARY, settings={"ENCRYPTION": encryption})
    assert rejected.returncode == 1
    assert "run `peopleinfo encryption enable`" in stderr_of(rejected)

    enabled = run(tmp_path, "encryption", "enable", "--encryption", encryption)
    assert enabled.returncode == 0, enabled.stderr
    assert enabled.stdout.decode().startswith(
        "3 records encrypted; start the service with PEOPLEINFO_ENCRYPTION=file://"
    )
    assert CANARY.lower().encode() not in file_contents(tmp_path)
    assert "set PEOPLEINFO_ENCRYPTION to their master key" in stderr_of(run(tmp_path, "search", "--surname", CANARY))

    with serving(tmp_path, encryption=encryption):
        rotated = run(tmp_path, "encryption", "rotate", settings={"ENCRYPTION": encryption})
        assert rotated.stdout == b"all record keys are wrapped with generation 2\n", rotated.stderr
        in_use = run(tmp_path, "encryption", "enable", "--encryption", encryption)
        assert "stop the service" in stderr_of(in_use)
    found = run(tmp_path, "search", "--surname", f"{CANARY}1", settings={"ENCRYPTION": encryption})
    assert json.loads(found.stdout)["person_surname"] == f"{CANARY}1"


def test_purge_deletes_records_without_a_key(tmp_path: Path, encryption: str) -> None:
    import_people(tmp_path, encryption)
    settings = {"ENCRYPTION": encryption}
    people = [json.loads(line) for line in run(tmp_path, "export", settings=settings).stdout.splitlines()]
    shutil.copy(tmp_path / "people.db", tmp_path / "yesterday.db")
    assert run(tmp_path, "person", "delete", people[0]["person_id"], settings=settings).returncode == 0
    for file in tmp_path.glob("people.db*"):
        file.unlink()
    shutil.move(tmp_path / "yesterday.db", tmp_path / "people.db")
    checked = run(tmp_path, "encryption", "purge", "--dry-run", settings=settings)
    assert checked.stdout == b"1 of 3 records have no key\n", checked.stderr
    removed = run(tmp_path, "encryption", "purge", settings=settings)
    assert removed.stdout == b"1 of 3 records have no key; deleted\n"
    assert run(tmp_path, "encryption", "purge", "--dry-run", settings=settings).stdout.startswith(b"0 of 2")


def test_rotate_replaces_the_master_key(tmp_path: Path, encryption: str) -> None:
    run(tmp_path, "encryption", "create-key", "new.key")
    new = f"file://{tmp_path}/new.key"
    import_people(tmp_path, encryption)
    changed = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
    assert changed.returncode == 0, changed.stderr
    shutil.rmtree(tmp_path / "keys")
    assert len(run(tmp_path, "export", settings={"ENCRYPTION": new}).stdout.splitlines()) == 3


def test_master_key_is_not_replaced_while_a_service_runs(tmp_path: Path, encryption: str) -> None:
    run(tmp_path, "encryption", "create-key", "new.key")
    new = f"file://{tmp_path}/new.key"
    import_people(tmp_path, encryption)
    with serving(tmp_path, encryption=encryption) as server:
        rejected = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
        assert rejected.returncode == 1
        assert "another process has people.db open; stop the service" in stderr_of(rejected)
        added = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT)
        assert added.status_code == 201
    changed = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
    assert changed.returncode == 0, stderr_of(changed)
    assert len(run(tmp_path, "export", settings={"ENCRYPTION": new}).stdout.splitlines()) == 4
    with serving(tmp_path, encryption=new) as server:
        added = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT)
        assert added.status_code == 201


def test_table_is_encrypted_by_a_copy_while_it_is_served(tmp_path: Path, encryption: str) -> None:
    plain = store_url("ministack", tmp_path / "plain")
    encrypted = plain.replace("?", "-encrypted?", 1)
    with serving(tmp_path, store_url=plain) as server:
        made = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT).json()
        settings = {"STORE_URL": encrypted, "ENCRYPTION": encryption}
        created = run(tmp_path, "store", "create", settings=settings)
        assert created.returncode == 0, stderr_of(created)
        copied = run(tmp_path, "copy", plain, encrypted, "--from-encryption", "none", settings=settings)
        assert copied.returncode == 0, stderr_of(copied)
    assert run(tmp_path, "store", "check", settings=settings).returncode == 0
    with serving(tmp_path, store_url=encrypted, encryption=encryption) as server:
        rotated = run(tmp_path, "encryption", "rotate", settings=settings)
        assert rotated.stdout == b"all record keys are wrapped with generation 2\n", stderr_of(rotated)
        assert httpx.get(f"{server.url}/v1/people/{made['person_id']}", timeout=HANG_TIMEOUT).json() == made


def test_enable_names_unencrypted_copies_of_a_migration(tmp_path: Path, encryption: str) -> None:
    import_people(tmp_path)
    shutil.copy(tmp_path / "people.db", tmp_path / "people.db.v1.bak")
    enabled = run(tmp_path, "encryption", "enable", "--encryption", encryption)
    assert "people.db.v1.bak is an older, unencrypted copy" in enabled.stdout.decode()


def test_missing_or_wrong_key_is_rejected_with_a_remedy(tmp_path: Path, encryption: str) -> None:
    import_people(tmp_path, encryption)
    missing = run(tmp_path, "serve", "--port", "0", settings={"ENCRYPTION": f"file://{tmp_path}/not-there.key"})
    assert missing.returncode == 1
    assert "without it the records cannot be read" in stderr_of(missing)
    run(tmp_path, "encryption", "create-key", "wrong.key")
    wrong = run(tmp_path, "serve", "--port", "0", settings={"ENCRYPTION": f"file://{tmp_path}/wrong.key"})
    assert wrong.returncode == 1
    assert "encrypted with another master key than" in stderr_of(wrong)


@pytest.mark.parametrize(
    "url", ["/etc/key", "file://host/key", "file:///", "file:///k?index=both", "aws-kms://", "vault://x"]
)
def test_invalid_encryption_url_is_rejected(tmp_path: Path, url: str) -> None:
    rejected = run(tmp_path, "search", "--surname", "x", settings={"ENCRYPTION": url})
    assert rejected.returncode == 2
    assert "PEOPLEINFO_ENCRYPTION is not a key URL: " in stderr_of(rejected)
    assert not (tmp_path / "people.db").exists()


def test_database_of_another_program_is_not_encrypted(tmp_path: Path, encryption: str) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as db:
        db.execute("CREATE TABLE people (name TEXT)")
    assert "database of another program" in stderr_of(run(tmp_path, "encryption", "enable", "--encryption", encryption))


def test_scan_of_a_store_encrypted_just_before_demands_a_reindex(tmp_path: Path, encryption: str) -> None:
    anna = {"person_name": "Anna", "person_surname": CANARY, "person_birthdate": "1990-02-11", "email": "a@example.org"}
    rows = (json.dumps(anna) + "\n") * 2
    assert run(tmp_path, "import", "-", "--format", "ndjson", stdin=rows.encode()).returncode == 0
    assert run(tmp_path, "encryption", "enable", "--encryption", encryption).returncode == 0

    settings = {"ENCRYPTION": encryption}
    scan = run(tmp_path, "duplicates", "scan", settings=settings)
    assert scan.returncode == 1
    assert "run `peopleinfo reindex`" in stderr_of(scan)
    assert run(tmp_path, "reindex", settings=settings).returncode == 0
    assert "1 new pairs" in stderr_of(run(tmp_path, "duplicates", "scan", settings=settings))
