"""Bulk import and export over HTTP, including interrupted connections."""

from __future__ import annotations

import csv
import gzip
import io
import json
import socket
import uuid
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.formats.export_formats import FORMATS
from tests.http.import_responses import failure
from tests.http.serving import HANG_TIMEOUT, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

NDJSON = "application/x-ndjson"
CSV = "text/csv"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def lines(people: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(person).encode() + b"\n" for person in people)


def send(
    client: httpx.Client,
    content: bytes,
    media_type: str = NDJSON,
    idempotency_key: str | None = None,
    **params: str,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Import, and return the result of each row and the summary."""
    headers = {"Content-Type": media_type} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
    response = client.post("/v1/people/import", params=params, content=content, headers=headers)
    assert (response.status_code, response.headers["Content-Type"]) == (200, NDJSON), response.text
    *rows, done = (json.loads(line) for line in response.content.splitlines())
    assert done["result"] == "done"
    return rows, done


def find_people(client: httpx.Client, surname: str) -> list[dict[str, Any]]:
    people: list[dict[str, Any]] = client.get("/v1/people", params={"surname": surname, "limit": 1000}).json()["people"]
    return people


def client_fields(person: dict[str, Any]) -> dict[str, Any]:
    """Return a person's fields without those that the server assigns."""
    added = ("person_id", "version", "created_at", "updated_at")
    return {name: value for name, value in person.items() if name not in added}


def test_ndjson_rows_are_stored_in_order(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(1_200)]  # more than two batches
    rows, done = send(client, lines(people))
    assert [(row["line"], row["result"]) for row in rows] == [(n + 1, "stored") for n in range(1_200)]
    assert (done["stored"], done["rejected"]) == (1_200, 0)
    exported = export(client, surname=surname)
    assert {person["person_id"]: person["n"] for person in exported} == {
        row["person_id"]: n for n, row in enumerate(rows)
    }


def test_csv_columns_are_mapped_by_name(client: httpx.Client, surname: str) -> None:
    table = (
        f'First Name,Last Name,DOB,Address,Shoe\r\n"Anna, B.",{surname},1990-02-11,"1\n2",41\r\nBea,{surname},,,\r\n'
    )
    rows, done = send(client, table.encode(), CSV)
    assert [(row["line"], row["result"]) for row in rows] == [(2, "stored"), (4, "stored")]
    assert done["stored"] == 2
    anna, bea = (client_fields(person) for person in find_people(client, surname))
    assert (
        anna.items() >= {"person_name": "Anna, B.", "person_birthdate": "1990-02-11", "person_address": "1\n2"}.items()
    )
    assert bea["person_name"] == "Bea"
    assert "person_address" not in bea


def test_json_array_is_imported(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(3)]
    rows, _ = send(client, json.dumps(people, indent=2).encode(), "application/json")
    assert [row["result"] for row in rows] == ["stored"] * 3


def test_invalid_row_is_rejected_without_affecting_other_rows(client: httpx.Client, surname: str) -> None:
    good = json.dumps({"person_surname": surname})
    wrong = ['{"person_surname":""}', "not json", '{"person_surname":"x","person_surname":"x"}', "[]", "3", '"\\ud800"']
    rows, done = send(client, "\n".join([good, *wrong, "", good]).encode())
    assert [row["result"] for row in rows] == ["stored", *["rejected"] * 6, "skipped", "stored"]
    assert [row["line"] for row in rows] == list(range(1, 10))
    assert all(row["errors"] for row in rows[1:7])
    assert (done["stored"], done["rejected"]) == (2, 6)


def test_error_does_not_quote_the_rejected_row(client: httpx.Client, surname: str) -> None:
    response = client.post(
        "/v1/people/import",
        content=lines([{"person_surname": surname, "person_birthdate": "Canary4711"}]) + b"{Canary4711",
        headers={"Content-Type": NDJSON},
    )
    assert response.text.count("rejected") == 3
    assert "Canary4711" not in response.text


@pytest.mark.parametrize(("content", "skipped"), [(b"", 0), (b"\n", 1), (b"\r\n\n", 2), (b"\xef\xbb\xbf", 0)])
def test_empty_import_stores_no_person(client: httpx.Client, content: bytes, skipped: int) -> None:
    rows, done = send(client, content)
    assert [row["result"] for row in rows] == ["skipped"] * bool(skipped)  # successive blank rows have one result
    assert (done["rows"], done["stored"], done["skipped"]) == (skipped, 0, skipped)


def test_last_row_needs_no_line_end(client: httpx.Client, surname: str) -> None:
    rows, _ = send(client, lines([{"person_surname": surname}]).rstrip())
    assert len(rows) == 1


def test_repeated_import_with_its_key_stores_no_duplicates(client: httpx.Client, surname: str) -> None:
    people = lines({"person_surname": surname, "n": n} for n in range(5))
    key = str(uuid.uuid4())
    first, _ = send(client, people, idempotency_key=key)
    again, done = send(client, people, idempotency_key=key)
    assert [row["result"] for row in first + again] == ["stored"] * 5 + ["unchanged"] * 5
    assert (done["rows"], done["stored"], done["unchanged"]) == (5, 0, 5)
    assert len(find_people(client, surname)) == 5


def test_repeated_import_stores_only_new_rows(client: httpx.Client, surname: str) -> None:
    send(client, lines([{"person_surname": surname}]))
    rows, done = send(client, lines([{"person_surname": surname}, {"person_surname": surname, "n": 1}]))
    assert [row["result"] for row in rows] == ["unchanged", "stored"]
    assert (done["unchanged"], done["stored"]) == (1, 1)
    assert len(find_people(client, surname)) == 2


def test_key_reused_for_other_rows_stores_no_person(client: httpx.Client, surname: str) -> None:
    key = str(uuid.uuid4())
    send(client, lines([{"person_surname": surname}]), idempotency_key=key)
    other_person = {"person_surname": surname + "x"}
    for times in (1, 2, 0):
        response = client.post(
            "/v1/people/import",
            content=lines([other_person] * times),
            headers={"Content-Type": NDJSON, "Idempotency-Key": key},
        )
        assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:idempotency-key-reused")
    assert len(find_people(client, surname)) == 1
    assert find_people(client, surname + "x") == []


def send_partial(server: Server, content: bytes, media_type: str, key: str, *, chunked: bool) -> None:
    """Send an import that announces more data than it sends, and close the connection."""
    head = f"POST /v1/people/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nIdempotency-Key: {key}\r\n"
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content) + 100}"
    body = f"{len(content):x}\r\n".encode() + content + b"\r\n" if chunked else content
    with socket.create_connection(server.address, timeout=HANG_TIMEOUT) as connection:
        connection.sendall(f"{head}{framing}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while connection.recv(65_536):  # until the server notices
                pass


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("rows", [1, 700])  # no complete batch and one before the cut
def test_truncated_row_is_never_stored(
    server: Server, client: httpx.Client, surname: str, rows: int, *, chunked: bool
) -> None:
    complete = [f"{n},{surname}{'x' * 10}" for n in range(rows)]
    # Cut so that the truncated line is still a valid row, with another surname.
    table = "\n".join(["name,surname", *complete]).encode()[:-10]
    ndjson = lines({"person_surname": surname, "n": n} for n in range(rows))[:-1]
    send_partial(server, table, CSV, str(uuid.uuid4()), chunked=chunked)
    send_partial(server, ndjson, NDJSON, str(uuid.uuid4()), chunked=chunked)
    assert [person for person in find_people(client, surname) if "n" not in person] == []
    assert len(find_people(client, surname)) < rows


@pytest.mark.parametrize("chunked", [False, True])
def test_interrupted_import_resumes_where_it_stopped(
    server: Server, client: httpx.Client, surname: str, *, chunked: bool
) -> None:
    people = lines({"person_surname": surname, "n": n} for n in range(1_650))  # each part is longer than a batch
    key = str(uuid.uuid4())
    for part in (len(people) // 3, len(people) * 2 // 3, len(people) - 7):
        send_partial(server, people[:part], NDJSON, key, chunked=chunked)
    # The server rejects the repeated import with 409 until it has finished the interrupted one.
    while True:
        response = client.post(
            "/v1/people/import", content=people, headers={"Content-Type": NDJSON, "Idempotency-Key": key}
        )
        if response.status_code != 409:
            break
    assert response.status_code == 200
    *_, done = map(json.loads, response.text.splitlines())
    assert done["stored"] + done["unchanged"] == done["rows"] == 1_650
    numbers = [person["n"] for person in export(client, surname=surname)]
    assert sorted(numbers) == list(range(1_650))


def export(client: httpx.Client, **search: str) -> list[dict[str, Any]]:
    response = client.get("/v1/people/export", params=search)
    assert (response.status_code, response.headers["Content-Type"]) == (200, NDJSON)
    return [json.loads(line) for line in response.content.splitlines()]


def test_export_returns_the_imported_data(client: httpx.Client, surname: str) -> None:
    people: list[dict[str, Any]] = [
        {"person_name": "Zoë", "person_surname": surname, "person_birthdate": "--02-29", "person_address": "1\n2"},
        {"person_surname": surname, "deep": {"a": [1, {"b": None}]}, "text": '"\\\u2028\U0001f600'},
    ]
    send(client, lines(people))
    assert [client_fields(person) for person in export(client, surname=surname)] == people


def test_export_preserves_number_literals(client: httpx.Client, surname: str) -> None:
    send(client, f'{{"person_surname":"{surname}","n":[1.50,1E400,-0,{"9" * 40}]}}\n'.encode())
    response = client.get("/v1/people/export", params={"surname": surname})
    assert f'"n":[1.50,1E400,-0,{"9" * 40}]' in response.text


def test_export_can_be_imported(client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": surname, "n": n} for n in range(3)))
    exported = client.get("/v1/people/export", params={"surname": surname}).content
    rows, _ = send(client, exported)
    assert [row["result"] for row in rows] == ["unchanged"] * 3
    rows, _ = send(client, exported, force="true")
    assert [row["result"] for row in rows] == ["stored"] * 3
    assert len({person["person_id"] for person in export(client, surname=surname)}) == 6


def test_edited_export_updates_by_key(client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": surname, "n": n} for n in range(3)))
    exported = export(client, surname=surname)
    edited = [exported[0], exported[1] | {"mail": "new@example.org"}, exported[2] | {"note": "outdated"}]
    client.patch(
        f"/v1/people/{exported[2]['person_id']}", json={"n": 9}, headers=MERGE_PATCH | {"If-Match": "*"}
    ).raise_for_status()
    rows, done = send(client, lines(edited), key="person_id")
    assert [row["result"] for row in rows] == ["unchanged", "updated", "conflict"]
    assert [row["person_id"] for row in rows] == [person["person_id"] for person in exported]
    assert (done["rows"], done["unchanged"], done["updated"], done["conflict"]) == (3, 1, 1, 1)
    rows, _ = send(
        client,
        lines([{"person_id": exported[1]["person_id"], "person_surname": surname}]),
        key="person_id",
        mode="replace",
    )
    assert [row["result"] for row in rows] == ["updated"]
    assert {"mail", "n"}.isdisjoint(client.get(f"/v1/people/{exported[1]['person_id']}").json())


@pytest.mark.parametrize("params", [{"key": "mail"}, {"mode": "merge"}, {"key": "person_id", "mode": "add"}])
def test_invalid_key_or_mode_is_rejected(client: httpx.Client, params: dict[str, str]) -> None:
    response = client.post("/v1/people/import", params=params, content=b"{}", headers={"Content-Type": NDJSON})
    assert (response.status_code, response.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-search")


def test_full_export_contains_each_person_once(client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": f"{surname}{n}"} for n in range(1_100)))
    people = export(client)
    assert len({person["person_id"] for person in people}) == len(people)
    assert sum(person["person_surname"].startswith(surname) for person in people if "person_surname" in person) == 1_100


def test_export_is_csv_for_clients_that_prefer_it(client: httpx.Client, surname: str) -> None:
    person = {"person_name": 'A "B", C', "person_surname": surname, "person_address": "1\n2", "list": [1, 2]}
    send(client, lines([person]))
    response = client.get("/v1/people/export", params={"surname": surname}, headers={"Accept": CSV})
    assert response.headers["Content-Type"].startswith(CSV)
    (row,) = csv.DictReader(io.StringIO(response.text, newline=""))
    assert {name: row[name] for name in person} == person | {"list": "[1,2]"}


def test_export_with_a_search_body_equals_export_with_a_query(client: httpx.Client, surname: str) -> None:
    people = [(name, surname + end, born) for end in ("", "x") for name in ("Zoë", "Ada") for born in ("1980", "1990")]
    send(client, lines({"person_name": n, "person_surname": s, "person_birthdate": b} for n, s, b in people))
    for search, count in (
        ({"surname": surname}, 4),
        ({"surname_prefix": surname, "name": "zoe", "born_from": "1985"}, 2),
        ({"surname_prefix": surname, "name": "zoe", "match": "exact"}, 0),
        ({"surname_prefix": surname, "format": "csv"}, 9),
    ):
        in_query = client.get("/v1/people/export", params=search)
        in_body = client.post("/v1/people/export", json=search)
        assert in_body.status_code == 200
        assert sorted(in_body.content.splitlines()) == sorted(in_query.content.splitlines())
        assert len(in_body.content.splitlines()) == count
        for header in ("Content-Type", "Content-Disposition", "Cache-Control", "Vary"):
            assert in_body.headers[header] == in_query.headers[header]


@pytest.mark.parametrize("export_format", ["null", "xml", "CSV"])
def test_export_in_an_unknown_format_is_rejected(client: httpx.Client, export_format: str) -> None:
    for response in (
        client.get("/v1/people/export", params={"format": export_format}),
        client.post("/v1/people/export", json={"format": export_format}),
    ):
        assert response.status_code == 422
        assert response.json()["errors"] == [{"pointer": "format", "reason": f"must be one of {', '.join(FORMATS)}"}]


def test_export_reports_all_errors_at_once(client: httpx.Client) -> None:
    response = client.get("/v1/people/export?format=csv&format=csv&match=x&born_to=never")
    assert [reason["pointer"] for reason in response.json()["errors"]] == ["format", "match", "born_to"]


@pytest.mark.parametrize(
    ("body", "pointer"), [([], ""), ({"surname": 1}, "surname"), ({"limit": 1}, "limit"), ({"format": 1}, "format")]
)
def test_invalid_search_body_exports_no_person(client: httpx.Client, body: Any, pointer: str) -> None:
    response = client.post("/v1/people/export", json=body)
    assert response.status_code == 422
    assert [reason["pointer"] for reason in response.json()["errors"]] == [pointer]


def test_export_may_not_be_cached(client: httpx.Client, surname: str) -> None:
    response = client.get("/v1/people/export", params={"surname": surname})
    assert (response.content, response.headers["Cache-Control"]) == (b"", "private, no-store")


@pytest.mark.parametrize("name", ["limit", "cursor", "year"])
def test_export_rejects_paging_parameters(client: httpx.Client, name: str) -> None:
    response = client.get("/v1/people/export", params={name: "1"})
    assert [reason["pointer"] for reason in response.json()["errors"]] == [name]


def test_disconnect_during_an_export_stops_it(server: Server, client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": surname, "padding": "x" * 4_000} for _ in range(3_000)))
    before = exported_people_total(client)
    for _ in range(5):
        with socket.socket() as connection:
            connection.settimeout(HANG_TIMEOUT)
            # The server has to buffer most of the response.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(server.address)
            connection.sendall(f"GET /v1/people/export?surname={surname} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert exported_people_total(client) - before < 5 * 3_000, "people were read after the client disconnected"
    deadline = monotonic() + HANG_TIMEOUT
    while client.get("/status").status_code != 200:
        assert monotonic() < deadline
        sleep(0.1)  # ministack still executes earlier requests


def exported_people_total(client: httpx.Client) -> float:
    """Return the number of exported people, once no export is in progress."""
    while metric(client, 'peopleinfo_bulk_operations_running{kind="export"}'):
        sleep(0.01)
    return metric(client, "peopleinfo_export_people_total")


def metric(client: httpx.Client, name: str) -> float:
    """Return the value of a metric; 0 if it does not exist yet."""
    samples = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(samples[0].rpartition(" ")[2]) if samples else 0.0


def test_endless_line_does_not_fill_the_memory(server: Server, client: httpx.Client, surname: str) -> None:
    before = server.resident_bytes
    for media_type, start in ((NDJSON, b'{"person_surname":"'), (CSV, b"name,surname\nx,"), (CSV, b"name,")):
        client.post("/v1/people/import", content=endless(start), headers={"Content-Type": media_type})
        assert server.resident_bytes - before < 60_000_000, (media_type, start)


def test_overlong_line_is_rejected_without_affecting_other_rows(client: httpx.Client, surname: str) -> None:
    long = "x" * 1_500_000
    table = f"name,surname\nA,{surname}\n{long},{surname}\nB,{surname}\n".encode()
    ndjson = lines([{"person_surname": surname}, {"person_surname": surname, "x": long}, {"person_surname": surname}])
    for content, media_type, first in ((table, CSV, 2), (ndjson, NDJSON, 1)):
        rows, _ = send(client, content, media_type)
        results = [(row["line"], row["result"]) for row in rows]
        assert results == [(first, "stored"), (first + 1, "rejected"), (first + 2, "stored")]


def test_gzip_file_is_decompressed(client: httpx.Client, surname: str) -> None:
    packed = gzip.compress(lines({"person_surname": surname} for _ in range(3)))
    assert [row["result"] for row in send(client, packed)[0]] == ["stored"] * 3


@pytest.mark.parametrize("broken", ["cut", "garbage", "altered"])
def test_invalid_gzip_file_is_rejected_with_an_explanation(client: httpx.Client, surname: str, broken: str) -> None:
    packed = gzip.compress(lines({"person_surname": surname, "n": n} for n in range(4_000)), mtime=0)
    damaged = {
        "cut": packed[: len(packed) // 2],
        "garbage": packed[:10] + b"\xff" * 1_000,
        "altered": packed[:-5_000] + bytes(100) + packed[-4_900:],
    }
    response = client.post("/v1/people/import", content=damaged[broken], headers={"Content-Type": NDJSON})
    problem = failure(response)
    assert problem is not None
    assert (problem["status"], problem["type"]) == (422, "urn:peopleinfo:problem:invalid-input")
    assert "cannot be decompressed" in problem["detail"]


def test_truncated_array_reports_how_many_people_are_stored(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(1_100)]
    broken = json.dumps(people).encode()[:-1] + b" oops"
    response = client.post("/v1/people/import", content=broken, headers={"Content-Type": "application/json"})
    problem = failure(response)
    assert problem is not None
    stored = len(export(client, surname=surname))
    assert stored > 0
    assert problem["stored"] == stored
    assert problem["detail"].endswith(f"{stored} people before this error are stored")


def endless(start: bytes) -> Iterable[bytes]:
    yield start
    for _ in range(100):
        yield b"x" * 1_000_000
