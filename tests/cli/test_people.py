"""People are looked up without a server; the other commands say what there is to say."""

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
from tests.cli.commands import COMMAND, environment, run, said

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
    ("asked", "found"),
    [
        (["MÜLLER"], ["Anna", "Bob"]),
        (["muller", "--exact"], []),
        (["Müller", "--exact"], ["Anna"]),
        (["--surname-prefix", "m"], ["Carl", "Anna", "Bob"]),
        (["muller", "--born-from", "1980", "--born-to", "1990-03"], ["Anna"]),
        (["--name", "carl"], ["Carl"]),
        (["muller", "--limit", "1"], ["Anna"]),
    ],
)
def test_people_are_found_as_over_http(folder: Path, asked: list[str], found: list[str]) -> None:
    assert names(run(folder, "search", *asked)) == found


def test_nobody_is_said_in_words(folder: Path) -> None:
    assert "nobody found" in said(run(folder, "search", "Nobody"))


def test_a_search_that_makes_no_sense_is_refused_in_words(folder: Path) -> None:
    ran = run(folder, "search", "a", "--surname-prefix", "b")
    assert ran.returncode == 2
    assert "cannot be combined with surname" in said(ran)


def test_a_person_is_read_by_id(folder: Path) -> None:
    (line,) = run(folder, "search", "meyer").stdout.splitlines()
    assert run(folder, "get", json.loads(line)["person_id"]).stdout.strip() == line


def test_an_id_of_nobody_exits_1(folder: Path) -> None:
    ran = run(folder, "get", "0" * 32)
    assert ran.returncode == 1
    assert "there is no person with this id" in said(ran)


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """Run a command whose output is a terminal, and return what it shows."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment() | {"TERM": "xterm"}, stdout=its, stderr=its
    ) as process:
        os.close(its)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the terminal is closed when the command has ended
            pass
        os.close(ours)
        assert process.wait() == 0
    return shown.decode()


def test_a_terminal_shows_a_table(folder: Path) -> None:
    shown = on_a_terminal(folder, "search", "meyer")
    assert "surname" in shown
    assert "Meyer" in shown
    assert "{" not in shown


def test_json_is_shown_on_a_terminal_when_asked_for(folder: Path) -> None:
    assert json.loads(on_a_terminal(folder, "search", "meyer", "--json"))["person_name"] == "Carl"


def test_a_terminal_shows_the_progress_of_an_import(folder: Path) -> None:
    (folder / "more.csv").write_text("surname\n" + "A\n" * 30_000)
    assert "rows," in on_a_terminal(folder, "import", "more.csv")


def test_the_doctor_finds_a_healthy_store_healthy(folder: Path) -> None:
    ran = run(folder, "doctor")
    assert ran.returncode == 0
    assert b"FAIL" not in ran.stdout


def test_the_doctor_sees_that_others_can_read_the_file(folder: Path) -> None:
    (folder / "people.db").chmod(0o644)
    ran = run(folder, "doctor")
    assert ran.returncode == 1
    assert b"FAIL  people.db can be read by others than its owner: chmod 600 people.db" in ran.stdout


def test_the_doctor_sees_another_programs_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    ran = run(tmp_path, "doctor")
    assert ran.returncode == 1
    assert b"another program" in ran.stdout


@pytest.mark.parametrize(
    ("store", "reason"), [("mysql://x", "PEOPLEINFO_STORE_URL"), ("sqlite:////proc/none/people.db", "there is no")]
)
def test_a_store_that_cannot_be_used_is_named(tmp_path: Path, store: str, reason: str) -> None:
    ran = run(tmp_path, "search", "a", "--store-url", store)
    assert ran.returncode in (1, 2)
    assert reason in said(ran)


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert run(tmp_path, "version").stdout.decode().strip() == f"peopleinfo {__version__}"


def test_the_document_is_printed(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "openapi").stdout)["openapi"] == "3.1.0"


COMMANDS = ["serve", "import", "export", "search", "get", "doctor", "openapi", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_gives_an_example(tmp_path: Path, command: str) -> None:
    ran = run(tmp_path, command, "--help")
    assert ran.returncode == 0
    assert f"Example: peopleinfo {command}" in " ".join(ran.stdout.decode().split())


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    listed = run(tmp_path, "--help").stdout.decode()
    assert all(command in listed for command in COMMANDS)


def test_a_command_loads_only_what_it_needs() -> None:
    script = "import sys; from peopleinfo.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script, "version"], capture_output=True, text=True, check=True, env=environment()
    ).stdout.split()
    assert {"falcon", "uvicorn", "cryptography", "rich.progress", "sqlite3"}.isdisjoint(loaded)
