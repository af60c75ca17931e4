"""Evaluation: candidates, scores and grades of a labelled set of people, as a store would find them."""

import itertools
import json
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from peopleinfo.matching.blocking_keys import Hasher, KeyKind, Lookup
from peopleinfo.matching.candidate_selection import Hit, worth_fetching
from peopleinfo.matching.frequencies import CountKey, Counts, Frequencies, is_common
from peopleinfo.matching.match_record import MatchRecord, prepare
from peopleinfo.matching.scoring import GRADES, Score, are_relatives, score

Pair = tuple[int, int]
BLOCK = 200  # the most recent entries of a key that a look-up reads


class PeopleSet(NamedTuple):
    """Labelled people: the records, the household of each record, if known, and the true pairs (the earlier record first)."""

    name: str
    records: list[MatchRecord]
    families: list[str]
    truth: set[Pair]

    def are_relatives(self, pair: Pair) -> bool:
        """Return whether two different people are twins or spouses by surname and birthdate, or live in one household."""
        a, b = pair
        p, q = self.records[a], self.records[b]
        alike = bool(p.birthdate) and (p.birthdate, p.surname) == (q.birthdate, q.surname)
        return pair not in self.truth and (alike or (bool(self.families[a]) and self.families[a] == self.families[b]))


def load(path: Path) -> PeopleSet:
    """Read a set that `bench/peers/matching/people_sets.py` wrote."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return people_set(path.stem, rows)


def people_set(name: str, rows: list[dict[str, str]], identifiers: tuple[str, ...] = ()) -> PeopleSet:
    truth = _true_pairs([row["entity"] for row in rows])
    return PeopleSet(
        name, [prepare(row, identifiers=identifiers) for row in rows], [row.get("family", "") for row in rows], truth
    )


def _true_pairs(entities: list[str]) -> set[Pair]:
    records_of = defaultdict(list)
    for record, entity in enumerate(entities):
        records_of[entity].append(record)
    return {pair for records in records_of.values() for pair in itertools.combinations(records, 2)}


class Found(NamedTuple):
    """The pairs that look-ups find, with the kinds of key that found them, and the cost for all people."""

    kinds: dict[Pair, set[KeyKind]]
    entries: int
    lookups: int


def find(people: PeopleSet, hasher: Hasher, block: int = BLOCK) -> Found:
    """Add people one after another, and look up each person before adding it."""
    index: dict[bytes, list[int]] = defaultdict(list)
    kinds: dict[Pair, set[KeyKind]] = defaultdict(set)
    entries = lookups = 0
    for new, record in enumerate(people.records):
        for lookup in hasher.lookups(record):
            lookups += 1
            for old in index[lookup.key][-block:]:
                kinds[old, new].add(lookup.kind)
        for entry in hasher.entries(record):
            entries += 1
            index[entry.key].append(new)
    return Found(kinds, entries, lookups)


def filtered(people: PeopleSet, found: Found, hasher: Hasher) -> set[Pair]:
    """Return the pairs that a look-up fetches: those that remain after the selection by `sub`."""
    subs = [hasher.sub(record) for record in people.records]
    hits: dict[int, dict[int, Hit]] = defaultdict(dict)
    for (old, new), kinds in found.kinds.items():
        hits[new][old] = Hit(frozenset(kinds), subs[old])
    return {(old, new) for new, of_new in hits.items() for old in worth_fetching(subs[new], of_new)}


def counts(records: list[MatchRecord], relatives: int = 0) -> Counts:
    """Count the names, birthdates and address words of a set, as a store would."""
    values: Counter[CountKey] = Counter()
    for record in records:
        values.update({("name", record.first), ("surname", record.surname), ("birthdate", record.birthdate)})
    words = Counter(word for record in records for word in record.numbers | record.words)
    addressed = sum(1 for record in records if record.numbers or record.words)
    return Counts(
        people=len(records),
        named=sum(1 for record in records if record.first),
        surnamed=sum(1 for record in records if record.surname),
        addressed=addressed,
        relatives=relatives,
        values={key: count for key, count in values.items() if key[1]},
        common_words=frozenset(word for word, count in words.items() if is_common(count, addressed)),
    )


class Judged(NamedTuple):
    """The scores of all candidate pairs, the frequencies with the relatives that they show, and the CPU time of a pair."""

    scores: dict[Pair, Score]
    frequencies: Frequencies
    microseconds: float


def judge(people: PeopleSet, pairs: list[Pair]) -> Judged:
    """Score every candidate pair."""
    frequencies = Frequencies(counts(people.records))
    started = time.process_time()
    scores = {pair: score(people.records[pair[1]], people.records[pair[0]], frequencies) for pair in pairs}
    microseconds = (time.process_time() - started) / max(1, len(pairs)) * 1e6
    relatives = sum(are_relatives(found.evidence) for found in scores.values())
    known = frequencies.counts._replace(relatives=relatives)
    return Judged(scores, frequencies._replace(counts=known), microseconds)


class Quality(NamedTuple):
    """Precision, recall and the number of wrong pairs."""

    precision: float
    recall: float
    wrong: int


def quality(chosen: set[Pair], truth: set[Pair]) -> Quality:
    right = len(chosen & truth)
    return Quality(right / max(1, len(chosen)), right / max(1, len(truth)), len(chosen) - right)


def best_f1(ranked: list[Pair], truth: set[Pair]) -> float:
    """Return the F1 of the best threshold for pairs in the order of their probability."""
    best = right = 0.0
    for chosen, pair in enumerate(ranked, 1):
        right += pair in truth
        best = max(best, 2 * right / (chosen + len(truth)))
    return best


class Result(NamedTuple):
    """The quality at each grade, the best F1, the recall at certain without the guard, and the pairs of relatives at each grade."""

    grades: dict[str, Quality]
    f1: float
    unguarded: Quality
    relatives: int  # among the candidates
    relatives_at: dict[str, int]


def grade(people: PeopleSet, judged: Judged) -> Result:
    """Grade all candidate pairs as a store with these people would."""
    number, relatives = len(people.records), judged.frequencies.relatives
    assessed = {pair: found.assess(number, relatives) for pair, found in judged.scores.items()}
    ranked = sorted(assessed, key=lambda pair: (assessed[pair].probability, judged.scores[pair].bits), reverse=True)
    order: list[str] = [name for name, _ in GRADES]
    at_least: dict[str, set[Pair]] = {
        name: {pair for pair, found in assessed.items() if found.grade and order.index(found.grade) <= rank}
        for rank, name in enumerate(order)
    }
    unguarded = {pair for pair, found in assessed.items() if found.probability >= GRADES[0][1]}
    family = {pair for pair in assessed if people.are_relatives(pair)}
    return Result(
        {name: quality(pairs, people.truth) for name, pairs in at_least.items()},
        best_f1(ranked, people.truth),
        quality(unguarded, people.truth),
        len(family),
        {name: len(family & pairs) for name, pairs in at_least.items()},
    )


def peer_result(people: PeopleSet, probabilities: dict[Pair, float]) -> Result:
    """Grade the pairs of a peer, which has no guard, by their probability."""
    ranked = sorted(probabilities, key=lambda pair: probabilities[pair], reverse=True)
    at_least: dict[str, set[Pair]] = {
        name: {pair for pair, p in probabilities.items() if p >= least} for name, least in GRADES
    }
    family = {pair for pair in probabilities if people.are_relatives(pair)}
    grades = {name: quality(pairs, people.truth) for name, pairs in at_least.items()}
    relatives = {name: len(family & pairs) for name, pairs in at_least.items()}
    return Result(grades, best_f1(ranked, people.truth), grades["certain"], len(family), relatives)


def recall_by_size(people: PeopleSet, judged: Judged, size: int) -> dict[str, float]:
    """Return the share of the true pairs at each grade if the store held so many people, with 2 relatives per person."""
    pairs = people.truth & judged.scores.keys()
    found = [judged.scores[pair].assess(size, 2.0).grade for pair in pairs]
    order: list[str] = [name for name, _ in GRADES]
    return {
        name: sum(grade is not None and order.index(grade) <= rank for grade in found) / len(people.truth)
        for rank, name in enumerate(order)
    }


def narrowed_recall(people: PeopleSet, hasher: Hasher, steps: int) -> float:
    """Return the share of the true pairs that look-ups find if birthdates and names are too frequent, after so many narrowing steps."""
    subs = [hasher.sub(record) for record in people.records]
    keys = [{entry.key for entry in hasher.entries(record)} for record in people.records]
    found = 0
    for old, new in people.truth:
        record = people.records[new]
        lookups = [lookup for lookup in hasher.lookups(record) if lookup.key in keys[old]]
        narrower = [each for lookup in lookups for each in _narrowed(hasher, record, lookup, steps)]
        found += any(subs[old].startswith(each.prefix) for each in narrower)
    return found / len(people.truth)


def _narrowed(hasher: Hasher, record: MatchRecord, lookup: Lookup, steps: int) -> list[Lookup]:
    lookups = [lookup]
    for _ in range(steps if lookup.kind in ("birthdate", "names") else 0):
        lookups = [narrower for each in lookups for narrower in hasher.narrowed(each, record)]
    return lookups
