"""The comparison of a person with a query. It alone decides whether a search finds a person, and in which order."""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.people import identifiers as ids
from peopleinfo.people.edit_distance import MAX_DISTANCE, edit_distance
from peopleinfo.people.folding import fold
from peopleinfo.people.index_entries import address_forms, address_words, order_of
from peopleinfo.people.nicknames import are_different_names, familiar_names
from peopleinfo.people.person import person_data_from_fields
from peopleinfo.people.query_dates import includes, stored_dates
from peopleinfo.people.similarity import is_near, is_typo, sounds_like
from peopleinfo.people.text_query import INITIALS, is_initial
from peopleinfo.people.words import (
    MIN_COLLAPSED_PREFIX,
    PARTICLES,
    collapse,
    divide,
    is_cjk,
    is_sure_particle,
    runs,
    significant,
    without_particle,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from peopleinfo.people.text_query import Query, Term

_MIN_ADDRESS_PREFIX: Final = 3  # letters
_MAX_RUN: Final = 4  # words of a query that are compared as one word


class Found(IntEnum):
    """How a query found a person, the best first."""

    EXACT = 0
    IDENTIFIER = 1
    SPELLING = 2  # ue for ü
    PART = 3
    PREFIX = 4
    NICKNAME = 5
    TYPO = 6
    SOUND = 7
    FAR_SOUND = 8  # the same sound, but the spelling differs in more than two letters
    NOTHING = 9

    @property
    def label(self) -> str:
        """The value of `found_by`."""
        return _LABELS.get(self, self.name.lower())


_LABELS: Final = {Found.SPELLING: "exact", Found.FAR_SOUND: "sound"}


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
        self._forgiving = forgiving
        selective = [word for word in query.words if word not in PARTICLES and not is_initial(word)]
        self._has_name = bool(selective)
        self._has_names = len(selective) > 1

    def match(self, fields: Mapping[str, Any]) -> Match | None:
        """Compare the visible fields of a record; None unless every term matches."""
        person = _Person(fields, self._identifiers)
        best: list[Found] = [Found.EXACT, *[Found.NOTHING] * len(self._terms)]
        missing: set[str] = set()
        codes = {span for span, key in self._codes.items() if key in person.identifier_keys}
        # Dates and numbers first: they are cheap to compare, and exclude most people.
        if not codes and any(
            not term.is_word and self._term(person, term, missing) is Found.NOTHING for term in self._terms
        ):
            return None
        for end in range(1, len(self._terms) + 1):
            best[end] = max(best[end - 1], self._term(person, self._terms[end - 1], missing))
            for start in range(max(0, end - _MAX_RUN), end - 1):
                run = self._terms[start:end]
                if (start, end) in codes:
                    best[end] = min(best[end], max(best[start], Found.IDENTIFIER))
                if all(term.is_word for term in run):
                    joined = self._name(person, "".join(term.words[0] for term in run), is_run=True)
                    best[end] = min(best[end], max(best[start], joined))
        if best[-1] is Found.NOTHING:
            return None
        return Match(
            best[-1],
            person.order,
            str(fields.get("person_id", "")),
            frozenset(missing),
            frozenset(person.given),
            has_other_name=best[-1] >= Found.TYPO and self._has_other_name(person),
        )

    def _has_other_name(self, person: _Person) -> bool:
        words = [term.words[0] for term in self._terms if term.is_word]
        return any(are_different_names(word, name) and is_near(word, name) for word in words for name in person.given)

    def _term(self, person: _Person, term: Term, missing: set[str]) -> Found:
        found = self._other_readings(person, term)
        if term.words:
            found = min(found, max(self._word(person, word) for word in term.words))
        if found is Found.NOTHING and term.phone_part and self._has_name:
            return self._part_of_phone(person, term.phone_part)
        if found is Found.NOTHING and term.is_word and self._has_name and term.words[0] in PARTICLES:
            if not is_sure_particle(term.words[0]):
                missing.add(term.words[0])
            return Found.PART
        return found

    def _other_readings(self, person: _Person, term: Term) -> Found:
        if self._identifiers and any(key in person.identifier_keys for key in term.identifiers):
            return Found.IDENTIFIER
        if term.phone and any(ids.same_phone(term.phone, number) for number in person.phones):
            return Found.IDENTIFIER
        matching = [date for date in term.dates if any(includes(date, stored) for stored in person.dates)]
        return Found.NOTHING if not matching else Found.EXACT if set(matching) & set(person.dates) else Found.PART

    @staticmethod
    def _part_of_phone(person: _Person, digits: str) -> Found:
        return Found.PART if any(ids.is_part_of_phone(digits, number) for number in person.phones) else Found.NOTHING

    def _word(self, person: _Person, word: str) -> Found:
        found = self._name(person, word)
        if found <= Found.PART or not person.address:
            return found
        form = address_words(word)[0]
        if form in person.address or collapse(form) in person.address:
            return Found.PART
        return min(found, Found.PREFIX) if _is_address_prefix(collapse(form), person.address) else found

    def _name(self, person: _Person, word: str, *, is_run: bool = False) -> Found:
        """Compare a word with the names of a person; a run is several words of the query as one."""
        if (found := person.names.get(word)) is not None:
            return found
        if not self._forgiving:
            return Found.PREFIX if self._is_prefix(person, word, is_run=is_run) else Found.NOTHING
        return next((found for found, applies in self._similar(person, word, is_run=is_run) if applies), Found.NOTHING)

    def _similar(self, person: _Person, word: str, *, is_run: bool) -> Iterator[tuple[Found, bool]]:
        """Yield each class of a similar word and whether it applies, the best first."""
        collapsed = collapse(word)
        yield Found.SPELLING, any(collapsed == collapse(name) for name in person.names)
        yield Found.PART, without_particle(word) in person.names
        yield Found.PREFIX, self._is_prefix(person, word, is_run=is_run)
        if len(collapsed) >= MIN_COLLAPSED_PREFIX:
            yield Found.PREFIX, any(collapse(name).startswith(collapsed) for name in person.names)
        yield Found.NICKNAME, not is_run and any(name in familiar_names(word) for name in person.given)
        yield Found.TYPO, any(is_typo(word, name) for name in person.names)
        alike = [name for name in person.names if sounds_like(word, name)] if not is_run else []
        yield Found.SOUND, any(edit_distance(word, name) <= MAX_DISTANCE for name in alike)
        yield Found.FAR_SOUND, bool(alike)

    def _is_prefix(self, person: _Person, word: str, *, is_run: bool) -> bool:
        """Return whether a name starts with the word, or a stored initial is that of the word, next to another name."""
        if is_initial(word) and not self._has_name:
            return False
        has_initial = self._has_names and not is_run
        return _is_prefix(word, person.names) or (
            has_initial
            and (any(is_initial(name) and word.startswith(name) for name in person.given) or person.has_initials(word))
        )


class _Person:
    """The visible fields of a record, prepared for comparison."""

    def __init__(self, fields: Mapping[str, Any], identifiers: tuple[str, ...]) -> None:
        self._data = data = person_data_from_fields(fields)
        self._identifiers = identifiers
        self.given = divide(data.person_name) if data.person_name else []

    @cached_property
    def names(self) -> dict[str, Found]:
        """The forms of the names, each with the class of an equal word."""
        names: dict[str, Found] = {}
        data, key = self._data, self._data.surname_key
        _add_name(names, divide(data.person_surname or data.person_name or ""), key)
        if data.person_name and data.person_surname:
            given = fold(data.person_name)
            _add_name(names, self.given, given)
            if is_cjk(key):
                _add(names, [key + given, given + key], Found.EXACT)
        elif is_cjk(key):
            _add(names, [key[start:] for start in range(1, len(key))], Found.PART)
        return names

    def has_initials(self, word: str) -> bool:
        """Return whether a word consists of the initials of first names, for example `mj` of Mary Jane."""
        return (
            len(word) in INITIALS and word.isascii() and word == "".join(name[:1] for name in self.given)[: len(word)]
        )

    @property
    def order(self) -> str:
        """The position among people, A-Z."""
        return order_of(self._data)

    @cached_property
    def address(self) -> dict[str, None]:
        """The words of the address, in all their forms."""
        words = address_words(self._data.person_address) if self._data.person_address else []
        forms = [form for word in words for form in address_forms(word)]
        return dict.fromkeys([*forms, *map(collapse, forms)])

    @cached_property
    def dates(self) -> list[str]:
        """The readings of the birthdate."""
        return stored_dates(self._data.person_birthdate) if self._data.person_birthdate else []

    @cached_property
    def identifier_keys(self) -> set[str]:
        """The index keys of the identifiers that are no phone numbers."""
        return {key for name, value in self._values if not ids.is_phone_field(name) for key in ids.keys_of(name, value)}

    @cached_property
    def phones(self) -> list[str]:
        """The digits of the phone numbers."""
        return [ids.phone_digits(value) for name, value in self._values if ids.is_phone_field(name)]

    @cached_property
    def _values(self) -> list[tuple[str, str]]:
        return list(ids.values_of(self._data.extra, self._identifiers))


def _add_name(names: dict[str, Found], words: list[str], key: str) -> None:
    main = significant(words)
    _add(names, [key], Found.EXACT)
    _add(names, main, Found.EXACT if len(main) == 1 else Found.PART)
    _add(names, runs(words), Found.PART)
    _add(names, [stem for word in main if (stem := without_particle(word))], Found.PART)


def _add(names: dict[str, Found], forms: Iterable[str], found: Found) -> None:
    for form in forms:
        names.setdefault(form, found)


def _is_address_prefix(word: str, others: Iterable[str]) -> bool:
    """Return whether a word of an address starts with a word, or has it between other signs without blanks."""
    if is_cjk(word):
        return any(word in other for other in others)
    return len(word) >= _MIN_ADDRESS_PREFIX and _is_prefix(word, others)


def _is_prefix(word: str, others: Iterable[str]) -> bool:
    return any(other.startswith(word) for other in others)
