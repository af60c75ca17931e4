"""Content codings: responses in gzip for clients that accept it, and imports from clients that send it."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from falcon import testing
from falcon.asgi import Request, Response

from peopleinfo.http.middleware.compression import accepts_gzip, compressed
from tests.http.serving import HANG_TIMEOUT, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

STORE_KINDS = ["sqlite"]
NDJSON = {"Content-Type": "application/x-ndjson"}
DOCUMENTS = ["/openapi.json", "/docs/swagger.js", "/docs/swagger.css", "STATIC"]
IMPORT = "/v1/people/import"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(tmp_path_factory.mktemp("compressed")) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT, headers={"Accept-Encoding": "identity"}) as client,
    ):
        lines = b"".join(json.dumps({"person_surname": "Zip", "n": n}).encode() + b"\n" for n in range(3_000))
        assert client.post(IMPORT, content=lines, headers=NDJSON).status_code == 200
        yield client


@pytest.fixture
def path(client: httpx.Client, request: pytest.FixtureRequest) -> str:
    if request.param != "STATIC":
        return str(request.param)
    script = re.search(r"/console/static/[0-9a-f]+/search\.js", client.get("/console").text)
    assert script is not None
    return script[0]


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """Return the response and its body as it was sent."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with client.stream("GET", path, headers=named) as response:
        return response, b"".join(response.iter_raw())


@pytest.mark.parametrize("path", [*DOCUMENTS], indirect=True)
def test_document_is_compressed_for_clients_that_accept_it(client: httpx.Client, path: str) -> None:
    plain, full = raw(client, path)
    assert "Content-Encoding" not in plain.headers
    response, body = raw(client, path, Accept_Encoding="br, gzip;q=0.8")
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(body) == full
    assert len(body) < len(full)
    for encoding, expected in (("gzip", body), ("identity", full)):
        head = client.head(path, headers={"Accept-Encoding": encoding})
        assert head.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("path", ["STATIC"], indirect=True)
def test_each_coding_has_its_own_entity_tag(client: httpx.Client, path: str) -> None:
    tags = {coding: raw(client, path, Accept_Encoding=coding)[0].headers["ETag"] for coding in ("gzip", "identity")}
    assert len(set(tags.values())) == 2
    for coding, tag in tags.items():
        response, body = raw(client, path, Accept_Encoding=coding, If_None_Match=tag)
        assert (response.status_code, response.headers["ETag"], body) == (304, tag, b"")
        other = next(known for known in tags.values() if known != tag)
        assert raw(client, path, Accept_Encoding=coding, If_None_Match=other)[0].status_code == 200


@pytest.mark.parametrize("query", ["", "?format=csv", "?surname=Zip"])
def test_export_is_compressed_for_clients_that_accept_it(client: httpx.Client, query: str) -> None:
    path = f"/v1/people/export{query}"
    plain, full = raw(client, path)
    response, body = raw(client, path, Accept_Encoding="gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding, Accept"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(body) == full
    assert len(body) < len(full) / 3


async def test_compression_buffers_few_pieces() -> None:
    consumed = 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal consumed
        for n in range(200):
            consumed = n
            yield bytes(n % 251 for n in range(10_000)) * 10

    sent = b""
    async for text in compressed(pieces()):
        if not sent:
            assert consumed < 50
        sent += text
    assert len(gzip.decompress(sent)) == 200 * 100_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip; q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0, x-gzip;q=0", False),
        ("identity", False),
        ("gzip, identity", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=0.4, identity;q=0.5", False),
        ("identity;q=0, gzip", True),
        (" , gzip ,", True),
    ],
)
def test_accept_encoding_is_parsed_with_quality_values(header: str | None, *, expected: bool) -> None:
    headers = {} if header is None else {"Accept-Encoding": header}
    response = Response()
    assert accepts_gzip(Request(testing.create_scope(headers=headers), None), response) == expected  # type: ignore[arg-type]
    assert response.get_header("Vary") == "Accept-Encoding"


@pytest.mark.parametrize("header", ["gzip;q=2", "gzip;q=x", "gzip identity", "gz(ip)", "gzip," * 1_000])
def test_invalid_accept_encoding_gets_400(client: httpx.Client, header: str) -> None:
    for path in ("/openapi.json", "/v1/people/export"):
        response, body = raw(client, path, Accept_Encoding=header)
        assert response.status_code == 400
        assert "Accept-Encoding" in json.loads(body)["detail"]


@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip"])
@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        ("application/x-ndjson", b'{"person_surname":"In"}\n' * 3),
        ("text/csv", b"surname\nIn\nIn\nIn\n"),
        ("application/json", b'[{"person_surname":"In"},{"person_surname":"In"},{"person_surname":"In"}]'),
    ],
)
def test_import_accepts_gzip(client: httpx.Client, coding: str, media_type: str, text: bytes) -> None:
    headers = {"Content-Type": media_type, "Content-Encoding": coding}
    response = client.post(f"{IMPORT}?force=true", content=gzip.compress(text), headers=headers)
    assert json.loads(response.text.splitlines()[-1])["stored"] == 3


def test_import_with_a_wrong_coding_is_rejected(client: httpx.Client) -> None:
    headers = NDJSON | {"Content-Encoding": "gzip"}
    response = client.post(IMPORT, content=b'{"person_surname":"In"}\n', headers=headers)
    assert response.status_code == 422
    assert "gzip" in response.json()["detail"]


@pytest.mark.parametrize("filling", [b"\n", b"x", b" "])
def test_import_that_expands_to_a_thousand_times_its_size_is_rejected(client: httpx.Client, filling: bytes) -> None:
    packed = gzip.compress(b'{"person_surname":"Bomb"}\n' + filling * 64_000_000)
    for headers in (NDJSON, NDJSON | {"Content-Encoding": "gzip"}):
        response = client.post(IMPORT, content=packed, headers=headers)
        last = json.loads(response.text.splitlines()[-1])
        assert (last["result"], last["status"]) == ("failed", 422)
        assert "250 times" in last["detail"]


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, gzip", "zstd"])
@pytest.mark.parametrize(("path", "accepted"), [(IMPORT, "gzip"), ("/v1/people", "identity"), ("/data", "identity")])
def test_other_coding_of_a_body_gets_415_with_the_accepted_one(
    client: httpx.Client, path: str, accepted: str, coding: str
) -> None:
    media_type = NDJSON if path == IMPORT else {"Content-Type": "application/json"}
    response = client.post(path, content=b"{}", headers=media_type | {"Content-Encoding": coding})
    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == accepted


def test_coding_of_a_body_that_only_imports_take_gets_415(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/v1/people", content=gzip.compress(b"{}"), headers=headers).status_code == 415
