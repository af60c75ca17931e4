"""Divide a whole name into given names and surname."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Words that belong to the surname after them: Ludwig van Beethoven, María de la Cruz.
_PARTICLES: Final = frozenset(
    [
        "af",
        "al",
        "auf",
        "av",
        "ben",
        "bin",
        "bint",
        "da",
        "dal",
        "dalla",
        "das",
        "de",
        "degli",
        "dei",
        "del",
        "dela",
        "della",
        "delle",
        "den",
        "der",
        "des",
        "di",
        "do",
        "dos",
        "du",
        "e",
        "el",
        "ibn",
        "la",
        "las",
        "le",
        "lo",
        "los",
        "mac",
        "mc",
        "na",
        "of",
        "op",
        "'t",
        "ten",
        "ter",
        "te",
        "tot",
        "und",
        "ut",
        "van",
        "vande",
        "vanden",
        "vander",
        "von",
        "vom",
        "y",
        "zu",
        "zum",
        "zur",
        "ze",
    ]
)
_SUFFIXES: Final = frozenset(("jr", "jr.", "sr", "sr.", "ii", "iii", "iv", "junior", "senior"))
_COMMA: Final = re.compile(r"\s*[,，、]\s*")


class Names(NamedTuple):
    """The names of a person; an empty text is not known."""

    given: str
    family: str


def divide(text: str, *, is_family_first: bool = False) -> Names:
    """Divide a whole name: at its comma, else before the last word and the particles in front of it.

    A name of one word, also one in Chinese letters without a blank, is a given name.
    """
    family, *rest = _COMMA.split(text.strip(), maxsplit=1)
    if rest and family and rest[0] and rest[0].lower() not in _SUFFIXES:
        return Names(rest[0], family)
    words = text.split()
    if len(words) <= 1:
        return Names(text.strip(), "")
    if is_family_first:
        return Names(" ".join(words[1:]), words[0])
    start = len(words) - 1
    if words[start].lower() in _SUFFIXES and start > 1:
        start -= 1
    while start > 1 and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return Names(" ".join(words[:start]), " ".join(words[start:]))
