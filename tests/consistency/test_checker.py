"""The checker refuses what no store with one truth could have answered, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consistency.checker import violations
from consistency.history import Times
from tests.consistency.histories import create, erase, listed, operation, read, replace, stand, unknown

if TYPE_CHECKING:
    from consistency.history import Operation

FALSE: dict[str, list[Operation]] = {
    "a stale read": [create(1, 2), replace(3, 4, 2, "b"), read(5, 6, stand(1, "a"))],
    "a person who is not there yet after the acknowledgement": [create(1, 2), read(3, 4, None)],
    "a read back in time": [
        create(1, 2), replace(3, 20, 2, "b"), read(4, 5, stand(2, "b")), read(6, 7, stand(1, "a")),
    ],
    "a lost update": [create(1, 2), replace(3, 4, 2, "b"), replace(5, 6, 2, "c"), read(7, 8, stand(2, "c"))],
    "two winners of one version": [create(1, 2), replace(3, 9, 2, "b", expected=1), replace(4, 8, 2, "c", expected=1)],
    "a write applied twice": [create(1, 2), replace(3, 4, 3, "b"), read(5, 6, stand(3, "b"))],
    "an unknown write applied twice": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, stand(2, "b")), read(7, 8, stand(3, "b")),
    ],
    "one creation, two people": [create(1, 2, person="p"), create(3, 4, person="q")],
    "resurrection after erasure": [create(1, 2), erase(3, 4), read(5, 6, stand(1, "a"))],
    "resurrection in a list": [create(1, 2), erase(3, 4), listed(5, 6, stand(1, "a"))],
    "a change after erasure": [create(1, 2), erase(3, 4), replace(5, 6, 2, "b")],
    "erased twice": [create(1, 2), erase(3, 4), erase(5, 6)],
    "a value never written": [create(1, 2), read(3, 4, stand(1, "z"))],
    "a list that shows a person with another surname": [create(1, 2), listed(3, 4, stand(1, "a"), surname="Cage")],
    "a list that shows a person under the surname of before, at the version of now": [
        create(1, 2), replace(3, 4, 2, "b", surname="Abel"), listed(5, 6, stand(2, "b", "Abel")),
    ],
    "a list that shows a younger person first": [
        create(1, 2), create(3, 4, "b", person="q"), listed(5, 6, stand(1, "b", person="q"), stand(1, "a")),
    ],
    "a list that shows an older person last, behind a neighbor of unknown age": [
        unknown("create", 1, 2, "c", person="r"), create(3, 4), create(5, 6, "b", person="q"),
        listed(7, 8, stand(1, "b", person="q"), stand(1, "c", person="r"), stand(1, "a")),
    ],
    "a list that answers 404": [operation("list", 1, 2, "missing", person="", surname="Bach")],
    "one id for two people at a time": [create(1, 2), create(3, 4, "b")],
    "an id that is used again after an erasure": [create(1, 2), erase(3, 4), create(5, 6, "b")],
    "an id that is used again and that only lists show": [
        unknown("create", 1, 2, "a", person=""), listed(3, 4, stand(1, "a")), erase(5, 6),
        unknown("create", 7, 8, "b", person=""), listed(9, 10, stand(1, "b")),
    ],
    "a person who reappears after an erasure": [create(1, 2), erase(3, 4), read(5, 6, None), read(7, 8, stand(1, "a"))],
    "a creation at another version": [operation("create", 1, 2, person="", mark="a", surname="Bach", seen=(stand(2, "a"),))],
    "a creation under another surname": [
        operation("create", 1, 2, person="", mark="a", surname="Abel", seen=(stand(1, "a"),)), read(3, 4, stand(1, "a", "Abel")),
    ],
    "a creation that shows no person": [operation("create", 1, 2, person="", mark="a", surname="Bach")],
    "a creation in conflict": [operation("create", 1, 2, "conflict", person="", mark="a", surname="Bach", actual=1)],
    "a creation that reports an erasure before anyone erased": [
        create(1, 2), operation("create", 3, 4, "missing", person="", mark="a", surname="Bach"), erase(5, 6),
    ],
    "a creation that reports an erasure although the person is there": [
        create(1, 2), unknown("erase", 3, 20), operation("create", 5, 6, "missing", person="", mark="a", surname="Bach"),
        read(7, 8, stand(1, "a")),
    ],
    "a read that succeeds and shows no person": [operation("read", 1, 2)],
    "a read that shows another person": [
        create(1, 2), create(3, 4, "b", person="q"), operation("read", 5, 6, seen=(stand(1, "b", person="q"),)),
    ],
    "a change that shows another person": [
        create(1, 2), create(3, 4, "b", person="q"),
        operation("replace", 5, 6, mark="c", surname="Bach", seen=(stand(2, "c", person="q"),)),
    ],
    "a change that shows no person": [create(1, 2), operation("replace", 3, 4, mark="b", surname="Bach")],
    "a change that is not modified": [create(1, 2), operation("replace", 3, 4, "unchanged", expected=1, mark="b", surname="Bach")],
    "an erasure that shows a person": [create(1, 2), erase(3, 4, seen=(stand(1, "a"),))],
    "a conflict although any version would do": [create(1, 2), operation("erase", 3, 4, "conflict", actual=1)],
    "a fresh response from the cache of the process": [create(1, 2), read(3, 4, stand(1, "a"), fresh=True, source="local")],
    "a fresh response from the shared cache": [create(1, 2), listed(3, 4, stand(1, "a"), fresh=True, source="shared")],
    "another time of creation": [
        create(1, 2, times=(Times("1", "1"),)), read(3, 4, stand(1, "a"), times=(Times("2", "1"),)),
    ],
    "another time of one version": [
        create(1, 2, times=(Times("1", "1"),)), listed(3, 4, stand(1, "a"), times=(Times("1", "2"),)),
    ],
    "a person never created": [read(1, 2, stand(1, "a"))],
    "a value that was refused for certain": [
        create(1, 2), operation("replace", 3, 4, "failed", mark="b", surname="Bach"), read(5, 6, stand(2, "b")),
    ],
    "a person seen before anybody asked for it": [read(1, 2, stand(1, "a")), create(3, 4)],
    "a list that leaves out an acknowledged person": [create(1, 2), listed(3, 4)],
    "a list under the surname of before": [create(1, 2), replace(3, 4, 2, "b", surname="Abel"), listed(5, 6, stand(1, "a"))],
    "a list without who has moved there": [create(1, 2), replace(3, 4, 2, "b", surname="Abel"), listed(5, 6, surname="Abel")],
    "a list that shows somebody twice": [create(1, 2), listed(3, 4, stand(1, "a"), stand(1, "a"))],
    "a conflict with a version that is not there": [
        create(1, 2), operation("replace", 3, 4, "conflict", mark="b", surname="Bach", expected=2, actual=7),
    ],
    "a conflict with the right version": [
        create(1, 2), operation("erase", 3, 4, "conflict", expected=1),
    ],
    "not modified, although it was": [
        create(1, 2), replace(3, 4, 2, "b"), operation("read", 5, 6, "unchanged", expected=1),
    ],
    "an erasure that finds nobody and yet did it": [create(1, 2), operation("erase", 3, 4, "missing"), read(5, 6, None)],
    "a patch that moves": [
        create(1, 2), operation("patch", 3, 4, mark="b", seen=(stand(2, "b", "Abel"),)),
    ],
    "another answer than was written": [create(1, 2), operation("replace", 3, 4, mark="b", surname="Bach", seen=(stand(2, "c"),))],
    "an unknown write that has happened, and then has not": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, stand(2, "b")), read(7, 8, stand(1, "a")),
    ],
    "an unknown write after it was fenced out by a version": [
        create(1, 2), unknown("replace", 3, 4, "b", expected=1), replace(5, 6, 2, "c"), read(7, 8, stand(3, "b")),
    ],
}  # fmt: skip

TRUE: dict[str, list[Operation]] = {
    "nothing": [],
    "one life": [create(1, 2), replace(3, 4, 2, "b", expected=1), read(5, 6, stand(2, "b")), erase(7, 8), read(9, 10, None)],
    "a read beside a write, before and after": [
        create(1, 2), replace(3, 10, 2, "b"), read(4, 5, stand(1, "a")), read(6, 7, stand(2, "b")),
    ],
    "an unknown write that has happened late": [
        create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, stand(1, "a")), read(7, 8, stand(2, "b")),
    ],
    "an unknown write that never happened": [create(1, 2), unknown("replace", 3, 4, "b"), read(5, 6, stand(1, "a"))],
    "an unknown write that nobody saw, overwritten": [create(1, 2), unknown("replace", 3, 4, "b"), replace(5, 6, 3, "c")],
    "an unknown creation, found later": [
        unknown("create", 1, 2, "a", person=""), listed(3, 4), listed(5, 6, stand(1, "a")), erase(7, 8),
    ],
    "an unknown erasure": [create(1, 2), unknown("erase", 3, 4), read(5, 6, stand(1, "a")), read(7, 8, None)],
    "a creation sent twice": [
        unknown("create", 1, 2, "a", person=""), read(3, 4, stand(1, "a")), replace(5, 6, 2, "b"), create(7, 8),
    ],
    "two lists that overlap a move do not agree": [
        create(1, 2),
        replace(3, 10, 2, "b", surname="Abel"),
        listed(4, 9, surname="Abel"),
        listed(5, 8),
    ],
    "one of two wins": [
        create(1, 2),
        replace(3, 9, 2, "b", expected=1),
        operation("replace", 4, 8, "conflict", mark="c", surname="Bach", expected=1, actual=2),
    ],
    "not modified": [create(1, 2), operation("read", 3, 4, "unchanged", expected=1)],
    "a list ordered by age": [
        create(1, 2), create(3, 4, "b", person="q"), listed(5, 6, stand(1, "a"), stand(1, "b", person="q")),
    ],
    "a list of two people who were created at the same time": [
        create(1, 4), create(2, 3, "b", person="q"),
        listed(5, 6, stand(1, "a"), stand(1, "b", person="q")), listed(7, 8, stand(1, "b", person="q"), stand(1, "a")),
    ],
    "a creation sent again after an erasure": [
        create(1, 2), erase(3, 4), operation("create", 5, 6, "missing", person="", mark="a", surname="Bach"),
    ],
    "a fresh response from the store": [create(1, 2), read(3, 4, stand(1, "a"), fresh=True, source="request")],
    "times that stay": [
        create(1, 2, times=(Times("1", "1"),)), replace(3, 4, 2, "b", times=(Times("1", "2"),)),
        listed(5, 6, stand(2, "b"), times=(Times("1", "2"),)),
    ],
    "others are left in peace": [create(1, 2), create(3, 4, "b", person="q"), erase(5, 6), listed(7, 8, stand(1, "b", person="q"))],
}  # fmt: skip


@pytest.mark.parametrize("what", FALSE)
def test_what_cannot_be_true_is_refused(what: str) -> None:
    assert violations(FALSE[what])


@pytest.mark.parametrize("what", TRUE)
def test_what_can_be_true_is_accepted(what: str) -> None:
    assert violations(TRUE[what]) == []


def test_a_violation_says_what_would_have_been_right() -> None:
    overlapping = [create(1, 2), replace(3, 9, 2, "b"), read(4, 8, stand(7, "z"))]
    (violation,) = violations(overlapping)
    assert (violation.person, violation.operation) == ("p", overlapping[-1])
    assert violation.possible == (stand(1, "a"), stand(2, "b"))


STALE = [create(10, 20, "a"), replace(30, 40, 2, "b", server="0"), read(100, 110, stand(1, "a"), server="1")]


@pytest.mark.parametrize(("bound", "allowed"), [(60, True), (61, True), (59, False), (0, False)])
def test_a_bounded_read_may_be_so_old_and_no_older(bound: int, allowed: bool) -> None:
    assert (violations(STALE, lambda _: bound) == []) == allowed


def test_a_server_shows_what_it_has_acknowledged_itself() -> None:
    own = [*STALE[:2], read(100, 110, stand(1, "a"), server="0")]
    assert violations(own, lambda _: 1_000)


def test_bounded_writes_are_as_strict_as_ever() -> None:
    lost = [create(1, 2), replace(3, 4, 2, "b", expected=1), replace(5, 6, 2, "c", expected=1)]
    assert violations(lost, lambda _: 1_000)
