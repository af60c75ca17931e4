"""Merges in memory, for the tests of the pure functions of merges and of their model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from peopleinfo.matching.merge_rules import Merge


class Merges:
    """The merges in effect, by the id of each merged record. Implements `peopleinfo.matching.merge_rules.MergeGraph`."""

    def __init__(self, merges: Iterable[Merge] = ()) -> None:
        merges = tuple(merges)
        self._into = {person: merge for merge in merges for person in merge.merged}
        self._onto: dict[str, list[Merge]] = {}
        for merge in merges:
            self._onto.setdefault(merge.survivor, []).append(merge)

    def of_merged(self, person_id: str) -> Merge | None:
        """Return the merge that merged a record into another one, None for a record that is not merged."""
        return self._into.get(person_id)

    def of_survivor(self, person_id: str) -> Sequence[Merge]:
        """Return the merges that a record survived."""
        return self._onto.get(person_id, ())

    def chain(self, person_id: str) -> list[Merge]:
        """Return the merges that lead from a record to its survivor, the outermost last."""
        chain: list[Merge] = []
        while merge := self._into.get(person_id):
            chain.append(merge)
            person_id = merge.survivor
        return chain

    def survivor(self, person_id: str) -> str:
        """Return the id of the outermost survivor: the record itself unless it is merged."""
        chain = self.chain(person_id)
        return chain[-1].survivor if chain else person_id

    def group(self, person_id: str) -> frozenset[str]:
        """Return the ids of all records that count as one human. Erasing one of them erases all."""
        return frozenset(self._below(self.survivor(person_id)))

    def height(self, person_id: str) -> int:
        """Return the number of merges from a record down to the innermost merged record."""
        below = [person for merge in self.of_survivor(person_id) for person in merge.merged]
        return 1 + max(map(self.height, below)) if below else 0

    def _below(self, person_id: str) -> Iterator[str]:
        yield person_id
        for merge in self.of_survivor(person_id):
            for person in merge.merged:
                yield from self._below(person)
