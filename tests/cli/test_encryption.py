"""`peopleinfo encryption`, and what every command says when the people are sealed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.commands import run, said
from tests.http.serving import HANG_TIMEOUT, serving
from tests.store_kinds import store_url

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "Zxqkanarie"


@pytest.fixture
def encryption(tmp_path: Path) -> str:
    """Make a key and return the setting that names it, as the command prints it."""
    finished = run(tmp_path, "encryption", "create-key", "keys/master.key")
    assert finished.returncode == 0, finished.stderr
    printed = finished.stdout.decode().strip()
    assert printed == f"PEOPLEINFO_ENCRYPTION=file://{tmp_path}/keys/master.key"
    return printed.partition("=")[2]


def stored(folder: Path, encryption: str = "") -> None:
    rows = "".join(json.dumps({"person_surname": f"{CANARY}{number}"}) + "\n" for number in range(3))
    finished = run(
        folder, "import", "-", "--format", "ndjson", stdin=rows.encode(), settings={"ENCRYPTION": encryption}
    )
    assert finished.returncode == 0, finished.stderr


def kept(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("*people.db*")).lower()


def test_people_are_sealed_served_and_their_keys_changed_meanwhile(tmp_path: Path, encryption: str) -> None:
    stored(tmp_path)
    assert CANARY.lower().encode() in kept(tmp_path)
    refused = run(tmp_path, "search", CANARY, settings={"ENCRYPTION": encryption})
    assert refused.returncode == 1
    assert "run `peopleinfo encryption enable`" in said(refused)

    sealed = run(tmp_path, "encryption", "enable", "--encryption", encryption)
    assert sealed.returncode == 0, sealed.stderr
    assert sealed.stdout.decode().startswith(
        "3 people were sealed; start the service with PEOPLEINFO_ENCRYPTION=file://"
    )
    assert CANARY.lower().encode() not in kept(tmp_path)
    assert "set PEOPLEINFO_ENCRYPTION to their master key" in said(run(tmp_path, "search", CANARY))

    with serving(tmp_path, encryption=encryption):
        rotated = run(tmp_path, "encryption", "rotate", settings={"ENCRYPTION": encryption})
        assert rotated.stdout == b"every person's key is wrapped by generation 2 now\n", rotated.stderr
        in_use = run(tmp_path, "encryption", "enable", "--encryption", encryption)
        assert "stop the service" in said(in_use)
    found = run(tmp_path, "search", f"{CANARY}1", settings={"ENCRYPTION": encryption})
    assert json.loads(found.stdout)["person_surname"] == f"{CANARY}1"


def test_what_a_backup_brings_back_of_the_erased_is_removed(tmp_path: Path, encryption: str) -> None:
    stored(tmp_path, encryption)
    given = {"ENCRYPTION": encryption}
    people = [json.loads(line) for line in run(tmp_path, "export", settings=given).stdout.splitlines()]
    shutil.copy(tmp_path / "people.db", tmp_path / "yesterday.db")
    assert run(tmp_path, "person", "delete", people[0]["person_id"], settings=given).returncode == 0
    for file in tmp_path.glob("people.db*"):
        file.unlink()
    shutil.move(tmp_path / "yesterday.db", tmp_path / "people.db")
    looked = run(tmp_path, "encryption", "purge", "--dry-run", settings=given)
    assert looked.stdout == b"1 of 3 people have no key any more\n", looked.stderr
    removed = run(tmp_path, "encryption", "purge", settings=given)
    assert removed.stdout == b"1 of 3 people have no key any more; what was left of them is removed\n"
    assert run(tmp_path, "encryption", "purge", "--dry-run", settings=given).stdout.startswith(b"0 of 2")


def test_the_master_key_is_changed(tmp_path: Path, encryption: str) -> None:
    run(tmp_path, "encryption", "create-key", "new.key")
    new = f"file://{tmp_path}/new.key"
    stored(tmp_path, encryption)
    changed = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
    assert changed.returncode == 0, changed.stderr
    shutil.rmtree(tmp_path / "keys")
    assert len(run(tmp_path, "export", settings={"ENCRYPTION": new}).stdout.splitlines()) == 3


def test_master_key_is_not_changed_while_a_service_runs_with_the_former_one(tmp_path: Path, encryption: str) -> None:
    run(tmp_path, "encryption", "create-key", "new.key")
    new = f"file://{tmp_path}/new.key"
    stored(tmp_path, encryption)
    with serving(tmp_path, encryption=encryption) as server:
        refused = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
        assert refused.returncode == 1
        assert "another process has people.db open; stop the service" in said(refused)
        added = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT)
        assert added.status_code == 201
    changed = run(tmp_path, "encryption", "rotate", "--encryption", new, "--from", encryption)
    assert changed.returncode == 0, said(changed)
    assert len(run(tmp_path, "export", settings={"ENCRYPTION": new}).stdout.splitlines()) == 4
    with serving(tmp_path, encryption=new) as server:
        added = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT)
        assert added.status_code == 201


def test_a_table_is_sealed_by_copying_it_while_it_is_served(tmp_path: Path, encryption: str) -> None:
    plain = store_url("ministack", tmp_path / "plain")
    sealed = plain.replace("?", "-sealed?", 1)
    with serving(tmp_path, store_url=plain) as server:
        made = httpx.post(f"{server.url}/v1/people", json={"person_surname": CANARY}, timeout=HANG_TIMEOUT).json()
        settings = {"STORE_URL": sealed, "ENCRYPTION": encryption}
        created = run(tmp_path, "store", "create", settings=settings)
        assert created.returncode == 0, said(created)
        copied = run(tmp_path, "copy", plain, sealed, "--from-encryption", "none", settings=settings)
        assert copied.returncode == 0, said(copied)
    assert run(tmp_path, "store", "check", settings=settings).returncode == 0
    with serving(tmp_path, store_url=sealed, encryption=encryption) as server:
        rotated = run(tmp_path, "encryption", "rotate", settings=settings)
        assert rotated.stdout == b"every person's key is wrapped by generation 2 now\n", said(rotated)
        assert httpx.get(f"{server.url}/v1/people/{made['person_id']}", timeout=HANG_TIMEOUT).json() == made


def test_copies_that_an_upgrade_left_are_named(tmp_path: Path, encryption: str) -> None:
    stored(tmp_path)
    shutil.copy(tmp_path / "people.db", tmp_path / "people.db.v1.bak")
    sealed = run(tmp_path, "encryption", "enable", "--encryption", encryption)
    assert "people.db.v1.bak is an older copy of the same people, and plain" in sealed.stdout.decode()


def test_the_wrong_key_is_refused_with_what_to_do(tmp_path: Path, encryption: str) -> None:
    stored(tmp_path, encryption)
    missing = run(tmp_path, "serve", "--port", "0", settings={"ENCRYPTION": f"file://{tmp_path}/not-there.key"})
    assert missing.returncode == 1
    assert "without it the records cannot be read" in said(missing)
    run(tmp_path, "encryption", "create-key", "wrong.key")
    wrong = run(tmp_path, "serve", "--port", "0", settings={"ENCRYPTION": f"file://{tmp_path}/wrong.key"})
    assert wrong.returncode == 1
    assert "encrypted with another master key than" in said(wrong)


@pytest.mark.parametrize(
    "url", ["/etc/key", "file://host/key", "file:///", "file:///k?index=both", "aws-kms://", "vault://x"]
)
def test_an_encryption_that_is_not_understood_is_refused(tmp_path: Path, url: str) -> None:
    refused = run(tmp_path, "search", "x", settings={"ENCRYPTION": url})
    assert refused.returncode == 2
    assert "PEOPLEINFO_ENCRYPTION is not a key URL: " in said(refused)
    assert not (tmp_path / "people.db").exists()


def test_a_file_of_another_program_is_not_sealed(tmp_path: Path, encryption: str) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as db:
        db.execute("CREATE TABLE people (name TEXT)")
    assert "database of another program" in said(run(tmp_path, "encryption", "enable", "--encryption", encryption))
