"""`peopleinfo export`."""

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

from tests.cli.commands import run, started, stderr_of

if TYPE_CHECKING:
    from pathlib import Path

HANGS = 60
_PAGE = 4_096
PEOPLE = [
    '{"person_name":"Anna","person_surname":"Müller","n":1.50,"big":1e400,"long":12345678901234567890123,"minus":-0}',
    '{"person_surname":"O\\"Brien, Jr","person_address":"1 Road\\n\\"Town\\"","deep":{"a":[1,{"b":null}]}}',
    '{"person_name":"Suharto","person_birthdate":"1921-06-08","empty":"","formula":"=1+1"}',
]


def import_people(folder: Path) -> None:
    assert run(folder, "import", "-", stdin="\n".join(PEOPLE).encode()).returncode == 0


def without_read_only_fields(line: bytes) -> str:
    text = line.decode()
    head = text.index(",") + 1
    return "{" + text[head : text.index(',"version":')] + "}"


def test_ndjson_export_equals_the_import_byte_for_byte(tmp_path: Path) -> None:
    import_people(tmp_path)
    lines = run(tmp_path, "export").stdout.splitlines()
    assert sorted(map(without_read_only_fields, lines)) == sorted(PEOPLE)


def test_export_can_be_imported_into_another_store(tmp_path: Path) -> None:
    import_people(tmp_path)
    exported = run(tmp_path, "export").stdout
    elsewhere = ("--store-url", "sqlite:///other.db")
    assert run(tmp_path, "import", "-", *elsewhere, stdin=exported).returncode == 0
    again = run(tmp_path, "export", *elsewhere).stdout
    assert sorted(map(without_read_only_fields, again.splitlines())) == sorted(PEOPLE)


def test_csv_has_a_column_for_every_field(tmp_path: Path) -> None:
    import_people(tmp_path)
    run(tmp_path, "export", "people.csv")
    header = (tmp_path / "people.csv").read_text().splitlines()[0].split(",")
    assert header[:5] == ["person_id", "person_name", "person_surname", "person_birthdate", "person_address"]
    assert set(header[5:-3]) == {"n", "big", "long", "minus", "deep", "empty", "formula"}


def test_gz_file_is_compressed_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    import_people(tmp_path)
    assert "3 records exported" in stderr_of(run(tmp_path, "export", "people.ndjson.gz"))
    file = tmp_path / "people.ndjson.gz"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(gzip.decompress(file.read_bytes()).splitlines()) == 3


def test_filters_select_the_exported_records(tmp_path: Path) -> None:
    import_people(tmp_path)
    (line,) = run(tmp_path, "export", "--surname", "MULLER").stdout.splitlines()
    assert json.loads(line)["person_name"] == "Anna"


def test_failed_export_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("older")
    (tmp_path / "people.db").write_text("this is no database" * 100)
    assert run(tmp_path, "export", "people.csv").returncode == 1
    assert (tmp_path / "people.csv").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "people.db"]


def test_export_into_a_missing_directory_is_rejected(tmp_path: Path) -> None:
    failed = run(tmp_path, "export", "nowhere/people.csv")
    assert failed.returncode == 1
    assert "cannot write nowhere/people.csv" in stderr_of(failed)


def test_closed_pipe_ends_the_export_without_a_traceback(tmp_path: Path) -> None:
    lines = "\n".join(f'{{"person_surname":"S{number}"}}' for number in range(20_000))
    run(tmp_path, "import", "-", stdin=lines.encode())
    with started(tmp_path, "export", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_export_that_waits_for_a_full_pipe_stops_at_one_signal(tmp_path: Path, number: signal.Signals) -> None:
    import_many(tmp_path)
    with started(tmp_path, "export", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        wait_until_full(process.stdout.fileno())
        process.send_signal(number)
        assert process.wait(HANGS) == 128 + number
        assert process.stderr.read().decode() == f"peopleinfo: ended by {number.name}; no file was written\n"


def test_interrupted_export_leaves_no_file(tmp_path: Path) -> None:
    import_many(tmp_path)
    os.mkfifo(tmp_path / ".people.csv.partial")  # the command waits until it is read
    with (
        started(tmp_path, "export", "people.csv", stderr=subprocess.PIPE) as process,
        (tmp_path / ".people.csv.partial").open("rb") as pipe,
    ):
        wait_until_full(pipe.fileno())
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANGS) == 128 + signal.SIGTERM
    assert list(tmp_path.glob(".*")) + list(tmp_path.glob("people.csv*")) == []


def import_many(folder: Path) -> None:
    """Import more records than fit into a pipe."""
    lines = "\n".join(f'{{"person_surname":"S{number}","more":"{"x" * 1_000}"}}' for number in range(1_000))
    assert run(folder, "import", "-", stdin=lines.encode()).returncode == 0


def wait_until_full(pipe: int) -> None:
    """Wait until a writer has filled a pipe without a reader."""
    capacity = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    while int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little") < capacity - _PAGE:
        time.sleep(0.01)
