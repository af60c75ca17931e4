"""Fields that the formats of address books share: postal addresses, telephone numbers and names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.people.fields import FIELDS, READ_ONLY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULT_TYPES: Final = frozenset(("voice", "internet", "pref", "other"))  # add nothing to the name of a field
_SYNONYMS: Final = {"mobile": "cell", "iphone": "cell"}
_RESERVED: Final = frozenset((*FIELDS, *READ_ONLY_FIELDS))


def joined(parts: Iterable[str], separator: str = " ") -> str:
    """Return the parts that are not blank, joined."""
    return separator.join(text for part in parts if (text := part.strip()))


def add(fields: dict[str, Any], name: str, value: Any, *, first: bool = False) -> None:
    """Add a custom field. A further value of the same name makes the field a list."""
    if name in _RESERVED:
        name = f"x_{name}"
    if name not in fields:
        fields[name] = value
        return
    if not isinstance(fields[name], list):
        fields[name] = [fields[name]]
    fields[name].insert(0 if first else len(fields[name]), value)


def typed_name(name: str, types: Iterable[str]) -> str:
    """Return the name of a field with types, for example phone_home."""
    slugs = (_SYNONYMS.get(slug, slug) for slug in map(_slug, types))
    return "_".join([name, *dict.fromkeys(slug for slug in slugs if slug and slug not in _DEFAULT_TYPES)])


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")


def types_of(name: str, prefix: str) -> list[str] | None:
    """Return the types in the name of a field, the inverse of `typed_name`; None for another field."""
    first, *types = name.split("_")
    return types if first == prefix and typed_name(prefix, types) == name else None


def set_name(fields: dict[str, Any], given: str, family: str, display: str) -> None:
    """Set the name and surname, or the displayed name if both are empty. Keep a displayed name with other content."""
    if given:
        fields["person_name"] = given
    if family:
        fields["person_surname"] = family
    if not display.strip():
        return
    if not given and not family:
        fields["person_name"] = display
    elif is_other_display_name(display, given, family):
        add(fields, "display_name", display)


def is_other_display_name(display: str, given: str, family: str) -> bool:
    """Return whether a displayed name has other letters than the name and the surname."""
    return _letters(display) not in map(_letters, (given, family, given + family, family + given))


def _letters(text: str) -> str:
    return re.sub(r"[\s,]+", "", text)
