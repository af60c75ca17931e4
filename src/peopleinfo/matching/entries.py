"""Match entries: the part of a person's search index that finds duplicates. An operator selects it with the index `duplicates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peopleinfo.matching.keys import Hasher
from peopleinfo.matching.record import prepare
from peopleinfo.people.index_entries import DUPLICATES

if TYPE_CHECKING:
    from peopleinfo.matching.keys import Entry
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person import PersonData


class MatchEntries:
    """Derives the match entries of people. Pure and safe to share between threads."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is that of the deployment."""
        self.hasher = Hasher(secret)

    def of(self, data: PersonData, plan: IndexPlan) -> list[Entry]:
        """Return the match entries of a person; none unless the plan has the index `duplicates`."""
        if DUPLICATES not in plan.indexes:
            return []
        return list(dict.fromkeys(self.hasher.entries(prepare(_fields(data), identifiers=plan.identifiers))))


def _fields(data: PersonData) -> dict[str, Any]:
    return {
        **data.extra,
        "person_name": data.person_name,
        "person_surname": data.person_surname,
        "person_birthdate": data.person_birthdate,
        "person_address": data.person_address,
    }
