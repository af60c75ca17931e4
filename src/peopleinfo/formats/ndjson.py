"""JSON: read NDJSON and parts of long documents, write rejects."""

from __future__ import annotations

import codecs
import json
import re
from typing import IO, TYPE_CHECKING, Any, Final

from peopleinfo.bulk.rows import InvalidRow, Row, RowResult, blank_row
from peopleinfo.errors import InvalidInput, InvalidJson
from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON, REJECT_TEXT
from peopleinfo.formats.json_layouts import flattened
from peopleinfo.formats.rejects import reject_reasons
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUE_SIZE: Final = 1024 * 1024  # bytes; larger than any record
_CHUNK_SIZE: Final = 256 * 1024
_START_SIZE: Final = 4096  # characters
_AROUND: Final = b" \t\r\n\x1e\xef\xbb\xbf"  # blanks, U+001E of a JSON text sequence (RFC 7464), and a byte order mark
_NUMERIC: Final = "0123456789+-.eE"  # `in` also holds for the empty string, at the end of a chunk
_BLANK: Final = re.compile(r"[ \t\n\r]*")


def read_lines(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row per line; its data is an InvalidRow if the line is not JSON."""
    line = blank = 0
    while text := stream.readline(MAX_VALUE_SIZE):
        line += 1
        if text.isspace() and len(text) < MAX_VALUE_SIZE:
            blank += 1
            continue
        if blank:
            yield blank_row(line - blank, blank)
            blank = 0
        if len(text) == MAX_VALUE_SIZE and not text.endswith(b"\n"):
            while (rest := stream.readline(MAX_VALUE_SIZE)) and not rest.endswith(b"\n"):
                pass
            yield Row(line, InvalidRow(f"is longer than {MAX_VALUE_SIZE // 1024} KiB"), b"")
        else:
            text = text.strip(_AROUND).removesuffix(b",")
            yield Row(line, parse_value(text), text)
    if blank:
        yield blank_row(line - blank + 1, blank)


class ChunkedText:
    """A JSON text of which one part at a time is in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        # Bytes that are not UTF-8 become lone surrogates, so that only their value is invalid.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape").decode
        self._text = ""
        self._position = 0
        self._line = 1

    @property
    def line(self) -> int:
        """The number of the current line."""
        return self._line

    def peek(self) -> str:
        """Return the next non-blank character, or "" at the end."""
        while True:
            self._advance(_BLANK.match(self._text, self._position).end())  # type: ignore[union-attr] # matches the empty string too
            if self._position < len(self._text) or not self._more():
                return self._text[self._position : self._position + 1]

    def start(self) -> str:
        """Return the start of the next value."""
        self.peek()
        return self._text[self._position : self._position + _START_SIZE]

    def element(self) -> tuple[int, str]:
        """Return the line number and the text of the next value."""
        self.peek()
        while True:
            try:
                _, end = _SCAN(self._text, self._position)
            except json.JSONDecodeError as error:
                problem = error.msg
            except RecursionError:
                problem = "nested too deeply"
            else:
                # A number at the end of the chunk may continue in the next one: 12 before .50, or 1 before e400.
                if self._text[end : end + 1] not in _NUMERIC or not self._more():
                    line, element = self._line, self._text[self._position : end]
                    self._advance(end)
                    return line, element
                continue
            if len(self._text) - self._position > MAX_VALUE_SIZE or not self._more():
                raise InvalidInput(f"line {self._line}: {problem}; the rest cannot be read")

    def elements(self) -> Iterator[tuple[int, str]]:
        """Yield the line number and the text of each element of an array. Raises InvalidInput at a syntax error."""
        self._skip("[", "the input must be a JSON array")
        if self.peek() == "]":
            self._position += 1
            return
        while True:
            yield self.element()
            if self._comma_or_end("]") == "]":
                return

    def member_names(self) -> Iterator[str]:
        """Yield the text of each name of an object; the caller reads its value. Raises InvalidInput at a syntax error."""
        self._skip("{", "the input must be a JSON object")
        if self.peek() == "}":
            self._position += 1
            return
        while True:
            if self.peek() != '"':
                raise InvalidInput(f"line {self._line}: expected a name; the rest cannot be read")
            _, name = self.element()
            self._skip(":", f"line {self._line}: expected a colon; the rest cannot be read")
            yield name
            if self._comma_or_end("}") == "}":
                return

    def _skip(self, expected: str, message: str) -> None:
        if self.peek() != expected:
            raise InvalidInput(message)
        self._position += 1

    def _comma_or_end(self, end: str) -> str:
        character = self.peek()
        if character not in (",", end):
            kind = "array" if end == "]" else "object"
            raise InvalidInput(f"line {self._line}: expected a comma or the end of the {kind}; the rest cannot be read")
        self._position += 1
        return character

    def _advance(self, end: int) -> None:
        self._line += self._text.count("\n", self._position, end)
        self._position = end

    def _more(self) -> bool:
        chunk = self._stream.read(_CHUNK_SIZE)
        self._text = self._text[self._position :] + self._decode(chunk, final=not chunk)
        self._position = 0
        return bool(chunk)


class JsonRejects:
    """Writes rejected values unchanged, with line number and reasons, for correction and another import."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, result: RowResult) -> None:
        """Write a rejected value: an object with its keys, any other value as text."""
        source = result.row.raw
        text = source if isinstance(source, bytes) else b""
        try:
            value = strict_json.parse(text)
        except InvalidJson:
            value = None
        if not isinstance(value, dict):
            value = {REJECT_TEXT: text.decode(errors="replace")}
        value |= {REJECT_LINE: result.row.line, REJECT_REASON: reject_reasons(result)}
        self._stream.write(strict_json.encode(value) + b"\n")


_SCAN: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


def parse_value(text: bytes) -> Any:
    """Return the fields of a JSON value, or an InvalidRow or a SkippedRow."""
    try:
        return flattened(strict_json.parse(text))
    except InvalidJson as error:
        return InvalidRow(str(error))
