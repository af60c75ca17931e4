"""Generated people with the name frequencies of a census, and typed queries for them.

The frequencies are those of the census of the United States of 1990, in the package `names` (the data are in the public domain).
"""

import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from peopleinfo.people.person import PersonData

STREETS = (
    "Elm Row",
    "Oak Lane",
    "Mill Road",
    "High Street",
    "Church Way",
    "Station Avenue",
    "Queen Square",
    "Park Drive",
)
TOWNS = ("Springfield", "Leeds", "Aberdeen", "Dover", "Salem", "Bristol", "Georgetown", "Clinton")
DOUBLE = 0.03  # share of double surnames
# Spellings of one sound, replaced in random order.
RESPELLED = (
    ("ph", "f"), ("f", "ph"), ("ck", "k"), ("c", "k"), ("k", "c"), ("y", "i"), ("i", "y"), ("ee", "ea"), ("ai", "ay"), ("s", "z"), ("z", "s"),
    ("tt", "t"), ("ll", "l"), ("nn", "n"), ("er", "or"), ("ou", "u"), ("w", "v"), ("v", "w"), ("sch", "sh"), ("th", "t"), ("ie", "y"), ("ey", "y"),
    ("ks", "x"), ("x", "ks"), ("mac", "mc"), ("mc", "mac"), ("gh", ""), ("kn", "n"), ("oo", "u"), ("ei", "i"),
)  # fmt: skip


def people(count: int, seed: int = 7) -> Iterator[PersonData]:
    """Yield people; a third of the surnames are drawn evenly, so that the tail is long."""
    chance = random.Random(seed)
    surnames, shares = frequencies("dist.all.last")
    women, men = frequencies("dist.female.first"), frequencies("dist.male.first")
    names, weights = women[0] + men[0], women[1] + men[1]
    given = chance.choices(names, weights, k=count)
    frequent = chance.choices(surnames, shares, k=count)
    for number in range(count):
        surname = frequent[number] if chance.random() > 1 / 3 else chance.choice(surnames)
        if chance.random() < DOUBLE:
            surname += f"-{chance.choice(surnames)}"
        yield PersonData(
            person_name=given[number],
            person_surname=surname,
            person_birthdate=f"{chance.randrange(1930, 2010)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}",
            person_address=f"{chance.randrange(1, 200)} {chance.choice(STREETS)}, {chance.choice(TOWNS)} {chance.randrange(10000, 99999)}",
            extra={
                "email": f"{given[number]}.{surname}{number}@example.org".lower(),
                "phone": f"+1 {chance.randrange(201, 990)} {chance.randrange(200, 999)} {number % 10_000:04}",
            },
        )


def edited(word: str, chance: random.Random) -> str:
    """Return a word with one letter after the first dropped, added or replaced."""
    i, letter = chance.randrange(1, len(word)), chance.choice("abcdefghijklmnopqrstuvwxyz")
    return chance.choice([word[:i] + word[i + 1 :], word[:i] + letter + word[i:], word[:i] + letter + word[i + 1 :]])


def transposed(word: str, chance: random.Random) -> str:
    """Return a word with two neighbouring letters swapped."""
    i = chance.choice([i for i in range(len(word) - 1) if word[i] != word[i + 1]] or [0])
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def respelled(word: str, chance: random.Random) -> str:
    """Return a word with at most two sounds spelled in another way."""
    for spelling, other in [pair for pair in chance.sample(RESPELLED, len(RESPELLED)) if pair[0] in word][:2]:
        word = word.replace(spelling, other, 1)
    return word


def frequencies(file: str) -> tuple[list[str], list[float]]:
    """Return the names of a file of the package `names` and their shares, the most common first."""
    spec = find_spec("names")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package names is missing: run `make .venv/ready-to-bench`")
    lines = (Path(next(iter(spec.submodule_search_locations))) / file).read_text().splitlines()
    return [line.split()[0].capitalize() for line in lines], [float(line.split()[1]) for line in lines]
