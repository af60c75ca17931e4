"""How many surnames does an attacker guess from a copy of an encrypted store and a list of surname frequencies?

The index holds a keyed hash of each surname. An attacker cannot test surnames against it, but sees how many people share a hash. The best
attack with frequencies alone assigns the most common surname to the most common hash, and so on. The sample has the distribution of a
census (bench/sample_people.py: Zipf-Mandelbrot, 150,000 surnames, the most common one has a share of 1 %).
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
    """Print a row per size of the store: the shares of people and of surnames that the attacker guesses correctly."""
    print(f"{'people':>10} {'people guessed':>16} {'surnames guessed':>18} {'of the 10 most common':>23}")
    for size in SIZES:
        people, surnames, top = zip(*(attack(size, seed) for seed in range(RUNS)), strict=True)
        print(f"{size:>10,} {mean(people):>16.2%} {mean(surnames):>18.2%} {mean(top):>23.0%}", flush=True)


def attack(size: int, seed: int) -> tuple[float, float, float]:
    """Return the shares of people, of surnames and of the ten most common surnames that are guessed correctly."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(SURNAMES)))
    counts = Counter(bisect.bisect(weights, chance.random() * weights[-1]) for _ in range(size))
    hashes = list(counts.items())
    chance.shuffle(hashes)  # among equally common hashes the attacker chooses at random
    hashes.sort(key=lambda entry: -entry[1])
    right = [(rank, count) for guess, (rank, count) in enumerate(hashes) if guess == rank]
    top = sum(rank < 10 for rank, _ in right) / 10
    return sum(count for _, count in right) / size, len(right) / len(hashes), top
