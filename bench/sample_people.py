"""Generated people for measurements: surnames have a realistic distribution and are the same in every run."""

import bisect
import itertools
import random
from collections.abc import Iterator
from typing import Any

SURNAMES = 150_000
_SYLLABLES = (
    "ba",
    "ber",
    "chi",
    "do",
    "el",
    "fran",
    "gar",
    "ho",
    "ja",
    "kov",
    "li",
    "man",
    "ner",
    "o",
    "pe",
    "ros",
    "sen",
    "tar",
    "u",
    "wil",
)


def people(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield people; the n-th most common surname has a share of about 1 / (n + 10) (Zipf-Mandelbrot)."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(SURNAMES)))
    for _ in range(count):
        yield {
            "person_name": _word(chance.randrange(5_000), 2),
            "person_surname": surname(bisect.bisect(weights, chance.random() * weights[-1])),
            "person_birthdate": f"{chance.randrange(1925, 2020)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            "person_address": f"{chance.randrange(1, 300)} {_word(chance.randrange(8_000), 3)} Street, {_word(chance.randrange(8_000), 3)} {chance.randrange(1_000, 10_000)}",
        }


def surname(rank: int) -> str:
    """Return the surname of a rank."""
    return _word(rank, 4)


def _word(number: int, syllables: int) -> str:
    word = ""
    for _ in range(syllables):
        number, index = divmod(number, len(_SYLLABLES))
        word += _SYLLABLES[index]
    return word.capitalize()
