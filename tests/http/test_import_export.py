"""/v1/people/import and /v1/people/export: many people in and out, and what becomes of them when the connection is cut."""

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

from tests.http.serving import HANG_TIMEOUT, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

NDJSON = "application/x-ndjson"
CSV = "text/csv"


def lines(people: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(person).encode() + b"\n" for person in people)


def send(
    client: httpx.Client, content: bytes, media_type: str = NDJSON, key: str | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Import, and return the results by row and the last line."""
    headers = {"Content-Type": media_type} | ({"Idempotency-Key": key} if key else {})
    answer = client.post("/v1/people/import", content=content, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, NDJSON), answer.text
    *rows, done = (json.loads(line) for line in answer.content.splitlines())
    assert done["result"] == "done"
    return rows, done


def found(client: httpx.Client, surname: str) -> list[dict[str, Any]]:
    people: list[dict[str, Any]] = client.get("/v1/people", params={"surname": surname, "limit": 1000}).json()["people"]
    return people


def own(person: dict[str, Any]) -> dict[str, Any]:
    """Return what is the person's, without what the server adds."""
    added = ("person_id", "version", "created_at", "updated_at")
    return {name: value for name, value in person.items() if name not in added}


def test_each_row_of_ndjson_is_stored_in_order(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(1_200)]  # more than two batches
    rows, done = send(client, lines(people))
    assert [(row["line"], row["result"]) for row in rows] == [(n + 1, "stored") for n in range(1_200)]
    assert (done["stored"], done["rejected"]) == (1_200, 0)
    exported = export(client, surname=surname)
    assert {person["person_id"]: person["n"] for person in exported} == {
        row["person_id"]: n for n, row in enumerate(rows)
    }


def test_a_table_is_stored_by_the_names_of_its_columns(client: httpx.Client, surname: str) -> None:
    table = (
        f'First Name,Last Name,DOB,Address,Shoe\r\n"Anna, B.",{surname},1990-02-11,"1\n2",41\r\nBea,{surname},,,\r\n'
    )
    rows, done = send(client, table.encode(), CSV)
    assert [(row["line"], row["result"]) for row in rows] == [(2, "stored"), (4, "stored")]
    assert done["stored"] == 2
    anna, bea = (own(person) for person in found(client, surname))
    assert (
        anna.items() >= {"person_name": "Anna, B.", "person_birthdate": "1990-02-11", "person_address": "1\n2"}.items()
    )
    assert bea["person_name"] == "Bea"
    assert "person_address" not in bea


def test_an_array_is_stored_too(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(3)]
    rows, _ = send(client, json.dumps(people, indent=2).encode(), "application/json")
    assert [row["result"] for row in rows] == ["stored"] * 3


def test_a_row_that_is_nobody_is_rejected_and_spoils_no_other(client: httpx.Client, surname: str) -> None:
    good = json.dumps({"person_surname": surname})
    wrong = ['{"person_surname":""}', "not json", '{"person_surname":"x","person_surname":"x"}', "[]", "3", '"\\ud800"']
    rows, done = send(client, "\n".join([good, *wrong, "", good]).encode())
    assert [row["result"] for row in rows] == ["stored", *["rejected"] * 6, "stored"]
    assert [row["line"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 9]
    assert all(row["errors"] for row in rows[1:7])
    assert (done["stored"], done["rejected"]) == (2, 6)


def test_a_rejected_row_is_not_quoted(client: httpx.Client, surname: str) -> None:
    answer = client.post(
        "/v1/people/import",
        content=lines([{"person_surname": surname, "person_birthdate": "Canary4711"}]) + b"{Canary4711",
        headers={"Content-Type": NDJSON},
    )
    assert answer.text.count("rejected") == 3
    assert "Canary4711" not in answer.text


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\n", b"\xef\xbb\xbf"])
def test_nobody_in_is_nobody_stored(client: httpx.Client, content: bytes) -> None:
    assert send(client, content) == ([], {"result": "done", "stored": 0, "rejected": 0})


def test_the_last_row_needs_no_line_end(client: httpx.Client, surname: str) -> None:
    rows, _ = send(client, lines([{"person_surname": surname}]).rstrip())
    assert len(rows) == 1


def test_an_import_that_comes_again_with_its_key_adds_nobody(client: httpx.Client, surname: str) -> None:
    people = lines({"person_surname": surname, "n": n} for n in range(5))
    key = str(uuid.uuid4())
    first, _ = send(client, people, key=key)
    again, done = send(client, people, key=key)
    assert [row["result"] for row in first + again] == ["stored"] * 5 + ["duplicate"] * 5
    assert done["stored"] == 5
    assert len(found(client, surname)) == 5


def test_without_a_key_the_same_people_are_other_people(client: httpx.Client, surname: str) -> None:
    people = lines([{"person_surname": surname}])
    send(client, people)
    send(client, people)
    assert len(found(client, surname)) == 2


def test_a_key_that_comes_with_other_rows_stores_nobody(client: httpx.Client, surname: str) -> None:
    key = str(uuid.uuid4())
    send(client, lines([{"person_surname": surname}]), key=key)
    stranger = {"person_surname": surname + "x"}
    for times in (1, 2, 0):
        answer = client.post(
            "/v1/people/import",
            content=lines([stranger] * times),
            headers={"Content-Type": NDJSON, "Idempotency-Key": key},
        )
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:peopleinfo:problem:idempotency-key-reused")
    assert len(found(client, surname)) == 1
    assert found(client, surname + "x") == []


def cut(server: Server, content: bytes, media_type: str, key: str, *, chunked: bool) -> None:
    """Send an import of which more was announced, and go away in the middle."""
    head = f"POST /v1/people/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nIdempotency-Key: {key}\r\n"
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content) + 100}"
    body = f"{len(content):x}\r\n".encode() + content + b"\r\n" if chunked else content
    with socket.create_connection(server.address, timeout=HANG_TIMEOUT) as connection:
        connection.sendall(f"{head}{framing}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while connection.recv(65_536):  # until the server has seen it
                pass


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("rows", [1, 700])  # none, and one whole batch before the cut
def test_a_row_that_was_cut_is_never_stored(
    server: Server, client: httpx.Client, surname: str, rows: int, *, chunked: bool
) -> None:
    whole = [f"{n},{surname}{'x' * 10}" for n in range(rows)]
    # Cut where what has arrived is a row by itself: another surname.
    table = "\n".join(["name,surname", *whole]).encode()[:-10]
    ndjson = lines({"person_surname": surname, "n": n} for n in range(rows))[:-1]
    cut(server, table, CSV, str(uuid.uuid4()), chunked=chunked)
    cut(server, ndjson, NDJSON, str(uuid.uuid4()), chunked=chunked)
    assert [person for person in found(client, surname) if "n" not in person] == []
    assert len(found(client, surname)) < rows


@pytest.mark.parametrize("chunked", [False, True])
def test_an_import_that_was_cut_goes_on_where_it_stopped(
    server: Server, client: httpx.Client, surname: str, *, chunked: bool
) -> None:
    people = lines({"person_surname": surname, "n": n} for n in range(1_650))  # each part is longer than a batch
    key = str(uuid.uuid4())
    for part in (len(people) // 3, len(people) * 2 // 3, len(people) - 7):
        cut(server, people[:part], NDJSON, key, chunked=chunked)
    # Whoever comes again while the server is not yet done with the first is told so, and waits.
    while True:
        answer = client.post(
            "/v1/people/import", content=people, headers={"Content-Type": NDJSON, "Idempotency-Key": key}
        )
        if answer.status_code != 409:
            break
    assert answer.status_code == 200
    *_, done = map(json.loads, answer.text.splitlines())
    assert done == {"result": "done", "stored": 1_650, "rejected": 0}
    numbers = [person["n"] for person in export(client, surname=surname)]
    assert sorted(numbers) == list(range(1_650))


def export(client: httpx.Client, **search: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/people/export", params=search)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, NDJSON)
    return [json.loads(line) for line in answer.content.splitlines()]


def test_the_export_gives_back_what_the_import_took(client: httpx.Client, surname: str) -> None:
    people: list[dict[str, Any]] = [
        {"person_name": "Zoë", "person_surname": surname, "person_birthdate": "--02-29", "person_address": "1\n2"},
        {"person_surname": surname, "deep": {"a": [1, {"b": None}]}, "text": '"\\\u2028\U0001f600'},
    ]
    send(client, lines(people))
    assert [own(person) for person in export(client, surname=surname)] == people


def test_numbers_come_out_as_they_went_in(client: httpx.Client, surname: str) -> None:
    send(client, f'{{"person_surname":"{surname}","n":[1.50,1E400,-0,{"9" * 40}]}}\n'.encode())
    answer = client.get("/v1/people/export", params={"surname": surname})
    assert f'"n":[1.50,1E400,-0,{"9" * 40}]' in answer.text


def test_what_was_exported_can_be_imported(client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": surname, "n": n} for n in range(3)))
    exported = client.get("/v1/people/export", params={"surname": surname}).content
    rows, _ = send(client, exported)
    assert [row["result"] for row in rows] == ["stored"] * 3
    assert len({person["person_id"] for person in export(client, surname=surname)}) == 6


def test_an_export_of_all_holds_everyone_once(client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": f"{surname}{n}"} for n in range(1_100)))
    people = export(client)
    assert len({person["person_id"] for person in people}) == len(people)
    assert sum(person["person_surname"].startswith(surname) for person in people if "person_surname" in person) == 1_100


def test_an_export_is_a_table_for_whom_prefers_one(client: httpx.Client, surname: str) -> None:
    person = {"person_name": 'A "B", C', "person_surname": surname, "person_address": "1\n2", "list": [1, 2]}
    send(client, lines([person]))
    answer = client.get("/v1/people/export", params={"surname": surname}, headers={"Accept": CSV})
    assert answer.headers["Content-Type"].startswith(CSV)
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert {name: row[name] for name in person} == person | {"list": "[1,2]"}


def test_an_export_of_a_search_in_a_body_is_that_of_the_query(client: httpx.Client, surname: str) -> None:
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


@pytest.mark.parametrize("form", ["null", "xml", "CSV"])
def test_an_export_of_a_form_that_is_not_known_is_refused(client: httpx.Client, form: str) -> None:
    for answer in (
        client.get("/v1/people/export", params={"format": form}),
        client.post("/v1/people/export", json={"format": form}),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"pointer": "format", "reason": "must be one of ndjson, csv"}]


def test_whatever_is_wrong_with_an_export_is_said_at_once(client: httpx.Client) -> None:
    answer = client.get("/v1/people/export?format=csv&format=csv&match=x&born_to=never")
    assert [reason["pointer"] for reason in answer.json()["errors"]] == ["format", "match", "born_to"]


@pytest.mark.parametrize(
    ("body", "pointer"), [([], ""), ({"surname": 1}, "surname"), ({"limit": 1}, "limit"), ({"format": 1}, "format")]
)
def test_a_body_that_is_no_search_exports_nobody(client: httpx.Client, body: Any, pointer: str) -> None:
    answer = client.post("/v1/people/export", json=body)
    assert answer.status_code == 422
    assert [reason["pointer"] for reason in answer.json()["errors"]] == [pointer]


def test_an_export_may_not_be_kept_by_anybody(client: httpx.Client, surname: str) -> None:
    answer = client.get("/v1/people/export", params={"surname": surname})
    assert (answer.content, answer.headers["Cache-Control"]) == (b"", "private, no-store")


@pytest.mark.parametrize("name", ["limit", "cursor", "year"])
def test_an_export_has_no_pages(client: httpx.Client, name: str) -> None:
    answer = client.get("/v1/people/export", params={name: "1"})
    assert [reason["pointer"] for reason in answer.json()["errors"]] == [name]


def test_a_reader_who_goes_away_leaves_the_server_well(server: Server, client: httpx.Client, surname: str) -> None:
    send(client, lines({"person_surname": surname, "padding": "x" * 4_000} for _ in range(3_000)))
    before = exported_in_all(client)
    for _ in range(5):
        with socket.socket() as connection:
            connection.settimeout(HANG_TIMEOUT)
            # Most of the answer has to wait at the server.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(server.address)
            connection.sendall(f"GET /v1/people/export?surname={surname} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert exported_in_all(client) - before < 5 * 3_000, "people were read for nobody"
    patience = monotonic() + HANG_TIMEOUT
    while client.get("/status").status_code != 200:
        assert monotonic() < patience
        sleep(0.1)  # ministack goes on with what it was asked for


def exported_in_all(client: httpx.Client) -> float:
    """Return how many people were handed out, once no export is under way."""
    while figure(client, 'peopleinfo_bulk_operations_running{kind="export"}'):
        sleep(0.01)
    return figure(client, "peopleinfo_export_people_total")


def figure(client: httpx.Client, name: str) -> float:
    """Return a figure of the service; 0 when it has none yet."""
    told = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(told[0].rpartition(" ")[2]) if told else 0.0


def test_one_line_without_end_does_not_fill_the_memory(server: Server, client: httpx.Client, surname: str) -> None:
    before = server.resident_bytes
    for media_type, start in ((NDJSON, b'{"person_surname":"'), (CSV, b"name,surname\nx,"), (CSV, b"name,")):
        client.post("/v1/people/import", content=endless(start), headers={"Content-Type": media_type})
        assert server.resident_bytes - before < 60_000_000, (media_type, start)


def test_a_line_that_is_too_long_spoils_no_other(client: httpx.Client, surname: str) -> None:
    long = "x" * 1_500_000
    table = f"name,surname\nA,{surname}\n{long},{surname}\nB,{surname}\n".encode()
    ndjson = lines([{"person_surname": surname}, {"person_surname": surname, "x": long}, {"person_surname": surname}])
    for content, media_type, first in ((table, CSV, 2), (ndjson, NDJSON, 1)):
        rows, _ = send(client, content, media_type)
        results = [(row["line"], row["result"]) for row in rows]
        assert results == [(first, "stored"), (first + 1, "rejected"), (first + 2, "stored")]


def test_a_packed_file_is_unpacked(client: httpx.Client, surname: str) -> None:
    packed = gzip.compress(lines({"person_surname": surname} for _ in range(3)))
    assert [row["result"] for row in send(client, packed)[0]] == ["stored"] * 3


@pytest.mark.parametrize("broken", ["cut", "garbage", "altered"])
def test_a_packed_file_that_is_broken_is_refused_in_words(client: httpx.Client, surname: str, broken: str) -> None:
    packed = gzip.compress(lines({"person_surname": surname, "n": n} for n in range(4_000)), mtime=0)
    spoilt = {
        "cut": packed[: len(packed) // 2],
        "garbage": packed[:10] + b"\xff" * 1_000,
        "altered": packed[:-5_000] + bytes(100) + packed[-4_900:],
    }
    answer = client.post("/v1/people/import", content=spoilt[broken], headers={"Content-Type": NDJSON})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:peopleinfo:problem:invalid-input")
    assert "cannot be unpacked" in answer.json()["detail"]


def test_an_array_that_breaks_off_says_how_many_are_stored(client: httpx.Client, surname: str) -> None:
    people = [{"person_surname": surname, "n": n} for n in range(1_100)]
    broken = json.dumps(people).encode()[:-1] + b" oops"
    answer = client.post("/v1/people/import", content=broken, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    stored = len(export(client, surname=surname))
    assert stored > 0
    assert answer.json()["detail"].endswith(f"{stored} people before this error are stored")


def endless(start: bytes) -> Iterable[bytes]:
    yield start
    for _ in range(100):
        yield b"x" * 1_000_000
