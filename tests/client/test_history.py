"""The history of a person and the feed of changes in both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peopleinfo_client import ImportNotFound, InvalidToken, PersonNotFound, VersionConflict, VersionNotFound
from tests.client.conftest import raises

if TYPE_CHECKING:
    from tests.client.conftest import Connect
    from tests.http.serving import Server


def test_client_reads_and_restores_versions(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    first = client.create({"person_surname": "First", "note": 1})
    second = client.patch(first, {"person_surname": "Second"})
    summaries = list(client.history(first.person_id))
    assert [(one.version, one.operation, one.fields) for one in summaries] == [
        (1, "created", ["person_surname", "note"]),
        (2, "updated", ["person_surname"]),
    ]
    assert [one.at for one in summaries] == [first.updated_at, second.updated_at]
    assert [client.get_version(first.person_id, number) for number in (1, 2)] == [first, second]
    with raises(VersionConflict):
        client.restore(first, 1)
    restored = client.restore(second, 1)
    assert (restored.version, restored.data()) == (3, first.data())


def test_client_follows_changes(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    start = client.changes_page()
    assert (start.changes, start.more) == ([], False)
    person = client.create({"person_surname": "Followed"})
    page = next(client.changes(start.next, include_person=True))
    assert [(change.person_id, change.version, change.operation) for change in page.changes] == [
        (person.person_id, 1, "created")
    ]
    assert (page.changes[0].at, page.changes[0].person) == (person.created_at, person)
    client.delete(person)
    (change,) = client.changes_page(page.next, include_person=True).changes
    assert (change.operation, change.person) == ("deleted", None)


def test_errors_of_history_and_changes_have_their_classes(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    person = client.create({"person_surname": "Errors"})
    with raises(VersionNotFound):
        client.get_version(person.person_id, 2)
    with raises(VersionNotFound):
        client.restore(person, 9)
    with raises(PersonNotFound):
        list(client.history("0123456789abcdef0123456789abcdef"))
    with raises(InvalidToken):
        client.changes_page("x")


def test_client_lists_and_undoes_imports(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    created = [result.person_id for result in client.import_people([{"person_surname": "Imported"}] * 2)]
    changed = client.patch(client.get(str(created[0])), {"note": "kept"})
    newest = next(iter(client.imports()))
    assert (newest.state, newest.created, newest.people_left) == ("finished", 2, [])
    undone = client.undo_import(newest.import_id)
    assert (undone.state, undone.deleted, undone.people_left) == ("undone", 1, [(changed.person_id, "changed")])
    assert client.undo_import(newest.import_id) == client.get_import(newest.import_id) == undone
    with raises(ImportNotFound):
        client.get_import("0" * 32)
