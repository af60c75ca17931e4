"""Decisions of reviewers: two records are different people, or the pair waits.

A decision holds for the humans behind the records: through merges of either side, in both directions, and again after an undo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from peopleinfo.matching.duplicate_links import Link
    from peopleinfo.matching.scoring import Evidence


def are_different(
    ours: Collection[str], theirs: Collection[str], links: Iterable[Link], evidence: Iterable[Evidence]
) -> bool:
    """Return whether a reviewer decided that two people are different, and no other identifier agrees now.

    `ours` and `theirs` are the ids of the records that are merged with each of the two people.
    """
    decided = [
        link
        for link in links
        if link.state == "different"
        and ((link.first in ours and link.second in theirs) or (link.first in theirs and link.second in ours))
    ]
    agreed = frozenset[str]().union(*(link.identifiers for link in decided))
    return bool(decided) and equal_identifiers(evidence) <= agreed


def equal_identifiers(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Return the fields of the identifiers that are equal."""
    return frozenset(item.field for item in evidence if item.is_identifier and item.agreement == "same")
