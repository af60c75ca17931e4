"""Memory that the server uses for clients that do not read their responses."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from peopleinfo.http.memory_budget import EXPORT_SIZE, EXPORTS, MIB, PREVIEWS, RESPONSES
from peopleinfo.people.store import PAGE_SIZE
from tests.http.serving import HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.serving import Server

STORE_KINDS = ["sqlite"]
CSV = "text/csv"
PATHS = ["/v1/people?surname=Big&limit=1000", "/data?person_surname=Big&limit=1000"]
OTHER_PAGES = [
    "/v1/people?q=Big&limit=1000",
    "/v1/people?sort=name&limit=1000",
    "/fhir/Patient?family=Big&_count=1000",
    "/v1/changes?since={since}&include=person&limit=1000",
]
PEOPLE = 300


class Crowded(NamedTuple):
    """A server with large records, and the token of the feed before they were stored."""

    server: Server
    since: str

    def target(self, path: str) -> str:
        return path.format(since=self.since)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowded]:
    with serving(tmp_path_factory.mktemp("crowded")) as server:
        since = httpx.get(f"{server.url}/v1/changes", timeout=HANG_TIMEOUT).json()["next"]
        person = {"person_name": "n", "person_surname": "Big", "pad": "x" * 65_000}
        line = json.dumps(person).encode() + b"\n"
        headers = {"Content-Type": "application/x-ndjson"}
        url = f"{server.url}/v1/people/import"
        done = httpx.post(url, content=(line for _ in range(PEOPLE)), headers=headers, timeout=HANG_TIMEOUT)
        assert json.loads(done.text.splitlines()[-1])["stored"] == PEOPLE
        yield Crowded(server, since)


@pytest.fixture
def crowded(crowd: Crowded) -> Server:
    return crowd.server


def send_without_reading(server: Server, path: str, stack: ExitStack, *, times: int = 1) -> None:
    """Send a request over a connection that reads almost nothing of the response."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(HANG_TIMEOUT)
    connection.connect(server.address)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * times)
    assert connection.recv(9) == b"HTTP/1.1 "


@pytest.mark.parametrize("path", [*PATHS, *OTHER_PAGES, "/v1/people/export", "/v1/people/export?format=csv"])
def test_unread_responses_take_little_memory_each(crowd: Crowded, path: str) -> None:
    crowded, path = crowd.server, crowd.target(path)
    before = crowded.resident_bytes
    with ExitStack() as stack:
        for _ in range(12):
            send_without_reading(crowded, path, stack, times=4)
        growth = crowded.resident_bytes - before
    assert growth < 12 * 3 * PAGE_SIZE  # of 20 MB of people


@pytest.mark.parametrize("path", PATHS)
def test_unread_responses_together_are_limited(crowded: Server, path: str) -> None:
    before = crowded.resident_bytes
    with ExitStack() as stack:
        for _ in range(2 * RESPONSES.size // PAGE_SIZE):
            send_without_reading(
                crowded, path, stack, times=4
            )  # the first ones fit into buffers of the operating system
            response = httpx.get(f"{crowded.url}{path}", timeout=HANG_TIMEOUT)
            if response.status_code == 503:
                break
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert response.json()["type"] == "urn:peopleinfo:problem:overloaded"
        assert crowded.resident_bytes - before < 3 * RESPONSES.size
        assert httpx.get(f"{crowded.url}/status", timeout=HANG_TIMEOUT).status_code == 200
    while httpx.get(f"{crowded.url}{path}", timeout=HANG_TIMEOUT).status_code != 200:  # when the connections have ended
        pass


def test_exports_in_progress_are_limited(crowded: Server) -> None:
    with ExitStack() as stack:
        for _ in range(EXPORTS.size // EXPORT_SIZE):
            send_without_reading(crowded, "/v1/people/export", stack)
        response = httpx.get(f"{crowded.url}/v1/people/export", timeout=HANG_TIMEOUT)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert httpx.get(f"{crowded.url}/v1/people?surname=Big&limit=1", timeout=HANG_TIMEOUT).status_code == 200
    while httpx.get(f"{crowded.url}/v1/people/export?surname=nobody", timeout=HANG_TIMEOUT).status_code != 200:
        pass


def test_files_of_previews_are_limited_together(crowded: Server) -> None:
    def preview() -> httpx.Response:
        url, headers = f"{crowded.url}/v1/people/import/preview", {"Content-Type": CSV}
        return httpx.post(url, content=b"surname\nLund\n", headers=headers, timeout=HANG_TIMEOUT)

    head = f"POST /v1/people/import/preview HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CSV}\r\n".encode()
    with ExitStack() as stack:
        for number in range(PREVIEWS.size // (64 * MIB)):
            size = b"Transfer-Encoding: chunked" if number else b"Content-Length: %d" % (64 * MIB)
            connection = stack.enter_context(socket.create_connection(crowded.address, timeout=HANG_TIMEOUT))
            connection.sendall(head + size + b"\r\n\r\n")
        while (response := preview()).status_code == 200:
            pass  # until the server has read the requests
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
    while preview().status_code != 200:  # when the connections have ended
        pass


def test_assets_are_read_without_an_import_of_their_package() -> None:
    program = "import sys; from peopleinfo.http import api_docs; api_docs._asset('swagger_bundle.js'); print('offapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("path", ["/docs/swagger.js", "/docs/swagger.css", "/openapi.json"])
def test_unread_documents_take_little_memory(crowded: Server, path: str) -> None:
    httpx.get(f"{crowded.url}{path}", timeout=HANG_TIMEOUT)
    before = crowded.resident_bytes
    with ExitStack() as stack:
        for _ in range(40):
            send_without_reading(crowded, path, stack)
        growth = crowded.resident_bytes - before
    assert growth < 20_000_000
