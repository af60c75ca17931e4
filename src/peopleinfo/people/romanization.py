"""Romanization: the Latin letters of Cyrillic and Greek names, to compare their sound with names in Latin letters."""

from __future__ import annotations

import re
from typing import Final

_CYRILLIC: Final = {
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "є": "ye", "э": "e", "ж": "zh", "з": "z", "и": "i", "і": "i", "ї": "i",
    "й": "i", "ј": "i", "к": "k", "л": "l", "љ": "l", "м": "m", "н": "n", "њ": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "ћ": "c",
    "у": "u", "ў": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "џ": "dz", "ш": "sh", "щ": "sh", "ъ": "", "ы": "i", "ь": "", "ю": "yu", "я": "ya",
    "ђ": "dj", "ѓ": "g", "ќ": "k",
}  # fmt: skip
_GREEK: Final = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m", "ν": "n", "ξ": "x",
    "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_LETTERS: Final = str.maketrans(_CYRILLIC | _GREEK)
_OTHER: Final = re.compile("[\u0370-\u052f]+")


def is_romanizable(name: str) -> bool:
    """Return whether a folded name consists of Cyrillic or Greek letters."""
    return not name.isascii() and _OTHER.fullmatch(name) is not None


def romanized(name: str) -> str:
    """Return a folded name in Latin letters, for example `ivanov` for `иванов`; return any other name unchanged."""
    return name.translate(_LETTERS).replace("ou", "u") if is_romanizable(name) else name
