"""A server with damaged files reports the damage and the remedy; no incomplete response looks complete."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from peopleinfo.crypto.master_key import create_file
from tests.cli.commands import run, stderr_of
from tests.http.serving import HANG_TIMEOUT, Server, started

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = 4096
PEOPLE: Final = 3_000
ENCRYPTED: Final = pytest.mark.parametrize("encrypted", [False, True])


def settings_of(folder: Path, *, encrypted: bool) -> dict[str, Any]:
    key = folder / "master.key"
    if encrypted and not key.exists():
        create_file(key)
    return {"encryption": f"file://{key}"} if encrypted else {}


def fill(folder: Path, *, encrypted: bool) -> None:
    """Create a store of several thousand people."""
    rows = [{"person_surname": f"Noise{number}", "note": "x" * 500} for number in range(PEOPLE)]
    lines = "\n".join(map(json.dumps, rows))
    with started(folder, **settings_of(folder, encrypted=encrypted)) as server:
        headers = {"Content-Type": "application/x-ndjson"}
        response = httpx.post(f"{server.url}/v1/people/import", content=lines, headers=headers, timeout=HANG_TIMEOUT)
        assert response.status_code == 200
        server.terminate()


def damage(path: Path, pages: int) -> None:
    """Overwrite pages with noise, except the first ones, which contain the schema."""
    noise = random.Random(7)
    with path.open("r+b") as file:
        total = path.stat().st_size // PAGE
        for page in noise.sample(range(4, total), min(pages, total - 4)):
            file.seek(page * PAGE)
            file.write(noise.randbytes(PAGE))


def damage_record(path: Path) -> None:
    """Change one byte within a record, which no check of SQLite detects."""
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        found = db.execute("SELECT max(body) FROM people").fetchone() if "people" in tables else None
    offset = content.index(found[0][-50:]) if found else len(content) - 700
    content[offset] ^= 0xFF
    path.write_bytes(content)


def export_looks_complete(server: Server) -> bool:
    """Return whether an export looks complete."""
    try:
        return httpx.get(f"{server.url}/v1/people/export", timeout=HANG_TIMEOUT).status_code == 200
    except httpx.RemoteProtocolError:
        return False


@pytest.mark.parametrize(
    ("encrypted", "name", "pages"),
    [(False, "people.db", 200), (True, "people.db", 200), (True, "keys-of-people.db", 3)],
)
def test_damage_is_logged_once_and_makes_the_service_unavailable(
    tmp_path: Path, encrypted: bool, name: str, pages: int
) -> None:
    fill(tmp_path, encrypted=encrypted)
    damage(tmp_path / name, pages)
    with started(tmp_path, **settings_of(tmp_path, encrypted=encrypted)) as server:
        assert not any(export_looks_complete(server) for _ in range(3))
        while (status := httpx.get(f"{server.url}/status", timeout=HANG_TIMEOUT)).status_code == 200:
            pass  # the last health check may be a second old
        assert server.terminate() == 0
        log = [json.loads(line) for line in server.log.read_bytes().splitlines()]
    assert "restore a backup (docs/operations.md" in status.json()["store"]
    (reported,) = [line for line in log if line["event"] == "store_damaged"]
    assert reported["level"] == "error"
    assert reported["code"].startswith(("SQLITE_CORRUPT", "DECRYPTION_FAILED"))
    assert "restore a backup" in reported["reason"]
    assert server.log.read_text().count("SQLITE_CORRUPT") <= 1


@ENCRYPTED
def test_doctor_and_commands_that_read_all_records_report_damaged_pages(tmp_path: Path, encrypted: bool) -> None:
    fill(tmp_path, encrypted=encrypted)
    damage(tmp_path / "people.db", 200)
    settings = {name.upper(): value for name, value in settings_of(tmp_path, encrypted=encrypted).items()}
    result = run(tmp_path, "doctor", settings=settings)
    assert result.returncode == 1
    assert b"FAIL  people.db is damaged: " in result.stdout
    assert b"restore a backup (docs/operations.md" in result.stdout
    for command in (["stats"], ["export", "people.ndjson"], ["backup", "saved", "--key", "backup.key"]):
        ran = run(tmp_path, *command, settings=settings)
        assert ran.returncode == 1
        assert "restore a backup (docs/operations.md" in stderr_of(ran)
    assert not (tmp_path / "people.ndjson").exists()


@pytest.mark.parametrize(
    ("encrypted", "name"), [(False, "people.db"), (True, "people.db"), (True, "keys-of-people.db")]
)
def test_doctor_reports_a_changed_byte_in_a_record(tmp_path: Path, encrypted: bool, name: str) -> None:
    fill(tmp_path, encrypted=encrypted)
    settings = {name.upper(): value for name, value in settings_of(tmp_path, encrypted=encrypted).items()}
    assert run(tmp_path, "doctor", settings=settings).returncode == 0
    damage_record(tmp_path / name)
    result = run(tmp_path, "doctor", settings=settings)
    assert result.returncode == 1
    assert b"FAIL  store: a record " in result.stdout
    assert b"restore a backup" in result.stdout


def test_doctor_reports_a_damaged_file_of_keys(tmp_path: Path) -> None:
    fill(tmp_path, encrypted=True)
    damage(tmp_path / "keys-of-people.db", 3)
    settings = {name.upper(): value for name, value in settings_of(tmp_path, encrypted=True).items()}
    result = run(tmp_path, "doctor", settings=settings)
    assert result.returncode == 1
    assert b"ok    people.db has no damaged page" in result.stdout
    assert b"FAIL  keys-of-people.db is damaged: " in result.stdout


def test_start_with_a_damaged_first_page_reports_the_remedy(tmp_path: Path) -> None:
    fill(tmp_path, encrypted=False)
    with (tmp_path / "people.db").open("r+b") as file:
        file.write(random.Random(7).randbytes(PAGE))
    for command in (["serve", "--port", "0"], ["stats"]):
        ran = run(tmp_path, *command)
        assert ran.returncode == 1
        assert "SQLITE_NOTADB" in stderr_of(ran)
        assert "restore a backup" in stderr_of(ran)
    assert run(tmp_path, "doctor").returncode == 1


def test_export_that_reaches_damage_late_does_not_look_complete(tmp_path: Path) -> None:
    fill(tmp_path, encrypted=False)
    path = tmp_path / "people.db"
    page = path.read_bytes().index(f'"Noise{PEOPLE - 1}"'.encode()) // PAGE
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(random.Random(7).randbytes(PAGE))
    with started(tmp_path) as server:
        with httpx.stream("GET", f"{server.url}/v1/people/export", timeout=HANG_TIMEOUT) as response:
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                response.read()
        server.terminate()
    ran = run(tmp_path, "export", "out.ndjson.gz")
    assert ran.returncode == 1
    assert not list(tmp_path.glob("*out.ndjson*"))
