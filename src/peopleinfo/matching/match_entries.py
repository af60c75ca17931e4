"""Match entries: the part of a person's search index that finds duplicates. An operator selects it with the index `duplicates`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo.matching.blocking_keys import Entry, Hasher
from peopleinfo.matching.match_record import prepare_keys
from peopleinfo.people.index_entries import DUPLICATES

if TYPE_CHECKING:
    from peopleinfo.people.index_entries import IndexPlan
    from peopleinfo.people.person import PersonData


class MatchEntries:
    """Derives the match entries of people. Pure and safe to share between threads."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is that of the deployment."""
        self.hasher = Hasher(secret)

    def of(self, data: PersonData, plan: IndexPlan) -> list[Entry]:
        """Return the match entries of a person; none unless the plan has the index `duplicates`."""
        keys, sub = self.keys_and_sub(data, plan)
        return [Entry(key, sub) for key in keys]

    def keys_and_sub(self, data: PersonData, plan: IndexPlan) -> tuple[list[bytes], bytes]:
        """Return the keys of the match entries of a person, without duplicates, and the sub of all of them."""
        if DUPLICATES not in plan.indexes:
            return [], b""
        keys, sub = self.hasher.keys_and_sub(prepare_keys(data, plan.identifiers))
        return (list(dict.fromkeys(keys)) if data.extra else keys), sub  # only identifiers can repeat a key
