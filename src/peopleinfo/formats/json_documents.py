"""JSON documents of any size: objects over several lines, and the entries of a FHIR Bundle or of a SCIM list."""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.errors import InvalidInput, InvalidJson
from peopleinfo.formats import fhir_reader, headings
from peopleinfo.formats.ndjson import MAX_VALUE_SIZE, ChunkedText, parse_value
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

# The list of people in a document, and a mark of the document.
_LISTS: Final = {"entry": '"Bundle"', "Resources": "ListResponse"}
# The list of people in a response of an API, such as {"total": 2, "people": [{…}, {…}]}.
_RESPONSE_LISTS: Final = (
    "people", "persons", "contacts", "users", "members", "records", "results", "items", "data", "rows", "value", "hits", "content", "list",
    "employees", "customers", "students", "patients", "attendees", "participants", "connections", "edges", "nodes", "@graph",
)  # fmt: skip
# Lists that a person may have too: the contacts of a person with an id.
_LISTS_OF_A_PERSON: Final = frozenset(_RESPONSE_LISTS) - {"people", "persons", "users", "records", "results", "rows"}
# Members of a FHIR Bundle and of a SCIM list that describe the list.
_STANDARD: Final = frozenset(
    (
        "resourceType", "type", "id", "meta", "timestamp", "total", "link", "identifier", "implicitRules", "language", "signature",
        "schemas", "totalResults", "startIndex", "itemsPerPage",
    )
)  # fmt: skip
# Usual members next to a list of people, which describe the response. They are not reported.
_METADATA: Final = frozenset(
    (
        "total", "count", "page", "limit", "offset", "status", "success", "next", "previous", "prev", "version", "totalsize", "done",
        "took", "timed_out", "_shards", "max_score", "ok", "code", "message", "error", "object", "kind", "etag", "meta", "links",
        "_links", "jsonapi", "info", "pagination", "paging", "has_more", "hasmore", "per_page", "nextpagetoken", "resultsizeestimate",
    )
)  # fmt: skip
# The name of any member that describes a response, as a sequence of such words. It is reported unless it is a usual one.
_DESCRIPTION: Final = re.compile(
    r"(?:total|all|count|counts|page|pages|number|num|per|size|limit|offset|start|end|first|last|current|next|previous|prev|from|to|is|has|more|of"
    r"|records?|results?|elements|items|pageable|sort|order|status|success|ok|code|message|messages|error|errors|version|done|took|timed|out|shards"
    r"|max|score|object|kind|etag|meta|metadata|links?|self|path|url|uri|href|jsonapi|info|pagination|paging|token|cursor|estimate|time|timestamp"
    r"|generated|at|request|response|query|filter|sync|empty|included|people|users)+"
)
# Objects around the list.
_WRAPPERS: Final = frozenset(
    ("data", "response", "result", "results", "payload", "hits", "_embedded", "body", "content")
)
_STANDARD_LIST: Final = re.compile(rb'\{\s*"(?:resourceType|schemas)"\s*:\s*(?:"Bundle"|\[[^]]*ListResponse)')
_HISTORY: Final = re.compile(r'"type"\s*:\s*"history"')
_MEMBER: Final = re.compile(r'\s*,?\s*"([^"\\]*)"\s*:\s*')
_OBJECTS_START: Final = re.compile(r"\[\s*[{\]]")
_NO_LETTER: Final = re.compile(r"[\W_\d]+")
_DECODE: Final = json.JSONDecoder().raw_decode


def is_document(start: bytes) -> bool:
    """Return whether the start of an input is a list of people in an object, or an object over several lines."""
    if not start.startswith(b"{"):
        return False
    first, newline, _ = start.partition(b"\n")
    is_list = _STANDARD_LIST.match(start) or _path_to_list(start.decode(errors="replace"))
    return bool(is_list or (newline and not _is_complete(first)) or _has_several(first))


def _has_several(line: bytes) -> bool:
    """Return whether a line has an object after an object, without a comma between them."""
    text = line.decode(errors="replace")
    try:
        _, end = _DECODE(text)
    except (ValueError, RecursionError):
        return False
    return text[end:].lstrip().startswith("{")


def _is_complete(line: bytes) -> bool:
    """Return whether a line looks like an object of its own, also with a comma after it."""
    text = line.rstrip(b" \t\r")
    if not text.endswith(b","):
        return text.endswith(b"}")
    try:
        json.loads(text[:-1])
    except (ValueError, RecursionError):
        return False
    return True


def _path_to_list(text: str, position: int = 0, *, is_wrapped: bool = False) -> tuple[str, ...]:
    """Return the names of the members that lead to a list of people, after members of metadata only; () if there is no list.

    Example: ("data", "people") for `{"status": "ok", "data": {"people": [{…`. `is_wrapped` is true within a wrapper, where an object of any
    name may have the list: ("data", "allPeople", "edges").
    """
    position += 1  # after the brace
    while member := _MEMBER.match(text, position):
        name, position = member[1], member.end()
        if name in _RESPONSE_LISTS and _OBJECTS_START.match(text, position):
            return (name,)
        if (name in _WRAPPERS or is_wrapped) and text.startswith("{", position):
            path = _path_to_list(text, position, is_wrapped=name in _WRAPPERS)
            if path or not _is_metadata(name):
                return (name, *path) if path else ()
        if not _is_metadata(name):
            return ()
        try:
            _, position = _DECODE(text, position)
        except (json.JSONDecodeError, RecursionError):
            return ()
    return ()


def _is_metadata(name: str) -> bool:
    """Return whether the name of a member describes a response, and no person."""
    if name.startswith("@"):
        return True
    return headings.role(name) is None and _DESCRIPTION.fullmatch(_NO_LETTER.sub("", name.lower())) is not None


def read_documents(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row per object, or per entry of a list. Raises InvalidInput at a syntax error, after which nothing can be read."""
    text = ChunkedText(stream)
    while character := text.peek():
        if character == "[":
            for line, element in text.elements():
                yield _entry(line, element.encode(errors="surrogateescape"))
        elif character == "{":
            path = _path_to_list(text.start())
            yield from _entries(text, path) if path else _rows(text)
        else:
            raise InvalidInput(f"line {text.line}: expected a JSON object; the rest cannot be read")


def _entries(text: ChunkedText, path: tuple[str, ...]) -> Iterator[Row]:
    """Yield the people of a list, to which the names of some members lead."""
    line = text.line
    names: list[str] = []
    for key in text.member_names():
        name = key.strip('"')
        if not path or name != path[0]:
            text.element()
            names.append(key)
        elif len(path) > 1:
            yield from _entries(text, path[1:])
            path = ()
        else:
            for entry_line, element in text.elements():
                yield _entry(entry_line, element.encode(errors="surrogateescape"))
            path = ()
    yield from _others(line, names)


def _rows(text: ChunkedText) -> Iterator[Row]:
    """Yield the entries of a list, or the object itself."""
    line = text.line
    members: list[str] = []
    size = 0
    is_list = False
    for key in text.member_names():
        if text.peek() == "[" and not is_list and _is_list(key, members):
            is_list = True
            seen: set[str] | None = set() if any(_HISTORY.fullmatch(member) for member in members) else None
            for entry_line, element in text.elements():
                yield _entry(entry_line, element.encode(errors="surrogateescape"), seen)
        else:
            member = f"{key}:{text.element()[1]}"
            size += len(member)
            members.append(member if size <= MAX_VALUE_SIZE else "")
    if size > MAX_VALUE_SIZE and not is_list:
        yield Row(line, InvalidRow(f"is longer than {MAX_VALUE_SIZE // 1024} KiB"), b"")
    elif is_list:
        yield from _others(line, members)
    else:
        source = f"{{{','.join(members)}}}".encode(errors="surrogateescape")
        members.clear()  # frees them before the row is used
        yield from _complete(line, source)


def _is_list(key: str, members: list[str]) -> bool:
    """Return whether a member contains the people of a list, by the members before it."""
    name = key.strip('"')
    mark = _LISTS.get(name)
    if mark is not None and any(mark in member for member in members):
        return True
    names = [_name(member) for member in members]
    if name in _LISTS_OF_A_PERSON and not all(map(_is_metadata, names)):
        return False
    return name in _RESPONSE_LISTS and not any(map(headings.role, names))


def _others(line: int, members: list[str]) -> Iterator[Row]:
    """Yield a row for the members next to a list of people, unless they only describe the list."""
    names = [name for name in map(_name, members) if name not in _STANDARD and name.lower() not in _METADATA]
    if any(headings.role(name) for name in names):
        reason = f"has a list of people and the fields of a person ({', '.join(names)}): remove one of them"
        yield Row(line, InvalidRow(reason), b"")
    elif names:
        yield Row(line, SkippedRow(f"the members next to the list of people are not stored: {', '.join(names)}"), b"")


def _name(member: str) -> str:
    return member.partition(":")[0].strip().strip('"')


def _complete(line: int, source: bytes) -> Iterator[Row]:
    """Yield the row of an object, or the entries of a Bundle whose type follows its entries."""
    try:
        value = strict_json.parse(source)
    except InvalidJson as error:
        yield Row(line, InvalidRow(str(error)), source)
        return
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        entries = value.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            yield _entry(line, strict_json.encode(entry))
    else:
        del value  # frees it before the row is used
        yield Row(line, parse_value(source), source)


def _entry(line: int, source: bytes, seen: set[str] | None = None) -> Row:
    """Return the row of the resource of a Bundle, or of an element of another list.

    `seen` has the resources of the entries before, in a history: it starts with the latest versions.
    """
    try:
        value = strict_json.parse(source)
    except InvalidJson as error:
        return Row(line, InvalidRow(str(error)), source)
    if not isinstance(value, dict):
        return Row(line, parse_value(source), source)
    if seen is not None and (subject := fhir_reader.subject(value)):
        if subject in seen:
            return Row(line, SkippedRow("the entry is an earlier version of another entry"), source)
        seen.add(subject)
    if "resource" in value:
        source = strict_json.encode(value["resource"])
    elif fhir_reader.is_request(value):
        return Row(line, SkippedRow("the entry of the Bundle has no resource"), source)
    return Row(line, parse_value(source), source)
