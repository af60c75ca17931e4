"""The grades of people that no weight was set for, through the HTTP API: batches, a scan and the review queue.

HELD_BACK_SET names the people: households:SEED, or census:SEED:YEAR (needs the peers). By default, households with a new seed.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx

from bench import matching, servers
from bench.markdown_tables import Table
from bench.matching import households
from bench.matching.evaluation import quality
from peopleinfo.matching.match_record import prepare

_FIELDS = ("person_name", "person_surname", "person_birthdate", "person_address", "phone")
_BATCH, _PAGE, _TIMEOUT = 100, 1_000, 300
_GRADES = ("certain", "probable")

Row = dict[str, str]
Pair = tuple[int, int]  # numbers of two rows, the lower one first


def main() -> None:
    """Print the table, and fail if two people of different first names or birthdates are certain."""
    name = os.environ.get("HELD_BACK_SET") or f"households:{secrets.randbelow(1_000_000)}"
    rows = rows_of(name)
    stored, found = queue(rows)
    truth = {pair for pair in _pairs(row["entity"] for row in rows) if stored.issuperset(pair)}
    table = Table(
        f"{name} through the API: {len(stored):,} of {len(rows):,} records are valid, {len(truth):,} true pairs",
        "grade at least", "precision", "recall", "wrong pairs", "of relatives", "same first name and birthdate",
    )  # fmt: skip
    chosen: set[Pair] = set()
    for grade in _GRADES:
        chosen |= found[grade]
        result = quality(chosen, truth)
        wrong = [(rows[a], rows[b]) for a, b in chosen - truth]
        table.row(
            grade, f"{result.precision:.4f}", f"{result.recall:.4f}", f"{result.wrong:,}",
            f"{sum(are_relatives(*pair) for pair in wrong):,}", f"{sum(have_one_name_and_birthdate(*pair) for pair in wrong):,}",
        )  # fmt: skip
    for a, b in sorted(found["certain"] - truth):
        print(*(json.dumps({name: rows[number][name] for name in (*_FIELDS, "entity")}) for number in (a, b)), sep="\n")
    distinguishable = [
        pair for pair in found["certain"] - truth if not have_one_name_and_birthdate(rows[pair[0]], rows[pair[1]])
    ]
    if distinguishable:
        sys.exit(f"{len(distinguishable)} pairs of people with different first names or birthdates are certain")


def rows_of(name: str) -> list[Row]:
    """Return the records of a set."""
    kind, _, seed = name.partition(":")
    if kind == "households":
        return households.rows(int(seed), matching.FAMILIES, matching.census_names())
    lines = matching.write_rows(name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def queue(rows: list[Row]) -> tuple[set[int], dict[str, set[Pair]]]:
    """Store the records, scan them, and return the numbers of those that are valid, and the pairs of the review queue by grade."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'people.db')}"
        with (
            servers.ours(store, **servers.UNLIMITED) as server,
            httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=_TIMEOUT) as client,
        ):
            numbers = {person_id: number for number, person_id in enumerate(_create(client, rows)) if person_id}
            subprocess.run([sys.executable, "-m", "peopleinfo", "duplicates", "scan", "--store-url", store], check=True)
            found: dict[str, set[Pair]] = {grade: set() for grade in _GRADES}
            for pair in _queue(client):
                first, second = sorted(numbers[person["person_id"]] for person in pair["people"])
                found[pair["grade"]].add((first, second))
            return set(numbers.values()), found


def _create(client: httpx.Client, rows: list[Row]) -> Iterator[str | None]:
    """Create the people, and yield the id of each; None for a record that is rejected, for example without a name."""
    for start in range(0, len(rows), _BATCH):
        people = [{name: row[name] for name in _FIELDS if row.get(name)} for row in rows[start : start + _BATCH]]
        items = [{"operation": "create", "person": person} for person in people]
        response = client.post("/v1/people/batch", json={"items": items}).raise_for_status()
        yield from (result.get("person", {}).get("person_id") for result in response.json()["results"])


def _queue(client: httpx.Client) -> Iterator[dict[str, Any]]:
    params: dict[str, str | int] = {"limit": _PAGE}
    while True:
        page = client.get("/v1/duplicates", params=params).raise_for_status().json()
        yield from page["duplicates"]
        if page["next_cursor"] is None:
            return
        params["cursor"] = page["next_cursor"]


def _pairs(entities: Iterable[str]) -> set[Pair]:
    numbers = defaultdict(list)
    for number, entity in enumerate(entities):
        numbers[entity].append(number)
    return {pair for same in numbers.values() for pair in combinations(same, 2)}


def are_relatives(row: Row, other: Row) -> bool:
    """Return whether two different people are of one household, or have the surname and the birthdate in common."""
    p, q = prepare(row), prepare(other)
    alike = bool(p.birthdate) and (p.surname, p.birthdate) == (q.surname, q.birthdate)
    return alike or (bool(row.get("family")) and row["family"] == other.get("family"))


def have_one_name_and_birthdate(row: Row, other: Row) -> bool:
    """Return whether two people cannot be distinguished: a simulated household may have two Christophers of one birthdate."""
    p, q = prepare(row), prepare(other)
    return (p.name, p.birthdate) == (q.name, q.birthdate)
