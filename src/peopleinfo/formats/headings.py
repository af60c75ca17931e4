"""Headings of columns and keys of objects in many languages, and the fields of a person that they name."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from peopleinfo.formats.date_orders import NOTATION
from peopleinfo.formats.heading_words import (
    DAY_FIRST,
    GROUPS,
    KINDS,
    NO_PARTICLES,
    OF,
    OTHER_SUBJECT,
    QUESTION,
    TWO_SURNAMES,
)
from peopleinfo.people.fields import FIELDS
from peopleinfo.people.folding import fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_LETTER: Final = re.compile(r"[\W_]+")
_ROMANIAN: Final = str.maketrans("şţ", "șț")  # Windows-1250 has the letters of Turkish only
_IN_PARENTHESES: Final = re.compile(r"\s*[(\[（].*?[)\]）]")
# Words joined to a heading that name the kind of person: `memberFirstName`, `Schülernachname`.
_KINDS_OF_PERSON: Final = re.compile(
    r"(?:your|member|patient|pat|student|stu|customer|cust|client|contact|employee|emp|payroll|worker|person|applicant|donor|participant"
    r"|recipient|attendee|legal|schuler|kunden|mitglied|mitarbeiter|patienten|teilnehmer|spieler|personen|klant|leerling|kund|elev|medlem)s?"
    r"(?=[a-z])"
)
_GROUP: Final = re.compile(r"(.*\S)\s*(?:\s[-\u2013:>]\s|[.:/])\s*(\S.*)")  # `Person - First name`
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_SEPARATED: Final = re.compile(
    r"\s*[/|\n]\s*|(?<=[\u3040-\u9fff\uac00-\ud7af])\s*(?=[A-Za-z])|(?<=[A-Za-z])\s*(?=[\u3040-\u9fff\uac00-\ud7af])"
)
# `Birth Day` next to `Birth Year` is a day, alone it is a birthday.
_DAYS_AND_BIRTHDAYS: Final = frozenset(
    (
        "birthday", "bday", "geburtstag", "fodelsedag", "fodselsdag", "syntymapaiva", "szuletesnap", "деньрождения", "деньнародження",
        "dogumgunu", "生日",
    )
)  # fmt: skip

_DATE_PARTS: Final = ("day", "month", "year")

_FIELD_ROLES: Final = {
    "person_name": ("given", "name"),
    "person_surname": ("family",),
    "person_birthdate": ("birthdate",),
    "person_address": ("address",),
}


class Role(NamedTuple):
    """What a heading names, its priority among the headings of the same role (the lowest number first), and its first language."""

    name: str
    priority: int
    language: str


class Guess(NamedTuple):
    """The columns, by index, that the headings assign to the fields of a person.

    `whole` is a column of whole names: it is divided if no column has names, and replaces missing names otherwise. `birth_parts` are
    the columns of year, month and day. `other_surname` is a column that has the surname in rows without a value in the first one.
    """

    fields: dict[str, tuple[int, ...]]
    whole: int | None = None
    is_family_first: bool = False
    birth_parts: tuple[int | None, int | None, int | None] | None = None
    other_surname: int | None = None


@lru_cache(maxsize=4096)
def role(heading: str) -> Role | None:
    """Return the role of a heading, for example `given` for `Vorname` and `FIRST_NAME`; None for an unknown heading.

    The whole heading comes first, then its parts in the order of `_PARTIAL_READINGS`. A heading of another subject has no parts.
    """
    found = _own_fields().get(heading) or _listed(heading) or _part_of_date(heading)
    if found or any(map(OTHER_SUBJECT.search, _IN_PARENTHESES.findall(heading))):
        return found
    return next(filter(None, (read(heading) for read in _PARTIAL_READINGS)), None)


def is_name(heading: str) -> bool:
    """Return whether a text is a usual heading of given names or surnames, with exact letters."""
    if _exact(heading) not in _exact_headings():
        return False
    found = role(heading)
    return found is not None and found.name in ("given", "family", "family_first_part", "family_second_part")


def is_heading(text: str) -> bool:
    """Return whether a text is a usual heading of names or of birthdates, with exact letters."""
    found = role(text) if _exact(text) in _exact_headings() else None
    return found is not None and found.name in ("given", "family", "whole", "birthdate")


def _listed(heading: str) -> Role | None:
    return _roles().get(_key(heading))


def _part_of_date(heading: str) -> Role | None:
    """Return the role of a heading such as `Date of birth (day)`."""
    words = _WORD.findall(heading)
    if len(words) < 2 or NOTATION.search(heading):  # noqa: PLR2004
        return None
    part, whole = _listed(words[-1]), _listed("".join(words[:-1]))
    if part is None or part.name not in _DATE_PARTS or whole is None or whole.name != "birthdate":
        return None
    return whole._replace(name=f"birth_{part.name}")


def _without_remarks(heading: str) -> Role | None:
    """Return the role of a heading without its remarks, for example `Geburtsdatum (TT.MM.JJJJ)`."""
    return _listed(_plain(heading))


def _plain(heading: str) -> str:
    """Return a heading without texts in parentheses and notations of dates."""
    return NOTATION.sub("", _IN_PARENTHESES.sub("", heading))


def _without_kind(heading: str) -> Role | None:
    """Return the role of a heading without a number, a question, and the kind of person before or after it."""
    words = [_key(word.removesuffix("'s").removesuffix("\u2019s")) for word in _WORD.findall(_plain(heading))]
    while len(words) > 1 and (words[0] in QUESTION or words[0] in KINDS or words[0].isdigit()):
        del words[0]
    if len(words) > 1 and words[-1] in KINDS:
        del words[-1]
        while len(words) > 1 and words[-1] in OF:
            del words[-1]
    return _roles().get("".join(words))


def _without_joined_kind(heading: str) -> Role | None:
    """Return the role of a heading without the kind of person that is joined to it, for example `memberFirstName`."""
    key = _key(heading)
    kind = _KINDS_OF_PERSON.match(key)
    return _roles().get(key[kind.end() :]) if kind else None


def _in_two_languages(heading: str) -> Role | None:
    """Return the role of a heading such as `Name / Nom` or `姓 Last Name`, if all its parts have one role."""
    parts = [part for part in _SEPARATED.split(heading) if part]
    found = [_listed(part) for part in parts]
    if len(found) > 1 and found[0] is not None and all(one and one.name == found[0].name for one in found):
        return found[0]
    return None


def _in_group(heading: str) -> Role | None:
    """Return the role of a heading after the group of its column, for example `Legal Name - First Name`."""
    match = _GROUP.fullmatch(heading)
    if match is None or not all(_key(word) in GROUPS or _key(word) in KINDS for word in _WORD.findall(match[1])):
        return None
    return _listed(match[2])


def _whole_with_more(heading: str) -> Role | None:
    """Return the role of a whole name with further parts, such as `Surname, first name, title`."""
    family, *parts = heading.split(",", 2)
    found = role(f"{family},{parts[0]}") if len(parts) > 1 else None
    return found if found and found.name.startswith("whole") else None


_PARTIAL_READINGS: Final = (
    _without_remarks,
    _without_kind,
    _without_joined_kind,
    _in_two_languages,
    _in_group,
    _whole_with_more,
)
"""Each reads a part of a heading. Those that leave out less come first."""


def usual_order(heading: str) -> str | None:
    """Return the order of a date in the language of a heading: `dmy`, or None if its countries have several orders."""
    found = role(heading)
    return "dmy" if found and found.language in DAY_FIRST else None


def surname_count(heading: str) -> int:
    """Return how many surnames people have in the language of a heading of whole names; 0 if surnames have no particles."""
    found = role(heading)
    if found is None or found.language in NO_PARTICLES:
        return 0
    return 2 if found.language in TWO_SURNAMES and found.name in ("whole", "whole_family_first") else 1


def keys_by_field() -> dict[str, list[str]]:
    """Return the normalized headings of each field."""
    return {field: [key for key, one in _roles().items() if one.name in roles] for field, roles in _FIELD_ROLES.items()}


def count_known(text: str) -> int:
    """Return how many cells of a text with unknown delimiter are known headings with other letters than ASCII.

    The letters must be exact: `Prénom`, but not `PrÈnom`, which is a sign of a wrong encoding.
    """
    cells = {cell.strip(' "') for cell in re.split(r"[,;\t|\r\n]", text) if not cell.isascii()}
    return sum(_exact(cell) in _exact_headings() for cell in cells)


def guess(names: Sequence[str], taken: Mapping[str, Sequence[int]]) -> Guess:
    """Assign columns to fields. `taken` has the fields and columns that the user assigned.

    A field that is taken gets no other column, and a column that is taken no other field.
    """
    columns = _Columns(names, {index for indices in taken.values() for index in indices})
    fields: dict[str, tuple[int, ...]] = {}
    given, family = columns.first("given"), columns.family()
    name = columns.first("name", "name_family_first")
    has_given, has_family = given is not None or "person_name" in taken, bool(family) or "person_surname" in taken
    if name is not None and has_given != has_family:
        given, family = (given, (name,)) if has_given else (name, family)
    if not family and has_given and "person_surname" not in taken:
        family = columns.all("birth_family")[:1]
    fields["person_name"] = () if given is None else (given,)
    fields["person_surname"] = family
    parts = columns.birth_parts() if "person_birthdate" not in taken else None
    born = columns.first("birthdate") if parts is None else None
    fields["person_birthdate"] = () if born is None else (born,)
    address = columns.first("address")
    fields["person_address"] = () if address is None else (address,)
    used = {index for indices in fields.values() for index in indices}
    names = ("name", "name_family_first") if name not in used else ()
    whole = columns.first("whole", "whole_family_first", *names, "display")
    assigned = {field: indices for field, indices in fields.items() if indices and field not in taken}
    spare = () if "person_surname" in taken or not has_given else columns.all("family", "name", "birth_family")
    other = next((index for index in spare if index not in used), None) if family else None
    return Guess(assigned, whole, columns.is_family_first(whole), parts, other)


def is_family_first(names: Sequence[str], index: int | None) -> bool:
    """Return whether the whole names of a column start with the surname."""
    return _Columns(names, set()).is_family_first(index)


def birth_parts(names: Sequence[str]) -> tuple[int | None, int | None, int | None] | None:
    """Return the indices of year, month and day among the names of columns that make up a birthdate."""
    return _Columns(names, set()).birth_parts()


class _Columns:
    """The roles of columns that are not taken."""

    def __init__(self, names: Sequence[str], taken: set[int]) -> None:
        # role → (priority, whether the heading has a remark, index)
        self._found: dict[str, list[tuple[int, bool, int]]] = {}
        for index, name in enumerate(names):
            if index not in taken and (found := role(name)):
                has_remark = _IN_PARENTHESES.search(name) is not None
                self._found.setdefault(found.name, []).append((found.priority, has_remark, index))
        self._keys = {index: _key(name) for index, name in enumerate(names)}

    def first(self, *roles: str) -> int | None:
        """Return the column with the highest priority, of the first role that has one."""
        return next(iter(self.all(*roles)), None)

    def all(self, *roles: str) -> tuple[int, ...]:
        """Return the columns of some roles, those with the highest priority first."""
        return tuple(index for name in roles for *_, index in sorted(self._found.get(name, [])))

    def family(self) -> tuple[int, ...]:
        """Return the column of the surname, after that of a prefix, or the columns of two surnames."""
        parts = tuple(
            index for name in ("family_first_part", "family_second_part") if (index := self.first(name)) is not None
        )
        main = self.first("family")
        if main is None:
            return parts
        prefix = self.first("family_prefix")
        return (main,) if prefix is None else (prefix, main)

    def birth_parts(self) -> tuple[int | None, int | None, int | None] | None:
        """Return the columns of year, month and day, unless another column has the whole date."""
        year, month, day = self.first("birth_year"), self.first("birth_month"), self.first("birth_day")
        if year is None and month is None:
            return None
        dates = self.all("birthdate")
        if day is None:
            day = next((index for index in dates if self._keys[index] in _DAYS_AND_BIRTHDAYS), None)
        return (year, month, day) if all(index == day for index in dates) else None

    def is_family_first(self, index: int | None) -> bool:
        """Return whether the whole names of a column start with the surname."""
        return index in self.all("whole_family_first", "name_family_first")


@lru_cache(maxsize=1)
def _words() -> dict[str, list[tuple[str, str]]]:
    """Return the headings of each role, with their language, in the order of their priority."""
    text = files("peopleinfo.formats").joinpath("headings.toml").read_text(encoding="utf-8")
    return {
        name: [(heading, language) for language, words in languages.items() for heading in words]
        for name, languages in tomllib.loads(text).items()
    }


@lru_cache(maxsize=1)
def _own_fields() -> dict[str, Role]:
    """Return the roles of the fields of this service, which are exact names."""
    return {
        field: Role(name, 0, "product")
        for field, name in zip(FIELDS, ("given", "family", "birthdate", "address"), strict=True)
    }


@lru_cache(maxsize=1)
def _roles() -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for name, headings in _words().items():
        for priority, (heading, language) in enumerate(headings):
            roles.setdefault(_key(heading), Role(name, priority, language))
    return roles


@lru_cache(maxsize=1)
def _exact_headings() -> frozenset[str]:
    return frozenset(_exact(heading) for headings in _words().values() for heading, _ in headings)


def _exact(heading: str) -> str:
    """Return the letters of a heading with their marks."""
    text = unicodedata.normalize("NFC", _IN_PARENTHESES.sub("", heading)).casefold().translate(_ROMANIAN)
    return _NO_LETTER.sub("", text)


@lru_cache(maxsize=4096)
def _key(heading: str) -> str:
    return _NO_LETTER.sub("", fold(heading))
