"""Results of an import are sent while its body is being received."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.http.serving import Server

BATCH = 500  # rows that the server stores at once


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=HANG_TIMEOUT)
    yield connection
    connection.close()


def start(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/v1/people/import")
    connection.putheader("Content-Type", "text/csv")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()


def send(connection: http.client.HTTPConnection, content: bytes) -> None:
    connection.send(b"%x\r\n%b\r\n" % (len(content), content))


def rows(surname: str, count: int) -> bytes:
    return f"{surname},{'x' * 500}\n".encode() * count


def test_results_arrive_before_the_body_ends(connection: http.client.HTTPConnection, surname: str) -> None:
    start(connection)
    send(connection, b"surname,note\n" + rows(surname, 3 * BATCH))
    response = connection.getresponse()
    first = json.loads(response.readline())
    assert (response.status, first["line"], first["result"]) == (200, 2, "stored")
    send(connection, rows(surname, 1))
    connection.send(b"0\r\n\r\n")
    *_, done = map(json.loads, response.read().splitlines())
    assert (done["result"], done["stored"]) == ("done", 3 * BATCH + 1)


def test_client_may_send_the_whole_body_before_it_reads(client: httpx.Client, surname: str) -> None:
    content = b"surname\n" + f"{surname}\n".encode() * 20_000  # a response of more than a megabyte
    response = client.post("/v1/people/import", content=content, headers={"Content-Type": "text/csv"})
    *results, done = map(json.loads, response.text.splitlines())
    assert (len(results), done["result"], done["stored"]) == (20_000, "done", 20_000)


def test_error_after_the_first_results_is_the_last_line(client: httpx.Client, surname: str) -> None:
    people = ",".join(f'{{"person_surname":"{surname}"}}' for _ in range(3))
    response = client.post("/v1/people/import", content=f"[{people},", headers={"Content-Type": "application/json"})
    *results, failed = map(json.loads, response.text.splitlines())
    assert (response.status_code, [one["result"] for one in results]) == (200, ["stored"] * 3)
    assert (failed["result"], failed["status"], failed["type"]) == (
        "failed",
        422,
        "urn:peopleinfo:problem:invalid-input",
    )
    assert "3 people before this error are stored" in failed["detail"]
    assert (failed["rows"], failed["stored"]) == (3, 3)


def test_error_before_the_first_result_is_a_problem_document(client: httpx.Client) -> None:
    response = client.post("/v1/people/import", content="a,b\n1,2\n", headers={"Content-Type": "text/csv"})
    assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")


def test_last_line_reports_the_guesses(client: httpx.Client, surname: str) -> None:
    response = client.post("/v1/people/import", content=f"Name\nIda {surname}\n", headers={"Content-Type": "text/csv"})
    *_, done = map(json.loads, response.text.splitlines())
    assert "whole names" in done["warnings"][0]["message"]
