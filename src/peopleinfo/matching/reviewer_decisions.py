"""Decisions of reviewers: two records are different people, or the pair waits.

A decision holds for the humans behind the records: through merges of either side, in both directions, and again after an undo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from peopleinfo.matching.merging import Merges
    from peopleinfo.matching.scoring import Evidence

PairState = Literal["open", "different", "later"]


class Decision(NamedTuple):
    """A decision about a pair of records, in the order of their ids, and the identifiers that agreed at that time."""

    first: str
    second: str
    state: PairState
    identifiers: frozenset[str] = frozenset()


def decide(a: str, b: str, state: PairState, evidence: Iterable[Evidence] = ()) -> Decision:
    """Return the decision about two records, the same for both orders."""
    first, second = sorted((a, b))
    return Decision(first, second, state, equal_identifiers(evidence))


def are_different(a: str, b: str, decisions: Iterable[Decision], merges: Merges, evidence: Iterable[Evidence]) -> bool:
    """Return whether two records were decided to be different, and no identifier agrees now that did not agree then."""
    ours, theirs = merges.group(a), merges.group(b)
    known = [
        decision
        for decision in decisions
        if decision.state == "different"
        and (
            (decision.first in ours and decision.second in theirs)
            or (decision.first in theirs and decision.second in ours)
        )
    ]
    agreed = frozenset[str]().union(*(decision.identifiers for decision in known))
    return bool(known) and equal_identifiers(evidence) <= agreed


def equal_identifiers(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Return the fields of the identifiers that are equal."""
    return frozenset(item.field for item in evidence if item.is_identifier and item.agreement == "same")
