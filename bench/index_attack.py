"""How many values does an attacker guess from a copy of an encrypted store and public statistics?

Each index holds keyed hashes. An attacker cannot test a guess against them, but sees how many people share a hash. The best attack with
frequencies alone assigns the most common value to the most common hash, and so on. The first table repeats it for the surname with the
distribution of bench/sample_people.py (Zipf-Mandelbrot, 150,000 surnames, the most common one has a share of 1 %). The second one attacks
each index with the statistics of a census (bench/census_people.py), and names the share of values that a hash without a key would reveal:
an attacker could hash every name of the list, every date and every phone number.
"""

import bisect
import itertools
import random
from collections import Counter
from statistics import mean

from bench.census_people import frequencies
from bench.sample_people import SURNAMES
from peopleinfo.people.sounds import sound

SIZES = (1_000, 10_000, 100_000, 1_000_000)
INDEX_SIZES = (10_000, 100_000)
RUNS = 5
TOWNS = 2_000  # the n-th largest has a share of about 1 / (n + 10)
FIRST_YEAR, YEARS = 1930, 80


def main() -> None:
    """Print a row per size of the store for surnames, then a row per index."""
    print(f"{'people':>10} {'people guessed':>16} {'surnames guessed':>18} {'of the 10 most common':>23}")
    for size in SIZES:
        people, surnames, top = zip(*(attack(size, seed) for seed in range(RUNS)), strict=True)
        print(f"{size:>10,} {mean(people):>16.2%} {mean(surnames):>18.2%} {mean(top):>23.0%}", flush=True)
    print(f"\n{'index':<34} {'guess for':<12} " + " ".join(f"{size:>10,} people" for size in INDEX_SIZES))
    for index, field, values, weights in fields():
        shares = [mean(guessed(values, weights, size, seed) for seed in range(RUNS)) for size in INDEX_SIZES]
        print(f"{index:<34} {field:<12} " + " ".join(f"{share:>17.2%}" for share in shares), flush=True)


def attack(size: int, seed: int) -> tuple[float, float, float]:
    """Return the shares of people, of surnames and of the ten most common surnames that are guessed correctly."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(SURNAMES)))
    counts = Counter(bisect.bisect(weights, chance.random() * weights[-1]) for _ in range(size))
    hashes = _by_count(counts, chance)
    right = [(rank, count) for guess, (rank, count) in enumerate(hashes) if guess == rank]
    top = sum(rank < 10 for rank, _ in right) / 10
    return sum(count for _, count in right) / size, len(right) / len(hashes), top


def fields() -> list[tuple[str, str, list[str], list[float]]]:
    """Return each index with the field that it can reveal, and the values of that field with their shares."""
    surnames, women, men = (frequencies(f"dist.{file}") for file in ("all.last", "female.first", "male.first"))
    given = women[0] + men[0], women[1] + men[1]
    towns = [f"town {rank}" for rank in range(TOWNS)], [1 / (rank + 10) for rank in range(TOWNS)]
    days = [f"{year}-{day}" for year in range(FIRST_YEAR, FIRST_YEAR + YEARS) for day in range(365)]
    years = [str(year) for year in range(FIRST_YEAR, FIRST_YEAR + YEARS)]
    sounds = [(index, _sounds(*names)) for index, names in (("surname", surnames), ("name", given))]
    return [
        ("names", "surname", *surnames),
        ("names", "first name", *given),
        ("address", "town", *towns),
        ("birthdate", "birthdate", days, [1.0] * len(days)),
        ("duplicates (part of an entry)", "year of birth", years, [1.0] * len(years)),
        ("duplicates (part of an entry)", "day, month", days[:365], [1.0] * 365),
        *(("duplicates (part of an entry)", f"sound of {name}", *found) for name, found in sounds),
        ("identifiers", "mail, phone", [str(number) for number in range(10**6)], [1.0] * 10**6),
    ]


def guessed(values: list[str], weights: list[float], size: int, seed: int) -> float:
    """Return the share of people whose value is guessed correctly."""
    chance = random.Random(seed)
    ranks = {
        value: rank
        for rank, (value, _) in enumerate(sorted(zip(values, weights, strict=True), key=lambda pair: -pair[1]))
    }
    counts = Counter(ranks[value] for value in chance.choices(values, weights, k=size))
    return sum(count for guess, (rank, count) in enumerate(_by_count(counts, chance)) if guess == rank) / size


def _by_count(counts: Counter[int], chance: random.Random) -> list[tuple[int, int]]:
    """Return ranks and counts, the most common first; among equally common hashes the attacker chooses at random."""
    hashes = list(counts.items())
    chance.shuffle(hashes)
    return sorted(hashes, key=lambda entry: -entry[1])


def _sounds(names: list[str], weights: list[float]) -> tuple[list[str], list[float]]:
    shares: Counter[str] = Counter()
    for name, weight in zip(names, weights, strict=True):
        shares[sound(name)] += weight
    return list(shares), list(shares.values())
