"""Whether two words are spellings of one name."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from peopleinfo.people.edit_distance import MAX_DISTANCE, edit_distance
from peopleinfo.people.sounds import sound

_NEAR_LENGTHS: Final = {1: 3, 2: 7}  # edits → letters that a word with so many edits has at least
_MIN_SOUND: Final = 3
_MIN_SOUNDING_LENGTH: Final = 4
_MIN_SIMILAR_LENGTH: Final = 5
_SIMILAR: Final = 0.92  # Jaro-Winkler
_ROUNDING: Final = 1e-9
_MIN_JARO: Final = 1 - (1 - _SIMILAR) / 0.6 - _ROUNDING  # that the largest bonus raises to `_SIMILAR`


@lru_cache(65_536)
def are_near(a: str, b: str) -> bool:
    """Return whether two folded names are spellings of one name: a typing mistake, the same sound, or a similar start."""
    letters, others = _letters(a), _letters(b)
    length, lacking, missing = max(len(a), len(b)), len(letters - others), len(others - letters)
    if max(lacking, missing) <= MAX_DISTANCE:  # an edit replaces at most one letter
        edits = edit_distance(a, b)
        if edits <= MAX_DISTANCE and length >= _NEAR_LENGTHS.get(edits, 0):
            return True
    if length >= _MIN_SOUNDING_LENGTH and len(key := sound(a)) >= _MIN_SOUND and key == sound(b):
        return True
    if length < _MIN_SIMILAR_LENGTH:
        return False
    common = min(len(a) - lacking, len(b) - missing)
    most_similar = (common / len(a) + common / len(b) + 1) / 3  # without the bonus for an equal start
    return most_similar >= _MIN_JARO and _with_start(a, b, most_similar) >= _SIMILAR and jaro_winkler(a, b) >= _SIMILAR


@lru_cache(65_536)
def _letters(word: str) -> frozenset[str]:
    return frozenset(word)


def _with_start(a: str, b: str, jaro: float) -> float:
    """Return the similarity of two texts with the bonus for an equal start."""
    return jaro + 0.1 * _common_start(a, b) * (1 - jaro) + _ROUNDING


def _common_start(a: str, b: str) -> int:
    """Return the number of equal letters at the start, at most 4."""
    return next((i for i, (x, y) in enumerate(zip(a[:4], b[:4], strict=False)) if x != y), min(4, len(a), len(b)))


def jaro_winkler(a: str, b: str) -> float:
    """Return the Jaro-Winkler similarity of two texts, from 0 to 1."""
    ours, theirs = _matching_letters(a, b)
    if not ours:
        return 0.0
    matches, transposed = len(ours), sum(x != y for x, y in zip(ours, theirs, strict=True)) // 2
    jaro = (matches / len(a) + matches / len(b) + (matches - transposed) / matches) / 3
    return jaro + 0.1 * _common_start(a, b) * (1 - jaro) if jaro > 0.7 else jaro  # noqa: PLR2004 (constants of the method)


def _matching_letters(a: str, b: str) -> tuple[list[str], list[str]]:
    """Return the letters of each text that have a partner within half the length of the longer text."""
    window = max(0, max(len(a), len(b)) // 2 - 1)
    free = list(b)
    taken: list[tuple[int, str]] = []
    ours: list[str] = []
    for i, letter in enumerate(a):
        for j in range(max(0, i - window), min(len(b), i + window + 1)):
            if free[j] == letter:
                free[j] = ""
                taken.append((j, letter))
                ours.append(letter)
                break
    return ours, [letter for _, letter in sorted(taken)]
