"""Nicknames: a first name and its short and familiar forms, from `data/nicknames.txt`.

The list is a help, not a rule: it holds loose pairs (Ellie for Danielle), and different names share a form (Chris).
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib.resources import files


def are_nicknames(a: str, b: str) -> bool:
    """Return whether one of two folded first names is a form of the other."""
    return b in related_names(a)


def related_names(name: str) -> frozenset[str]:
    """Return the forms of a folded first name and the names of which it is a form, without the name itself."""
    return _related().get(name, frozenset())


@cache
def _related() -> dict[str, frozenset[str]]:
    related: defaultdict[str, set[str]] = defaultdict(set)
    for line in (files("peopleinfo.people") / "data" / "nicknames.txt").read_text("utf-8").splitlines():
        name, separator, forms = line.partition(": ")
        if separator and not name.startswith("#"):
            for form in forms.split():
                related[name].add(form)
                related[form].add(name)
    return {name: frozenset(forms) for name, forms in related.items()}
