"""Malformed and malicious requests, generated deterministically."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY: Final = "Canary4711"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

ACCEPTED_BY_IMPORTS: Final = ("a number for a version", "utf-8-sig")
ACCEPTED_BY_WRITES: Final = ("utf-8-sig",)  # RFC 8259 lets a parser ignore a byte order mark
KNOWN_METHODS: Final = (  # noqa: SIM905 - a list of words
    "DELETE GET HEAD POST PUT COPY LOCK MKCOL MOVE PROPFIND SEARCH UNLOCK BIND REPORT MERGE NOTIFY SUBSCRIBE PATCH PURGE LINK SOURCE TRACE"
).split()


class HostileRequest(NamedTuple):
    """A request as bytes, and the reactions that the server may have."""

    description: str
    request: bytes
    tolerated: bool = False  # unusual but valid: the request may succeed
    incomplete: bool = False  # incomplete: the server may close the connection without a response
    method: str = "POST"


class Target(NamedTuple):
    """An operation with a request body."""

    method: str
    path: str
    media_type: str = JSON
    headers: str = ""


def requests(person: str, number: int) -> list[HostileRequest]:
    """Return `number` requests; `person` is the path of an existing person."""
    targets = [
        Target("POST", "/v1/people"),
        Target("POST", "/v1/people/search"),
        Target("POST", "/v1/people/export"),
        Target("POST", "/data"),
        Target("PUT", person, headers="If-Match: *\r\n"),
        Target("PATCH", person, headers="If-Match: *\r\n"),
        Target("PATCH", person, "application/merge-patch+json", "If-Match: *\r\n"),
        Target("POST", "/v1/people/import"),
        Target("POST", "/v1/people/import", NDJSON),
    ]
    found = [
        *(
            # An import ignores server-assigned fields, so that it accepts an export.
            HostileRequest(
                f"{description} to {target}",
                with_body(target, body),
                tolerated=(description in ACCEPTED_BY_IMPORTS and "import" in target.path)
                or (description in ACCEPTED_BY_WRITES and target.path in ("/v1/people", person)),
            )
            for target in targets
            for description, body in bodies()
        ),
        *(hostile for target in targets for hostile in framings(target)),
        *(hostile for target in targets for hostile in headers(target)),
        *queries(),
        *paths(),
        *methods(person),
    ]
    assert len(found) < number, len(found)
    return found + list(itertools.islice(mutations(targets), number - len(found)))


def with_body(target: Target, body: bytes, extra_headers: str = "", length: int | None = None) -> bytes:
    head = (
        f"{target.method} {target.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {target.media_type}\r\n{target.headers}{extra_headers}"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def without_body(target: bytes, extra_headers: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + extra_headers + b"\r\n"


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield bodies that are not JSON, and JSON that no operation accepts."""
    yield from deeply_nested()
    yield from invalid_numbers()
    yield from invalid_fields()
    yield from invalid_strings()
    yield from not_json()


def deeply_nested() -> Iterator[tuple[str, bytes]]:
    for depth in (17, 18, 100, 1_000, 100_000, 400_000):
        yield f"{depth} arrays", b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        yield f"{depth} arrays without an end", b"[" * depth
    for depth in (16, 17, 100, 1_000, 100_000):
        yield f"{depth} objects", b'{"x":' * depth + b"{}" + b"}" * depth
        yield f"{depth} objects without an end", b'{"x":' * depth


def invalid_numbers() -> Iterator[tuple[str, bytes]]:
    for literal in "NaN Infinity -Infinity +1 01 -01 .5 1. 1e 1e+ - 0x10 1_0 1,0 ١ nan True nil undefined".split():  # noqa: SIM905
        yield f"the number {literal}", f'{{"person_surname":"x","surname":"x","{CANARY}":{literal}}}'.encode()
    for literal in ("0", "1e400", "-1e-400", "9" * 5_000, "0." + "1" * 500_000, "9" * 900_000):
        yield "a number for a name", f'{{"person_surname":{literal},"surname":{literal}}}'.encode()
        yield "a number for a version", f'{{"person_surname":"x","version":{literal}}}'.encode()


def invalid_fields() -> Iterator[tuple[str, bytes]]:
    for depth in range(1, 15):
        yield "a duplicate field", b'{"x":' * depth + b'{"Canary4711":1,"Canary4711":2}' + b"}" * depth
        yield "a duplicate field", b'{"x":[' * (depth // 2) + b'{"a":1,"\\u0061":2}' + b"]}" * (depth // 2)
    yield "too many fields", b"{" + b",".join(b'"m%d":{}' % n for n in range(60_000)) + b"}"


def invalid_strings() -> Iterator[tuple[str, bytes]]:
    for text in ("\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800", "\\ud83d\\ud83d\\ude00", "\\u0000", "x\\u0000y"):
        yield f"the text {text}", f'{{"person_surname":"{text}","surname":"{text}"}}'.encode()
        yield f"the name {text}", f'{{"person_surname":"x","surname":"x","{text}":1}}'.encode()
        yield f"{text} in a nested object", f'{{"surname":"x","person_surname":"x","a":[{{"b":["{text}"]}}]}}'.encode()
    for wrong in (
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x82",
        b"\x80",
        b"\x00",
        b"\x1f",
        b"\n",
    ):
        yield f"the bytes {wrong!r}", b'{"person_surname":"Canary4711' + wrong + b'","surname":"x"}'
        yield f"the bytes {wrong!r} alone", wrong
    for surname in ("x" * 257, "", " ", "\u202eabc", "\u2066", "\x85", "\x7f", "a\u2028b", "é" * 300):
        yield (
            "an invalid surname",
            f'{{"person_surname":"{surname}","person_name":"{surname}","surname":" "}}'.encode(),
        )


def not_json() -> Iterator[tuple[str, bytes]]:
    valid = f'{{"person_surname":"{CANARY}","surname":"{CANARY}","list":[1,true,null]}}'
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037"):
        yield encoding, valid.encode(encoding)
    for cut in range(0, len(valid), 4):
        yield "a truncated document", valid[:cut].encode()
    for other in (
        b"null",
        b"true",
        b"7",
        b'"x"',
        b"[]x",
        b"[[]]",
        b"{}{}",
        b"{,}",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1,]",
        b"//x",
        b"{a:1}",
    ):
        yield f"the document {other!r}", other


def framings(target: Target) -> Iterator[HostileRequest]:
    """Yield bodies that are too long, too short or wrongly framed."""
    huge = b'{"person_surname":"' + b"x" * 10_000_000 + b'"}'
    if target.media_type == JSON and "import" not in target.path:
        yield HostileRequest(f"10 MB to {target}", with_body(target, huge))
        yield HostileRequest(
            f"10 MB in chunks to {target}",
            chunked(target, [huge[at : at + 100_000] for at in range(0, len(huge), 100_000)]),
        )
    body = b'{"person_surname":"x"}'
    for length in (23, 10**6, 10**9, 10**18):
        yield HostileRequest(
            f"{length} bytes announced to {target}", with_body(target, body, length=length), incomplete=True
        )
    for announced in ("-1", "+22", "22, 23", "0x16", "2 2", "", "22a", "9" * 30):
        head = with_body(target, b"", f"Content-Length: {announced}\r\n").replace(b"Content-Length: 0\r\n", b"")
        yield HostileRequest(
            f"the length {announced} to {target}", head + body, incomplete=True, tolerated=announced == "22, 23"
        )
    for piece in (
        b"-1\r\nx\r\n",
        b"g\r\n",
        b"fffffffffffffffff\r\n",
        b"1\r\nxx\r\n",
        b"1 x\r\n",
        b"\r\n",
        b"0x1\r\nx\r\n",
    ):
        yield HostileRequest(
            f"the chunk {piece!r} to {target}", chunked(target, [])[:-5] + piece + b"0\r\n\r\n", incomplete=True
        )
    both = with_body(target, body, "Transfer-Encoding: chunked\r\n")
    yield HostileRequest(f"both framings to {target}", both, incomplete=True)


def chunked(target: Target, pieces: list[bytes]) -> bytes:
    head = with_body(target, b"", "Transfer-Encoding: chunked\r\n").replace(b"Content-Length: 0\r\n", b"")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def headers(target: Target) -> Iterator[HostileRequest]:
    """Yield headers that no operation accepts."""
    body = f'{{"person_surname":"{CANARY}"}}'.encode()
    for media_type in (
        "", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "json",
        "application/json; charset=utf-16", "application/json; charset=latin-1", "application", "/", ";", ";;;", "*/*", CANARY, "é",
        "application/json, text/csv", "image/png", "application/jsonx", "text/html", "application/json+x", "x" * 5_000,
    ):  # fmt: skip
        yield HostileRequest(
            f"the media type {media_type[:30]!r} to {target}",
            with_body(target._replace(media_type=media_type), body),
            # An import reads the charset that its request names.
            tolerated="charset" in media_type and "import" in target.path,
        )
    for coding in ("gzip", "br", "deflate", "compress", "gzip, gzip", CANARY, "é"):
        yield HostileRequest(
            f"the coding {coding} to {target}", with_body(target, body, f"Content-Encoding: {coding}\r\n")
        )
    for extra_headers in (
        "X: " + "y" * 33_000,
        "\r\n".join(["X: y"] * 9_000),
        "X" * 33_000 + ": y",
        "X\0: y",
        "X: \0y",
        "X y",
        ": y",
        " X: y",
    ):
        yield HostileRequest(
            f"the header {extra_headers[:10]!r} to {target}",
            with_body(target, body, extra_headers + "\r\n"),
            incomplete=True,
        )
    if target.path == "/v1/people":
        for key in ("", "x" * 256, "é" * 200):
            yield HostileRequest("an invalid Idempotency-Key", with_body(target, body, f"Idempotency-Key: {key}\r\n"))
    if target.headers:
        for tag in (
            "",
            CANARY,
            '"',
            '"1',
            "1",
            '"1"2"',
            "W/1",
            "**",
            '"1" "1"',
            "x" * 20_000,
            '"1",' * 5_000 + "x",
            "\xe9",
            '"7"',
        ):
            bare = target._replace(headers=f"If-Match: {tag}\r\n")
            yield HostileRequest(f"If-Match: {tag[:20]} to {target}", with_body(bare, body))


def queries() -> Iterator[HostileRequest]:
    """Yield invalid and unusual query strings."""
    wrong = [
        b"x=1", b"limit=0", b"limit=" + b"9" * 5_000, b"limit=1e2", b"limit=%00", b"limit=%ff", b"born_from=Canary4711", b"born_to=--02-30",
        b"surname=a&surname_prefix=b", b"surname=a&surname=b", b"match=Canary4711", b"cursor=Canary4711", b"cursor=%ff%fe", b"surname=",
        b"surname[]=x", b"surname%5B%5D=x", b"SURNAME=x", b"%73urname%20=x", b"surname=%20%09", b"cursor=" + b"A" * 20_000,
        b"&".join(b"x%d=1" % n for n in range(3_000)), b"limit=1&limit=1", b"name=%0a", b"born_from=0000", b"born_from=1990-02-30",
    ]  # fmt: skip
    odd = [
        b"", b"&&&", b"===", b"&=&=", b"surname=%", b"surname=%z", b"surname=%1", b"surname=%00", b"surname=%ff%fe", b"surname=%ed%a0%80",
        b"surname=" + b"%00" * 9_000, b"surname=" + b"x" * 30_000, b"surname=" + quote("\u0301" * 3_000).encode(), b"surname=;drop table people",
        b"surname='", b"surname=%25", b"surname_prefix=%f4%8f%bf%bf", b"surname_prefix=%00", b"name=" + b"%f0%9f%98%80" * 500, b"?", b"??surname=x",
        b"surname=" + quote("ﷺ" * 1_000).encode(), b"surname=+++x", b"surname=x#y", b"=surname", b"surname=" + b"%CC%81" * 4_000,
    ]  # fmt: skip
    for query in wrong:
        for path in (b"/v1/people", b"/v1/people/export"):
            yield HostileRequest(
                f"the query {query[:30]!r} to {path!r}", without_body(path + b"?" + query.replace(b" ", b"%20"))
            )
        yield HostileRequest(
            f"the query {query[:30]!r} to /data", without_body(b"/data?" + query.replace(b" ", b"%20"))
        )
    for query in odd:
        for path in (
            b"/v1/people",
            b"/v1/people/export",
            b"/data",
            b"/status",
            b"/metrics",
            b"/openapi.json",
            b"/docs",
        ):
            target = (
                path
                + b"?"
                + query.replace(b" ", b"%20").replace(b"surname", b"person_surname" if path == b"/data" else b"surname")
            )
            yield HostileRequest(f"the query {query[:30]!r} to {path!r}", without_body(target), tolerated=True)
    for raw in (b"\xff", b"\xc3\xa9", b"a b", b"\x00", b"\x7f"):
        yield HostileRequest(f"{raw!r} in a query", without_body(b"/v1/people?surname=" + raw), incomplete=True)


def paths() -> Iterator[HostileRequest]:
    """Yield paths without a resource."""
    ids = [
        b"%00", b"%2e%2e", b"%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"a%2fb", b"%ff", b"%", b"%zz", b"%u0041", b"'", b"%0d%0aX:%20y", b"-1", b"*",
        b"0" * 31, b"0" * 33, b"F" * 32, b"0" * 32, b"g" * 32, b"%30" * 33, b"x" * 20_000, b"%e2%80%ae", b"~", b"..", b".", b"null", b"{person_id}",
        b"%D9%A0" * 32, b"0" * 31 + b"%0a", b"%20" + b"0" * 32, b"0" * 32 + b";x", b"import/x", b"search/x",
    ]  # fmt: skip
    for person in ids:
        for method in (b"GET", b"HEAD", b"DELETE"):
            yield HostileRequest(
                f"{method!r} {person[:30]!r}",
                without_body(b"/v1/people/" + person, method=method),
                method=method.decode(),
            )
    for path in (
        b"//x",
        b"/v1",
        b"/v2/people",
        b"/V1/people",
        b"/.git/config",
        b"/docs/../data",
        b"/docs/%2e%2e",
        b"/docs/swagger_bundle.js",
        b"/" * 9_000 + b"x",
    ):
        yield HostileRequest(f"the path {path[:30]!r}", without_body(path))


def methods(person: str) -> Iterator[HostileRequest]:
    """Yield methods that a path does not support."""
    supported = {
        "/v1/people": "GET HEAD POST", "/v1/people/search": "POST", "/v1/people/import": "POST", "/v1/people/export": "GET HEAD POST",
        person: "GET HEAD PUT PATCH DELETE", "/data": "GET HEAD POST", "/status": "GET HEAD", "/metrics": "GET HEAD",
        "/openapi.json": "GET HEAD", "/docs": "GET HEAD", "/docs/start.js": "GET HEAD",
    }  # fmt: skip
    for path, allowed in supported.items():
        for method in [*KNOWN_METHODS, "CONNECT", "FOO", "get", "G" * 5_000]:
            if method not in allowed.split():
                yield HostileRequest(
                    f"{method[:10]} {path}",
                    without_body(path.encode(), method=method.encode()),
                    incomplete=method not in KNOWN_METHODS,
                    method=method,
                )


def mutations(targets: list[Target]) -> Iterator[HostileRequest]:
    """Yield valid requests with a few altered bytes, indefinitely."""
    rng = random.Random(4711)
    valid = (
        b'{"person_name":"Anna","person_surname":"M\xc3\xbcller","person_birthdate":"1990-02-11","person_address":"1\\n2",'
        b'"more":{"a":[1,2.50,-3e7,true,null,"\\u00e9\\ud83d\\ude00"],"b":{}}}'
    )
    interesting = b'{}[]",:\\\x00\xff\x80u0d8e+-.'
    while True:
        body = bytearray(valid)
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(body))
            match rng.randrange(4):
                case 0:
                    body[at] = rng.choice(interesting)
                case 1:
                    del body[at : at + rng.randrange(1, 9)]
                case 2:
                    body[at:at] = body[rng.randrange(len(body)) :][: rng.randrange(1, 40)]
                case _:
                    body[at] ^= 1 << rng.randrange(8)
        target = rng.choice(targets)
        yield HostileRequest(f"{bytes(body)!r} to {target}", with_body(target, bytes(body)), tolerated=True)
