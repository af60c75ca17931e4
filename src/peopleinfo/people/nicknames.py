"""Nicknames: a first name and its short and familiar forms, from `data/nicknames.txt`.

The list is a help, not a rule: it holds loose pairs (Ellie for Danielle), and different names share a form (Chris).
`data/first_names.txt` has the most frequent first names of the census of the United States of 1990.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

# The ending of short forms, with one or two consonants: all spellings have one sound.
_ENDING: Final = re.compile("(?<=..)([a-z])\\1?(?:ie|ey|i|y)$")
_MAX_DIRECT: Final = 3  # names of which a short form is a form; with more, it does not relate other short forms


def are_nicknames(a: str, b: str) -> bool:
    """Return whether one of two folded first names is a form of the other."""
    return b in related_names(a)


def related_names(name: str) -> frozenset[str]:
    """Return the forms of a folded first name and the names of which it is a form, without the name itself."""
    return _related().get(name, frozenset())


@lru_cache(maxsize=8_192)
def familiar_names(name: str) -> tuple[str, ...]:
    """Return the related names, other forms of these (`robert`, then `rob` for bob), then other spellings of their endings."""
    direct = sorted(related_names(name))
    indirect = {other for full in direct for other in related_names(full)} if len(direct) <= _MAX_DIRECT else set()
    specific = sorted(other for other in indirect if len(related_names(other)) <= _MAX_DIRECT and other != name)
    spelled = [
        *(other for spelling in _spellings(name) for other in sorted(related_names(spelling))),
        *(spelling for form in direct for spelling in _spellings(form)),
    ]
    return tuple(other for other in dict.fromkeys([*direct, *specific, *spelled]) if other != name)


def are_different_names(a: str, b: str) -> bool:
    """Return whether both are known first names, and neither is a familiar form of the other."""
    return _is_known(a) and _is_known(b) and b not in familiar_names(a)


def _spellings(name: str) -> list[str]:
    """Return the known names that differ in the spelling of the ending only, for example `katie` and `katy` for kati."""
    return [other for other in _by_ending().get(_plain_ending(name), ()) if other != name]


def _plain_ending(name: str) -> str:
    return _ENDING.sub(r"\1y", name)


@cache
def _by_ending() -> dict[str, list[str]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(_related()):
        if _ENDING.search(name):
            names[_plain_ending(name)].append(name)
    return names


def _is_known(name: str) -> bool:
    return name in _related() or name in _frequent()


@cache
def _frequent() -> frozenset[str]:
    return frozenset(_read("first_names.txt").split())


@cache
def _related() -> dict[str, frozenset[str]]:
    related: defaultdict[str, set[str]] = defaultdict(set)
    for line in _read("nicknames.txt").splitlines():
        name, separator, forms = line.partition(": ")
        if separator and not name.startswith("#"):
            for form in forms.split():
                related[name].add(form)
                related[form].add(name)
    return {name: frozenset(forms) for name, forms in related.items()}


def _read(file: str) -> str:
    return (files("peopleinfo.people") / "data" / file).read_text("utf-8")
