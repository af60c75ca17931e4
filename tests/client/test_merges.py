"""Merges and undos in both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo_client import (
    ChangedSinceMerge,
    InvalidSearch,
    MergeNotFound,
    PairNotFound,
    PersonMerged,
    VersionConflict,
)  # fmt: skip
from tests.cli.commands import run
from tests.client.conftest import raises

if TYPE_CHECKING:
    from tests.client.conftest import Connect
    from tests.http.serving import Server


def test_client_merges_and_undoes(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    start = client.changes_page()
    anna = client.create({"person_name": "Anna", "note": 1})
    anne = client.create({"person_name": "Anne", "person_address": "12 Elm Row"})
    preview = client.merge(anna, [anne], preview=True)
    merge = client.merge(anna, [anne], take={"person_name": anne.person_id})
    assert (preview.merge_id, preview.replaces) == (None, [anne.person_id])
    assert {difference.field: difference.taken for difference in merge.differences} == {
        "person_name": anne.person_id,
        "person_address": anne.person_id,
        "note": anna.person_id,
    }
    assert client.get(anne.person_id) == merge.survivor
    with raises(PersonMerged):
        client.patch(anne, {"person_name": "New"})
    with raises(VersionConflict):
        client.merge(anna, [client.create({"person_name": "Other"})])
    changes = {change.person_id: change for change in client.changes_page(start.next).changes}
    assert changes[anne.person_id].merged_into == anna.person_id
    client.patch(merge.survivor, {"person_address": None})
    with raises(ChangedSinceMerge):
        client.undo_merge(merge.merge_id)
    undone = client.undo_merge(merge.merge_id, keep={"person_address": "survivor"})
    assert (undone.survivor.data(), undone.edited) == (anna.data(), ["person_address"])
    assert [person.data() for person in undone.merged] == [anne.data()]
    (found,) = client.merges(anne)
    assert (found.merge_id, found.survivor.person_id, [one.person_id for one in found.merged]) == (
        merge.merge_id, anna.person_id, [anne.person_id],
    )  # fmt: skip
    assert found.undone_at is not None
    assert client.get_merge(merge.merge_id) == found
    for call in (client.undo_merge, client.get_merge):
        with raises(MergeNotFound):
            call("0" * 32)


def test_client_reviews_pairs(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    born = {"person_surname": "Reviewed", "person_birthdate": "1980-04-03", "person_address": "12 Elm Row, Leeds"}
    people = [client.create(born | {"person_name": name}) for name in ("Marina", "Martina")]
    assert run(server.log.parent, "duplicates", "scan").returncode == 0
    pair = next(pair for pair in client.pairs(grade="probable") if pair.people[0].person_surname == "Reviewed")
    assert sorted(person.person_id for person in pair.people) == sorted(person.person_id for person in people)
    assert [(one.field, one.agreement) for one in pair.evidence][:2] == [
        ("person_name", "near"),
        ("person_surname", "exact"),
    ]
    decided = client.decide(pair, "later", note="ask at the desk")
    assert (decided.state, decided.note, decided.version) == ("later", "ask at the desk", pair.version + 1)
    with raises(VersionConflict):
        client.decide(pair, "different")
    assert client.decide(pair.pair, "different").state == client.get_pair(pair.pair).state == "different"
    assert pair.pair not in [one.pair for one in client.pairs()]
    assert pair.pair in [one.pair for one in client.pairs("different")]
    with raises(PairNotFound):
        client.get_pair("0" * 64)
    with raises(InvalidSearch):
        next(client.pairs("closed"))
    for person in people:
        client.delete(person)
