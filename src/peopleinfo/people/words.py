"""Words of names and addresses: division, particles, joined and collapsed forms."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from peopleinfo.people.folding import SEPARATORS, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_CACHED_LENGTH: Final = 40  # characters
MAX_WORDS: Final = 12  # words of a field that are compared; further words are ignored
_DIVIDERS: Final = re.compile(r"[\s,;:/&()\[\]{}<>\"“”„«»_|，、；　" + re.escape(SEPARATORS) + "]+")
_ASCII_DIVIDERS: Final = bytes(32 if _DIVIDERS.fullmatch(chr(code)) else code for code in range(256))
_CASE_BOUNDARY: Final = re.compile("(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")  # MacDonald, DeVries
_CJK: Final = re.compile(
    "[\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+"
)  # Han, kana and Hangul: names without blanks
_ARABIC_ARTICLE: Final = "ال"
_MIN_STEM: Final = 4  # letters that remain after a joined particle

# Words that readers may omit from a surname. A query may contain them although the stored name does not, and the reverse.
_SURE_PARTICLES: Final = frozenset(
    [
        "van",
        "von",
        "der",
        "den",
        "de",
        "des",
        "di",
        "dos",
        "das",
        "della",
        "delle",
        "degli",
        "dei",
        "dal",
        "dalla",
        "d",
        "la",
        "las",
        "los",
        "du",
        "le",
        "y",
        "e",
        "i",
        "zu",
        "zum",
        "zur",
        "vom",
        "vd",
        "ter",
        "ten",
        "te",
        "af",
        "av",
        "auf",
        "und",
        "et",
        "bin",
        "ibn",
        "bint",
        "abu",
        "o",
        "mc",
    ]
)
# Words that are particles in some names, and a given name or a surname in others.
_POSSIBLE_PARTICLES: Final = frozenset(
    [
        "al",
        "el",
        "ben",
        "mac",
        "da",
        "do",
        "del",
        "san",
        "santa",
        "st",
        "ste",
        "saint",
        "sainte",
        "sankt",
        "sint",
        "lo",
        "li",
    ]
)
PARTICLES: Final = _SURE_PARTICLES | _POSSIBLE_PARTICLES
# Particles that are recognized although they are joined to the name, the longest first.
_JOINED_PARTICLES: Final = ("vander", "vanden", "vonder", "vande", "delos", "delas", "della", "dela", "van", "von")
MIN_COLLAPSED_PREFIX: Final = 4  # letters: Mae would be a prefix of every name that starts with Ma
_TWO_LETTERS: Final = (("ue", "u"), ("oe", "o"), ("ae", "a"), ("aa", "a"))
_SERBIAN_DJ: Final = re.compile("(?:^|(?<=[nr]))dj|dj(?=[eiou])")  # dj for đ: Djordjević, Andjela, but not Nadja
# Both halves of a postcode: British (LS1 4AB), Dutch (1012 AB), Canadian (K1A 0B1), Irish (H91 X2Y3).
_POSTCODE: Final = re.compile(
    r"([a-z]{1,2}\d[a-z\d]?)(\d[a-z]{2})|(\d{4})([a-z]{2})|([a-z]\d[a-z])(\d[a-z]\d)|([a-z]\d[\dw])((?=\d*[a-z])[a-z\d]{4})"
)


def divide(text: str) -> list[str]:
    """Return the folded words of a text, for example `garcia` and `lopez` for García-López."""
    return list(_cached_divide(text) if len(text) <= _MAX_CACHED_LENGTH else divide_rare(text))


def divide_rare(text: str) -> tuple[str, ...]:
    """Return the words of a text that is seldom divided again, such as an address."""
    return tuple([word for part in unfolded_words(text) if (word := fold(part))])


def unfolded_words(text: str) -> list[str]:
    """Return the first words of a text as they are written; a text of punctuation is one word."""
    is_lower_or_title = text.islower() or text.istitle()  # then it has no capital letter within a word
    spaced = text if is_lower_or_title else _CASE_BOUNDARY.sub(" ", text)
    if text.isascii():  # the same result in a fifth of the time
        words = spaced.encode().translate(_ASCII_DIVIDERS).decode().split()
    else:
        words = [word for word in _DIVIDERS.split(spaced) if word]
    return words[:MAX_WORDS] or [text]


_cached_divide = lru_cache(maxsize=32_768)(divide_rare)


def split_postcode(word: str) -> list[str]:
    """Return the halves of a postcode that is written without a blank, for example `ls1` and `4ab`; otherwise the word."""
    found = _POSTCODE.fullmatch(word)
    return [half for half in found.groups() if half] if found else [word]


def is_cjk(word: str) -> bool:
    """Return whether a word consists of Chinese, Japanese or Korean characters."""
    return _CJK.fullmatch(word) is not None


def is_sure_particle(word: str) -> bool:
    """Return whether a word is a particle in every name."""
    return word in _SURE_PARTICLES


def without_particle(word: str) -> str | None:
    """Return a word without the particle that is joined to it, for example `berg` for vanderberg; None without one."""
    if word.startswith(_ARABIC_ARTICLE) and len(word) >= len(_ARABIC_ARTICLE) + 3:
        return word[len(_ARABIC_ARTICLE) :]
    for particle in _JOINED_PARTICLES:
        if word.startswith(particle) and len(word) >= len(particle) + _MIN_STEM:
            return word[len(particle) :]
    return None


def significant(words: Sequence[str]) -> list[str]:
    """Return the words that are not particles; all words if each is one."""
    return [word for word in words if word not in PARTICLES] or list(words)


def runs(words: Sequence[str]) -> Iterator[str]:
    """Yield the joined forms of neighbouring words, including the single words."""
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield "".join(words[start:end])


def collapse(word: str) -> str:
    """Return a word with one letter for ue, oe, ae, aa and dj: Mueller, Müller and Muller have the same form."""
    for two, one in _TWO_LETTERS:
        word = word.replace(two, one)
    return _SERBIAN_DJ.sub("d", word) if "dj" in word else word
