"""The search index of a person: a few entries, each with one word and the names of the person in sort order.

An entry is a key and an order. The first letter of the key is its kind; the rest is the word that a search looks up. The order is the
surname key, a tab, the first names, a tab and the words of the surname: entries of one key sort A-Z by surname, then by first name.
A store may replace each word by a keyed hash; then it finds whole words only, in no order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.people import identifiers, query_dates
from peopleinfo.people.folding import FOLD_VERSION, fold
from peopleinfo.people.sounds import SOUND_VERSION
from peopleinfo.people.value_cache import ValueCache
from peopleinfo.people.words import (
    collapse,
    divide,
    divide_rare,
    is_cjk,
    significant,
    split_postcode,
    unfolded_words,
    without_particle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from peopleinfo.people.person import PersonData

INDEX_VERSION: Final = 2  # increment with every change of the entries of a person
NAME, BIRTHDATE, ADDRESS, IDENTIFIER = "n", "b", "a", "i"
UPDATES: Final = "updated_at"  # the list by the time of the last update (`people_list`), which has no entries
DUPLICATES: Final = "duplicates"  # entries that find duplicates (`matching.entries`)
INDEXES: Final = ("names", "birthdate", "address", UPDATES, DUPLICATES)
MAX_ADDRESS_ENTRIES: Final = 12
MAX_WORD: Final = 64  # characters of a word in a key
MAX_ORDER: Final = 200  # characters
_MAX_SUFFIXES: Final = 5  # of a whole name without blanks
_NUMBER: Final = re.compile(r"\d{1,3}[a-z]?")  # a house number: selects no person alone
_WORD: Final = re.compile(r"[^\t ]+")
_CJK_PART: Final = re.compile("(?<=[都道府県县市区區町村郡路號号])(?=.)")
_DIVIDED_POSTCODE: Final = re.compile(r"(?<![\d-])(\d{3}) (\d{2})(?![\d-])|(?<![\d-])(\d{2})-(\d{3})(?![\d-])")
_FIELD_OF: Final = {"birthdate": "person_birthdate", "address": "person_address"}
_MAY_DIVIDE: Final = re.compile(r"\d[ -]\d")  # faster than `_DIVIDED_POSTCODE`, and part of each of its matches
_CACHED: Final = 32_768  # names, and as many words of addresses
_CACHED_DAYS: Final = 65_536  # a cache keeps at least half of its size: the birthdates of 90 years
# Words that most addresses contain. A search compares them, but no entry is stored for them.
_SAME_WORDS: Final = {
    "street": "st", "road": "rd", "avenue": "ave", "lane": "ln", "drive": "dr", "court": "ct", "place": "pl", "square": "sq",
    "boulevard": "blvd", "strasse": "str", "apartment": "apt", "number": "no", "saint": "st",
}  # fmt: skip
_STREET: Final = re.compile(r"(.{3,})(strasse|str|straat|weg|platz|gasse|allee|gatan|gade|vej|laan)")  # Hauptstrasse
# After the replacement of `_SAME_WORDS`.
GENERIC: Final = frozenset((
    "st", "rd", "ave", "ln", "dr", "ct", "pl", "row", "way", "sq", "the", "of", "str", "weg", "platz", "allee", "gasse", "rue", "de", "la", "le", "du", "des", "avenida", "calle", "via", "viale", "piazza", "rua", "straat", "laan", "plein", "gade", "vej", "gatan", "ulica", "ul", "apt", "flat", "no", "nr",
))  # fmt: skip


class IndexPlan(NamedTuple):
    """The indexes of a store, which an operator selects: kinds in `INDEXES`, and custom fields that are identifiers."""

    indexes: frozenset[str] = frozenset(INDEXES)
    identifiers: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    """Identifiers whose values belong to one person each; the entries do not depend on it."""
    version: int = INDEX_VERSION

    @property
    def text(self) -> str:
        """The plan as a text that a store keeps, for example `2.2.2:address,birthdate,names:email,phone`."""
        return f"{self.version}.{FOLD_VERSION}.{SOUND_VERSION}:{','.join(sorted(self.indexes))}:{','.join(self.identifiers)}"

    @classmethod
    def parse(cls, text: str) -> IndexPlan:
        """Return the plan of a text."""
        version, indexes, fields = text.split(":", 2)
        number = int(version.split(".")[0])
        return cls(frozenset(filter(None, indexes.split(","))), tuple(filter(None, fields.split(","))), version=number)


DEFAULT_PLAN: Final = IndexPlan(identifiers=("email", "phone"))
NO_INDEX: Final = IndexPlan(frozenset(), ())


def keys_and_order(data: PersonData, plan: IndexPlan) -> tuple[list[str], str]:
    """Return the keys of the entries of a person, without duplicates, and their order.

    The keys are those of the names, identifiers and birthdate, then of the address.
    """
    surname, given = _names(data)
    keys = _name_keys(surname, given) if "names" in plan.indexes else []
    if plan.identifiers and data.extra:
        keys += _identifier_keys(data.extra, plan)
    if data.person_birthdate and "birthdate" in plan.indexes:
        keys += _birthdate_keys[data.person_birthdate]
    if data.person_address and "address" in plan.indexes:
        keys += _address_keys(data.person_address)
    return list(dict.fromkeys(keys)), _order(surname, given)


def plan_of_change(old: PersonData, new: PersonData, plan: IndexPlan) -> IndexPlan:
    """Return the part of a plan whose entries can differ between two versions of a person."""
    if (old.person_surname, old.person_name) != (new.person_surname, new.person_name):
        return plan  # the order of all entries
    indexes = {name for name, field in _FIELD_OF.items() if getattr(old, field) != getattr(new, field)}
    has_new_identifiers = old.extra != new.extra and (
        [*identifiers.values_of(old.extra, plan.identifiers)] != [*identifiers.values_of(new.extra, plan.identifiers)]
    )
    if not indexes and not has_new_identifiers:
        return NO_INDEX
    return plan._replace(indexes=plan.indexes & {*indexes, DUPLICATES})


def order_of(data: PersonData) -> str:
    """Return the sort order of a person, which contains every word of the names."""
    return _order(*_names(data))


def map_words(order: str, code: Callable[[str], str]) -> str:
    """Return an order with each word replaced, for a store that keeps hashes of words."""
    return _WORD.sub(lambda word: code(word[0]), order)


def name_of(key: str) -> str:
    """Return the word of a key that belongs to the vocabulary of names, "" for another kind."""
    return key[1:] if key[0] == NAME else ""


def _identifier_keys(fields: Mapping[str, Any], plan: IndexPlan) -> list[str]:
    values = identifiers.values_of(fields, plan.identifiers)
    return [IDENTIFIER + key for name, value in values for key in identifiers.keys_of(name, value)]


def _keys_of_birthdate(birthdate: str) -> tuple[str, ...]:
    return tuple(BIRTHDATE + text for text in query_dates.stored_dates(birthdate)[:1])


_birthdate_keys = ValueCache(_keys_of_birthdate, _CACHED_DAYS)


def _address_keys(address: str) -> list[str]:
    keys: list[str] = []
    for line in address.splitlines():
        for word in unfolded_words(line):
            keys += _address_word_keys[word]
    if _MAY_DIVIDE.search(address):
        for postcode in postcodes(address):
            keys += _address_word_keys[postcode]
    return keys[:MAX_ADDRESS_ENTRIES]


def address_words(address: str) -> list[str]:
    """Return the folded words of an address, with one form of street, road and similar words."""
    words = [part for line in address.splitlines() for word in divide_rare(line) for part in (word, *_cjk_parts(word))]
    return [*(_SAME_WORDS.get(half, half) for word in words for half in split_postcode(word)), *postcodes(address)]


def address_forms(word: str) -> list[str]:
    """Return the forms of a word of an address that are equal to it, for example `haupt` and `str` for hauptstrasse."""
    if street := _STREET.fullmatch(word):
        kind = _SAME_WORDS.get(street[2], street[2])
        return [word, street[1] + kind, street[1], kind]
    return [word]


def address_key(word: str) -> str:
    """Return the word under which a word of an address is indexed."""
    street = _STREET.fullmatch(word)
    return collapse(street[1] if street else _SAME_WORDS.get(word, word))


def address_parts(word: str) -> list[str]:
    """Return a word and the parts of a Chinese or Japanese address in it: 東京都, 千代田区."""
    return [word, *_cjk_parts(word)]


def _cjk_parts(word: str) -> list[str]:
    parts = [] if word.isascii() else _CJK_PART.split(word)
    return parts if len(parts) > 1 else []


def postcodes(address: str) -> list[str]:
    """Return the postcodes of an address that are written in two groups, without the blank or hyphen: 00-238, 114 55."""
    return ["".join(filter(None, groups)) for groups in _DIVIDED_POSTCODE.findall(address)]


def _keys_of_address_word(word: str) -> tuple[str, ...]:
    """Return the keys of a word of an address, none for a word that selects no person."""
    keys = [
        address_key(_SAME_WORDS.get(half, half)) for part in address_parts(fold(word)) for half in split_postcode(part)
    ]
    return tuple(ADDRESS + key[:MAX_WORD] for key in keys if not is_generic(key))


_address_word_keys = ValueCache(_keys_of_address_word, _CACHED)


def is_generic(word: str) -> bool:
    """Return whether a word of an address selects no person: a house number, or a word such as street."""
    return word in GENERIC or len(word) == 1 or _NUMBER.fullmatch(word) is not None


class _IndexedName(NamedTuple):
    """What the index contains of one name: its folded form, its words, and its keys."""

    key: str
    words: str
    entry_keys: tuple[str, ...]


def _index_name(name: str) -> _IndexedName:
    key = fold(name)
    return _IndexedName(key, " ".join(divide(name)), tuple(NAME + word[:MAX_WORD] for word in (key, *_parts(name))))


_indexed_names = ValueCache(_index_name, _CACHED)


def _names(data: PersonData) -> tuple[_IndexedName, _IndexedName | None]:
    """Return the surname and the first name; the only name of a person takes the place of the surname."""
    name, surname = data.person_name, data.person_surname
    return _indexed_names[surname or name or ""], _indexed_names[name] if name and surname else None


def _order(surname: _IndexedName, given: _IndexedName | None) -> str:
    return f"{surname.key}\t{given.words if given else ''}\t{surname.words}"[:MAX_ORDER]


def _name_keys(surname: _IndexedName, given: _IndexedName | None) -> list[str]:
    if given:
        return [*surname.entry_keys, *given.entry_keys]
    return [*surname.entry_keys, *(NAME + word[:MAX_WORD] for word in _suffixes(surname.key))]


def _parts(name: str) -> Iterator[str]:
    """Yield the words of a name that a search may contain alone."""
    words = divide(name)
    main = significant(words)
    for word in main:
        if len(word) > 1 or not word.isascii():
            yield word
        if stem := without_particle(word):
            yield stem
    first = 1 if len(main) == len(words) else 0  # the key is the joined form of all words
    yield from ("".join(main[start:]) for start in range(first, len(main) - 1))


def _suffixes(name: str) -> Iterator[str]:
    """Yield the possible first names at the end of a whole name without blanks."""
    if is_cjk(name):
        yield from (name[start:] for start in range(1, min(len(name), _MAX_SUFFIXES + 1)))
