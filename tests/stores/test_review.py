"""The review queue: pairs in order, decisions that persist, the resumable scan, and the erasure of links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from bench.matching.households import rows
from msgspec.structs import replace

from peopleinfo.matching.certain_merges import CertainMerges
from peopleinfo.matching.duplicate_scan import DuplicateScan
from peopleinfo.matching.errors import PairNotFound
from peopleinfo.matching.match_service import MatchOptions
from peopleinfo.matching.merge_service import MergeRequest, MergeService
from peopleinfo.matching.review_queue import Review
from peopleinfo.people.person import decode_header, split_record
from tests.search_cases import person
from tests.store_kinds import ENCRYPTED
from tests.stores.test_match import ANNA, crowd, service
from tests.unit.test_match_households import NAMES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from peopleinfo.matching.duplicate_scan import ScanProgress
    from peopleinfo.people.person import PersonData
    from peopleinfo.stores.service_store import OpenedStore
    from tests.store_kinds import Clock

STORE_KINDS = ["sqlite", ENCRYPTED, "ministack"]
SIMILAR = person("Ana", "Smyth", born="1980-04-03", address="12 Elm Row, Leeds LS1")


def review_of(store: OpenedStore, clock: Clock) -> Review:
    return Review(service(store), store, clock.now)


async def scan(store: OpenedStore, clock: Clock, *, pages: int | None = None, dry_run: bool = False) -> ScanProgress:
    """Scan the store, or only some pages of it, and return the progress."""
    progress: list[ScanProgress] = []
    review = review_of(store, clock)
    async for done in DuplicateScan(service(store), review, store, dry_run=dry_run, page_limit=20).run():
        progress.append(done)
        if len(progress) == pages:
            break
    return progress[-1]


async def stored(store: OpenedStore, *people: PersonData) -> list[str]:
    await store.create_many(crowd(100))
    return [(await store.create(data)).person_id for data in people]


async def pairs(review: Review, state: str = "open") -> list[set[str]]:
    page = await review.page(state, limit=100)  # type: ignore[arg-type]
    return [{one.person_id for one in pair.people} for pair in page.pairs]


async def test_scan_adds_the_most_certain_pairs_first(store: OpenedStore, clock: Clock) -> None:
    first, second, third = await stored(store, ANNA, SIMILAR, ANNA)
    assert (await scan(store, clock, dry_run=True)).pairs == 3
    review = review_of(store, clock)
    assert await pairs(review) == []
    progress = await scan(store, clock)
    assert (progress.people, progress.pairs) == (103, 3)
    found = (await review.page("open", limit=10)).pairs
    assert {one.person_id for one in found[0].people} == {first, third}
    assert [pair.link.grade for pair in found] == ["certain", "probable", "probable"]
    assert {second} < {one.person_id for one in found[1].people}
    page = await review.page("open", limit=2)
    rest = await review.page("open", after=page.next, limit=2)
    assert [*page.pairs, *rest.pairs] == found
    assert rest.next is None
    assert [pair.link.grade for pair in (await review.page("open", "probable", limit=9)).pairs] == ["probable"] * 2
    assert (await scan(store, clock)).pairs == 0


async def test_page_of_the_queue_ends_by_the_size_of_its_records(store: OpenedStore, clock: Clock) -> None:
    large = replace(ANNA, extra={"pad": "x" * 60_000})
    review = review_of(store, clock)
    for person_id in await stored(store, *[large] * 9):
        await review.add(person_id)
    first = await review.page("open", limit=1_000)
    rest = await review.page("open", after=first.next, limit=1_000)
    assert [len(first.pairs), len(rest.pairs)] == [20, 16]  # 36 pairs of 4.3 MB
    assert rest.next is None


async def pages_of(store: OpenedStore) -> AsyncIterator[list[bytes]]:
    after = None
    while True:
        page = await store.scan(after=after, limit=500)
        yield page.people
        if (after := page.next) is None:
            return


async def test_scan_finds_the_pairs_that_a_match_of_each_person_finds(store: OpenedStore, clock: Clock) -> None:
    people = [
        person(row["person_name"], row["person_surname"], born=row["person_birthdate"], address=row["person_address"])
        for row in rows(5, 30, NAMES)
    ]
    await store.create_many(people)
    matches = service(store)
    await matches.count()
    listed = [body async for page in pages_of(store) for body in page]
    found = {
        frozenset((decode_header(body).person_id, one.person_id))
        for body, matched in zip(listed, await matches.compare_stored(listed, MatchOptions(100, 0.9)), strict=True)
        for one in matched.match.candidates
    }
    assert len(found) > 20
    assert (await scan(store, clock)).pairs == len(found)
    waiting = (await review_of(store, clock).page("open", limit=500)).pairs
    assert {frozenset((one.link.first, one.link.second)) for one in waiting} == found


async def test_different_people_never_return_to_the_queue(store: OpenedStore, clock: Clock) -> None:
    first, second = await stored(store, ANNA, SIMILAR)
    await scan(store, clock)
    review = review_of(store, clock)
    [pair] = (await review.page("open", limit=9)).pairs
    decided = await review.decide(pair.link.pair, "different", by="clerk", note="checked")
    assert await review.decide(pair.link.pair, "different", by="clerk", note="checked") == decided
    assert (await scan(store, clock)).pairs == 0
    for person_id in (first, second):
        await review.add(person_id)
    assert (await pairs(review), await pairs(review, "different")) == ([], [{first, second}])
    for version, person_id in ((1, first), (1, second)):  # a new identifier opens the pair again
        current = await store.get(person_id)
        data = ANNA if person_id == first else SIMILAR
        changed = msgspec.structs.replace(data, extra={"email": "same@example.org"})
        await store.replace(person_id, changed, expected=version, current=current)
    assert (await scan(store, clock)).pairs == 1
    assert await pairs(review) == [{first, second}]


async def test_pair_of_a_deleted_person_leaves_the_queue(store: OpenedStore, clock: Clock) -> None:
    first, second, third = await stored(store, ANNA, ANNA, ANNA)
    await scan(store, clock)
    review = review_of(store, clock)
    assert len(await pairs(review)) == 3
    await store.delete(third)
    assert await pairs(review) == [{first, second}]
    assert store.matches is not None
    assert await store.matches.links.of_person(third) == []
    assert len(await store.matches.links.of_person(first)) == 1
    with pytest.raises(PairNotFound):
        await review.decide("".join(sorted((first, third))), "later", by=None)
    with pytest.raises(PairNotFound):
        await review.get("x")


async def test_interrupted_scan_resumes(store: OpenedStore, clock: Clock) -> None:
    await stored(store, ANNA, ANNA, ANNA)
    first = await scan(store, clock, pages=2)
    assert first.people < 103
    resumed = await scan(store, clock)
    assert resumed.people == 103
    assert len(await pairs(review_of(store, clock))) == 3


async def test_decision_persists_through_a_merge_and_its_undo(store: OpenedStore, clock: Clock) -> None:
    first, second, third = await stored(store, ANNA, SIMILAR, ANNA)
    await scan(store, clock)
    review = review_of(store, clock)
    await review.decide("".join(sorted((first, second))), "different", by="clerk")
    merges = MergeService(store.merges, secret=store.secret, now=clock.now)
    request = MergeRequest(third, (first,), {third: 1, first: 1}, {})
    merged, _ = await merges.merge(request)
    await scan(store, clock)
    assert await pairs(review) == []  # the survivor is the person of the first record
    assert merged.merge_id is not None
    await merges.undo(merged.merge_id, keep={})
    await scan(store, clock)
    assert {first, second} not in await pairs(review)
    assert {first, third} in await pairs(review)


async def merge_certain(store: OpenedStore, clock: Clock, *, apply: bool = True) -> list[tuple[str, str, str]]:
    """Merge the certain pairs; return the survivor, the merged record and the outcome of each pair."""
    merges = MergeService(store.merges, secret=b"s" * 32, now=clock.now)
    task = CertainMerges(review_of(store, clock), service(store), merges)
    return [(one.survivor, one.merged, one.outcome) async for one in task.run(apply=apply, principal="operator")]


async def test_certain_pairs_are_merged_by_an_operator(store: OpenedStore, clock: Clock) -> None:
    await store.create_many(crowd(100))
    email = {"email": "anna@example.org"}
    first = (await store.create(msgspec.structs.replace(ANNA, extra=email | {"note": "1"}))).person_id
    clock.advance(minutes=1)
    second, third = [
        (await store.create(msgspec.structs.replace(ANNA, person_address=address, extra=email))).person_id
        for address in ("12 Elm Row, Leeds LS1 4AB", ANNA.person_address)
    ]
    await store.create(SIMILAR)
    await scan(store, clock)
    pairs_before = await pairs(review_of(store, clock))
    dry = await merge_certain(store, clock, apply=False)
    assert {outcome for _, _, outcome in dry} == {"certain"}
    assert {frozenset(found[:2]) for found in dry} >= {frozenset((first, second)), frozenset((first, third))}
    assert await pairs(review_of(store, clock)) == pairs_before
    done = await merge_certain(store, clock)
    assert len([outcome for *_, outcome in done if outcome == "merged"]) == 2
    assert set(await store.merge_group(first)) == {first, second, third}
    fields = split_record(await store.get(first))[0].to_dict()
    assert (fields["note"], fields["person_name"]) == ("1", ANNA.person_name)
    assert await merge_certain(store, clock) == []
    service_of_merges = MergeService(store.merges, secret=b"s" * 32, now=clock.now)
    for person_id in (first, second):  # the outer merges first
        for record in await store.merges.merges_of(person_id):
            await service_of_merges.undo(record.merge_id, keep={})
    assert {(await store.get(one)).person_id for one in (first, second, third)} == {first, second, third}


async def test_operator_merges_no_pair_that_a_reviewer_decided_or_that_is_no_longer_certain(
    store: OpenedStore, clock: Clock
) -> None:
    anna = msgspec.structs.replace(ANNA, extra={"email": "anna@example.org"})
    first, second, third = await stored(store, anna, anna, anna)
    await scan(store, clock)
    review = review_of(store, clock)
    for pair in (await review.page("open", limit=9)).pairs:
        if {one.person_id for one in pair.people} == {first, second}:
            await review.decide(pair.link.pair, "different", by="clerk")
    assert len({one[2] for one in await merge_certain(store, clock)} - {"merged", "decided", "changed"}) == 0
    groups = [set(await store.merge_group(person_id)) for person_id in (first, second)]
    assert groups[0].isdisjoint(groups[1])
    assert third in groups[0] | groups[1]

    other = msgspec.structs.replace(ANNA, person_surname="Zwillinger", person_birthdate="1961-07-21")
    fourth, fifth = [(await store.create(other)).person_id for _ in range(2)]
    await scan(store, clock)
    changed = msgspec.structs.replace(other, person_name="Bert", person_birthdate="1999-01-30")
    await store.replace(fifth, changed, expected=1, current=await store.get(fifth))
    assert [outcome for *_, outcome in await merge_certain(store, clock)] == ["not-certain"]
    assert list(await store.merge_group(fourth)) == [fourth]


async def test_note_of_a_decision_is_stored_encrypted(store: OpenedStore, clock: Clock) -> None:
    await stored(store, ANNA, SIMILAR)
    await scan(store, clock)
    review = review_of(store, clock)
    [pair] = (await review.page("open", limit=9)).pairs
    decided = await review.decide(pair.link.pair, "different", by="clerk", note="cousins")
    assert await review.decide(pair.link.pair, "different", by="clerk", note="cousins") == decided
    assert [one.link.note for one in (await review.page("different", limit=9)).pairs] == ["cousins"]
    assert (await review.get(pair.link.pair)).link.note == "cousins"
    assert store.matches is not None
    link = await store.matches.links.get(pair.link.first, pair.link.second)
    assert link is not None
    assert link.note
    assert "cousins" not in link.note
    copied = msgspec.structs.replace(link, version=link.version + 1, note="of another store")
    assert await store.matches.links.put(copied)
    assert (await review.get(pair.link.pair)).link.note == ""
