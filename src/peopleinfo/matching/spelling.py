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


@lru_cache(65_536)
def are_near(a: str, b: str) -> bool:
    """Return whether two folded names are spellings of one name: a typing mistake, the same sound, or a similar start."""
    edits, length = edit_distance(a, b), max(len(a), len(b))
    if edits <= MAX_DISTANCE and length >= _NEAR_LENGTHS.get(edits, 0):
        return True
    if length >= _MIN_SOUNDING_LENGTH and len(key := sound(a)) >= _MIN_SOUND and key == sound(b):
        return True
    return length >= _MIN_SIMILAR_LENGTH and jaro_winkler(a, b) >= _SIMILAR


def jaro_winkler(a: str, b: str) -> float:
    """Return the Jaro-Winkler similarity of two texts, from 0 to 1."""
    ours, theirs = _matching_letters(a, b)
    if not ours:
        return 0.0
    matches, transposed = len(ours), sum(x != y for x, y in zip(ours, theirs, strict=True)) // 2
    jaro = (matches / len(a) + matches / len(b) + (matches - transposed) / matches) / 3
    prefix = next((i for i, (x, y) in enumerate(zip(a[:4], b[:4], strict=False)) if x != y), min(4, len(a), len(b)))
    return jaro + 0.1 * prefix * (1 - jaro) if jaro > 0.7 else jaro  # noqa: PLR2004 (constants of the method)


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
