"""JSON documents of any size: objects over several lines, and the entries of a FHIR Bundle or of a SCIM list."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.bulk.rows import InvalidRow, Row, SkippedRow
from peopleinfo.errors import InvalidInput, InvalidJson
from peopleinfo.formats import headings
from peopleinfo.formats.ndjson import MAX_VALUE_SIZE, ChunkedText, parse_value
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

# The list of people in a document, and a mark of the document.
_LISTS: Final = {"entry": '"Bundle"', "Resources": "ListResponse"}
# The list of people in a response of an API, such as {"total": 2, "people": [{…}, {…}]}.
_RESPONSE_LISTS: Final = (
    "people",
    "persons",
    "contacts",
    "users",
    "members",
    "records",
    "results",
    "items",
    "data",
    "rows",
    "value",
)
# Members of a FHIR Bundle and of a SCIM list that describe the list.
_STANDARD: Final = frozenset(
    (
        "resourceType",
        "type",
        "id",
        "meta",
        "timestamp",
        "total",
        "link",
        "identifier",
        "implicitRules",
        "language",
        "signature",
        "schemas",
        "totalResults",
        "startIndex",
        "itemsPerPage",
    )
)
_SCALAR: Final = rb'(?:"[^"]*"|[\w.+-]+)'
_CONTAINER: Final = re.compile(
    rb'\{\s*(?:"(?:resourceType|schemas)"\s*:\s*(?:"Bundle"|\[[^]]*ListResponse)'
    rb'|(?:"(?:total|count|page|limit|offset|status|success|next|version|@odata\.\w+)"\s*:\s*' + _SCALAR + rb"\s*,\s*)*"
    rb'"(?:' + "|".join(_RESPONSE_LISTS).encode() + rb')"\s*:\s*\[\s*[{\]])'
)


def is_document(start: bytes) -> bool:
    """Return whether the start of an input is a list of people in an object, or an object over several lines."""
    first, newline, _ = start.partition(b"\n")
    return start.startswith(b"{") and bool(_CONTAINER.match(start) or (newline and not first.rstrip().endswith(b"}")))


def read_documents(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row per object, or per entry of a list. Raises InvalidInput at a syntax error, after which nothing can be read."""
    text = ChunkedText(stream)
    while character := text.peek():
        if character == "[":
            for line, element in text.elements():
                yield _entry(line, element.encode(errors="surrogateescape"))
        elif character == "{":
            yield from _rows(text)
        else:
            raise InvalidInput(f"line {text.line}: expected a JSON object; the rest cannot be read")


def _rows(text: ChunkedText) -> Iterator[Row]:
    """Yield the entries of a list, or the object itself."""
    line = text.line
    members: list[str] = []
    size = 0
    is_list = False
    for key in text.member_names():
        if text.peek() == "[" and not is_list and _is_list(key, members):
            is_list = True
            for entry_line, element in text.elements():
                yield _entry(entry_line, element.encode(errors="surrogateescape"))
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
    return name in _RESPONSE_LISTS and not any(headings.role(_name(member)) for member in members)


def _others(line: int, members: list[str]) -> Iterator[Row]:
    """Yield a row for the members beside a list of people, unless they are those of a standard."""
    names = [name for name in map(_name, members) if name not in _STANDARD]
    if any(headings.role(name) for name in names):
        yield Row(line, InvalidRow(f"has a list of people and the fields of a person: {', '.join(names)}"), b"")
    elif names:
        yield Row(line, SkippedRow(f"{', '.join(names)} beside the list of people is not stored"), b"")


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


def _entry(line: int, source: bytes) -> Row:
    """Return the row of the resource of a Bundle, or of an element of another list."""
    try:
        value = strict_json.parse(source)
    except InvalidJson as error:
        return Row(line, InvalidRow(str(error)), source)
    if isinstance(value, dict) and "resource" in value:
        source = strict_json.encode(value["resource"])
    return Row(line, parse_value(source), source)
