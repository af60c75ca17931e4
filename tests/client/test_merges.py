"""Merges and undos in both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo_client import ChangedSinceMerge, MergeNotFound, PersonMerged, VersionConflict
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
    with raises(MergeNotFound):
        client.undo_merge("0" * 32)
