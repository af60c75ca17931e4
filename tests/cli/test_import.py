"""`peopleinfo import`: formats, rejects, errors and interruption."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import stat
import subprocess
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import run, started, stderr_of, surnames

if TYPE_CHECKING:
    from pathlib import Path

MANY = 60_000  # rows: several batches, so that an import can be interrupted between them


def table(folder: Path, *lines: str) -> Path:
    path = folder / "people.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def long_table(folder: Path) -> Path:
    return table(folder, "surname", *(f"S{number}" for number in range(MANY)))


def test_valid_rows_are_stored_and_invalid_ones_rejected_with_line_and_reason(tmp_path: Path) -> None:
    table(tmp_path, "surname,dob", "A,1990", 'B,"not a\ndate"', "C,1991")
    ran = run(tmp_path, "import", "people.csv")
    assert (ran.returncode, surnames(tmp_path)) == (3, ["A", "C"])
    assert "people.csv: 3 rows read, 2 stored, 1 rejected; rejected rows: people.csv.rejects.csv" in stderr_of(ran)
    rejects = tmp_path / "people.csv.rejects.csv"
    assert ',3,"person_birthdate must' in rejects.read_text()
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_corrected_rejects_can_be_imported(tmp_path: Path) -> None:
    table(tmp_path, "surname,dob", "A,never")
    run(tmp_path, "import", "people.csv")
    rejects = tmp_path / "people.csv.rejects.csv"
    rejects.write_text(rejects.read_text().replace("never", "1990"))
    assert run(tmp_path, "import", rejects.name).returncode == 0
    (person,) = map(json.loads, run(tmp_path, "export").stdout.splitlines())
    assert (person["person_surname"], "reject_line" in person) == ("A", False)


def test_file_of_rejects_is_created_only_for_a_reject(tmp_path: Path) -> None:
    table(tmp_path, "surname", "A")
    assert run(tmp_path, "import", "people.csv").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "people.db"]


def test_older_file_of_rejects_is_not_overwritten(tmp_path: Path) -> None:
    table(tmp_path, "surname,dob", "A,never")
    (tmp_path / "people.csv.rejects.csv").write_text("corrected")
    assert "rejected rows: people.csv.rejects.2.csv" in stderr_of(run(tmp_path, "import", "people.csv"))
    assert (tmp_path / "people.csv.rejects.csv").read_text() == "corrected"


def test_import_prints_the_mapped_columns(tmp_path: Path) -> None:
    table(tmp_path, "Last Name,street,city", "A,1 Road,Town")
    ran = run(tmp_path, "import", "people.csv", "--map", "person_address=street city")
    assert "Last Name -> person_surname" in stderr_of(ran)
    assert "street + city -> person_address" in stderr_of(ran)


def test_second_import_of_a_file_stores_nothing(tmp_path: Path) -> None:
    table(tmp_path, "surname", "A", "B")
    run(tmp_path, "import", "people.csv")
    again = run(tmp_path, "import", "people.csv")
    assert (again.returncode, surnames(tmp_path)) == (0, ["A", "B"])
    assert "2 rows read, 2 unchanged; --force stores the unchanged rows again" in stderr_of(again)


def test_force_imports_a_file_again(tmp_path: Path) -> None:
    table(tmp_path, "surname", "A")
    run(tmp_path, "import", "people.csv")
    assert "1 stored" in stderr_of(run(tmp_path, "import", "people.csv", "--force"))
    assert surnames(tmp_path) == ["A", "A"]


def test_dry_run_validates_every_row_and_stores_nothing(tmp_path: Path) -> None:
    table(tmp_path, "surname,dob", "A,1990", "B,never")
    run(tmp_path, "store", "create")
    ran = run(tmp_path, "import", "people.csv", "--dry-run")
    assert (ran.returncode, surnames(tmp_path)) == (3, [])
    assert "2 rows read, 1 stored, 1 rejected (dry run: nothing is stored)" in stderr_of(ran)


def test_same_file_with_other_options_is_another_import(tmp_path: Path) -> None:
    table(tmp_path, "surname,nickname", "A,B")
    run(tmp_path, "import", "people.csv")
    run(tmp_path, "import", "people.csv", "--map", "person_surname=nickname")
    assert surnames(tmp_path) == ["A", "B"]


def test_stdin_with_one_import_id_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        ran = run(tmp_path, "import", "-", "--import-id", "monday", stdin=b'{"person_surname":"A"}\n')
        assert ran.returncode == 0
    assert surnames(tmp_path) == ["A"]


def test_several_files_are_imported_compressed_or_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"surname\nA\n"))
    (tmp_path / "b.ndjson").write_bytes(b'{"person_surname":"B"}\n')
    (tmp_path / "c.json").write_bytes(b'[{"person_surname":"C"}]')
    assert run(tmp_path, "import", "a.csv.gz", "b.ndjson", "c.json").returncode == 0
    assert surnames(tmp_path) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("content", "flags", "reason"),
    [
        (None, [], "cannot open people.csv: No such file"),
        (b"", [], "the header is missing"),
        (b"a,b\n1,2\n", [], "no column contains a name"),
        (b"surname,surname\nA,B\n", [], "more than one column"),
        (
            b"surname\nA\n",
            ["--map", "person_address=residence"],
            "column 'residence' for person_address does not exist",
        ),
        (b"surname\nA\n", ["--map", "person_address"], "must be FIELD=COLUMN"),
        (b"surname\nA\n", ["--encoding", "klingon"], "unknown encoding 'klingon'"),
        (b"surname\nA\n", ["--format", "xml"], "must be csv, ndjson, json, vcard"),
        (b'[{"person_surname":"A"}', [], "line 1"),
        (gzip.compress(b"surname\n" + os.urandom(20_000).hex().encode())[:9_000], [], "cannot be decompressed"),
    ],
)
def test_unreadable_file_is_rejected_with_the_reason(
    tmp_path: Path, content: bytes | None, flags: list[str], reason: str
) -> None:
    if content is not None:
        (tmp_path / "people.csv").write_bytes(content)
    ran = run(tmp_path, "import", "people.csv", *flags)
    assert ran.returncode in (1, 2)
    assert reason in stderr_of(ran)


def test_truncated_array_keeps_its_valid_rows_and_rejects(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_text('[{"person_surname":"A"},\n{"person_surname":5},\n{"person_surname":"B"},\n{')
    ran = run(tmp_path, "import", "people.json")
    assert (ran.returncode, surnames(tmp_path)) == (1, ["A", "B"])
    assert "2 records before it are stored" in stderr_of(ran)
    assert '"reject_line":2' in (tmp_path / "people.json.rejects.ndjson").read_text()


def test_directory_is_rejected_as_input(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    ran = run(tmp_path, "import", "folder")
    assert ran.returncode == 1
    assert "cannot open folder: Is a directory" in stderr_of(ran)


def interrupted_import(folder: Path, signals: list[int], chance: random.Random) -> list[int]:
    """Import a long table, interrupt it with each signal after a random time and return the exit statuses."""
    long_table(folder)
    statuses = []
    for number in signals:
        with started(folder, "import", "people.csv", stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            process.stderr.readline()  # the mapped columns: storing rows starts now
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.3))
            process.send_signal(number)
            text = process.stderr.read().decode()
            statuses.append(process.wait())
        assert "Traceback" not in text
        if statuses[-1] == 130:
            assert "run the same command again to resume" in text
    return statuses


@pytest.mark.parametrize(("number", "times", "status"), [(signal.SIGKILL, 4, -signal.SIGKILL), (signal.SIGINT, 1, 130)])
def test_interrupted_import_resumes_and_stores_every_row_once(
    tmp_path: Path, number: int, times: int, status: int
) -> None:
    chance = random.Random(7)
    for attempt in count():  # repeat while the import completes before the signal
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if status in interrupted_import(folder, [number] * times, chance):
            break
    assert run(folder, "import", "people.csv").returncode == 0
    assert surnames(folder) == sorted(f"S{number}" for number in range(MANY))


def test_two_processes_that_import_one_file_store_every_row_once(tmp_path: Path) -> None:
    long_table(tmp_path)
    run(tmp_path, "store", "create")
    both = [started(tmp_path, "import", "people.csv", stderr=subprocess.PIPE) for _ in range(2)]
    texts = [process.communicate()[1].decode() for process in both]
    assert 0 in [process.returncode for process in both]
    assert not any("Traceback" in text for text in texts)
    assert surnames(tmp_path) == sorted(f"S{number}" for number in range(MANY))


def test_import_prints_rows_with_a_probable_duplicate(tmp_path: Path) -> None:
    rows = b"name,surname,dob,address\n" + b"".join(
        b"Name%d,Other%d,%d-06-15,%d Elm Row\n" % (number, number, 1900 + number, number) for number in range(60)
    )
    assert run(tmp_path, "import", "-", stdin=rows).returncode == 0
    again = b"name,surname,dob,address\nName7,Other7,1907-06-15,7 Elm Row Leeds\nNew,Person,1990-01-01,\n"
    ran = run(tmp_path, "import", "-", "--duplicates", "skip", stdin=again)
    [printed] = map(json.loads, ran.stdout.splitlines())
    assert (printed["line"], printed["result"], printed["duplicate"]["grade"]) == (2, "skipped", "certain")
    assert b"2 rows read, 1 stored, 1 skipped" in ran.stderr
    assert run(tmp_path, "import", "-", "--duplicates", "never", stdin=again).returncode == 2
    # A scan adds the pairs of all records to the queue, and a decision removes one.
    assert run(tmp_path, "import", "-", "--force", stdin=again).returncode == 0
    assert b"63 records compared" in run(tmp_path, "duplicates", "scan").stderr
    listed = [json.loads(line) for line in run(tmp_path, "duplicates", "list").stdout.splitlines()]
    assert json.loads(run(tmp_path, "duplicates", "show", listed[0]["pair"]).stdout) == listed[0]
    assert run(tmp_path, "duplicates", "different", listed[0]["pair"]).returncode == 0
    assert listed[0] not in map(json.loads, run(tmp_path, "duplicates", "list").stdout.splitlines())
    assert len(run(tmp_path, "duplicates", "list", "--state", "different").stdout.splitlines()) == 1
