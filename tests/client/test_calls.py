"""Both clients do what the API offers, typed, page by page, without rounding a number."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo import client as api
from peopleinfo.client import errors
from peopleinfo.errors import StoreUnusable  # clients see it as StoreUnavailable
from peopleinfo.http.problems import KINDS
from tests.client.conftest import raises
from tests.http.serving import ADMIN_KEY, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Connect
    from tests.http.serving import Server


@pytest.fixture
def people(connect: Connect, server: Server) -> Any:
    return connect(server.url)


def test_a_person_is_created_read_changed_and_erased(people: Any) -> None:
    made = people.create({"person_surname": "Müller", "person_name": "Anna", "score": 1.5})
    assert (made.person_surname, made.version, made.more) == ("Müller", 1, {"score": Decimal("1.5")})
    assert people.get(made.person_id) == made
    changed = people.patch(made, {"person_address": "12 Lindenweg", "score": None})
    assert (changed.person_address, changed.version, changed.more) == ("12 Lindenweg", 2, {})
    replaced = people.replace(changed, {"person_surname": "Meyer"})
    assert replaced.details() == {"person_surname": "Meyer"}
    assert replaced.created_at == made.created_at
    people.erase(replaced)
    with raises(api.PersonNotFound):
        people.get(made.person_id)


def test_numbers_come_and_go_as_they_are(people: Any) -> None:
    numbers = {"price": Decimal("1.50"), "tiny": Decimal("1E-400"), "long": Decimal(10**30 + 1), "count": 7}
    made = people.create({"person_surname": "Number"} | numbers)
    assert made.more == numbers
    assert type(made.more["count"]) is int
    assert people.replace(made, made.details()).more == numbers


def test_a_stale_copy_is_not_written_over_a_newer_one(people: Any) -> None:
    seen = people.create({"person_surname": "Conflict"})
    people.patch(seen, {"n": 1})
    with raises(api.VersionConflict):
        people.patch(seen, {"n": 2})
    with raises(api.VersionConflict):
        people.erase(seen)
    assert people.patch(seen, {"n": 3}, version=api.ANY_VERSION).version == 3
    with pytest.raises(TypeError, match="which version"):
        people.patch(seen.person_id, {"n": 4})


def test_everyone_of_a_surname_is_found_page_by_page(people: Any) -> None:
    surname = f"Pages {type(people).__name__}"
    made = [people.create({"person_surname": surname, "n": n}).person_id for n in range(7)]
    assert [person.person_id for person in people.find(surname=surname)] == made
    pages = list(people.pages(surname=surname, limit=3))
    assert [len(page.people) for page in pages] == [3, 3, 1]
    assert next(iter(people.pages(surname=surname, limit=3, cursor=pages[0].next_cursor))).people == pages[1].people
    assert list(people.find(surname=surname, name="nobody")) == []


def test_an_import_says_what_became_of_each_row_and_can_be_sent_again(people: Any) -> None:
    rows = [{"person_surname": "Imported", "text": "line\u2028separator"}, {"person_surname": 5}]
    results = list(people.import_people(rows, idempotency_key=f"import {type(people)}"))
    assert [(one.line, one.result) for one in results] == [(1, "stored"), (2, "rejected"), (None, "done")]
    assert results[1].errors[0]["pointer"] == "/person_surname"
    assert (results[2].stored, results[2].rejected) == (1, 1)
    again = list(people.import_people(iter(rows), idempotency_key=f"import {type(people)}"))
    assert [one.result for one in again] == ["already", "rejected", "done"]


def test_what_is_exported_is_what_was_imported(people: Any) -> None:
    rows = [{"person_surname": f"Export{type(people).__name__}", "n": n, "t": "a\u2028b\x85"} for n in range(1_500)]
    assert list(people.import_people(rows))[-1].stored == 1_500
    exported = list(people.export(surname=f"Export{type(people).__name__}"))
    assert [person.details() for person in exported] == rows


def test_everything_that_is_wrong_is_told(people: Any) -> None:
    with raises(api.InvalidPerson) as refused:
        people.create({"person_surname": 5, "person_birthdate": "2023-02-30"})
    assert [error.pointer for error in refused.value.errors] == ["/person_surname", "/person_birthdate"]
    assert refused.value.status == 422
    assert refused.value.request_id
    with raises(api.InvalidSearch):
        list(people.find(born_from="yesterday"))
    with raises(api.InvalidCursor):
        next(iter(people.pages(cursor="x")))
    with raises(api.KeyReused):
        [people.create({"person_surname": name}, idempotency_key=f"key {type(people)}") for name in "AB"]


def test_an_id_cannot_lead_to_another_path(people: Any) -> None:
    with pytest.raises(ValueError, match="not the id"):
        people.get("../../data")


def test_ready_is_told_and_so_is_nobody_there(connect: Connect, people: Any) -> None:
    assert people.is_ready()
    assert not connect("http://127.0.0.1:1").is_ready()


def test_the_key_comes_from_the_argument_or_the_environment(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, admin_key=ADMIN_KEY) as server:
        with raises(api.NotAuthenticated):
            connect(server.url).create({"person_surname": "Locked"})
        with raises(api.NotAuthenticated):
            list(connect(server.url, key="x" * 32).import_people(iter([{"person_surname": "Locked"}])))
        assert connect(server.url, key=ADMIN_KEY).create({"person_surname": "Argument"}).version == 1
        monkeypatch.setenv("PEOPLEINFO_KEY", ADMIN_KEY)
        assert connect(server.url).create({"person_surname": "Environment"}).version == 1


def test_each_kind_of_problem_of_the_service_has_its_class_here() -> None:
    told = {kind.slug: error.__name__ for error, kind in KINDS.items() if error is not StoreUnusable}
    assert told.pop(errors.UNKNOWN_OUTCOME) == errors.OutcomeUnknown.__name__
    known = {slug: kind.__name__ for slug, kind in errors.KINDS.items()}
    assert known == told


def test_every_class_is_exported() -> None:
    assert {kind.__name__ for kind in errors.KINDS.values()} <= set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
