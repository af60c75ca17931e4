"""JSON documents of any size: objects over several lines, and the entries of a FHIR Bundle or of a SCIM list."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Final

from peopleinfo.bulk.rows import InvalidRow, Row
from peopleinfo.errors import InvalidInput, InvalidJson
from peopleinfo.formats.ndjson import MAX_VALUE_SIZE, ChunkedText, parse_value
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

# The list of people in a document, and a mark of the document.
_LISTS: Final = {"entry": '"Bundle"', "Resources": "ListResponse"}
_CONTAINER: Final = re.compile(rb'\{\s*"(?:resourceType|schemas)"\s*:\s*(?:"Bundle"|\[[^]]*ListResponse)')


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
        if text.peek() == "[" and _is_list(key, members):
            is_list = True
            for entry_line, element in text.elements():
                yield _entry(entry_line, element.encode(errors="surrogateescape"))
        else:
            member = f"{key}:{text.element()[1]}"
            size += len(member)
            members.append(member if size <= MAX_VALUE_SIZE else "")
    if size > MAX_VALUE_SIZE and not is_list:
        yield Row(line, InvalidRow(f"is longer than {MAX_VALUE_SIZE // 1024} KiB"), b"")
    elif not is_list:
        source = f"{{{','.join(members)}}}".encode(errors="surrogateescape")
        members.clear()  # frees them before the row is used
        yield from _complete(line, source)


def _is_list(key: str, members: list[str]) -> bool:
    """Return whether a member contains the people of a list, by the members before it."""
    mark = _LISTS.get(key.strip('"'))
    return mark is not None and any(mark in member for member in members)


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
