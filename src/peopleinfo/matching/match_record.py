"""A record prepared for matching: folded names, birthdate, words and numbers of the address, identifiers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import FieldAccessDenied
from peopleinfo.people.field_access import visible_fields
from peopleinfo.people.folding import fold
from peopleinfo.people.identifiers import keys_of, values_of
from peopleinfo.people.sounds import sound
from peopleinfo.people.value_cache import ValueCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from peopleinfo.people.person import PersonData

_SEPARATORS: Final = re.compile(r"[\s,;/\-\u00ad‐‑‒–—―−]+")  # noqa: RUF001 (hyphens divide names)
_COMPLETE: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)", re.ASCII)
_PARTIAL: Final = re.compile(r"(\d{4})(?:-(\d\d))?|--(\d\d)-(\d\d)", re.ASCII)
_WORDS: Final = re.compile(r"\w+")
# Generations of one name: a father and his son differ in nothing else.
_GENERATIONS: Final = {
    "sr": "1", "senior": "1", "pere": "1", "jr": "2", "junior": "2", "ii": "2", "fils": "2", "filho": "2", "hijo": "2",
    "iii": "3", "neto": "3", "iv": "4",
}  # fmt: skip
_MIN_WORD_LENGTH: Final = 2
_ASCII_DIVIDERS: Final = bytes(code if _WORDS.fullmatch(chr(code)) else 32 for code in range(256))
_CACHED: Final = 16_384  # names, which repeat; about 300 bytes each


class MatchRecord(NamedTuple):
    """A record prepared for matching. An empty value represents a field that is absent, hidden or without information."""

    names: tuple[str, ...] = ()  # given names, folded
    surnames: tuple[str, ...] = ()  # parts of the surname, folded
    name: str = ""  # the given names without spaces
    surname: str = ""  # the surname without spaces
    name_sound: str = ""  # of the first given name
    surname_sound: str = ""
    generation: str = ""  # 1: senior, 2: junior, …
    birthdate: str = ""  # YYYYMMDD
    partial_birthdate: str = ""  # YYYY, YYYYMM or --MMDD, if not complete
    numbers: frozenset[str] = frozenset()  # of the address
    words: frozenset[str] = frozenset()  # of the address, folded
    identifiers: tuple[tuple[str, str], ...] = ()  # field and search key of each value

    @property
    def first(self) -> str:
        """The first given name, or an empty string."""
        return self.names[0] if self.names else ""


def prepare(
    fields: Mapping[str, Any], *, identifiers: Iterable[str] = (), hidden: frozenset[str] = frozenset()
) -> MatchRecord:
    """Prepare the fields of a person. `identifiers` names the custom fields that identify a person; `hidden` fields are ignored.

    Raises FieldAccessDenied if `hidden` leaves neither names nor a birthdate to compare.
    """
    if hidden:
        check_access(hidden)
        fields = visible_fields(fields, hidden)
    names, generation = _split_name(fields.get("person_name"))
    surnames, later_generation = _split_name(fields.get("person_surname"))
    birthdate, partial = _birthdate(fields.get("person_birthdate"))
    numbers, words = _address(fields.get("person_address"))
    surname = "".join(surnames)
    return MatchRecord(
        names=names,
        surnames=surnames,
        name="".join(names),
        surname=surname,
        name_sound=sound(names[0]) if names else "",
        surname_sound=sound(surname) if surname else "",
        generation=generation or later_generation,
        birthdate=birthdate,
        partial_birthdate=partial,
        numbers=numbers,
        words=words,
        identifiers=_identifiers(fields, identifiers),
    )


def prepare_keys(data: PersonData, identifiers: Iterable[str]) -> MatchRecord:
    """Prepare what the keys of a person contain, without what only a comparison reads."""
    born, address = data.person_birthdate, data.person_address
    return MatchRecord(
        name_sound=_sounds[data.person_name or ""][0],
        surname_sound=_sounds[data.person_surname or ""][1],
        birthdate=_birthdate(born)[0] if born else "",
        numbers=_numbers(_tokens(address)) if address else frozenset(),
        identifiers=_identifiers(data.extra, identifiers) if data.extra else (),
    )


def check_access(hidden: frozenset[str]) -> None:
    """Raise FieldAccessDenied if a principal with these hidden fields can compare neither names nor birthdates."""
    needed = {"person_name", "person_surname", "person_birthdate"}
    if needed <= hidden:
        raise FieldAccessDenied(sorted(needed))


def _sounds_of(name: str) -> tuple[str, str]:
    """Return the sounds of the first part of a name and of the whole name."""
    parts, _ = _parts_of_name(name)
    return (sound(parts[0]), sound("".join(parts))) if parts else ("", "")


_sounds: Final = ValueCache(_sounds_of, _CACHED)


def _split_name(value: Any) -> tuple[tuple[str, ...], str]:
    """Return the folded parts of a name, and the generation that a suffix such as Jr. expresses."""
    if not isinstance(value, str):
        return (), ""
    return _parts[value]


def _parts_of_name(value: str) -> tuple[tuple[str, ...], str]:
    parts = [part for text in _SEPARATORS.split(value) if (part := fold(text))]
    generation = next((_GENERATIONS[part] for part in parts[1:] if part in _GENERATIONS), "")
    return tuple(part for i, part in enumerate(parts) if not i or part not in _GENERATIONS), generation


_parts: Final = ValueCache(_parts_of_name, _CACHED)


def _birthdate(value: Any) -> tuple[str, str]:
    if not isinstance(value, str):
        return "", ""
    if found := _COMPLETE.fullmatch(value):
        return "".join(found.groups()), ""
    if found := _PARTIAL.fullmatch(value):
        year, month, bare_month, bare_day = found.groups("")
        return "", year + month or f"--{bare_month}{bare_day}"
    return "", ""


def _address(value: Any) -> tuple[frozenset[str], frozenset[str]]:
    if not isinstance(value, str):
        return frozenset(), frozenset()
    tokens = _tokens(value)
    words = (fold(token) for token in tokens if not token.isdigit() and len(token) >= _MIN_WORD_LENGTH)
    return _numbers(tokens), frozenset(words)


def _tokens(text: str) -> list[str]:
    if text.isascii():  # the same result in a third of the time
        return text.encode().translate(_ASCII_DIVIDERS).decode().split()
    return _WORDS.findall(text)


def _numbers(tokens: Iterable[str]) -> frozenset[str]:
    return frozenset([number for token in tokens if token.isdigit() and (number := token.lstrip("0"))])


def _identifiers(fields: Mapping[str, Any], names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the configured identifiers in the form of their search keys, so that any usual notation is equal."""
    return tuple((name, key) for name, value in values_of(fields, names) for key in keys_of(name, value))
