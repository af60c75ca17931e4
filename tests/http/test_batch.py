"""POST /v1/people/batch-get and /v1/people/batch: each item has its own result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving
from tests.http.test_authentication import bearer, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKNOWN = "0" * 32
RATE_LIMIT = 60


def batch(client: httpx.Client, *items: Any) -> list[dict[str, Any]]:
    response = client.post("/v1/people/batch", json={"items": items})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def get_many(client: httpx.Client, *ids: str) -> list[dict[str, Any]]:
    response = client.post("/v1/people/batch-get", json={"ids": ids})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def create(person: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"operation": "create", "person": person, **more}


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


def test_each_id_has_its_own_result_in_order(client: httpx.Client, surname: str) -> None:
    people = [
        client.post("/v1/people", json={"person_surname": surname, "number": number}).json() for number in range(3)
    ]
    ids = [person["person_id"] for person in people]
    requested = [ids[2], UNKNOWN, ids[0], "no id", ids[2]]
    for _ in range(2):  # a cache then contains the records
        results = get_many(client, *requested)
        assert [result["person_id"] for result in results] == requested
        assert statuses(results) == [200, 404, 200, 404, 200]
        assert results[0] == {"person_id": ids[2], "status": 200, "etag": '"1"', "person": people[2]}
        assert results[1]["problem"]["type"] == "urn:peopleinfo:problem:person-not-found"


def test_batch_read_returns_every_acknowledged_change(client: httpx.Client, surname: str) -> None:
    person_id = client.post("/v1/people", json={"person_surname": surname}).json()["person_id"]
    assert statuses(get_many(client, person_id, UNKNOWN)) == [200, 404]
    results = batch(
        client,
        {"operation": "patch", "person_id": person_id, "version": 1, "person": {"person_name": "Anna"}},
        create({"person_surname": surname}),
    )
    assert statuses(results) == [200, 201]
    read = get_many(client, person_id, results[1]["person"]["person_id"])
    assert [one["person"] for one in read] == [one["person"] for one in results]
    assert client.get(f"/v1/people?surname={surname}").json()["people"] == [one["person"] for one in results]
    assert statuses(batch(client, {"operation": "delete", "person_id": person_id, "version": 2})) == [204]
    assert statuses(get_many(client, person_id)) == [404]
    assert client.get(f"/v1/people/{person_id}").status_code == 404


def test_merged_id_names_its_survivor(client: httpx.Client, surname: str) -> None:
    first, second = (client.post("/v1/people", json={"person_surname": surname}).json()["person_id"] for _ in range(2))
    named = [{"person_id": person_id, "version": 1} for person_id in (first, second)]
    assert client.post("/v1/merges", json={"survivor": named[0], "merged": named[1:]}).status_code == 201
    results = get_many(client, second, first)
    assert statuses(results) == [307, 200]
    assert results[0]["problem"]["merged_into"] == first
    assert statuses(batch(client, {"operation": "patch", "person_id": second, "version": "*", "person": {}})) == [409]


def test_bad_item_does_not_affect_the_others(client: httpx.Client, surname: str) -> None:
    outdated, deleted, kept = (
        client.post("/v1/people", json={"person_surname": surname}).json()["person_id"] for _ in range(3)
    )
    client.patch(f"/v1/people/{outdated}", json={"number": 1}, headers={"If-Match": '"1"'})
    new = {"person_surname": f"{surname}new"}
    results = batch(
        client,
        create(new),
        create({"person_birthdate": "tomorrow"}),
        {"operation": "replace", "person_id": outdated, "version": 1, "person": new},
        {"operation": "delete", "person_id": deleted},
        {"operation": "delete", "person_id": UNKNOWN},
        {"operation": "patch", "person_id": kept, "person": {"number": 2}},
        {"operation": "patch", "person_id": kept, "version": "*", "person": {"number": 3}},
        {"operation": "paint"},
        {"operation": "create", "person": new, "person_id": kept},
        {"operation": "delete", "person_id": kept, "version": "1"},
        "no item",
        create(new),
    )
    assert statuses(results) == [201, 422, 412, 204, 404, 428, 200, 422, 422, 422, 422, 201]
    assert results[1]["problem"]["errors"][0]["pointer"] in ("", "/person_birthdate")
    assert results[6]["person"]["number"] == 3
    assert results[6]["etag"] == '"2"'
    assert len(client.get(f"/v1/people?surname={surname}new").json()["people"]) == 2


def test_items_for_one_person_are_processed_in_order(client: httpx.Client, surname: str) -> None:
    person_id = client.post("/v1/people", json={"person_surname": surname}).json()["person_id"]
    changes = [
        {"operation": "patch", "person_id": person_id, "version": version, "person": {"number": version}}
        for version in (1, 2, 3)
    ]
    results = batch(client, *changes, {"operation": "delete", "person_id": person_id, "version": 4})
    assert statuses(results) == [200, 200, 200, 204]
    assert [one["person"]["number"] for one in results[:3]] == [1, 2, 3]


def test_creation_with_an_idempotency_key_is_applied_once(client: httpx.Client, surname: str) -> None:
    new = create({"person_surname": surname}, idempotency_key=surname)
    other = create({"person_surname": f"{surname}other"}, idempotency_key=surname)
    first = batch(client, new, new, other, create({"person_surname": surname}, idempotency_key=f"{surname}2"))
    assert statuses(first) == [201, 201, 422, 201]
    assert first[0]["person"] == first[1]["person"] != first[3]["person"]
    assert first[2]["problem"]["type"] == "urn:peopleinfo:problem:idempotency-key-reused"
    again = batch(client, new)
    assert again[0]["person"] == first[0]["person"]
    response = client.post("/v1/people", json={"person_surname": surname}, headers={"Idempotency-Key": surname})
    assert response.json() == first[0]["person"]
    assert len(client.get(f"/v1/people?surname={surname}").json()["people"]) == 2


def test_batch_of_a_hundred_is_stored_and_read(client: httpx.Client, surname: str) -> None:
    results = batch(client, *(create({"person_surname": surname, "number": number}) for number in range(100)))
    assert statuses(results) == [201] * 100
    read = get_many(client, *(result["person"]["person_id"] for result in results))
    assert [one["person"] for one in read] == [one["person"] for one in results]
    assert [one["person"]["number"] for one in read] == list(range(100))


def test_results_do_not_depend_on_the_other_ids(client: httpx.Client, surname: str) -> None:
    person = {"person_surname": surname, "text": 'Ärmel\n"%s"\\', "list": [{"a": {"b": "}},{"}}], "empty": {}}
    ids = [one["person"]["person_id"] for one in batch(client, create(person), create({"person_surname": surname}))]
    plain = get_many(client, *ids)
    assert statuses(plain) == [200, 200]
    for others in ([UNKNOWN], [ids[0]], ["no id"]):
        assert get_many(client, *ids, *others)[:2] == plain


def test_batch_read_ends_at_the_size_of_a_page(client: httpx.Client, surname: str) -> None:
    large = {"person_surname": surname, "text": "x" * 60_000}
    created = [one for _ in range(4) for one in batch(client, *[create(large)] * 10)]
    ids = [one["person"]["person_id"] for one in created]
    found = statuses(get_many(client, *ids))
    assert found == [200] * 35 + [413] * 5


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("batch-get", {"ids": []}),
        ("batch-get", {"ids": [UNKNOWN] * 101}),
        ("batch-get", {"ids": [1]}),
        ("batch-get", {"ids": [UNKNOWN], "id": 1}),
        ("batch-get", [UNKNOWN]),
        ("batch", {"items": []}),
        ("batch", {"items": [{"operation": "delete", "person_id": UNKNOWN}] * 101}),
        ("batch", {"item": []}),
        ("batch", 7),
    ],
)
def test_batch_with_an_invalid_form_is_rejected_as_a_whole(client: httpx.Client, path: str, body: Any) -> None:
    response = client.post(f"/v1/people/{path}", json=body)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:peopleinfo:problem:invalid-batch"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Yield a server with keys, a small rate limit, an audit log and a unique identifier."""
    folder = tmp_path_factory.mktemp("guarded")
    log = folder / "audit.jsonl"
    settings: dict[str, Any] = {"audit_log": f"file://{log}", "rate_limit": RATE_LIMIT, "identifiers": "unique:email"}
    with serving(folder, admin_key=ADMIN_KEY, **settings) as server:
        yield server.url, log


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_each_item_is_audited_with_its_own_operation(guarded: tuple[str, Path]) -> None:
    url, log = guarded
    key = make_key(log.parent, "--scope", "people:admin", name="audited")
    with httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        before = len(lines(log))
        (created, _) = batch(
            client, create({"person_surname": "Audited"}), {"operation": "delete", "person_id": UNKNOWN}
        )
        person_id = created["person"]["person_id"]
        events = [(one["action"], one.get("intent"), one.get("outcome"), one.get("people")) for one in lines(log)]
        assert events[before:] == [
            ("intent", "createPerson", None, None),
            ("intent", "erasePerson", None, [UNKNOWN]),
            ("createPerson", None, 201, [person_id]),
            ("erasePerson", None, 404, [UNKNOWN]),
            ("changePeople", None, 200, None),
        ]
        before = len(events)
        get_many(client, person_id, UNKNOWN, "Anna Müller")
        client.post("/v1/people/batch", json={"items": [create({"person_surname": "Written"})]})  # writes the queue
        reads = [one for one in lines(log)[before:] if one["action"] == "getPeople"]
        assert [(one["outcome"], one["people"]) for one in reads] == [(404, [UNKNOWN]), (200, [person_id])]
        assert "Müller" not in log.read_text()


def test_unique_identifier_rejects_its_item_alone(guarded: tuple[str, Path]) -> None:
    key = make_key(guarded[1].parent, "--scope", "people:admin", name="unique")
    with httpx.Client(base_url=guarded[0], timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        twin = create({"person_surname": "Twin", "email": "twin@example.org"})
        results = batch(client, twin, create({"person_surname": "Single"}), twin)
        assert sorted(statuses(results)) == [201, 201, 409]
        assert results[1]["status"] == 201
        assert len(client.get("/v1/people?surname=Twin").json()["people"]) == 1


def test_each_item_counts_in_the_rate_limit(guarded: tuple[str, Path]) -> None:
    url, log = guarded
    key = make_key(log.parent, "--scope", "people:write", "--scope", "people:read", name="limited")
    with httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        results = batch(client, *(create({"person_surname": "Limited"}) for _ in range(12)))
        accepted = statuses(results).count(201)
        assert statuses(results) == [201] * accepted + [429] * (12 - accepted)
        assert RATE_LIMIT // 10 <= accepted < 12
    key = make_key(log.parent, "--scope", "people:read", name="reader")
    with httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=bearer(key)) as client:
        assert client.post("/v1/people/batch", json={"items": [create({})]}).status_code == 403
        results = get_many(client, *[UNKNOWN] * 100)
        accepted = statuses(results).count(404)
        assert statuses(results) == [404] * accepted + [429] * (100 - accepted)
        assert accepted < RATE_LIMIT + 20


def test_hidden_fields_stay_hidden_in_batches(guarded: tuple[str, Path]) -> None:
    url, log = guarded
    scopes = ("--scope", "people:read", "--scope", "people:write")
    key = make_key(log.parent, *scopes, "--hide-field", "person_address", name="masked")
    with (
        httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as admin,
        httpx.Client(base_url=url, timeout=HANG_TIMEOUT, headers=bearer(key)) as masked,
    ):
        person_id = admin.post("/v1/people", json={"person_surname": "Masked", "person_address": "Secret"}).json()[
            "person_id"
        ]
        (read,) = get_many(masked, person_id)
        alone = masked.get(f"/v1/people/{person_id}")
        assert (read["person"], read["etag"]) == (alone.json(), alone.headers["ETag"])
        assert "person_address" not in read["person"]
        change = {"person_id": person_id, "version": 1}
        results = batch(
            masked,
            {"operation": "replace", **change, "person": {"person_surname": "Replaced"}},
            {"operation": "patch", **change, "person": {"person_address": None}},
            {"operation": "delete", **change},
        )
        assert statuses(results) == [403, 403, 403]
        (patched,) = batch(masked, {"operation": "patch", **change, "person": {"person_name": "Anna"}})
        assert "person_address" not in patched["person"]
        assert admin.get(f"/v1/people/{person_id}").json()["person_address"] == "Secret"
