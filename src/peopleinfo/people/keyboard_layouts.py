"""Keyboard layouts: Russian names that were typed while the keyboard had English letters, for example `bdfyjd` for Иванов."""

from __future__ import annotations

from typing import Final

_ENGLISH: Final = "`qwertyuiop[]asdfghjkl;'zxcvbnm,."
_RUSSIAN: Final = "ёйцукенгшщзхъфывапролджэячсмитьбю"
_KEYS: Final = dict(zip(_ENGLISH, _RUSSIAN, strict=True))
_VOWELS: Final = frozenset("aeiou")
_MAX_VOWELS: Final = 0.2  # part of the letters; a name in English letters has more
_MIN_LETTERS: Final = 4
_MAX_WORDS: Final = 2  # a second search for more words would query too many keys


def russian_text(text: str) -> str:
    """Return the Russian text of the keys of a text, or "" if the text may be a name in English letters."""
    keys = text.lower()
    letters = [key for key in keys if not key.isspace()]
    if len(letters) < _MIN_LETTERS or len(keys.split()) > _MAX_WORDS or not all(key in _KEYS for key in letters):
        return ""
    if sum(key in _VOWELS for key in letters) > _MAX_VOWELS * len(letters):
        return ""
    return "".join(_KEYS.get(key, key) for key in keys)
