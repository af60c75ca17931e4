"""The comparison of a person with a query. It alone decides whether a search finds a person, and in which order."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.people.compared_person import ComparedPerson, Found
from peopleinfo.people.compared_word import ComparedWord
from peopleinfo.people.nicknames import are_different_names
from peopleinfo.people.query_dates import includes
from peopleinfo.people.similarity import is_near
from peopleinfo.people.text_query import is_initial
from peopleinfo.people.words import PARTICLES, is_sure_particle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from peopleinfo.people.text_query import Query, Term

_MAX_RUN: Final = 4  # words of a query that are compared as one word


class Match(NamedTuple):
    """A person that a query found.

    `missing`: words of the query that are not in the record, because they may be particles. `has_other_name`: a first name of the record
    is similar to a different first name in the query, such as Marina and Martina.
    """

    found: Found
    order: str
    person_id: str
    missing: frozenset[str]
    given: frozenset[str]
    has_other_name: bool

    @property
    def rank(self) -> tuple[int, str, str]:
        """The position in the result: class of the match, A-Z, then id."""
        return (int(self.found), self.order, self.person_id)


def rank(matches: Iterable[Match]) -> list[Match]:
    """Return the relevant matches, the best first."""
    matches = list(matches)
    # A word such as Ben is a particle only if no person found has it as a first name.
    present = {word for match in matches for word in match.given}
    matches = [match for match in matches if match.missing.isdisjoint(present)]
    # A different name is a typo only if no person has the names of the query. The same holds for a sound with another spelling.
    if any(match.found < Found.PREFIX for match in matches):
        matches = [match for match in matches if match.found < Found.FAR_SOUND and not match.has_other_name]
    return sorted(matches, key=attrgetter("rank"))


class Comparison:
    """A query, prepared for the comparison with many people. `identifiers` are the custom fields that are identifiers."""

    def __init__(self, query: Query, identifiers: tuple[str, ...], *, forgiving: bool = True) -> None:
        self._terms = query.terms
        self._codes = query.codes if identifiers else {}
        self._identifiers = identifiers
        selective = [word for word in query.words if word not in PARTICLES and not is_initial(word)]
        self._has_name = bool(selective)
        self._has_names = len(selective) > 1
        words = {word for term in self._terms for word in term.words}
        self._words = {
            word: ComparedWord(word, forgiving=forgiving, has_prefix=self._has_name or not is_initial(word))
            for word in words
        }
        self._runs = {
            run: ComparedWord("".join(words), forgiving=forgiving, has_prefix=True, is_run=True)
            for run, words in _runs(query)
        }
        self._has_mail = any(key.startswith("@") for term in self._terms for key in term.identifiers)
        # Dates and numbers first: they are cheap to compare, and exclude most people.
        self._numbers = [term for term in self._terms if not term.is_word]

    def match(self, fields: Mapping[str, Any]) -> Match | None:
        """Compare the visible fields of a record; None unless every term matches."""
        person = ComparedPerson(fields, self._identifiers, has_mail=self._has_mail)
        missing: set[str] = set()
        codes = {span for span, key in self._codes.items() if key in person.identifier_keys}
        if not codes and any(self._term(person, term, missing) is Found.NOTHING for term in self._numbers):
            return None
        found = self._terms_found(person, codes, missing)
        if found is Found.NOTHING:
            return None
        return Match(
            found,
            person.order,
            str(fields.get("person_id", "")),
            frozenset(missing),
            frozenset(person.given),
            has_other_name=found >= Found.TYPO and self._has_other_name(person),
        )

    def _terms_found(self, person: ComparedPerson, codes: set[tuple[int, int]], missing: set[str]) -> Found:
        """Return the worst class of all terms, in their best division into single terms and runs of terms."""
        best: list[Found] = [Found.EXACT, *[Found.NOTHING] * len(self._terms)]
        for end, term in enumerate(self._terms, start=1):
            if best[end - 1] is not Found.NOTHING:
                best[end] = max(best[end - 1], self._term(person, term, missing))
            for start in range(max(0, end - _MAX_RUN), end - 1):
                if (start, end) in codes:
                    best[end] = min(best[end], max(best[start], Found.IDENTIFIER))
                if best[start] < best[end] and (run := self._runs.get((start, end))):
                    best[end] = min(best[end], max(best[start], run.name(person)))
        return best[-1]

    def _has_other_name(self, person: ComparedPerson) -> bool:
        words = [term.words[0] for term in self._terms if term.is_word]
        return any(are_different_names(word, name) and is_near(word, name) for word in words for name in person.given)

    def _term(self, person: ComparedPerson, term: Term, missing: set[str]) -> Found:
        found = self._other_readings(person, term)
        if term.words:
            found = min(found, self._all_words(person, term.words))
        if found is Found.NOTHING and term.phone_part and self._has_name:
            return Found.PART if person.has_part_of_phone(term.phone_part) else Found.NOTHING
        if found is Found.NOTHING and term.is_word and self._has_name and term.words[0] in PARTICLES:
            if not is_sure_particle(term.words[0]):
                missing.add(term.words[0])
            return Found.PART
        return found

    def _other_readings(self, person: ComparedPerson, term: Term) -> Found:
        if self._identifiers and not person.identifier_keys.isdisjoint(term.identifiers):
            return Found.IDENTIFIER
        if term.phone and person.has_phone(term.phone):
            return Found.IDENTIFIER
        matching = [date for date in term.dates if any(includes(date, stored) for stored in person.dates)]
        return Found.NOTHING if not matching else Found.EXACT if set(matching) & set(person.dates) else Found.PART

    def _all_words(self, person: ComparedPerson, words: Iterable[str]) -> Found:
        """Return the worst class of some words, up to the first word that does not match."""
        worst = Found.EXACT
        for word in words:
            worst = max(worst, self._word(person, word))
            if worst is Found.NOTHING:
                break
        return worst

    def _word(self, person: ComparedPerson, text: str) -> Found:
        word = self._words[text]
        found = word.name(person)
        if found > Found.PREFIX:
            found = min(found, self._initials(person, text))
        return found if found <= Found.PART else min(found, word.address(person))

    def _initials(self, person: ComparedPerson, word: str) -> Found:
        """Compare a word with the stored initials of first names, next to another name."""
        is_found = self._has_names and (
            any(is_initial(name) and word.startswith(name) for name in person.given) or person.has_initials(word)
        )
        return Found.PREFIX if is_found else Found.NOTHING


def _runs(query: Query) -> Iterator[tuple[tuple[int, int], list[str]]]:
    """Yield the spans of neighbouring words that are compared as one word, with their words."""
    for end in range(2, len(query.terms) + 1):
        for start in range(max(0, end - _MAX_RUN), end - 1):
            if all(term.is_word for term in query.terms[start:end]):
                yield (start, end), [term.words[0] for term in query.terms[start:end]]
