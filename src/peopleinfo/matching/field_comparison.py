"""Agreement of two fields: one word for each pair of values, without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.matching.spelling import are_near
from peopleinfo.people.edit_distance import edit_distance
from peopleinfo.people.nicknames import are_nicknames

if TYPE_CHECKING:
    from peopleinfo.matching.match_record import MatchRecord

_PARTICLES: Final = frozenset(
    ("al", "av", "ben", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "el", "ibn", "la", "le",
     "los", "mac", "mc", "st", "ten", "ter", "und", "v", "van", "vom", "von", "y", "zu", "zum", "zur")
)  # fmt: skip
_RELATIVES_APART: Final = range(2, 100)  # years between siblings, or between a person and a parent or grandparent
_LEAST_SHARE: Final = 0.5  # of the words of the shorter address
_NEAR_WORD: Final = 0.8  # of a word that agrees
_MIN_IDENTIFIER_LENGTH: Final = 6  # of an identifier that can be mistyped without becoming another one


def names(p: MatchRecord, q: MatchRecord) -> str | None:
    """Return exact, second, nickname, near, part, initial or differs; None if a name is absent.

    `second`: the first given names are equal and the others contradict; `part`: another given name is equal. Junior differs from senior.
    """
    if not p.names or not q.names:
        return None
    if p.generation and q.generation and p.generation != q.generation:
        return "differs"
    if p.first == q.first and not _is_letter(p.first):
        return "exact" if _second_names_agree(p.names[1:], q.names[1:]) else "second"
    if p.name == q.name and not _is_letter(p.name):
        return "exact"
    similar = _similar_first_names(p.first, q.first)
    return "part" if similar == "differs" and shared_parts(p.names, q.names) else similar


def _similar_first_names(a: str, b: str) -> str:
    if _is_initial(a, b):
        return "initial"
    if are_nicknames(a, b):
        return "nickname"
    return "near" if are_near(a, b) else "differs"


def _is_initial(a: str, b: str) -> bool:
    return (_is_letter(a) or _is_letter(b)) and a[0] == b[0]


def _is_letter(name: str) -> bool:
    """Return whether a name is an initial. One sign of another script can be a complete name."""
    return len(name) == 1 and name.isascii()


def _second_names_agree(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if not a or not b or "".join(a) == "".join(b):
        return True
    return all(_agree(x, y) for x, y in zip(a, b, strict=False)) or bool(set(a) & set(b))


def _agree(a: str, b: str) -> bool:
    return a == b or _is_initial(a, b) or are_nicknames(a, b)


def surnames(p: MatchRecord, q: MatchRecord) -> str | None:
    """Return exact, part (a part of a double surname), near or differs; None if a surname is absent."""
    if not p.surname or not q.surname:
        return None
    if p.surname == q.surname:
        return "exact"
    if shared_parts(p.surnames, q.surnames):
        return "part"
    return "near" if are_near(_core(p.surnames), _core(q.surnames)) else "differs"


def may_be_swapped(p: MatchRecord, q: MatchRecord) -> bool:
    """Return whether the name or the surname of one record is exact or near in the other field of the other record."""
    if not (p.name and p.surname and q.name and q.surname):
        return False
    return (
        p.name == q.surname
        or p.surname == q.name
        or are_near(p.first, q.surnames[0])
        or are_near(_core(p.surnames), _core(q.names))
    )


def _core(surnames: tuple[str, ...]) -> str:
    """Return a surname without its particles, unless it has nothing else."""
    return "".join(part for part in surnames if part not in _PARTICLES) or "".join(surnames)


def shared_parts(a: tuple[str, ...], b: tuple[str, ...]) -> set[str]:
    """Return the parts that two names share, without particles such as `van`; a single letter is no part."""
    return {part for part in a if part in b and len(part) > 1} - _PARTICLES


def birthdates(p: MatchRecord, q: MatchRecord) -> str | None:
    """Return exact, swapped, near, day, year, partial or differs; None if a birthdate is absent.

    `near`: one digit differs, two neighbours are swapped, or only the years differ; `day`: only the years differ, by so much that the older
    record may be of a sibling or parent; `partial`: one birthdate is incomplete, and the known parts are equal.
    """
    a, b = p.birthdate, q.birthdate
    if not a or not b:
        return _partial_birthdates(a or p.partial_birthdate, b or q.partial_birthdate)
    if a == b:
        return "exact"
    if a == swap_day_and_month(b):
        return "swapped"
    if a[4:] == b[4:]:
        return "day" if abs(int(a[:4]) - int(b[:4])) in _RELATIVES_APART else "near"
    if edit_distance(a, b) == 1:
        return "near"
    return "year" if a[:4] == b[:4] else "differs"


def _partial_birthdates(a: str, b: str) -> str | None:
    if not a or not b:
        return None
    if a[:2] == "--" or b[:2] == "--":
        if len(a) != len(b) and min(len(a), len(b)) < len("--MMDD"):
            return None  # a year and a day have nothing in common
        if {a[:2], b[:2]} != {"--"} and len(a) == len(b):
            return None  # YYYYMM and --MMDD
        return "partial" if a[-4:] == b[-4:] else "differs"
    length = min(len(a), len(b))
    return "partial" if a[:length] == b[:length] else "differs"


def swap_day_and_month(birthdate: str) -> str:
    """Return YYYYMMDD with day and month in the other order."""
    return birthdate[:4] + birthdate[6:] + birthdate[4:6]


def addresses(p: MatchRecord, q: MatchRecord, common: frozenset[str] = frozenset()) -> str | None:
    """Return same, most, part or differs; None if an address is absent.

    Words and numbers in the addresses of many people (`common`, for example the town) are no evidence.
    """
    numbers, others = p.numbers - common, q.numbers - common
    words, their_words = p.words - common, q.words - common
    if not (numbers or words) or not (others or their_words):
        return None
    shared, fewest = len(numbers & others), min(len(numbers), len(others))
    share = _shared_words(words, their_words) / max(1, min(len(words), len(their_words)))
    if (shared > 1 and share >= _LEAST_SHARE) or (shared and fewest == 1 and share >= 0.75):  # noqa: PLR2004
        return "same"
    if shared > 1 or (shared and share >= _LEAST_SHARE):
        return "most"
    return "part" if share >= _LEAST_SHARE or (shared and share >= 0.25) else "differs"  # noqa: PLR2004


def _shared_words(words: frozenset[str], others: frozenset[str]) -> float:
    rest, their_rest = words - others, others - words
    near = sum(any(are_near(a, b) for b in their_rest) for a in rest if len(a) > 3) if their_rest else 0  # noqa: PLR2004
    return len(words & others) + _NEAR_WORD * near


def identifiers(a: str, b: str) -> str:
    """Return same, near (at most two typing mistakes) or differs."""
    if a == b:
        return "same"
    return "near" if min(len(a), len(b)) >= _MIN_IDENTIFIER_LENGTH and edit_distance(a, b) <= 2 else "differs"  # noqa: PLR2004
