"""Another program may write anything into the store: what is no record is refused in a complete response, and other people stay readable."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.serving import ADMIN_KEY, AS_ADMIN, HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODIES = {
    "not UTF-8": b"\xff\xfe",
    "empty": b"",
    "a list": b"[]",
    "a number": b"5",
    "no text as id": b'{"person_id":5}',
    "too deep": b'{"a":' + b"[" * 5_000,
    "cut off": b'{"person_id":"%s","person_surname":"X","versi',
    "no times": b'{"person_id":"%s","person_surname":"X","version":1}',
    "a number as surname": b'{"person_id":"%s","person_surname":5,"version":1,"created_at":"x","updated_at":"x"}',
}
PERSON = "/v1/people/{}"
READS: list[tuple[str, dict[str, str]]] = [
    (PERSON, {}),
    (PERSON, {"If-Modified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    (f"{PERSON}/export", {}),
    ("/v1/people?surname=X", {}),
    ("/v1/people?surname=X&name=B", {}),
    ("/v1/people?surname=X&match=exact", {}),
    ("/v1/people?surname_prefix=X", {}),
    ("/data?person_surname=X", {}),
    ("/v1/people/export", {}),
    ("/v1/people/export", {"Accept": "text/csv"}),
    ("/v1/people/export?name=B", {}),
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    audit = f"file://{tmp_path / 'audit.jsonl'}"
    with (
        serving(tmp_path, admin_key=ADMIN_KEY, audit_log=audit) as server,
        httpx.Client(base_url=server.url, headers=AS_ADMIN, timeout=HANG_TIMEOUT) as client,
    ):
        yield client


def test_a_row_that_is_no_record_is_refused_in_a_complete_response(client: httpx.Client, tmp_path: Path) -> None:
    wrong: list[Any] = []
    for what, body in BODIES.items():
        damaged, other = (
            client.post("/v1/people", json={"person_surname": "X", "person_name": name}).json() for name in "AB"
        )
        with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
            row = body.replace(b"%s", damaged["person_id"].encode())
            db.execute("UPDATE people SET body = ? WHERE instr(body, ?)", (row, damaged["person_id"].encode()))
        answers = [
            client.get(path.format(damaged["person_id"]), headers=headers) for path, headers in READS
        ] + _changes(client, damaged["person_id"])
        wrong += [(what, answer.request.url.path, answer.status_code) for answer in answers if not _is_whole(answer)]
        assert client.get(PERSON.format(other["person_id"])).json() == other
        for person in (damaged, other):
            assert client.delete(PERSON.format(person["person_id"])).status_code == 204
    assert wrong == []


def _changes(client: httpx.Client, person_id: str) -> list[httpx.Response]:
    path, headers = PERSON.format(person_id), {"If-Match": "*"}
    patch = headers | {"Content-Type": "application/merge-patch+json"}
    # The patch comes first: a replacement may make a record of the row again.
    return [
        client.patch(path, json={"n": 1}, headers=patch),
        client.put(path, json={"person_name": "n"}, headers=headers),
    ]


def _is_whole(answer: httpx.Response) -> bool:
    """Say whether a response is a problem of the store, or one that a client can read."""
    if answer.status_code == 503:
        return (
            answer.json()["type"] == "urn:peopleinfo:problem:store-unavailable" and "restore" in answer.json()["detail"]
        )
    if answer.status_code == 200 and answer.headers["Content-Type"] == "application/json":
        return isinstance(json.loads(answer.content), dict | list)
    return answer.status_code == 200 or answer.json()["status"] == answer.status_code == 422


def test_the_record_of_another_person_is_not_returned(client: httpx.Client, tmp_path: Path) -> None:
    first, second = (client.post("/v1/people", json={"person_surname": name}).json() for name in "AB")
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
        db.execute("UPDATE people SET body = (SELECT body FROM people WHERE seq = 2) WHERE seq = 1")
    assert client.get(PERSON.format(first["person_id"])).status_code == 503
    assert client.get(PERSON.format(second["person_id"])).json() == second
