"""Divide a whole name into given names and surname."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# Words that belong to the surname after them: Ludwig van Beethoven, María de la Cruz.
_PARTICLES: Final = frozenset(
    (
        "af", "al", "auf", "av", "ben", "bin", "bint", "da", "dal", "dalla", "das", "de", "degli", "dei", "del", "dela", "della", "delle",
        "den", "der", "des", "di", "do", "dos", "du", "e", "el", "ibn", "la", "las", "le", "lo", "los", "mac", "mc", "na", "of", "op", "'t",
        "ten", "ter", "te", "tot", "und", "ut", "van", "vande", "vanden", "vander", "von", "vom", "y", "zu", "zum", "zur", "ze",
    )
)  # fmt: skip
# Generations and degrees after a surname.
_SUFFIXES: Final = frozenset(("jr", "sr", "ii", "iii", "iv", "junior", "senior", "phd", "md", "dds", "esq", "mba"))
# Titles that are no given name after a comma: `Ida Harte, Dr. med.`
_TITLES: Final = _SUFFIXES | {
    "dr", "drmed", "drphil", "drrernat", "mag", "ing", "dipling", "csc", "mudr", "mgr", "prof", "ma", "msc", "rn",
}  # fmt: skip
_MIN_CAPITALS: Final = 3  # letters of a surname in capital letters in front of a given name
_COMMA: Final = re.compile(r"\s*[,，、]\s*")
_REMARK: Final = re.compile(r"[(\[\"“„]")
# Names of registers: `HARTE*IDA MAY/` (INSEE), `Ida May /Harte/` (GEDCOM), `Harte^Ida^May` (HL7, DICOM).
_NOTATIONS: Final = (
    re.compile(r"(?P<family>[^*/^]+)\*(?P<given>[^*/^]*)/?"),
    re.compile(r"(?P<given>[^*/^]*)/(?P<family>[^*/^]+)/"),
    re.compile(r"(?P<family>[^*/^]+)\^(?P<given>[^*/]+)"),
)
_SEPARATORS: Final = re.compile(r"[\s^]+")


class Names(NamedTuple):
    """The names of a person; an empty text is not known."""

    given: str
    family: str


def divide(text: str, *, is_family_first: bool = False, surname_count: int = 1) -> Names:
    """Divide a whole name: at its comma, else before the last word and the particles in front of it.

    A name of one word, also one in Chinese letters without a blank, is a given name. `surname_count` is 2 where people have two surnames, and
    0 where a name that starts with the surname does not start with particles. A surname in capital letters may be in front.
    """
    text = text.strip()
    for notation in _NOTATIONS:
        if match := notation.fullmatch(text):
            return Names(*(_SEPARATORS.sub(" ", match[part]).strip() for part in ("given", "family")))
    whole, *rest = _COMMA.split(text, maxsplit=1)
    if not (rest and whole and rest[0]):
        return _divide_words(text, surname_count, is_family_first=is_family_first)
    if _letters(rest[0]) not in _TITLES:
        return Names(rest[0], whole)
    given, family = _divide_words(whole, surname_count, is_family_first=is_family_first)
    return Names(given, f"{family}, {rest[0]}") if family else Names(text, "")


def _divide_words(text: str, surname_count: int, *, is_family_first: bool) -> Names:
    words = text.split()
    if len(words) <= 1:
        return Names(text, "")
    count = surname_count if len(words) > 2 else min(surname_count, 1)  # noqa: PLR2004
    end = _capitals(words) or (_surname_end(words, count) if is_family_first else 0)
    if end:
        return Names(" ".join(words[end:]), " ".join(words[:end]))
    start = _surname_start(words, max(count, 1))
    return Names(" ".join(words[:start]), " ".join(words[start:]))


def _capitals(words: list[str]) -> int:
    """Return the number of words in capital letters in front of others, as in `VAN DER BERG Piet`; 0 for initials such as JP."""
    end = next((at for at, word in enumerate(words) if not word.isupper()), 0)
    is_surname = end and any(len(word) >= _MIN_CAPITALS for word in words[:end])
    return end if is_surname and not any(map(str.isupper, words[end:])) else 0


def _letters(text: str) -> str:
    return re.sub(r"[\s.,]+", "", text).lower()


def _surname_start(words: list[str], count: int) -> int:
    """Return the index of the first word of the last surnames, before any suffixes and remarks."""
    start = len(words)
    while start > 2 and (_letters(words[start - 1]) in _SUFFIXES or _REMARK.match(words[start - 1])):  # noqa: PLR2004
        start -= 1
    for _ in range(count):
        start -= start > 1
        while start > 1 and words[start - 1].lower() in _PARTICLES:
            start -= 1
    return start


def _surname_end(words: list[str], count: int) -> int:
    """Return the index after the first surnames and the particles in front of them."""
    end = 0
    for _ in range(count):
        while end < len(words) - 2 and words[end].lower() in _PARTICLES:
            end += 1
        end += 1
    return min(max(end, 1), len(words) - 1)
