"""`peopleinfo merge` and `peopleinfo merges`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.commands import run, stderr_of
from tests.cli.test_history import lines

if TYPE_CHECKING:
    from pathlib import Path


def test_people_are_merged_and_the_merge_is_undone(tmp_path: Path) -> None:
    audit = {"AUDIT_LOG": f"file://{tmp_path}/audit.jsonl"}
    rows = '{"person_surname": "First", "note": "1"}\n{"person_surname": "Second", "person_address": "12 Elm Row"}\n'
    (tmp_path / "people.ndjson").write_text(rows)
    run(tmp_path, "import", "people.ndjson")
    first, second = (
        lines(run(tmp_path, "search", "--surname", surname).stdout)[0]["person_id"] for surname in ("first", "second")
    )
    take = ("--take", f"person_surname={second}")
    (preview,) = lines(run(tmp_path, "merge", first, second, *take, "--preview").stdout)
    assert preview["merge_id"] is None
    (merged,) = lines(run(tmp_path, "merge", first, second, *take, settings=audit).stdout)
    assert merged["survivor"]["person_surname"] == "Second"
    assert merged["replaces"] == [second]
    assert lines(run(tmp_path, "search", "--surname", "first").stdout) == []
    assert lines(run(tmp_path, "merges", "list", second).stdout) == lines(
        run(tmp_path, "merges", "show", merged["merge_id"]).stdout
    )
    (undone,) = lines(run(tmp_path, "merges", "undo", merged["merge_id"], settings=audit).stdout)
    assert undone["survivor"]["person_surname"] == "First"
    assert [person["person_address"] for person in undone["merged"]] == ["12 Elm Row"]
    (record,) = lines(run(tmp_path, "merges", "list", first).stdout)
    assert (record["by"], record["undone_by"]) == ("(command)", "(command)")
    events = (tmp_path / "audit.jsonl").read_text()
    assert events.count('"intent":"mergePeople"') == events.count('"intent":"undoMerge"') == 2
    assert "Elm Row" not in events


def test_invalid_merge_is_reported(tmp_path: Path) -> None:
    run(tmp_path, "store", "create")
    failed = run(tmp_path, "merges", "show", "0" * 32)
    assert failed.returncode == 1
    assert "no merge with this id" in stderr_of(failed)
    failed = run(tmp_path, "merges", "undo", "0" * 32, "--keep", "person_name=first")
    assert failed.returncode == 2
    assert "survivor, merged or both" in stderr_of(failed)


def test_pair_of_the_review_queue_is_merged(tmp_path: Path) -> None:
    row = '{"person_name": "Jonathan", "person_surname": "Zwillinger", "person_birthdate": "1980-04-03"}\n'
    (tmp_path / "people.ndjson").write_text(row + row.replace("}", ', "note": "1"}'))
    run(tmp_path, "import", "people.ndjson")
    run(tmp_path, "duplicates", "scan")
    (pair,) = lines(run(tmp_path, "duplicates", "list").stdout)
    (merged,) = lines(run(tmp_path, "duplicates", "merge", pair["pair"]).stdout)
    assert [merged["survivor"]["person_id"], *merged["replaces"]] == [each["person_id"] for each in pair["people"]]
    assert lines(run(tmp_path, "duplicates", "list").stdout) == []


def test_decision_about_a_pair_is_audited(tmp_path: Path) -> None:
    row = '{"person_name": "Jonathan", "person_surname": "Zwillinger", "person_birthdate": "1980-04-03"}\n'
    (tmp_path / "people.ndjson").write_text(row + row.replace("}", ', "note": "1"}'))
    run(tmp_path, "import", "people.ndjson")
    run(tmp_path, "duplicates", "scan")
    (pair,) = lines(run(tmp_path, "duplicates", "list").stdout)
    audit = {"AUDIT_LOG": f"file://{tmp_path}/audit.jsonl"}
    run(tmp_path, "duplicates", "different", pair["pair"], settings=audit)
    events = lines((tmp_path / "audit.jsonl").read_bytes())
    people = [[person["person_id"]] for person in pair["people"]]
    assert [event["people"] for event in events if event.get("intent") == "decideDuplicate"] == people
    assert [event["people"] for event in events if event["action"] == "decideDuplicate"] == people


def test_certain_pairs_are_listed_then_merged(tmp_path: Path) -> None:
    people = (
        ("Jonathan", "Zwillinger", "1980-04-03", "j@example.org"),
        ("Charlotte", "Eriksen", "1961-07-21", "c@example.org"),
    )
    row = '{"person_name": "%s", "person_surname": "%s", "person_birthdate": "%s", "email": "%s"}'
    rows = [row % person for person in people]
    (tmp_path / "people.ndjson").write_text("\n".join(rows + [one.replace("}", ', "note": "1"}') for one in rows]))
    run(tmp_path, "import", "people.ndjson")
    run(tmp_path, "duplicates", "scan")
    listed = run(tmp_path, "duplicates", "merge", "--grade", "certain")
    assert [pair["outcome"] for pair in lines(listed.stdout)] == ["certain", "certain"]
    assert "pairs: 2 certain\nnothing is merged yet: add --apply" in stderr_of(listed)
    audit = {"AUDIT_LOG": f"file://{tmp_path}/audit.jsonl"}
    done = run(tmp_path, "duplicates", "merge", "--grade", "certain", "--apply", settings=audit)
    merged = lines(done.stdout)
    assert [pair["outcome"] for pair in merged] == ["merged", "merged"]
    assert "pairs: 2 merged" in stderr_of(done)
    events = lines((tmp_path / "audit.jsonl").read_bytes())
    audited = [event["people"][0] for event in events if event["action"] == "mergePeople"]
    assert audited == [person_id for pair in merged for person_id in (pair["survivor"], pair["merged"])]
    again = run(tmp_path, "duplicates", "merge", "--grade", "certain", "--apply")
    assert (again.stdout, stderr_of(again)) == (b"", "pairs: none\n")
    (undone,) = lines(run(tmp_path, "merges", "undo", merged[0]["merge_id"]).stdout)
    assert [person["person_id"] for person in undone["merged"]] == [merged[0]["merged"]]


def test_merge_of_all_pairs_takes_only_certain_ones(tmp_path: Path) -> None:
    run(tmp_path, "store", "create")
    for arguments in (
        ["--grade", "probable"],
        ["--apply"],
        ["0" * 64, "--grade", "certain"],
        ["0" * 64, "--apply"],
        [],
    ):
        failed = run(tmp_path, "duplicates", "merge", *arguments)
        assert failed.returncode == 2, arguments
        assert "--grade certain" in stderr_of(failed)
