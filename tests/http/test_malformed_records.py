"""Rows that another program has damaged get a complete error response; other records stay readable."""

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


def test_malformed_row_gets_a_complete_error_response(client: httpx.Client, tmp_path: Path) -> None:
    incomplete: list[Any] = []
    for description, body in BODIES.items():
        damaged, other = (
            client.post("/v1/people", json={"person_surname": "X", "person_name": name}).json() for name in "AB"
        )
        with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
            row = body.replace(b"%s", damaged["person_id"].encode())
            db.execute("UPDATE people SET body = ? WHERE instr(body, ?)", (row, damaged["person_id"].encode()))
        responses = [
            client.get(path.format(damaged["person_id"]), headers=headers) for path, headers in READS
        ] + _changes(client, damaged["person_id"])
        responses.append(_batch_get(client, damaged, other))
        incomplete += [
            (description, response.request.url.path, response.status_code)
            for response in responses
            if not _is_complete(response)
        ]
        assert client.get(PERSON.format(other["person_id"])).json() == other
        for person in (damaged, other):
            assert client.delete(PERSON.format(person["person_id"])).status_code == 204
    assert incomplete == []


def _changes(client: httpx.Client, person_id: str) -> list[httpx.Response]:
    path, headers = PERSON.format(person_id), {"If-Match": "*"}
    patch = headers | {"Content-Type": "application/merge-patch+json"}
    # Patch first: a replacement may repair the row.
    return [
        client.patch(path, json={"n": 1}, headers=patch),
        client.put(path, json={"person_name": "n"}, headers=headers),
    ]


def _batch_get(client: httpx.Client, *people: dict[str, Any]) -> httpx.Response:
    return client.post("/v1/people/batch-get", json={"ids": [person["person_id"] for person in people]})


def _is_complete(response: httpx.Response) -> bool:
    """Return whether a response is a store error or valid data."""
    if response.status_code == 503:
        return (
            response.json()["type"] == "urn:peopleinfo:problem:store-unavailable"
            and "restore" in response.json()["detail"]
        )
    if response.status_code == 200 and response.headers["Content-Type"] == "application/json":
        return isinstance(json.loads(response.content), dict | list)
    return response.status_code == 200 or response.json()["status"] == response.status_code == 422


def test_record_of_another_person_is_not_returned(client: httpx.Client, tmp_path: Path) -> None:
    first, second = (client.post("/v1/people", json={"person_surname": name}).json() for name in "AB")
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as db:
        db.execute("UPDATE people SET body = (SELECT body FROM people WHERE seq = 2) WHERE seq = 1")
    assert client.get(PERSON.format(first["person_id"])).status_code == 503
    assert client.get(PERSON.format(second["person_id"])).json() == second
    assert _batch_get(client, second, first).status_code == 503
    assert _batch_get(client, second).json()["results"][0]["person"] == second
