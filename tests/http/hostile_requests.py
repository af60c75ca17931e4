"""Requests that nobody should send, made the same way each time."""

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

TAKEN_BY_IMPORTS: Final = ("a number for a version", "utf-8-sig")
KNOWN_METHODS: Final = (  # noqa: SIM905 - a list of words
    "DELETE GET HEAD POST PUT COPY LOCK MKCOL MOVE PROPFIND SEARCH UNLOCK BIND REPORT MERGE NOTIFY SUBSCRIBE PATCH PURGE LINK SOURCE TRACE"
).split()


class Hostile(NamedTuple):
    """Bytes to send, and what may come back."""

    what: str
    request: bytes
    tolerated: bool = False  # odd, yet a request that may be answered with what it asks for
    broken: bool = False  # no whole request: the connection may be closed without an answer
    method: str = "POST"


class Target(NamedTuple):
    """An operation that takes a body."""

    method: str
    path: str
    media_type: str = JSON
    headers: str = ""


def requests(person: str, number: int) -> list[Hostile]:
    """Return so many requests; `person` is the path of somebody who is there."""
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
            # An import leaves out what a server has given, so that what was exported can be imported, and takes files with a BOM.
            Hostile(
                f"{what} to {target}",
                sent(target, body),
                tolerated=what in TAKEN_BY_IMPORTS and "import" in target.path,
            )
            for target in targets
            for what, body in bodies()
        ),
        *(hostile for target in targets for hostile in framings(target)),
        *(hostile for target in targets for hostile in headers(target)),
        *queries(),
        *paths(),
        *methods(person),
    ]
    assert len(found) < number, len(found)
    return found + list(itertools.islice(mutations(targets), number - len(found)))


def sent(target: Target, body: bytes, further: str = "", length: int | None = None) -> bytes:
    head = (
        f"{target.method} {target.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {target.media_type}\r\n{target.headers}{further}"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def got(target: bytes, further: bytes = b"", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + further + b"\r\n"


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield bodies that are no JSON, or no JSON that anybody wants."""
    yield from too_deep()
    yield from wrong_numbers()
    yield from wrong_members()
    yield from wrong_texts()
    yield from no_json()


def too_deep() -> Iterator[tuple[str, bytes]]:
    for depth in (17, 18, 100, 1_000, 100_000, 400_000):
        yield f"{depth} arrays", b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        yield f"{depth} arrays without end", b"[" * depth
    for depth in (16, 17, 100, 1_000, 100_000):
        yield f"{depth} objects", b'{"x":' * depth + b"{}" + b"}" * depth
        yield f"{depth} objects without end", b'{"x":' * depth


def wrong_numbers() -> Iterator[tuple[str, bytes]]:
    for literal in "NaN Infinity -Infinity +1 01 -01 .5 1. 1e 1e+ - 0x10 1_0 1,0 ١ nan True nil undefined".split():  # noqa: SIM905
        yield f"the number {literal}", f'{{"person_surname":"x","surname":"x","{CANARY}":{literal}}}'.encode()
    for literal in ("0", "1e400", "-1e-400", "9" * 5_000, "0." + "1" * 500_000, "9" * 900_000):
        yield "a number for a name", f'{{"person_surname":{literal},"surname":{literal}}}'.encode()
        yield "a number for a version", f'{{"person_surname":"x","version":{literal}}}'.encode()


def wrong_members() -> Iterator[tuple[str, bytes]]:
    for depth in range(1, 15):
        yield "a member twice", b'{"x":' * depth + b'{"Canary4711":1,"Canary4711":2}' + b"}" * depth
        yield "a member twice", b'{"x":[' * (depth // 2) + b'{"a":1,"\\u0061":2}' + b"]}" * (depth // 2)
    yield "too many members", b"{" + b",".join(b'"m%d":{}' % n for n in range(60_000)) + b"}"


def wrong_texts() -> Iterator[tuple[str, bytes]]:
    for text in ("\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800", "\\ud83d\\ud83d\\ude00", "\\u0000", "x\\u0000y"):
        yield f"the text {text}", f'{{"person_surname":"{text}","surname":"{text}"}}'.encode()
        yield f"the name {text}", f'{{"person_surname":"x","surname":"x","{text}":1}}'.encode()
        yield f"{text} in the depth", f'{{"surname":"x","person_surname":"x","a":[{{"b":["{text}"]}}]}}'.encode()
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
            "a surname that is none",
            f'{{"person_surname":"{surname}","person_name":"{surname}","surname":" "}}'.encode(),
        )


def no_json() -> Iterator[tuple[str, bytes]]:
    valid = f'{{"person_surname":"{CANARY}","surname":"{CANARY}","list":[1,true,null]}}'
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037"):
        yield encoding, valid.encode(encoding)
    for cut in range(0, len(valid), 4):
        yield "a document that was cut", valid[:cut].encode()
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


def framings(target: Target) -> Iterator[Hostile]:
    """Yield bodies that are too long, too short, or cut in strange pieces."""
    huge = b'{"person_surname":"' + b"x" * 10_000_000 + b'"}'
    if target.media_type == JSON and "import" not in target.path:
        yield Hostile(f"10 MB to {target}", sent(target, huge))
        yield Hostile(
            f"10 MB in chunks to {target}",
            chunked(target, [huge[at : at + 100_000] for at in range(0, len(huge), 100_000)]),
        )
    body = b'{"person_surname":"x"}'
    for length in (23, 10**6, 10**9, 10**18):
        yield Hostile(f"{length} bytes announced to {target}", sent(target, body, length=length), broken=True)
    for said in ("-1", "+22", "22, 23", "0x16", "2 2", "", "22a", "9" * 30):
        head = sent(target, b"", f"Content-Length: {said}\r\n").replace(b"Content-Length: 0\r\n", b"")
        yield Hostile(f"the length {said} to {target}", head + body, broken=True, tolerated=said == "22, 23")
    for piece in (
        b"-1\r\nx\r\n",
        b"g\r\n",
        b"fffffffffffffffff\r\n",
        b"1\r\nxx\r\n",
        b"1 x\r\n",
        b"\r\n",
        b"0x1\r\nx\r\n",
    ):
        yield Hostile(f"the chunk {piece!r} to {target}", chunked(target, [])[:-5] + piece + b"0\r\n\r\n", broken=True)
    both = sent(target, body, "Transfer-Encoding: chunked\r\n")
    yield Hostile(f"both framings to {target}", both, broken=True)


def chunked(target: Target, pieces: list[bytes]) -> bytes:
    head = sent(target, b"", "Transfer-Encoding: chunked\r\n").replace(b"Content-Length: 0\r\n", b"")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def headers(target: Target) -> Iterator[Hostile]:
    """Yield headers that no operation takes."""
    body = f'{{"person_surname":"{CANARY}"}}'.encode()
    for media_type in (
        "", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "json",
        "application/json; charset=utf-16", "application/json; charset=latin-1", "application", "/", ";", ";;;", "*/*", CANARY, "é",
        "application/json, text/csv", "image/png", "application/jsonx", "text/html", "application/json+x", "x" * 5_000,
    ):  # fmt: skip
        yield Hostile(
            f"the media type {media_type[:30]!r} to {target}", sent(target._replace(media_type=media_type), body)
        )
    for coding in ("gzip", "br", "deflate", "compress", "gzip, gzip", CANARY, "é"):
        yield Hostile(f"the coding {coding} to {target}", sent(target, body, f"Content-Encoding: {coding}\r\n"))
    for further in (
        "X: " + "y" * 33_000,
        "\r\n".join(["X: y"] * 9_000),
        "X" * 33_000 + ": y",
        "X\0: y",
        "X: \0y",
        "X y",
        ": y",
        " X: y",
    ):
        yield Hostile(f"the header {further[:10]!r} to {target}", sent(target, body, further + "\r\n"), broken=True)
    if target.path == "/v1/people":
        for key in ("", "x" * 256, "é" * 200):
            yield Hostile("an Idempotency-Key that is none", sent(target, body, f"Idempotency-Key: {key}\r\n"))
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
            yield Hostile(f"If-Match: {tag[:20]} to {target}", sent(bare, body))


def queries() -> Iterator[Hostile]:
    """Yield strange queries."""
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
            yield Hostile(f"the query {query[:30]!r} to {path!r}", got(path + b"?" + query.replace(b" ", b"%20")))
        yield Hostile(f"the query {query[:30]!r} to /data", got(b"/data?" + query.replace(b" ", b"%20")))
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
            yield Hostile(f"the query {query[:30]!r} to {path!r}", got(target), tolerated=True)
    for raw in (b"\xff", b"\xc3\xa9", b"a b", b"\x00", b"\x7f"):
        yield Hostile(f"{raw!r} in a query", got(b"/v1/people?surname=" + raw), broken=True)


def paths() -> Iterator[Hostile]:
    """Yield paths that lead nowhere."""
    ids = [
        b"%00", b"%2e%2e", b"%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"a%2fb", b"%ff", b"%", b"%zz", b"%u0041", b"'", b"%0d%0aX:%20y", b"-1", b"*",
        b"0" * 31, b"0" * 33, b"F" * 32, b"0" * 32, b"g" * 32, b"%30" * 33, b"x" * 20_000, b"%e2%80%ae", b"~", b"..", b".", b"null", b"{person_id}",
        b"%D9%A0" * 32, b"0" * 31 + b"%0a", b"%20" + b"0" * 32, b"0" * 32 + b";x", b"import/x", b"search/x",
    ]  # fmt: skip
    for person in ids:
        for method in (b"GET", b"HEAD", b"DELETE"):
            yield Hostile(
                f"{method!r} {person[:30]!r}", got(b"/v1/people/" + person, method=method), method=method.decode()
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
        yield Hostile(f"the path {path[:30]!r}", got(path))


def methods(person: str) -> Iterator[Hostile]:
    """Yield methods that a path does not have."""
    has = {
        "/v1/people": "GET HEAD POST", "/v1/people/search": "POST", "/v1/people/import": "POST", "/v1/people/export": "GET HEAD POST",
        person: "GET HEAD PUT PATCH DELETE", "/data": "GET HEAD POST", "/status": "GET HEAD", "/metrics": "GET HEAD",
        "/openapi.json": "GET HEAD", "/docs": "GET HEAD", "/docs/start.js": "GET HEAD",
    }  # fmt: skip
    for path, known in has.items():
        for method in [*KNOWN_METHODS, "CONNECT", "FOO", "get", "G" * 5_000]:
            if method not in known.split():
                yield Hostile(
                    f"{method[:10]} {path}",
                    got(path.encode(), method=method.encode()),
                    broken=method not in KNOWN_METHODS,
                    method=method,
                )


def mutations(targets: list[Target]) -> Iterator[Hostile]:
    """Yield requests without end, each right but for some bytes."""
    chance = random.Random(4711)
    valid = (
        b'{"person_name":"Anna","person_surname":"M\xc3\xbcller","person_birthdate":"1990-02-11","person_address":"1\\n2",'
        b'"more":{"a":[1,2.50,-3e7,true,null,"\\u00e9\\ud83d\\ude00"],"b":{}}}'
    )
    interesting = b'{}[]",:\\\x00\xff\x80u0d8e+-.'
    while True:
        body = bytearray(valid)
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(body))
            match chance.randrange(4):
                case 0:
                    body[at] = chance.choice(interesting)
                case 1:
                    del body[at : at + chance.randrange(1, 9)]
                case 2:
                    body[at:at] = body[chance.randrange(len(body)) :][: chance.randrange(1, 40)]
                case _:
                    body[at] ^= 1 << chance.randrange(8)
        target = chance.choice(targets)
        yield Hostile(f"{bytes(body)!r} to {target}", sent(target, bytes(body)), tolerated=True)
