"""Exceptions of the detection of duplicates."""

from __future__ import annotations

from typing import Any

from peopleinfo.errors import PeopleInfoError


class DuplicatesDisabled(PeopleInfoError):
    """The store has no match index, so no duplicates can be found."""

    def __init__(self) -> None:
        super().__init__(
            "the detection of duplicates is off: add duplicates to PEOPLEINFO_SEARCH_INDEXES and run `peopleinfo reindex`"
        )


class MatchIndexIncomplete(PeopleInfoError):
    """Some records are not yet in the match index, so a scan would miss their duplicates."""

    def __init__(self) -> None:
        super().__init__("the match index does not contain all records: run `peopleinfo reindex`, then repeat the scan")


class PairNotFound(PeopleInfoError):
    """The two people are not in the review queue, or one of them was deleted."""

    def __init__(self) -> None:
        super().__init__("there is no pair with this id: list the pairs for the current ones")


class PossibleDuplicate(PeopleInfoError):
    """The new record may be of a person that is stored already. It was not stored."""

    def __init__(self, candidates: list[dict[str, Any]]) -> None:
        self.candidates = candidates
        super().__init__(
            "the person may be stored already: compare the candidates, or create it with duplicates=report"
        )
