"""How many surnames does somebody guess who has a copy of a sealed store and knows how common surnames are?

The index of surnames holds a keyed hash of each: nobody can try surnames on it, but it shows how many people share one. Who knows the surnames of
the country by how common they are takes the most common hash for the most common surname, and so on: the best guess there is, when the
order is all that is known. The people's surnames are as unevenly spread as in a census (bench/sample_people.py: Zipf-Mandelbrot, 150,000 surnames, the most
common one borne by 1 in 100).
"""

import bisect
import itertools
import random
from collections import Counter
from statistics import mean

from bench.sample_people import SURNAMES

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RUNS = 5


def main() -> None:
    """Print a row a size of the store: the share of people and of the surnames that occur that are guessed right."""
    print(f"{'people':>10} {'people guessed':>16} {'surnames guessed':>18} {'of the 10 most common':>23}")
    for size in SIZES:
        people, surnames, top = zip(*(attack(size, seed) for seed in range(RUNS)), strict=True)
        print(f"{size:>10,} {mean(people):>16.2%} {mean(surnames):>18.2%} {mean(top):>23.0%}", flush=True)


def attack(size: int, seed: int) -> tuple[float, float, float]:
    """Return the shares of people, of surnames and of the ten most common surnames that are guessed right."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(SURNAMES)))
    counts = Counter(bisect.bisect(weights, chance.random() * weights[-1]) for _ in range(size))
    hashes = list(counts.items())
    chance.shuffle(hashes)  # among equally common hashes the attacker can only choose at random
    hashes.sort(key=lambda entry: -entry[1])
    right = [(rank, count) for guess, (rank, count) in enumerate(hashes) if guess == rank]
    top = sum(rank < 10 for rank, _ in right) / 10
    return sum(count for _, count in right) / size, len(right) / len(hashes), top
