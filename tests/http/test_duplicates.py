"""Duplicates over HTTP: match without storing, and the duplicates of a stored person."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, Server, serving
from tests.http.test_authentication import bearer, make_key
from tests.http.test_problems import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

STORE_KINDS = ["sqlite", "ministack"]
UNKNOWN = "0123456789abcdef0123456789abcdef"


def someone(surname: str, **changes: str) -> dict[str, Any]:
    """Return a person whose fields depend on the surname, and differ from those of other surnames."""
    chosen = random.Random(surname)
    name, street, town = ("".join(chosen.choices("abcdefghijklmnoprstuvwz", k=9)) for _ in range(3))
    return {
        "person_name": name,
        "person_surname": surname,
        "person_birthdate": f"{chosen.randint(1920, 2009)}-{chosen.randint(1, 12):02}-{chosen.randint(1, 28):02}",
        "person_address": f"{chosen.randint(1000, 99999)} {street}, {town}",
        **changes,
    }


@pytest.fixture(scope="module", autouse=True)
def crowd(server: Server) -> None:
    store_crowd(server)


def store_crowd(server: Server) -> None:
    """Store people, because names are no evidence in an empty store."""
    rows = "".join(f"Name{number},Other{number},{1900 + number}-06-15\n" for number in range(100))
    text = "person_name,person_surname,person_birthdate\n" + rows
    response = httpx.post(
        server.url + "/v1/people/import", content=text, headers={"Content-Type": "text/csv"}, timeout=HANG_TIMEOUT
    )
    assert response.status_code == 200


def match(client: httpx.Client, person: dict[str, Any], **options: Any) -> dict[str, Any]:
    response = client.post("/v1/people/match", json={"person": person, **options})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_match_returns_candidates_with_evidence_and_stores_nothing(client: httpx.Client, surname: str) -> None:
    stored = client.post("/v1/people", json=someone(surname)).json()
    [candidate] = match(client, someone(surname, person_address="7 Mill Road, Leeds LS9"))["candidates"]
    assert candidate["person"] == stored
    assert candidate["person_id"] == stored["person_id"]
    assert candidate["grade"] in ("certain", "probable", "possible")
    assert 0.5 <= candidate["score"] <= 1
    assert [item["because"] for item in candidate["evidence"]] == [
        "same first name",
        "same surname",
        "same birthdate",
        "different addresses",
    ]
    assert set(candidate["evidence"][0]) == {"field", "agreement", "bits", "against_relatives", "because"}
    assert len(client.get("/v1/people", params={"surname": surname}).json()["people"]) == 1


def test_options_limit_the_candidates(client: httpx.Client, surname: str) -> None:
    for _ in range(3):
        client.post("/v1/people", json=someone(surname))
    assert len(match(client, someone(surname), count=2)["candidates"]) == 2
    assert match(client, someone(surname, person_name="Jon"), only_certain=True)["candidates"] == []
    assert match(client, someone(surname), threshold=1)["candidates"] == []


def test_duplicates_of_a_stored_person_leave_out_that_person(client: httpx.Client, surname: str) -> None:
    first, second = [client.post("/v1/people", json=someone(surname)).json() for _ in range(2)]
    path = f"/v1/people/{first['person_id']}/duplicates"
    found = client.get(path, params={"count": 1}).json()
    assert [one["person_id"] for one in found["candidates"]] == [second["person_id"]]
    assert client.head(path).status_code == 200
    assert_problem(client.get(f"/v1/people/{UNKNOWN}/duplicates"), 404, "person-not-found")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/person"]),
        ({"person": {"person_birthdate": "yesterday"}, "more": 1}, ["/more", "/person/person_birthdate"]),
        ({"person": {}, "count": 0, "threshold": 2, "only_certain": 1}, ["/count", "/threshold", "/only_certain"]),
        ({"person": {}, "threshold": [1], "count": "ten"}, ["/count", "/threshold"]),
    ],
)
def test_invalid_match_lists_every_error(client: httpx.Client, body: Any, pointers: list[str]) -> None:
    response = client.post("/v1/people/match", json=body)
    assert_problem(response, 422, "invalid-search")
    assert [error["pointer"] for error in response.json()["errors"]] == pointers


def test_invalid_options_of_duplicates_are_rejected(client: httpx.Client, surname: str) -> None:
    person = client.post("/v1/people", json=someone(surname)).json()
    response = client.get(f"/v1/people/{person['person_id']}/duplicates?count=1&count=2&other=1")
    assert_problem(response, 422, "invalid-search")
    assert [error["pointer"] for error in response.json()["errors"]] == ["other", "count"]


def create(client: httpx.Client, person: dict[str, Any], mode: str, **headers: str) -> httpx.Response:
    return client.post("/v1/people", params={"duplicates": mode}, json=person, headers=headers)


def test_creation_reports_its_duplicates(client: httpx.Client, surname: str) -> None:
    first = create(client, someone(surname), "report")
    assert (first.status_code, first.headers["Duplicates"]) == (201, "certain=0, probable=0")
    for _ in range(2):
        second = create(client, someone(surname), "report")
    assert second.headers["Duplicates"] == "certain=2, probable=0"
    link = second.headers["Link"].partition(">")[0].removeprefix("<")
    assert len(client.get(link).json()["candidates"]) == 2
    assert "Duplicates" not in client.post("/v1/people", json=someone(surname)).headers


def test_reported_duplicates_wait_in_the_review_queue(client: httpx.Client, surname: str) -> None:
    first, second = [create(client, someone(surname), "report").json()["person_id"] for _ in range(2)]
    [pair] = listed(client, surname)
    assert (pair["grade"], {one["person_id"] for one in pair["people"]}) == ("certain", {first, second})
    client.post(f"/v1/duplicates/{pair['pair']}", json={"decision": "different"}).raise_for_status()
    assert create(client, someone(surname), "refuse").status_code == 409
    assert listed(client, surname) == []
    third, repeated = [create(client, someone(surname), "report", **{"Idempotency-Key": surname}) for _ in range(2)]
    assert third.json() == repeated.json()
    assert [third.json()["person_id"] in one["pair"] for one in listed(client, surname)] == [True, True]


def listed(client: httpx.Client, surname: str) -> list[dict[str, Any]]:
    """Return the pairs of people with a surname that wait for a review."""
    pairs = client.get("/v1/duplicates", params={"limit": 1_000}).json()["duplicates"]
    return [pair for pair in pairs if pair["people"][0]["person_surname"] == surname]


def test_creation_of_a_certain_duplicate_is_refused(client: httpx.Client, surname: str) -> None:
    stored = create(client, someone(surname), "refuse")
    assert stored.status_code == 201
    for _ in range(2):  # the repetition of a request has the same response
        refused = create(client, someone(surname), "refuse", **{"Idempotency-Key": surname})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:peopleinfo:problem:possible-duplicate")
        [candidate] = refused.json()["candidates"]
        assert (candidate["grade"], candidate["person"]) == ("certain", stored.json())
    assert client.get("/v1/people", params={"surname": surname}).json()["people"] == [stored.json()]
    other = create(client, someone(surname, person_name="Marina"), "refuse")
    assert other.status_code == 201
    assert_problem(create(client, someone(surname), "never"), 422, "invalid-search")
    assert_problem(create(client, {}, "refuse"), 422, "invalid-person")


def test_people_in_the_response_to_a_refused_creation_are_audited(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with serving(tmp_path, audit_log=f"file://{audit}") as server, httpx.Client(base_url=server.url) as client:
        store_crowd(server)
        stored = create(client, someone("Audited"), "refuse").json()
        for _ in range(2):
            key = {"Idempotency-Key": "audited"}
            refused = create(client, someone("Audited"), "refuse", **key)
            assert [one["person_id"] for one in refused.json()["candidates"]] == [stored["person_id"]]
            events = [json.loads(line) for line in audit.read_bytes().splitlines()]
            found = [event for event in events if event.get("request_id") == refused.headers["X-Request-Id"]]
            assert [stored["person_id"]] in [event.get("people") for event in found if event.get("outcome") == 409]


async def test_simultaneous_creations_detect_each_other(server: Server, surname: str) -> None:
    pairs = 10
    clients = [httpx.AsyncClient(base_url=server.url, timeout=HANG_TIMEOUT) for _ in range(2)]

    async def create_both(number: int, mode: str) -> list[httpx.Response]:
        person = someone(f"{surname}{mode}{number}")
        sent = [client.post("/v1/people", params={"duplicates": mode}, json=person) for client in clients]
        return await asyncio.gather(*sent)

    reported = await asyncio.gather(*(create_both(number, "report") for number in range(pairs)))
    refused = await asyncio.gather(*(create_both(number, "refuse") for number in range(pairs)))
    for client in clients:
        await client.aclose()
    for pair in reported:
        assert any(response.headers["Duplicates"] != "certain=0, probable=0" for response in pair)
    for pair in refused:
        assert sorted(response.status_code for response in pair) == [201, 409]


def test_limited_key_creates_without_evidence_of_hidden_fields(tmp_path: Path) -> None:
    with (
        serving(tmp_path, admin_key=ADMIN_KEY) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers=AS_ADMIN) as admin,
    ):
        person = someone("Hidden000001")
        assert admin.post("/v1/people", json=person).status_code == 201
        write_only = bearer(make_key(tmp_path, "--scope", "people:write", name="writer"))
        scopes = ("--scope", "people:write", "--scope", "people:read")
        blind = bearer(make_key(tmp_path, *scopes, *(f"--hide-field={name}" for name in person), name="blind"))
        dateless = bearer(make_key(tmp_path, *scopes, "--hide-field=person_birthdate", name="dateless"))
        path = "/v1/people?duplicates=refuse"
        assert_problem(httpx.post(server.url + path, json=person, headers=write_only), 403, "access-denied")
        assert_problem(httpx.post(server.url + path, json=person, headers=blind), 403, "field-access-denied")
        assert len(admin.get("/v1/people").json()["people"]) == 1
        found = httpx.post(server.url + "/v1/people/match", json={"person": person}, headers=dateless).json()
        assert "birthdate" not in str(found)


def imported(client: httpx.Client, people: list[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    response = client.post("/v1/people/import", params={"duplicates": mode}, json=people)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_import_reports_the_duplicates_of_each_row(client: httpx.Client, surname: str) -> None:
    stored = client.post("/v1/people", json=someone(surname)).json()
    other = f"Other{uuid.uuid4().hex}"
    rows = [someone(surname), someone(other), someone(other)]
    rows = [row | {"note": number} for number, row in enumerate(rows)]
    first, second, third, done = imported(client, rows, "report")
    assert done["stored"] == 3
    assert first["duplicate"].pop("score") > 0.9
    assert first["duplicate"].pop("because")[:3] == ["same first name", "same surname", "same birthdate"]
    assert first["duplicate"] == {"grade": "certain", "person_id": stored["person_id"]}
    assert "duplicate" not in second
    assert (third["duplicate"]["person_id"], third["duplicate"]["line"]) == (second["person_id"], second["line"])


@pytest.mark.parametrize(("mode", "result"), [("skip", "skipped"), ("refuse", "rejected")])
def test_import_does_not_store_certain_duplicates(client: httpx.Client, surname: str, mode: str, result: str) -> None:
    stored = client.post("/v1/people", json=someone(surname)).json()
    other = f"Other{uuid.uuid4().hex}"
    rows = [someone(surname, note="a"), someone(other, note="b"), someone(other, note="c")]
    first, second, third, done = imported(client, rows, mode)
    assert [first["result"], second["result"], third["result"]] == [result, "stored", result]
    assert (done["stored"], done[result]) == (1, 2)
    assert first["duplicate"]["person_id"] == stored["person_id"]
    assert third["duplicate"]["person_id"] == second["person_id"]
    assert "certain" in third["errors"][0]["reason"]


def add_pair(client: httpx.Client, surname: str) -> dict[str, Any]:
    """Import two similar people into the review queue, and return their pair."""
    first, second, _ = imported(client, [someone(surname), someone(surname, note="b")], "queue")
    pages = client.get("/v1/duplicates", params={"limit": 100}).json()["duplicates"]
    ids = [first["person_id"], second["person_id"]]
    [pair] = [pair for pair in pages if pair["pair"] == "".join(sorted(ids))]
    return dict(pair)


def test_reviewer_decides_about_a_pair(client: httpx.Client, surname: str) -> None:
    pair = add_pair(client, surname)
    assert (pair["state"], pair["grade"], pair["by"], pair["version"]) == ("open", "certain", None, 1)
    path = f"/v1/duplicates/{pair['pair']}"
    read = client.get(path)
    assert (read.json(), read.headers["ETag"]) == (pair, '"1"')
    assert client.get(path, headers={"If-None-Match": '"1"'}).status_code == 304
    decision = {"decision": "different", "note": "two cousins"}
    for method in ("GET", "POST"):
        stale = client.request(method, path, json=decision, headers={"If-Match": '"7"'})
        assert (stale.status_code, stale.json()["type"]) == (412, "urn:peopleinfo:problem:version-conflict")
    weak = client.post(path, json=decision, headers={"If-Match": 'W/"1"'})
    assert (weak.status_code, "The current tag is" in weak.json()["detail"]) == (412, True)
    for _ in range(2):  # a repeated decision changes nothing
        decided = client.post(path, json=decision, headers={"If-Match": '"1"'})
        assert (decided.status_code, decided.headers["ETag"]) == (200, '"2"')
    assert (decided.json()["state"], decided.json()["by"], decided.json()["note"]) == (
        "different",
        "anonymous",
        "two cousins",
    )
    waiting = client.get("/v1/duplicates", params={"limit": 100, "grade": "certain"}).json()["duplicates"]
    assert pair["pair"] not in [one["pair"] for one in waiting]
    assert_problem(client.get(f"/v1/duplicates/{UNKNOWN}"), 404, "pair-not-found")
    response = client.post(path, json={"decision": "same", "more": 1, "note": 2})
    assert [error["pointer"] for error in response.json()["errors"]] == ["/more", "/decision", "/note"]
    assert_problem(client.get("/v1/duplicates", params={"state": "closed"}), 422, "invalid-search")
