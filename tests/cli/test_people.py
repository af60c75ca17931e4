"""`peopleinfo search`, `get`, `doctor`, `openapi`, `version` and the help."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from peopleinfo import __version__
from tests.cli.commands import COMMAND, environment, run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = b"""surname,name,dob,address
M\xc3\xbcller,Anna,1990-02-11,1 Road
Muller,Bob,1950,
Meyer,Carl,2001,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run(tmp_path, "import", "-", stdin=PEOPLE).returncode == 0
    return tmp_path


def names(ran: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [json.loads(line)["person_name"] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--surname", "MÜLLER"], ["Anna", "Bob"]),
        (["--surname", "muller", "--exact"], []),
        (["--surname", "Müller", "--exact"], ["Anna"]),
        (["--surname-prefix", "m"], ["Carl", "Anna", "Bob"]),
        (["--surname", "muller", "--born-from", "1980", "--born-to", "1990-03"], ["Anna"]),
        (["--name", "carl"], ["Carl"]),
        (["--surname", "muller", "--limit", "1"], ["Anna"]),
    ],
)
def test_search_returns_the_same_records_as_the_api(folder: Path, arguments: list[str], found: list[str]) -> None:
    assert names(run(folder, "search", *arguments)) == found


def test_export_has_the_records_that_a_search_box_finds(folder: Path) -> None:
    assert names(run(folder, "export", "--query", "carl meyer")) == ["Carl"]
    ran = run(folder, "export", "--query", "carl", "--surname", "meyer")
    assert (ran.returncode, "cannot be combined with filters" in stderr_of(ran)) == (2, True)


@pytest.mark.parametrize("command", ["search", "export"])
def test_filters_have_the_names_of_the_api(folder: Path, command: str) -> None:
    shown = run(folder, command, "--help").stdout.decode()
    for option in ("--surname", "--surname-prefix", "--name", "--born-from", "--born-to"):
        assert f" {option} " in shown


def test_search_without_a_match_prints_a_message(folder: Path) -> None:
    assert "no records found" in stderr_of(run(folder, "search", "--surname", "Nobody"))


def test_contradictory_filters_are_rejected(folder: Path) -> None:
    ran = run(folder, "search", "--surname", "a", "--surname-prefix", "b")
    assert ran.returncode == 2
    assert "cannot be combined with surname" in stderr_of(ran)


def test_get_prints_a_record_by_id(folder: Path) -> None:
    (line,) = run(folder, "search", "--surname", "meyer").stdout.splitlines()
    assert run(folder, "get", json.loads(line)["person_id"]).stdout.strip() == line


def test_get_of_an_unknown_id_exits_1(folder: Path) -> None:
    ran = run(folder, "get", "0" * 32)
    assert ran.returncode == 1
    assert "there is no person with this id" in stderr_of(ran)


def test_get_prints_the_records_of_several_ids_in_order(folder: Path) -> None:
    lines = run(folder, "search", "--limit", "2").stdout.splitlines()
    first, second = (json.loads(line)["person_id"] for line in lines)
    ran = run(folder, "get", second, "0" * 32, first)
    assert ran.stdout.splitlines() == lines[::-1]
    assert ran.returncode == 1
    assert f"{'0' * 32}: there is no person with this id" in stderr_of(ran)


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """Run a command on a terminal and return its output."""
    terminal, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment() | {"TERM": "xterm"}, stdout=child, stderr=child
    ) as process:
        os.close(child)
        output = b""
        try:
            while chunk := os.read(terminal, 4096):
                output += chunk
        except OSError:  # the terminal is closed after the command
            pass
        os.close(terminal)
        assert process.wait() == 0
    return output.decode()


def test_search_prints_a_table_on_a_terminal(folder: Path) -> None:
    shown = on_a_terminal(folder, "search", "--surname", "meyer")
    assert "surname" in shown
    assert "Meyer" in shown
    assert "{" not in shown


def test_search_prints_json_on_a_terminal_with_the_json_option(folder: Path) -> None:
    assert json.loads(on_a_terminal(folder, "search", "--surname", "meyer", "--json"))["person_name"] == "Carl"


def test_import_shows_its_progress_on_a_terminal(folder: Path) -> None:
    (folder / "more.csv").write_text("surname\n" + "A\n" * 30_000)
    assert "rows," in on_a_terminal(folder, "import", "more.csv")


def test_doctor_passes_a_healthy_store(folder: Path) -> None:
    ran = run(folder, "doctor")
    assert ran.returncode == 0
    assert b"FAIL" not in ran.stdout


def test_doctor_reports_a_file_that_other_users_can_read(folder: Path) -> None:
    (folder / "people.db").chmod(0o644)
    ran = run(folder, "doctor")
    assert ran.returncode == 1
    assert b"FAIL  people.db is readable by other users: chmod 600 people.db" in ran.stdout


def test_doctor_reports_a_database_of_another_program(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as other:
        other.execute("CREATE TABLE other (x)")
    ran = run(tmp_path, "doctor")
    assert ran.returncode == 1
    assert b"another program" in ran.stdout


@pytest.mark.parametrize(
    ("store", "reason"), [("mysql://x", "PEOPLEINFO_STORE_URL"), ("sqlite:////proc/none/people.db", "there is no")]
)
def test_unusable_store_is_reported_by_name(tmp_path: Path, store: str, reason: str) -> None:
    ran = run(tmp_path, "search", "--surname", "a", "--store-url", store)
    assert ran.returncode in (1, 2)
    assert reason in stderr_of(ran)


def test_version_prints_the_version(tmp_path: Path) -> None:
    assert run(tmp_path, "version").stdout.decode().strip() == f"peopleinfo {__version__}"


def test_openapi_prints_the_document(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "openapi").stdout)["openapi"] == "3.1.0"


COMMANDS = ["serve", "import", "export", "search", "get", "doctor", "openapi", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(tmp_path: Path, command: str) -> None:
    ran = run(tmp_path, command, "--help")
    assert ran.returncode == 0
    assert f"Example: peopleinfo {command}" in " ".join(ran.stdout.decode().split())


def test_help_lists_every_command(tmp_path: Path) -> None:
    listed = run(tmp_path, "--help").stdout.decode()
    assert all(command in listed for command in COMMANDS)


def test_command_imports_no_unused_module() -> None:
    script = "import sys; from peopleinfo.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script, "version"], capture_output=True, text=True, check=True, env=environment()
    ).stdout.split()
    assert {"falcon", "uvicorn", "cryptography", "rich.progress", "sqlite3"}.isdisjoint(loaded)


def test_match_prints_the_candidates_with_their_evidence(folder: Path) -> None:
    assert run(folder, "duplicates", "count").stderr == b"3 records counted\n"
    ran = run(folder, "match", "--name", "Ana", "--surname", "Müller", "--born", "1990-02-11", "--address", "1 Road")
    [candidate] = json.loads(ran.stdout)["candidates"]
    assert candidate["person"]["person_name"] == "Anna"
    assert "similar first name, by spelling or sound" in [item["because"] for item in candidate["evidence"]]
    assert run(folder, "match").returncode == 2
