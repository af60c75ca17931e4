"""Quality of the search for people: recall of typed queries, precision for absent people, and the cost of a query.

The strict recall counts a query as a hit if the one person is among the first ten. More than ten people can match a common word equally
well, so the table has two other counts. Equal: the person is among the first ten, or no later class than the tenth, so that only the
alphabet decides. Pages: the person is on some page of the result.

A word alone is a fair query if at most ten people have it: a first name, a surname or a part of these. People with the word as their whole
surname rank before those with it as a part, so a part that is a common surname cannot bring its person among the first ten. The row
"common part alone" counts these queries: the search shows ten people that match better, and `more_exist` asks for another word.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable

from bench.census_people import edited, people, respelled, transposed
from peopleinfo.people.folding import fold
from peopleinfo.people.index_entries import IndexPlan, keys_and_order
from peopleinfo.people.nicknames import related_names
from peopleinfo.people.person import PersonData
from peopleinfo.people.similarity import bucket_keys
from peopleinfo.people.text_query import parse
from peopleinfo.people.text_ranking import Comparison
from peopleinfo.people.text_search import PeopleSearch
from peopleinfo.people.words import divide
from tests.memory_index import MemoryIndex

COUNT = int(os.environ.get("BENCH_PEOPLE", "120000"))
QUERIES = 250
ABSENT = 1_000
RANK = 10
PLAN = IndexPlan(identifiers=("email", "phone"))


def phone_notations(phone: str) -> list[str]:
    """Return five notations of an American number."""
    _, area, prefix, line = phone.split()
    return [
        phone,
        f"+1({area}){prefix}-{line}",
        f"001 {area} {prefix} {line}",
        f"{area}-{prefix}-{line}",
        f"1{area}{prefix}{line}",
    ]


def mail_notations(mail: str) -> list[str]:
    """Return five notations of a mail address."""
    return [mail, mail.upper(), f"mailto:{mail}", f"<{mail}>", f" {mail.title()},"]


def typed_queries(crowd: list[PersonData]) -> dict[str, list[tuple[PersonData, str]]]:
    """Return pairs of a person and a query that must find the person, by kind."""
    chance = random.Random(3)
    given = Counter(data.person_name for data in crowd)
    words = Counter(word for data in crowd for word in {*divide(name(data)), *divide(surname(data))})
    pairs = Counter((data.person_name, data.person_surname) for data in crowd)
    targets = [
        d
        for d in chance.sample(crowd, min(20_000, len(crowd)))
        if pairs[d.person_name, d.person_surname] == 1 and len(name(d)) >= 3 and len(surname(d)) >= 5
    ]
    double = [d for d in targets if "-" in surname(d)]
    single = [d for d in targets if "-" not in surname(d)]
    known = {fold(name(data)) for data in crowd}

    def typed(source: Iterable[PersonData], form: Callable[[PersonData], str]) -> list[tuple[PersonData, str]]:
        return [(data, form(data)) for data in source][:QUERIES]

    return {
        "exact": typed(single, lambda d: f"{name(d)} {surname(d)}"),
        "swapped, comma": typed(single, lambda d: f"{surname(d)}, {name(d)}"),
        "1 edit": typed(single, lambda d: f"{name(d)} {edited(surname(d), chance)}"),
        "transposition": typed(single, lambda d: f"{name(d)} {transposed(surname(d), chance)}"),
        "1 edit, swapped": typed(single, lambda d: f"{edited(surname(d), chance)} {name(d)}"),
        "1 edit in both names": typed((d for d in single if len(name(d)) >= 5), lambda d: f"{edited(name(d), chance)} {edited(surname(d), chance)}"),
        "respelled by sound": [(d, f"{name(d)} {w}") for d in single if (w := respelled(surname(d).lower(), chance)) != surname(d).lower()][:QUERIES],
        "nickname": [(d, f"{chance.choice(near)} {surname(d)}") for d in single if (near := sorted(related_names(fold(name(d))) & known))][:QUERIES],
        "part of a double surname": typed(double, lambda d: f"{name(d)} {surname(d).split('-')[1]}"),
        "part alone": typed((d for d in double if words[part(d)] <= RANK), part),
        "common part alone": typed((d for d in double if words[part(d)] > RANK), part),
        "given name alone": typed((d for d in targets if given[d.person_name] <= RANK), name),
        "surname alone": typed(single, surname),
        "prefix of the surname": typed(single, lambda d: f"{name(d)} {surname(d)[:4]}"),
        "initial": typed(single, lambda d: f"{name(d)[0]}. {surname(d)}"),
        "birthdate": typed(single, lambda d: f"{surname(d)} {d.person_birthdate}"),
        "address": typed(single, lambda d: f"{surname(d)} {(d.person_address or '').split(',')[0]}"),
        **{f"phone, notation {n}": typed(single, lambda d, n=n: phone_notations(d.extra["phone"])[n]) for n in range(5)},
        **{f"mail, notation {n}": typed(single, lambda d, n=n: mail_notations(d.extra["email"])[n]) for n in range(5)},
    }  # fmt: skip


def part(data: PersonData) -> str:
    """Return the first part of a double surname, folded."""
    return divide(surname(data))[0]


def absent_queries(crowd: list[PersonData]) -> list[str]:
    """Return queries for people that the crowd lacks: names of different people."""
    chance = random.Random(5)
    pairs = {(data.person_name, data.person_surname) for data in crowd}
    drawn = zip(chance.sample(crowd, 2 * ABSENT), chance.sample(crowd, 2 * ABSENT), strict=True)
    return [f"{name(a)} {surname(b)}" for a, b in drawn if (a.person_name, b.person_surname) not in pairs][:ABSENT]


def name(data: PersonData) -> str:
    """Return the first name."""
    return data.person_name or ""


def surname(data: PersonData) -> str:
    """Return the surname."""
    return data.person_surname or ""


def main() -> None:
    """Print recall, precision and cost."""
    asyncio.run(measure())


async def measure() -> None:
    """Print recall, precision and cost on an index in memory."""
    crowd = list(people(COUNT))
    index = MemoryIndex(PLAN, bucket_keys)
    started = time.process_time()
    derived = sum(len(keys_and_order(data, PLAN)[0]) for data in crowd)
    cost = (time.process_time() - started) / COUNT * 1e6
    index.load(crowd)
    ids = {id(data): f"{number:032x}" for number, data in enumerate(crowd)}
    search = PeopleSearch(index)
    print(
        f"{COUNT} people, {derived / COUNT:.1f} entries per person, {cost:.0f} us to derive them, {index.words_written / COUNT:.2f} vocabulary keys"
    )
    print(
        "\n| query | strict | equal | pages | results | keys | entries read | ms (CPU) |\n|---|---|---|---|---|---|---|---|"
    )
    for kind, queries in typed_queries(crowd).items():
        await _measure(kind, queries, index, search, ids)
    results = [await search.find(parse(text), limit=100) for text in absent_queries(crowd)]
    found = Counter(person.found_by for result in results for person in result.people)
    print(
        f"\n{len(results)} queries for absent people: {sum(r.matches for r in results) / len(results):.2f} results on average; {dict(found)}"
    )


async def _measure(
    kind: str, queries: list[tuple[PersonData, str]], index: MemoryIndex, search: PeopleSearch, ids: dict[int, str]
) -> None:
    index.keys_read = index.entries_read = 0
    started, hits, results, most_keys, missed = time.process_time(), 0, 0, 0, []
    for data, text in queries:
        before = index.keys_read
        result = await search.find(parse(text), limit=RANK)
        most_keys = max(most_keys, index.keys_read - before)
        is_hit = ids[id(data)] in [person.fields["person_id"] for person in result.people]
        hits, results = hits + is_hit, results + result.matches
        if not is_hit:
            missed.append((data, text))
    count = max(len(queries), 1)
    cost = (time.process_time() - started) / count * 1e3
    keys, entries = index.keys_read / count, index.entries_read / count
    equal = hits + sum([await _is_equal(data, text, search) for data, text in missed])
    paged = hits + sum([await _is_on_a_page(ids[id(data)], text, search) for data, text in missed])
    print(f"| {kind} ({count}) | {hits / count:.3f} | {equal / count:.3f} | {paged / count:.3f} | {results / count:.1f} | {keys:.0f} (max {most_keys}) | {entries:.0f} | {cost:.1f} |", flush=True)  # fmt: skip
    if os.environ.get("BENCH_MISSED"):
        print("   ", [(text, data.person_name, data.person_surname) for data, text in missed[:12]])


async def _is_equal(data: PersonData, text: str, search: PeopleSearch) -> bool:
    """Return whether the person would rank among the first ten, if the alphabet did not separate people of one class."""
    query, people = parse(text), (await search.find(parse(text), limit=RANK)).people
    comparison = Comparison(query, PLAN.identifiers)
    match = comparison.match({"person_name": data.person_name, "person_surname": data.person_surname})
    last = comparison.match(people[-1].fields) if len(people) == RANK else None
    return match is not None and last is not None and match.found <= last.found


async def _is_on_a_page(person_id: str, text: str, search: PeopleSearch) -> bool:
    after = None
    while True:
        result = await search.find(parse(text), limit=RANK, after=after)
        if person_id in [person.fields["person_id"] for person in result.people]:
            return True
        if (after := result.next) is None:
            return False


if __name__ == "__main__":
    main()
