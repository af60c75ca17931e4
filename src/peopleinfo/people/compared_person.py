"""A person as the ranking of a search compares it: the forms of the names and of the address, dates and identifiers.

A search compares up to 200 people, which share many names and words of addresses. So the forms of each name and word are cached.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.people import identifiers as ids
from peopleinfo.people.folding import fold
from peopleinfo.people.index_entries import address_forms, address_words, order_of, postcodes
from peopleinfo.people.person import person_data_from_fields
from peopleinfo.people.query_dates import stored_dates
from peopleinfo.people.text_query import INITIALS
from peopleinfo.people.value_cache import ValueCache
from peopleinfo.people.words import collapse, divide, is_cjk, runs, significant, unfolded_words, without_particle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CACHED: Final = 8_192  # names, and as many words of addresses


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


class ComparedPerson:
    """The visible fields of a record, prepared for comparison. `has_mail`: the query has a mail address."""

    def __init__(self, fields: Mapping[str, Any], identifiers: tuple[str, ...], *, has_mail: bool) -> None:
        self._fields = fields
        self._identifiers = identifiers
        self._has_mail = has_mail
        self._name: str = fields.get("person_name") or ""
        self._surname: str = fields.get("person_surname") or ""
        self.given = divide(self._name) if self._name else []

    @cached_property
    def names(self) -> Mapping[str, Found]:
        """The forms of the names, each with the class of an equal word."""
        if not (self._name and self._surname):
            return _only_name(self._surname or self._name)
        given, key = _forms[self._name], fold(self._surname)
        joined = dict.fromkeys([key + fold(self._name), fold(self._name) + key], Found.EXACT) if is_cjk(key) else {}
        return joined | given | _forms[self._surname]

    def has_initials(self, word: str) -> bool:
        """Return whether a word consists of the initials of first names, for example `mj` of Mary Jane."""
        return (
            len(word) in INITIALS and word.isascii() and word == "".join(name[:1] for name in self.given)[: len(word)]
        )

    @property
    def order(self) -> str:
        """The position among people, A-Z."""
        return order_of(person_data_from_fields(self._fields))

    @cached_property
    def address(self) -> frozenset[str]:
        """The words of the address, in all their forms."""
        address = self._fields.get("person_address")
        if not address:
            return frozenset()
        words = {word for line in address.splitlines() for word in unfolded_words(line)}
        return frozenset().union(*map(_address_words.__getitem__, words), map(collapse, postcodes(address)))

    @cached_property
    def dates(self) -> list[str]:
        """The readings of the birthdate."""
        born = self._fields.get("person_birthdate")
        return stored_dates(born) if born else []

    @cached_property
    def identifier_keys(self) -> set[str]:
        """The index keys of the identifiers that are no phone numbers; those of mail addresses only for a query that has one."""
        return {
            key
            for name, value in self._values
            if not ids.is_phone_field(name) and (self._has_mail or not ids.is_usual_mail(value))
            for key in ids.keys_of(name, value)
        }

    def has_phone(self, digits: str) -> bool:
        """Return whether the person has a phone number, with or without the country code."""
        return any(ids.is_phone(digits, value) for name, value in self._values if ids.is_phone_field(name))

    def has_part_of_phone(self, digits: str) -> bool:
        """Return whether digits are a part of a phone number."""
        phones = [ids.phone_digits(value) for name, value in self._values if ids.is_phone_field(name)]
        return any(ids.is_part_of_phone(digits, phone) for phone in phones)

    @cached_property
    def _values(self) -> list[tuple[str, str]]:
        return list(ids.values_of(self._fields, self._identifiers))


def _forms_of(name: str) -> dict[str, Found]:
    """Return the forms of a name. The caller must not change them."""
    forms: dict[str, Found] = {}
    words = divide(name)
    main = significant(words)
    _add(forms, [fold(name)], Found.EXACT)
    _add(forms, main, Found.EXACT if len(main) == 1 else Found.PART)
    _add(forms, runs(words), Found.PART)
    _add(forms, [stem for word in main if (stem := without_particle(word))], Found.PART)
    return forms


_forms: Final = ValueCache(_forms_of, _CACHED)


def _only_name(name: str) -> dict[str, Found]:
    """Return the forms of the only name of a person, which may be a whole name without blanks."""
    key = fold(name)
    ends = (key[start:] for start in range(1, len(key))) if is_cjk(key) else ()
    return dict.fromkeys(ends, Found.PART) | _forms[name]


def _add(names: dict[str, Found], forms: Iterable[str], found: Found) -> None:
    for form in forms:
        names.setdefault(form, found)


def _forms_of_address_word(word: str) -> tuple[str, ...]:
    """Return all forms of one word of an address."""
    forms = [form for part in address_words(word) for form in address_forms(part)]
    return (*forms, *map(collapse, forms))


_address_words: Final = ValueCache(_forms_of_address_word, _CACHED)
