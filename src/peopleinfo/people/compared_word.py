"""A word of a query, compared with many people.

It remembers the class of each name, as people share most of their names: a search compares a pair of words once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from peopleinfo.people.compared_person import Found
from peopleinfo.people.edit_distance import MAX_DISTANCE, edit_distance
from peopleinfo.people.index_entries import address_words
from peopleinfo.people.nicknames import familiar_names
from peopleinfo.people.similarity import MAX_SOUND_DIFFERENCE, is_typo, sounds_like
from peopleinfo.people.words import MIN_COLLAPSED_PREFIX, collapse, is_cjk, without_particle

if TYPE_CHECKING:
    from peopleinfo.people.compared_person import ComparedPerson

_MIN_ADDRESS_PREFIX: Final = 3  # letters


class ComparedWord:
    """A word, prepared for comparison. A run is several words of the query as one; `has_prefix`: it can be the start of a name."""

    def __init__(self, word: str, *, forgiving: bool, has_prefix: bool, is_run: bool = False) -> None:
        self._word = word
        self._collapsed = collapse(word)
        self._forgiving = forgiving
        self._has_prefix = has_prefix
        self._is_run = is_run
        self._stem = without_particle(word) if forgiving else None
        self._nicknames = frozenset(familiar_names(word) if forgiving and not is_run else ())
        self._known: dict[str, Found] = {}
        # A shorter name is neither equal nor a longer word nor a typo, nor does it sound alike.
        self._shortest = min(len(self._collapsed), len(word) - (1 if is_run else MAX_SOUND_DIFFERENCE))

    @cached_property
    def _address(self) -> tuple[str, str]:
        """The word as an address contains it, and its collapsed form."""
        form = address_words(self._word)[0]
        return form, collapse(form)

    def name(self, person: ComparedPerson) -> Found:
        """Compare the word with the names of a person."""
        names = person.names
        if (equal := names.get(self._word)) is not None:
            return equal
        known = self._known
        best = min([known[name] if name in known else self._learn(name) for name in names], default=Found.NOTHING)
        if best > Found.PART and self._stem in names:
            return Found.PART
        return Found.NICKNAME if best > Found.NICKNAME and not self._nicknames.isdisjoint(person.given) else best

    def address(self, person: ComparedPerson) -> Found:
        """Compare the word with the address of a person."""
        words = person.address
        if not words.isdisjoint(self._address):
            return Found.PART
        return Found.PREFIX if self._is_in_address(words) else Found.NOTHING

    def _is_in_address(self, words: frozenset[str]) -> bool:
        """Return whether a word of an address starts with this one, or has it between other signs without blanks."""
        _, start = self._address
        if is_cjk(start):
            return any(start in word for word in words)
        return len(start) >= _MIN_ADDRESS_PREFIX and any(word.startswith(start) for word in words)

    def _learn(self, name: str) -> Found:
        self._known[name] = found = self._similar(name) if self._forgiving else self._prefix(name)
        return found

    def _prefix(self, name: str) -> Found:
        return Found.PREFIX if self._has_prefix and name.startswith(self._word) else Found.NOTHING

    def _similar(self, name: str) -> Found:
        """Return the best class of a name that is not equal."""
        if len(name) < self._shortest:
            return Found.NOTHING
        collapsed = collapse(name)
        if collapsed == self._collapsed:
            return Found.SPELLING
        if self._prefix(name) is Found.PREFIX or self._starts(collapsed):
            return Found.PREFIX
        if is_typo(self._word, name):
            return Found.TYPO
        if self._is_run or not sounds_like(self._word, name):
            return Found.NOTHING
        return Found.SOUND if edit_distance(self._word, name) <= MAX_DISTANCE else Found.FAR_SOUND

    def _starts(self, collapsed: str) -> bool:
        return len(self._collapsed) >= MIN_COLLAPSED_PREFIX and collapsed.startswith(self._collapsed)
