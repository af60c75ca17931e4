"""`peopleinfo import` of a file that was imported before, and of an edited export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path


def test_grown_file_adds_the_new_row(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("name,surname\nBo,Ahn\nCy,Berg\n")
    assert "2 rows read, 2 stored" in stderr_of(run(tmp_path, "import", "in.csv"))
    with (tmp_path / "in.csv").open("a") as file:
        file.write("Di,Cho\n")
    assert "3 rows read, 1 stored, 2 unchanged" in stderr_of(run(tmp_path, "import", "in.csv"))
    assert "3 rows read, 3 stored" in stderr_of(run(tmp_path, "import", "in.csv", "--force"))


def test_edited_export_changes_the_edited_values(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("name,surname,mail\nBo,Ahn,a@example.org\nCy,Berg,b@example.org\n")
    run(tmp_path, "import", "in.csv")
    run(tmp_path, "export", "out.csv")
    exported = (tmp_path / "out.csv").read_text()
    (tmp_path / "edited.csv").write_text(exported.replace("a@example.org", "new@example.org"))
    done = run(tmp_path, "import", "edited.csv", "--key", "person_id")
    assert (done.returncode, "2 rows read, 1 updated, 1 unchanged" in stderr_of(done)) == (0, True), stderr_of(done)
    (tmp_path / "late.csv").write_text(exported.replace("a@example.org", "late@example.org"))
    done = run(tmp_path, "import", "late.csv", "--key", "person_id")
    assert (done.returncode, "1 unchanged, 1 conflict" in stderr_of(done)) == (3, True), stderr_of(done)
    assert "late@example.org" in (tmp_path / "late.csv.rejects.csv").read_text()


def test_unknown_key_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("surname\nAhn\n")
    done = run(tmp_path, "import", "in.csv", "--key", "mail")
    assert done.returncode != 0
    assert "key: must be one of person_id, email, phone" in stderr_of(done)
