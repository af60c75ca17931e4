"""Everybody comes out again as they went in."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import signal
import stat
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, said, started

if TYPE_CHECKING:
    from pathlib import Path

HANGS = 60
_PAGE = 4_096
PEOPLE = [
    '{"person_name":"Anna","person_surname":"Müller","n":1.50,"big":1e400,"long":12345678901234567890123,"minus":-0}',
    '{"person_surname":"O\\"Brien, Jr","person_address":"1 Road\\n\\"Town\\"","deep":{"a":[1,{"b":null}]}}',
    '{"person_name":"Suharto","person_birthdate":"1921-06-08","empty":"","formula":"=1+1"}',
]


def stored(folder: Path) -> None:
    assert run(folder, "import", "-", stdin="\n".join(PEOPLE).encode()).returncode == 0


def without_the_servers(line: bytes) -> str:
    text = line.decode()
    head = text.index(",") + 1
    return "{" + text[head : text.index(',"version":')] + "}"


def test_ndjson_gives_back_what_was_taken_to_the_letter(tmp_path: Path) -> None:
    stored(tmp_path)
    lines = run(tmp_path, "export").stdout.splitlines()
    assert sorted(map(without_the_servers, lines)) == sorted(PEOPLE)


def test_what_was_exported_can_be_imported_elsewhere(tmp_path: Path) -> None:
    stored(tmp_path)
    exported = run(tmp_path, "export").stdout
    elsewhere = ("--store-url", "sqlite:///other.db")
    assert run(tmp_path, "import", "-", *elsewhere, stdin=exported).returncode == 0
    again = run(tmp_path, "export", *elsewhere).stdout
    assert sorted(map(without_the_servers, again.splitlines())) == sorted(PEOPLE)


def test_a_table_has_a_column_for_every_member(tmp_path: Path) -> None:
    stored(tmp_path)
    run(tmp_path, "export", "people.csv")
    header = (tmp_path / "people.csv").read_text().splitlines()[0].split(",")
    assert header[:5] == ["person_id", "person_name", "person_surname", "person_birthdate", "person_address"]
    assert set(header[5:-3]) == {"n", "big", "long", "minus", "deep", "empty", "formula"}


def test_a_file_is_its_owners_alone_and_packed_when_its_name_says_so(tmp_path: Path) -> None:
    stored(tmp_path)
    assert "3 people exported" in said(run(tmp_path, "export", "people.ndjson.gz"))
    file = tmp_path / "people.ndjson.gz"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 3


def test_only_those_who_are_meant_are_exported(tmp_path: Path) -> None:
    stored(tmp_path)
    (line,) = run(tmp_path, "export", "--surname", "MULLER").stdout.splitlines()
    assert json.loads(line)["person_name"] == "Anna"


def test_an_export_that_fails_leaves_the_older_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("older")
    (tmp_path / "people.db").write_text("this is no database" * 100)
    assert run(tmp_path, "export", "people.csv").returncode == 1
    assert (tmp_path / "people.csv").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "people.db"]


def test_an_export_to_where_there_is_no_folder_is_refused_in_words(tmp_path: Path) -> None:
    failed = run(tmp_path, "export", "nowhere/people.csv")
    assert failed.returncode == 1
    assert "cannot write nowhere/people.csv" in said(failed)


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    lines = "\n".join(f'{{"person_surname":"S{number}"}}' for number in range(20_000))
    run(tmp_path, "import", "-", stdin=lines.encode())
    with started(tmp_path, "export", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_export_that_waits_for_a_full_pipe_ends_at_one_signal(tmp_path: Path, number: signal.Signals) -> None:
    stored_many(tmp_path)
    with started(tmp_path, "export", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        until_full(process.stdout.fileno())
        process.send_signal(number)
        assert process.wait(HANGS) == 128 + number
        assert process.stderr.read().decode() == f"peopleinfo: ended by {number.name}; no file was written\n"


def test_interrupted_export_leaves_no_file(tmp_path: Path) -> None:
    stored_many(tmp_path)
    os.mkfifo(tmp_path / ".people.csv.partial")  # at which the command waits until it is read
    with (
        started(tmp_path, "export", "people.csv", stderr=subprocess.PIPE) as process,
        (tmp_path / ".people.csv.partial").open("rb") as pipe,
    ):
        until_full(pipe.fileno())
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANGS) == 128 + signal.SIGTERM
    assert list(tmp_path.glob(".*")) + list(tmp_path.glob("people.csv*")) == []


def stored_many(folder: Path) -> None:
    """Store more people than fit into a pipe."""
    lines = "\n".join(f'{{"person_surname":"S{number}","more":"{"x" * 1_000}"}}' for number in range(1_000))
    assert run(folder, "import", "-", stdin=lines.encode()).returncode == 0


def until_full(pipe: int) -> None:
    """Wait until a writer has filled a pipe, which nobody reads."""
    capacity = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    while int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little") < capacity - _PAGE:
        time.sleep(0.01)
