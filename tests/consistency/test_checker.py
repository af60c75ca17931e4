"""The checker rejects histories that no linearizable store can produce, and accepts all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consistency.checker import violations
from consistency.history import Times
from tests.consistency.histories import (
    create,
    delete,
    list_people,
    merge,
    operation,
    read,
    replace,
    restore,
    state,
    undo,
    unknown,
)

if TYPE_CHECKING:
    from consistency.history import Operation

INVALID: dict[str, list[Operation]] = {
    "a stale read": [create(1, 2), replace(3, 4, 2, "b"), read(5, 6, state(1, "a"))],
    "a missing person after the acknowledgement of its creation": [create(1, 2), read(3, 4, None)],
    "a read of an older value after a newer one": [
        create(1, 2), replace(3, 20, 2, "b"), read(4, 5, state(2, "b")), read(6, 7, state(1, "a")),
    ],
    "a lost update": [create(1, 2), replace(3, 4, 2, "b"), replace(5, 6, 2, "c"), read(7, 8, state(2, "c"))],
    "two successful writes of one version": [create(1, 2), replace(3, 9, 2, "b", expected=1), replace(4, 8, 2, "c", expected=1)],
    "a write applied twice": [create(1, 2), replace(3, 4, 3, "b"), read(5, 6, state(3, "b"))],
    "an unknown write applied twice": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, state(2, "b")), read(7, 8, state(3, "b")),
    ],
    "one creation, two people": [create(1, 2, person="p"), create(3, 4, person="q")],
    "a deleted person in a read": [create(1, 2), delete(3, 4), read(5, 6, state(1, "a"))],
    "a deleted person in a list": [create(1, 2), delete(3, 4), list_people(5, 6, state(1, "a"))],
    "an update after a deletion": [create(1, 2), delete(3, 4), replace(5, 6, 2, "b")],
    "two deletions": [create(1, 2), delete(3, 4), delete(5, 6)],
    "a value never written": [create(1, 2), read(3, 4, state(1, "z"))],
    "a list that shows a person with another surname": [create(1, 2), list_people(3, 4, state(1, "a"), surname="Cage")],
    "a list that shows a person under the old surname at the new version": [
        create(1, 2), replace(3, 4, 2, "b", surname="Abel"), list_people(5, 6, state(2, "b", "Abel")),
    ],
    "a list that shows a newer person first": [
        create(1, 2), create(3, 4, "b", person="q"), list_people(5, 6, state(1, "b", person="q"), state(1, "a")),
    ],
    "a list that shows an older person last, after one of unknown creation time": [
        unknown("create", 1, 2, "c", person="r"), create(3, 4), create(5, 6, "b", person="q"),
        list_people(7, 8, state(1, "b", person="q"), state(1, "c", person="r"), state(1, "a")),
    ],
    "a list with the status 404": [operation("list", 1, 2, "missing", person="", surname="Bach")],
    "one id for two people": [create(1, 2), create(3, 4, "b")],
    "an id that is reused after a deletion": [create(1, 2), delete(3, 4), create(5, 6, "b")],
    "a reused id that only lists show": [
        unknown("create", 1, 2, "a", person=""), list_people(3, 4, state(1, "a")), delete(5, 6),
        unknown("create", 7, 8, "b", person=""), list_people(9, 10, state(1, "b")),
    ],
    "a person that reappears after a deletion": [create(1, 2), delete(3, 4), read(5, 6, None), read(7, 8, state(1, "a"))],
    "a restored person without its next version": [create(1, 2), delete(3, 4), restore(5, 6, 2)],
    "a restored person that a read does not show": [create(1, 2), delete(3, 4), restore(5, 6, 3), read(7, 8, None)],
    "a restore without a deletion": [create(1, 2), restore(3, 4, 3)],
    "a restore after an erasure": [create(1, 2), operation("erase", 3, 4), restore(5, 6, 3)],
    "an index without an existing person": [create(1, 2), list_people(3, 4, surname="", mark="a", index="identifier")],
    "an index with an erased person": [
        create(1, 2), operation("erase", 3, 4), list_people(5, 6, state(1, "a"), surname="", mark="a", index="birthdate"),
    ],
    "an index that shows a person with another mark": [
        create(1, 2), list_people(3, 4, state(1, "a"), surname="", mark="b", index="address"),
    ],
    "a merged record in a list": [
        create(1, 2), create(3, 4, "b", person="q"), merge(5, 6, state(2, "a"), "q"),
        list_people(7, 8, state(2, "a"), state(1, "b", person="q"), index="text"),
    ],
    "a merge that does not change the survivor": [
        create(1, 2), create(3, 4, "b", person="q"), merge(5, 6, state(2, "a"), "q"), read(7, 8, state(1, "a")),
    ],
    "an undo that does not restore the merged record": [
        create(1, 2), create(3, 4, "b", person="q"), merge(5, 6, state(2, "a"), "q"),
        undo(7, 8, state(3, "a"), state(3, "b", person="q")), read(9, 10, None, person="q"),
    ],
    "a creation at another version": [operation("create", 1, 2, person="", mark="a", surname="Bach", seen=(state(2, "a"),))],
    "a creation under another surname": [
        operation("create", 1, 2, person="", mark="a", surname="Abel", seen=(state(1, "a"),)), read(3, 4, state(1, "a", "Abel")),
    ],
    "a creation that shows no person": [operation("create", 1, 2, person="", mark="a", surname="Bach")],
    "a creation in conflict": [operation("create", 1, 2, "conflict", person="", mark="a", surname="Bach", actual=1)],
    "a creation that reports a deletion before any deletion": [
        create(1, 2), operation("create", 3, 4, "missing", person="", mark="a", surname="Bach"), delete(5, 6),
    ],
    "a creation that reports the deletion of an existing person": [
        create(1, 2), unknown("delete", 3, 20), operation("create", 5, 6, "missing", person="", mark="a", surname="Bach"),
        read(7, 8, state(1, "a")),
    ],
    "a read that succeeds and shows no person": [operation("read", 1, 2)],
    "a read that shows another person": [
        create(1, 2), create(3, 4, "b", person="q"), operation("read", 5, 6, seen=(state(1, "b", person="q"),)),
    ],
    "an update that shows another person": [
        create(1, 2), create(3, 4, "b", person="q"),
        operation("replace", 5, 6, mark="c", surname="Bach", seen=(state(2, "c", person="q"),)),
    ],
    "an update that shows no person": [create(1, 2), operation("replace", 3, 4, mark="b", surname="Bach")],
    "an update with the status 304": [create(1, 2), operation("replace", 3, 4, "unchanged", expected=1, mark="b", surname="Bach")],
    "a deletion that shows a person": [create(1, 2), delete(3, 4, seen=(state(1, "a"),))],
    "a conflict of an unconditional deletion": [create(1, 2), operation("delete", 3, 4, "conflict", actual=1)],
    "a fresh response from the cache of the process": [create(1, 2), read(3, 4, state(1, "a"), fresh=True, source="local")],
    "a fresh response from the shared cache": [create(1, 2), list_people(3, 4, state(1, "a"), fresh=True, source="shared")],
    "two creation times of one person": [
        create(1, 2, times=(Times("1", "1"),)), read(3, 4, state(1, "a"), times=(Times("2", "1"),)),
    ],
    "two times of one version": [
        create(1, 2, times=(Times("1", "1"),)), list_people(3, 4, state(1, "a"), times=(Times("1", "2"),)),
    ],
    "a person never created": [read(1, 2, state(1, "a"))],
    "a value of a failed write": [
        create(1, 2), operation("replace", 3, 4, "failed", mark="b", surname="Bach"), read(5, 6, state(2, "b")),
    ],
    "a person read before its creation was requested": [read(1, 2, state(1, "a")), create(3, 4)],
    "a list that leaves out an acknowledged person": [create(1, 2), list_people(3, 4)],
    "a list of the old surname that shows a moved person": [create(1, 2), replace(3, 4, 2, "b", surname="Abel"), list_people(5, 6, state(1, "a"))],
    "a list of the new surname without a moved person": [create(1, 2), replace(3, 4, 2, "b", surname="Abel"), list_people(5, 6, surname="Abel")],
    "a list that shows a person twice": [create(1, 2), list_people(3, 4, state(1, "a"), state(1, "a"))],
    "a conflict that reports a wrong version": [
        create(1, 2), operation("replace", 3, 4, "conflict", mark="b", surname="Bach", expected=2, actual=7),
    ],
    "a conflict with the current version": [
        create(1, 2), operation("delete", 3, 4, "conflict", expected=1),
    ],
    "a 304 for an outdated version": [
        create(1, 2), replace(3, 4, 2, "b"), operation("read", 5, 6, "unchanged", expected=1),
    ],
    "a deletion of a missing person that deletes it": [create(1, 2), operation("delete", 3, 4, "missing"), read(5, 6, None)],
    "a patch without a surname that changes the surname": [
        create(1, 2), operation("patch", 3, 4, mark="b", seen=(state(2, "b", "Abel"),)),
    ],
    "a response that differs from the write": [create(1, 2), operation("replace", 3, 4, mark="b", surname="Bach", seen=(state(2, "c"),))],
    "an unknown write that is visible and then not": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, state(2, "b")), read(7, 8, state(1, "a")),
    ],
    "an unknown conditional write after a newer version": [
        create(1, 2), unknown("replace", 3, 4, "b", expected=1), replace(5, 6, 2, "c"), read(7, 8, state(3, "b")),
    ],
}  # fmt: skip

VALID: dict[str, list[Operation]] = {
    "a restore and an undo": [
        create(1, 2), create(3, 4, "b", person="q"), delete(5, 6), restore(7, 8, 3), merge(9, 10, state(4, "a"), "q"),
        read(11, 12, None, person="q"), undo(13, 14, state(5, "a"), state(3, "b", person="q")),
        list_people(15, 16, state(3, "b", person="q"), state(5, "a"), index="text"),
    ],
    "a merge of unknown outcome": [
        create(1, 2), create(3, 4, "b", person="q"), operation("merge", 5, 6, "unknown", other="q"),
        read(7, 8, state(1, "a")), read(9, 10, None, person="q"), read(11, 12, state(2, "a")),
    ],
    "an empty history": [],
    "one person from creation to deletion": [create(1, 2), replace(3, 4, 2, "b", expected=1), read(5, 6, state(2, "b")), delete(7, 8), read(9, 10, None)],
    "reads of the old and the new value during a write": [
        create(1, 2), replace(3, 10, 2, "b"), read(4, 5, state(1, "a")), read(6, 7, state(2, "b")),
    ],
    "an unknown write that takes effect late": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, state(1, "a")), read(7, 8, state(2, "b")),
    ],
    "an unknown write that never takes effect": [create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, state(1, "a"))],
    "an unknown write that is overwritten before any read": [create(1, 2), unknown("replace", 3, 4, "b"), replace(5, 6, 3, "c")],
    "an unknown creation that appears later": [
        unknown("create", 1, 2, "a", person=""), list_people(3, 4), list_people(5, 6, state(1, "a")), delete(7, 8),
    ],
    "an unknown deletion": [create(1, 2), unknown("delete", 3, 4), read(5, 6, state(1, "a")), read(7, 8, None)],
    "a repeated creation": [
        unknown("create", 1, 2, "a", person=""), read(3, 4, state(1, "a")), replace(5, 6, 2, "b"), create(7, 8),
    ],
    "two contradictory lists during a change of surname": [
        create(1, 2),
        replace(3, 10, 2, "b", surname="Abel"),
        list_people(4, 9, surname="Abel"),
        list_people(5, 8),
    ],
    "one of two conditional writes succeeds": [
        create(1, 2),
        replace(3, 9, 2, "b", expected=1),
        operation("replace", 4, 8, "conflict", mark="c", surname="Bach", expected=1, actual=2),
    ],
    "not modified": [create(1, 2), operation("read", 3, 4, "unchanged", expected=1)],
    "a list ordered by creation": [
        create(1, 2), create(3, 4, "b", person="q"), list_people(5, 6, state(1, "a"), state(1, "b", person="q")),
    ],
    "lists of two people of overlapping creations": [
        create(1, 4), create(2, 3, "b", person="q"),
        list_people(5, 6, state(1, "a"), state(1, "b", person="q")), list_people(7, 8, state(1, "b", person="q"), state(1, "a")),
    ],
    "a repeated creation after a deletion": [
        create(1, 2), delete(3, 4), operation("create", 5, 6, "missing", person="", mark="a", surname="Bach"),
    ],
    "a fresh response from the store": [create(1, 2), read(3, 4, state(1, "a"), fresh=True, source="request")],
    "equal times of all responses": [
        create(1, 2, times=(Times("1", "1"),)), replace(3, 4, 2, "b", times=(Times("1", "2"),)),
        list_people(5, 6, state(2, "b"), times=(Times("1", "2"),)),
    ],
    "a deletion does not affect other people": [create(1, 2), create(3, 4, "b", person="q"), delete(5, 6), list_people(7, 8, state(1, "b", person="q"))],
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_invalid_history_is_rejected(name: str) -> None:
    assert violations(INVALID[name])


@pytest.mark.parametrize("name", VALID)
def test_valid_history_is_accepted(name: str) -> None:
    assert violations(VALID[name]) == []


def test_violation_contains_the_possible_values() -> None:
    overlapping = [create(1, 2), replace(3, 9, 2, "b"), read(4, 8, state(7, "z"))]
    (violation,) = violations(overlapping)
    assert (violation.person, violation.operation) == ("p", overlapping[-1])
    assert violation.possible == (state(1, "a"), state(2, "b"))


STALE = [create(10, 20, "a"), replace(30, 40, 2, "b", server="0"), read(100, 110, state(1, "a"), server="1")]


@pytest.mark.parametrize(("bound", "allowed"), [(60, True), (61, True), (59, False), (0, False)])
def test_staleness_of_a_bounded_read_is_limited(bound: int, allowed: bool) -> None:
    assert (violations(STALE, lambda _: bound) == []) == allowed


def test_server_reads_its_own_acknowledged_writes() -> None:
    own = [*STALE[:2], read(100, 110, state(1, "a"), server="0")]
    assert violations(own, lambda _: 1_000)


def test_writes_are_linearizable_with_bounded_reads() -> None:
    lost = [create(1, 2), replace(3, 4, 2, "b", expected=1), replace(5, 6, 2, "c", expected=1)]
    assert violations(lost, lambda _: 1_000)
