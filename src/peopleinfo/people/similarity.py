"""Similar words: one typo apart, or with the same sound. The functions expect folded words."""

from __future__ import annotations

import re
from typing import Final

from peopleinfo.people.edit_distance import MAX_DISTANCE, edit_distance
from peopleinfo.people.romanization import is_romanizable, romanized
from peopleinfo.people.sounds import sound
from peopleinfo.people.words import collapse

MIN_TYPO_LENGTH: Final = 5  # letters of the longer word
_MIN_SOUND: Final = 3  # classes of a sound key; words of fewer must have the same vowel, and start with the same vowel
MAX_SOUND_DIFFERENCE: Final = 3  # letters
MIN_VOCABULARY_LENGTH: Final = 4  # a shorter word has no similar words, except by ue for ü
_VOWELS: Final = re.compile("[aeiouy]+")
_LONG_E: Final = ("ee", "ea")


def sounds_like(one: str, other: str) -> bool:
    """Return whether two words have the same sound and are long enough that this is no coincidence."""
    if min(len(one), len(other)) < MIN_VOCABULARY_LENGTH or abs(len(one) - len(other)) > MAX_SOUND_DIFFERENCE:
        return False
    if sound(one) != sound(other) or (one[0] == "h") != (other[0] == "h"):
        return False
    if is_romanizable(one) != is_romanizable(other):
        return edit_distance(romanized(one), romanized(other)) <= MAX_DISTANCE
    if len(sound(one)) >= _MIN_SOUND:
        return True
    return (sound(one)[0] != "A" or one[0] == other[0]) and _vowel(one) == _vowel(other)


def _vowel(word: str) -> str:
    """Return the class of the first vowels after the first letter: Maier and Meyer, Reed and Reid have one, but not Ball, Bell and Bill."""
    found = _VOWELS.search(word, 1)
    if found is None:
        return ""
    return "i" if found[0] in _LONG_E or not {"i", "y"}.isdisjoint(found[0]) else found[0][0]


def is_typo(one: str, other: str) -> bool:
    """Return whether two words differ by one letter that is missing, added, wrong or swapped with its neighbour."""
    if one == other or max(len(one), len(other)) < MIN_TYPO_LENGTH or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, other_rest = sorted((one[start:], other[start:]), key=len)
    if len(rest) < len(other_rest):
        return rest == other_rest[1:]
    return rest[1:] == other_rest[1:] or (rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:])


def is_near(one: str, other: str) -> bool:
    """Return whether a search for one word finds the other: a typo, the same sound, or ue for ü."""
    return collapse(one) == collapse(other) or is_typo(one, other) or sounds_like(one, other)


def deletion_keys(word: str) -> set[str]:
    """Return keys that two words share if they are near: the word without each one letter, its sound and its collapsed form.

    The key sets are small and selective: about nine keys per word. `bucket_keys` are the alternative for a store where a key costs a write.
    """
    keys = {f"={collapse(word)}"}
    if len(word) >= MIN_VOCABULARY_LENGTH:
        keys |= {f"-{word[:i]}{word[i + 1 :]}" for i in range(len(word))} | {f"-{word}", f"~{sound(word)}"}
    return keys


def bucket_keys(word: str) -> set[str]:
    """Return keys that two words share if they are near: the first and last two letters, the sound and the collapsed form.

    One typo leaves the first or the last two letters unchanged. The lengths of two near words under these keys differ by at most `MAX_SOUND_DIFFERENCE`.
    """
    keys = {f"={collapse(word)}"}
    if len(word) >= MIN_VOCABULARY_LENGTH:
        keys |= {f"<{word[:2]}", f">{word[-2:]}", f"~{sound(word)}"}
    return keys
