"""Output files of commands: an invalid name overwrites no file of the store and prints no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import environment, run, stderr_of

STORE_FILES = ["people.db", "./people.db", "people.db-wal", "keys-of-people.db"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text("surname,birthdate\nHarte,1990\nLund,never\n")
    assert run(tmp_path, "import", "in.csv", "--rejects", "bad.csv").returncode == 3
    (tmp_path / "bad.csv").unlink()
    (tmp_path / "directory").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", STORE_FILES)
@pytest.mark.parametrize("command", [["export"], ["import", "in.csv", "--force", "--rejects"]], ids=" ".join)
def test_no_command_overwrites_a_file_of_the_store(folder: Path, command: list[str], name: str) -> None:
    ran = run(folder, *command, name)
    assert ran.returncode == 2
    assert f"{Path(name)} is a file of the store sqlite:///people.db: name another file" in stderr_of(ran)
    assert b"people           1" in run(folder, "stats").stdout


def test_audit_log_in_a_file_of_the_store_is_rejected(folder: Path) -> None:
    audit = {"AUDIT_LOG": f"file://{folder}/people.db"}
    for command in (["serve", "--port", "0"], ["retention", "run", "--retention-period", "1d"]):
        ran = run(folder, *command, settings=audit)
        assert ran.returncode == 2
        assert "is a file of the store: name another file" in stderr_of(ran)
    assert b"people           1" in run(folder, "stats").stdout


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["export", "directory"], "cannot write directory: it is a directory"),
        (["export", "missing/out.csv"], "cannot write missing/out.csv: directory missing does not exist"),
        (["import", "in.csv", "--rejects", "directory"], "cannot write directory: it is a directory"),
        (
            ["import", "in.csv", "--rejects", "missing/bad"],
            "cannot write missing/bad: directory missing does not exist",
        ),
        (["import", "directory"], "cannot open directory: Is a directory"),
        (["backup", "in.csv"], "Not a directory"),
        (["backup", "new", "--key", "directory"], "--key directory: Is a directory"),
        (["audit", "follow", "directory"], "directory: Is a directory"),
        (["audit", "verify", "directory"], "cannot read directory: Is a directory"),
        (["encryption", "create-key", "in.csv/key"], "in.csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unusable_file_name_is_reported_in_one_line(folder: Path, command: list[str], reason: str) -> None:
    ran = run(folder, *command)
    assert ran.returncode in (1, 2)
    assert reason in stderr_of(ran)
    assert "report it" not in stderr_of(ran)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "command", [["stats"], ["export"], ["search", "--surname", "Harte"], ["doctor"], ["openapi"], ["--version"]]
)
def test_full_disk_is_reported_in_one_line(folder: Path, command: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "peopleinfo", *command],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.decode().splitlines()[-1] == "peopleinfo: output: No space left on device"
    assert b"Traceback" not in ran.stderr
