"""Generated households that are hard to match: twins with similar names, children named after a parent, second names, spouses, moves.

Every person has one to three records with mistakes. A seed repeats them. The generator shares no list with the matcher.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

# Twins and siblings with names that a typing mistake could turn into each other, or that lists of nicknames relate.
_SIMILAR = [
    ("Marina", "Martina"), ("Anna", "Hannah"), ("Jan", "Jana"), ("Luis", "Luisa"), ("Mario", "Maria"), ("Ellie", "Danielle"),
    ("Jon", "Joan"), ("Christian", "Christiana"), ("Julian", "Juliana"), ("Andrea", "Andreas"), ("Liam", "William"), ("Lea", "Leah"),
    ("René", "Renée"), ("Karl", "Karla"), ("Daniel", "Daniela"), ("Elise", "Elisa"), ("Tim", "Tom"), ("Max", "Maxim"),
]  # fmt: skip
_SECONDS = ["Luise", "Elena", "Pilar", "Teresa", "Antonio", "Luis", "Jorge", "Carlos"]
_SHORT = {"Elena": "Lena", "Sofia": "Sofie", "Stefan": "Steffen", "Anton": "Toni", "Victor": "Vic", "David": "Dave"}
_LETTERS = "abcdefghiklmnoprstuvz"
STREETS, TOWNS = 2_000, 60


Day = tuple[int, int, int]


class Names(NamedTuple):
    """First names and surnames to draw from; a frequent name occurs several times."""

    given: list[str]
    surnames: list[str]


class Person(NamedTuple):
    """A person, with the household that it belongs to."""

    entity: str
    family: int
    name: str
    surname: str
    born: Day
    address: str


def rows(seed: int, families: int, names: Names) -> list[dict[str, str]]:
    """Return the records of so many households in a shuffled order, with `entity` and `family`."""
    chance = random.Random(seed)
    people = [person for family in range(families) for person in _household(chance, family, names)]
    found = [record for person in people for record in _records(chance, person, names)]
    chance.shuffle(found)
    return found


def _household(chance: random.Random, family: int, names: Names) -> Iterator[Person]:
    name, address = chance.choice(names.surnames), _address(chance, names)
    mother_born, father_born = _day(chance, 1945, 1980), _day(chance, 1945, 1980)
    if chance.random() < 0.02:
        father_born = mother_born
    father = chance.choice(names.given)
    mother = _other(chance, names, {father})
    members = [(mother, mother_born), (father, father_born), *_children(chance, father, mother, father_born, names)]
    for number, (given, born) in enumerate(members):
        own = chance.choice(names.surnames) if number == 0 and chance.random() < 0.3 else name
        yield Person(f"{family}.{number}", family, given, own, born, address)


def _other(chance: random.Random, names: Names, taken: set[str]) -> str:
    return next(name for name in iter(lambda: chance.choice(names.given), None) if name not in taken)


def _children(
    chance: random.Random, father: str, mother: str, father_born: Day, names: Names
) -> Iterator[tuple[str, Day]]:
    taken = {father, mother}
    first = _other(chance, names, taken) if chance.random() < 0.15 else ""  # a given name that the children share
    for _ in range(chance.randrange(4)):
        born = _day(chance, father_born[0] + 20, father_born[0] + 40)
        given = _other(chance, names, taken)
        if first:
            given = f"{first} {chance.choice([name for name in _SECONDS if f'{first} {name}' not in taken])}"
        elif chance.random() < 0.08 and f"{father} Jr." not in taken:
            given = f"{father} Jr." if chance.random() < 0.3 else father
            taken.add(f"{father} Jr.")
            born = (born[0], *father_born[1:]) if chance.random() < 0.1 else born
        taken.add(given)
        yield given, born
        if chance.random() < 0.06:
            yield from _twins(chance, born, taken)
            return


def _twins(chance: random.Random, born: Day, taken: set[str]) -> Iterator[tuple[str, Day]]:
    first = {name.partition(" ")[0] for name in taken}  # a name like Anna Luise counts as Anna
    pair = chance.choice([pair for pair in _SIMILAR if not first & set(pair)])
    for name in pair:
        taken.add(name)
        yield name, born


def _records(chance: random.Random, person: Person, names: Names) -> Iterator[dict[str, str]]:
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        given = _given(chance, person.name)
        family_name = _mistyped(chance, person.surname) if chance.random() < 0.03 else person.surname
        if chance.random() < 0.01 and given:
            given, family_name = family_name, given
        address = _address(chance, names) if chance.random() < 0.2 else person.address
        born = _birthdate(chance, *person.born)
        number, _, rest = address.partition(" ")
        yield {
            "entity": person.entity,
            "family": str(person.family),
            "person_name": given,
            "person_surname": family_name,
            "person_birthdate": born,
            "person_address": "" if chance.random() < 0.05 else address,
            # Half of the households have a telephone, which all members give.
            "phone": f"+1 212 555 {person.family % 10_000:04}" if person.family % 2 else "",
            # The columns that the peers compare.
            "given_name": given,
            "surname": family_name,
            "born": born.replace("-", "") if len(born) == len("YYYY-MM-DD") else "",
            "number": number,
            "street": rest.partition(",")[0],
            "postcode": rest.partition(", ")[2].partition(" ")[0],
        }


def _given(chance: random.Random, name: str) -> str:
    dice = chance.random()
    if dice < 0.04:
        return _mistyped(chance, name)
    if dice < 0.07:
        return _SHORT.get(name, name)
    if dice < 0.08:
        return name[0] + "."
    return "" if dice < 0.09 else name


def _mistyped(chance: random.Random, word: str) -> str:
    place, letter = chance.randrange(1, len(word)), chance.choice(_LETTERS)
    return chance.choice((word[:place] + letter + word[place:], word[:place] + letter + word[place + 1 :]))


def _birthdate(chance: random.Random, year: int, month: int, day: int) -> str:
    dice = chance.random()
    if dice < 0.06:
        return "" if dice < 0.04 else str(year)
    if dice < 0.075 and day <= 12:
        month, day = day, month
    elif dice < 0.10:
        day = min(28, day + chance.choice((1, 2, 10)))
    return f"{year:04}-{month:02}-{day:02}"


def _day(chance: random.Random, first: int, last: int) -> Day:
    return chance.randint(first, last), chance.randint(1, 12), chance.randint(1, 28)


def _address(chance: random.Random, names: Names) -> str:
    town = chance.randrange(TOWNS)
    return f"{chance.randint(1, 120)} {_word(names, chance.randrange(STREETS))} Street, {1000 + 37 * town} {_word(names, town * 311)}"


def _word(names: Names, number: int) -> str:
    return names.surnames[number % len(names.surnames)]
