"""The setting of identifiers: custom fields that find a person, for example `email,phone,unique:employee_no`."""

from __future__ import annotations

import re
from typing import Final

from peopleinfo.errors import InvalidSettings

INDEXES: Final = ("names", "birthdate", "address", "updated_at", "duplicates")
_UNIQUE: Final = "unique:"
_FIELD: Final = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)
_RESERVED: Final = ("person_", "version", "created_at", "updated_at")  # starts of the names of other fields


def parse_identifiers(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of identifiers, and those that are unique. Raises InvalidSettings."""
    names, unique = [], set()
    for item in filter(None, map(str.strip, text.split(","))):
        name = item.removeprefix(_UNIQUE)
        if _FIELD.fullmatch(name) is None or name.startswith(_RESERVED):
            raise InvalidSettings(
                f"PEOPLEINFO_IDENTIFIERS: {item} is not the name of a custom field: use for example email,unique:employee_no"
            )
        names.append(name)
        if item.startswith(_UNIQUE):
            unique.add(name)
    return tuple(dict.fromkeys(names)), frozenset(unique)


def parse_indexes(text: str) -> frozenset[str]:
    """Return the names of the search indexes. Raises InvalidSettings."""
    indexes = frozenset(filter(None, map(str.strip, text.split(","))))
    if unknown := sorted(indexes - {*INDEXES}):
        raise InvalidSettings(
            f"PEOPLEINFO_SEARCH_INDEXES: {', '.join(unknown)} is not an index: use some of {', '.join(INDEXES)}"
        )
    return indexes
