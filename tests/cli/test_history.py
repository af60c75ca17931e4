"""Commands for the history of a record and for the feed of changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path


def lines(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_history_is_listed_and_restored(tmp_path: Path) -> None:
    (tmp_path / "people.ndjson").write_text('{"person_surname": "First"}\n')
    run(tmp_path, "import", "people.ndjson")
    person = lines(run(tmp_path, "search", "--surname", "first").stdout)[0]
    person_id = person["person_id"]
    (version,) = lines(run(tmp_path, "history", person_id).stdout)
    assert (version["version"], version["operation"], version["fields"]) == (1, "created", ["person_surname"])
    message = run(tmp_path, "restore-version", person_id, "1").stderr.decode()
    assert message == f"version 1 of {person_id} is restored as version 2\n"
    restored = lines(run(tmp_path, "history", person_id).stdout)[-1]
    assert (restored["by"], restored["operation"], restored["fields"]) == ("(command)", "restored", [])
    assert lines(run(tmp_path, "history", person_id, "--version", "1").stdout) == [person]


def test_missing_version_is_reported(tmp_path: Path) -> None:
    (tmp_path / "people.ndjson").write_text('{"person_surname": "First"}\n')
    run(tmp_path, "import", "people.ndjson")
    person_id = lines(run(tmp_path, "search", "--surname", "first").stdout)[0]["person_id"]
    failed = run(tmp_path, "restore-version", person_id, "7")
    assert failed.returncode == 1
    assert "no such version" in stderr_of(failed)


def test_changes_are_printed_from_a_token(tmp_path: Path) -> None:
    run(tmp_path, "store", "create")
    (start,) = lines(run(tmp_path, "changes").stdout)
    (tmp_path / "people.ndjson").write_text('{"person_surname": "A"}\n{"person_surname": "B"}\n')
    run(tmp_path, "import", "people.ndjson")
    first, second, last = lines(run(tmp_path, "changes", "--since", start["next"]).stdout)
    assert [change["operation"] for change in (first, second)] == ["created", "created"]
    assert lines(run(tmp_path, "changes", "--since", last["next"]).stdout)[0].keys() == {"next"}
    failed = run(tmp_path, "changes", "--since", "x")
    assert failed.returncode == 1
    assert "no token" in stderr_of(failed)
