"""Sound keys: names that sound alike in several European languages share a key, for example Smith and Smyth, or Meyer and Maier.

Stored keys contain a sound: increment `SOUND_VERSION` with every change of the rules.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from peopleinfo.people.folding import fold
from peopleinfo.people.romanization import romanized

SOUND_VERSION: Final = 2
SOUND_LENGTH: Final = 5  # classes

_CH: Final = re.compile("^ch(?=[aeouy])")  # Charlotte and Chaykovskiy, but not Chiara and Christina
# Spellings of one sound, replaced in this order.
_SPELLINGS: Final = (
    ("tsch", "s"), ("sch", "s"), ("tch", "s"), ("cz", "s"), ("sz", "s"), ("sh", "s"), ("ch", "k"), ("ph", "f"), ("ck", "k"),
    ("gh", "g"), ("kn", "n"), ("wr", "r"), ("qu", "kv"), ("dt", "t"), ("th", "t"), ("dg", "g"), ("x", "ks"), ("mac", "mc"),
    ("pf", "f"),
)  # fmt: skip
_CLASSES: Final = {
    "b": "P", "p": "P", "f": "F", "v": "F", "w": "F", "c": "K", "k": "K", "q": "K", "g": "K", "j": "J", "s": "S", "z": "S",
    "d": "T", "t": "T", "l": "L", "m": "M", "n": "M", "r": "R", "h": "",
}  # fmt: skip
_VOWELS: Final = frozenset("aeiouy")


@lru_cache(65_536)
def sound(name: str) -> str:
    """Return the sound key of a name: classes of consonants, and `A` for a vowel at the start; at most `SOUND_LENGTH` characters.

    Cyrillic and Greek names have the sound of their Latin letters. A letter of another script is its own class, so every name has a key.
    """
    letters = _CH.sub("s", romanized(fold(name)))
    for spelling, meaning in _SPELLINGS:
        letters = letters.replace(spelling, meaning)
    return "".join(_sounds(letters))[:SOUND_LENGTH] or letters[:SOUND_LENGTH]


def _sounds(letters: str) -> list[str]:
    sounds: list[str] = []
    separated = False  # a vowel separates two equal classes
    for position, letter in enumerate(letters):
        if letter in _VOWELS:
            separated = True
            if position == 0:
                sounds.append("A")
        elif (class_ := _class(letter, letters[position + 1 : position + 2])) and (
            separated or not sounds or sounds[-1] != class_
        ):
            sounds.append(class_)
            separated = False
    return sounds


def _class(letter: str, following: str) -> str:
    if letter == "c" and following and following in "eiy":
        return "S"
    return _CLASSES.get(letter, "" if letter.isascii() else letter)
