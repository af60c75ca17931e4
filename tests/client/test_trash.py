"""Deleted people in both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peopleinfo_client import PersonNotFound
from tests.client.conftest import raises
from tests.http.serving import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.conftest import Connect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("client-trash"), trash="30d") as server:
        yield server


def test_client_lists_restores_and_erases_deleted_people(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    person = client.create({"person_surname": "Deleted"})
    other = client.create({"person_name": "Erased"})
    client.delete(person)
    client.delete(other)
    found = {entry.person_id: entry for entry in client.trash()}
    assert (found[person.person_id].person_surname, found[other.person_id].person_name) == ("Deleted", "Erased")
    assert found[person.person_id].deleted_at < found[person.person_id].erased_after
    client.erase(other.person_id)
    restored = client.restore_deleted(person.person_id)
    assert (restored.version, restored.data()) == (3, person.data())
    assert list(client.trash()) == []
    with raises(PersonNotFound):
        client.restore_deleted(person.person_id)
    client.erase(person.person_id)
    with raises(PersonNotFound):
        client.erase(person.person_id)
