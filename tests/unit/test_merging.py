"""Merge and unmerge: lossless, reversible in any order, without cycles, and with a decision for edits that may belong to either record."""

from __future__ import annotations

from typing import Any

import pytest

from peopleinfo.errors import ChangedSinceMerge, MergeCycle, MergeTooLarge, PersonMerged, UndoFirst, VersionConflict
from peopleinfo.matching.merge_rules import (
    MAX_DEPTH,
    MAX_RECORDS,
    Merge,
    Record,
    check_versions,
    is_same_merge,
    plan_merge,
    plan_undo,
)
from peopleinfo.matching.record_events import content, created, edited
from tests.merge_graph import Merges

ANNA = {"person_name": "Anna", "person_surname": "Roth", "phone": "1"}
ANNE = {"person_name": "Anne", "person_surname": "Roth", "person_address": "12 Elm Row", "email": None}


def record(person_id: str, fields: dict[str, Any], version: int = 1) -> Record:
    return Record(person_id, version, created(fields))


def edit(before: Record, **fields: Any) -> Record:
    after = {field: value for field, value in (before.content | fields).items() if value != "removed"}
    return before._replace(version=before.version + 1, events=edited(before.events, after))


def merged_pair() -> tuple[Merge, Record, Record]:
    """Return Anne merged into Anna."""
    anna, anne = record("a", ANNA), record("b", ANNE)
    plan = plan_merge("m", anna, [anne], Merges())
    return plan.merge, plan.survivor, anne


def test_survivor_keeps_its_values_and_takes_the_others() -> None:
    merge, survivor, _ = merged_pair()
    assert survivor.content == ANNA | {"person_address": "12 Elm Row", "email": None}
    assert merge.fields == ("email", "person_address")


def test_merge_reports_each_difference_with_the_record_of_its_value() -> None:
    plan = plan_merge("m", record("a", ANNA), [record("b", ANNE)], Merges(), take={"person_name": "b"})
    taken = {difference.field: difference.taken for difference in plan.differences}
    assert taken == {"person_name": "b", "phone": "a", "person_address": "b", "email": "b"}
    assert plan.survivor.content["person_name"] == "Anne"


def test_operator_can_enter_the_result_of_a_merge() -> None:
    result = ANNA | {"person_address": "14 Elm Row"}
    plan = plan_merge("m", record("a", ANNA), [record("b", ANNE)], Merges(), result=result)
    assert plan.survivor.content == result
    assert {each.field: each.taken for each in plan.differences}["person_address"] is None


def test_undo_restores_both_records_in_the_order_of_their_fields() -> None:
    merge, survivor, anne = merged_pair()
    plan = plan_undo(merge, survivor, [anne], Merges([merge]))
    assert list(plan.survivor.content.items()) == list(ANNA.items())
    assert [list(each.content.items()) for each in plan.merged] == [list(ANNE.items())]


def test_undo_leaves_no_value_of_the_merged_record_in_the_survivor() -> None:
    merge, survivor, anne = merged_pair()
    replaced = edit(survivor, phone="2")  # a client sends the complete record back
    plan = plan_undo(merge, replaced, [anne], Merges([merge]))
    assert "12 Elm Row" not in repr(plan.survivor.events)
    assert plan.survivor.content == ANNA | {"phone": "2"}


def test_edit_of_an_own_value_needs_no_decision() -> None:
    merge, survivor, anne = merged_pair()
    plan = plan_undo(merge, edit(survivor, person_name="Annabel", born="1980"), [anne], Merges([merge]))
    assert plan.survivor.content == ANNA | {"person_name": "Annabel", "born": "1980"}
    assert plan.edited == ()


def test_undo_requests_a_decision_about_an_edit_of_a_value_of_the_merged_record() -> None:
    merge, survivor, anne = merged_pair()
    changed = edit(survivor, person_address="14 Elm Row")
    with pytest.raises(ChangedSinceMerge) as error:
        plan_undo(merge, changed, [anne], Merges([merge]))
    assert error.value.fields == ("person_address",)


@pytest.mark.parametrize(
    ("keep", "survivors", "mergeds"),
    [("survivor", "14 Elm Row", "12 Elm Row"), ("merged", None, "14 Elm Row"), ("both", "14 Elm Row", "14 Elm Row")],
)
def test_decision_assigns_an_edit_to_survivor_merged_record_or_both(
    keep: Any, survivors: str | None, mergeds: str
) -> None:
    merge, survivor, anne = merged_pair()
    changed = edit(survivor, person_address="14 Elm Row", phone="2")
    plan = plan_undo(merge, changed, [anne], Merges([merge]), {"person_address": keep})
    assert plan.survivor.content.get("person_address") == survivors
    assert plan.survivor.content["phone"] == "2"
    assert plan.merged[0].content == ANNE | {"person_address": mergeds}


def test_removed_value_can_be_removed_from_the_merged_record_too() -> None:
    merge, survivor, anne = merged_pair()
    changed = edit(survivor, person_address="removed")
    plan = plan_undo(merge, changed, [anne], Merges([merge]), {"person_address": "both"})
    assert "person_address" not in plan.survivor.content
    assert "person_address" not in plan.merged[0].content
    assert plan.merged[0].content["email"] is None


def test_edit_returns_to_the_merged_record_of_its_value() -> None:
    records = [record("a", {"x": 1}), record("b", {"y": 2}), record("c", {"z": 3})]
    plan = plan_merge("m", records[0], records[1:], Merges())
    undo = plan_undo(plan.merge, edit(plan.survivor, z=4), records[1:], Merges([plan.merge]), {"z": "merged"})
    assert [each.content for each in (undo.survivor, *undo.merged)] == [{"x": 1}, {"y": 2}, {"z": 4}]


def test_merges_of_one_survivor_are_undone_in_any_order() -> None:
    a, b, c = record("a", {"x": 1}), record("b", {"y": 2}), record("c", {"y": 3, "z": 4})
    first = plan_merge("1", a, [b], Merges())
    second = plan_merge("2", first.survivor, [c], Merges([first.merge]), take={"y": "c"})
    merges = Merges([first.merge, second.merge])
    undo = plan_undo(first.merge, second.survivor, [b], merges)
    assert undo.survivor.content == {"x": 1, "y": 3, "z": 4}
    assert plan_undo(second.merge, undo.survivor, [c], Merges([second.merge])).survivor.content == {"x": 1}


def test_undo_of_an_inner_merge_names_the_outermost_one() -> None:
    a, b, c = record("a", {"x": 1}), record("b", {"y": 2}), record("c", {"z": 3})
    inner = plan_merge("inner", b, [c], Merges())
    outer = plan_merge("outer", a, [inner.survivor], Merges([inner.merge]))
    with pytest.raises(UndoFirst) as error:
        plan_undo(inner.merge, inner.survivor, [c], Merges([inner.merge, outer.merge]))
    assert error.value.merge_id == "outer"


def test_merged_record_takes_part_in_no_other_merge() -> None:
    merge, survivor, anne = merged_pair()
    for first, second in ((record("c", {}), anne), (anne, survivor)):
        with pytest.raises(PersonMerged) as error:
            plan_merge("n", first, [second], Merges([merge]))
        assert (error.value.merged_into, error.value.merge_id) == ("a", "m")


@pytest.mark.parametrize("merged", [[], ["a"], ["b", "b"]])
def test_merge_names_each_record_once(merged: list[str]) -> None:
    with pytest.raises(MergeCycle):
        plan_merge("m", record("a", {}), [record(each, {}) for each in merged], Merges())


def test_merge_has_a_limited_number_of_records() -> None:
    others = [record(f"p{i}", {}) for i in range(MAX_RECORDS)]
    with pytest.raises(MergeTooLarge):
        plan_merge("m", record("a", {}), others, Merges())
    assert len(plan_merge("m", record("a", {}), others[1:], Merges()).merge.merged) == MAX_RECORDS - 1


def test_chain_of_merges_has_a_limited_length() -> None:
    chain = [Merge(f"m{i}", f"p{i + 1}", (f"p{i}",)) for i in range(MAX_DEPTH)]
    with pytest.raises(MergeTooLarge):
        plan_merge("m", record("last", {}), [record(f"p{MAX_DEPTH}", {})], Merges(chain))
    assert plan_merge("m", record("last", {}), [record(f"p{MAX_DEPTH - 1}", {})], Merges(chain[:-1])).merge


def test_survivor_and_group_of_a_chain_include_every_record() -> None:
    merges = Merges([Merge("1", "b", ("c", "d")), Merge("2", "a", ("b",)), Merge("3", "x", ("y",))])
    assert [merges.survivor(each) for each in "abcdxyz"] == ["a", "a", "a", "a", "x", "x", "z"]
    assert merges.group("d") == merges.group("a") == {"a", "b", "c", "d"}


def test_merge_names_the_version_of_every_record() -> None:
    records = [record("a", {}, 3), record("b", {}, 5)]
    check_versions(records, {"a": 3, "b": 5})
    with pytest.raises(VersionConflict) as error:
        check_versions(records, {"a": 3, "b": 4})
    assert (error.value.person_id, error.value.actual) == ("b", 5)


def test_repeated_merge_is_recognized_in_any_order() -> None:
    merge = Merge("m", "a", ("b", "c"))
    assert is_same_merge(merge, "a", ["c", "b"])
    assert not is_same_merge(merge, "b", ["a", "c"])


def test_equal_content_adds_no_event() -> None:
    events = created(ANNA)
    assert edited(events, dict(ANNA)) == events


def test_edit_can_change_the_order_of_fields_alone() -> None:
    events = edited(created({"x": 1, "y": 2}), {"y": 2, "x": 1})
    assert list(content(events)) == ["y", "x"]
