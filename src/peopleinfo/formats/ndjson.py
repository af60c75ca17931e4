"""JSON: a value a line, or one array however long; rejects."""

from __future__ import annotations

import codecs
import json
import re
from typing import IO, TYPE_CHECKING, Any, Final

from peopleinfo.bulk.importer import Row, RowResult
from peopleinfo.errors import InvalidJson
from peopleinfo.formats.column_mapping import REJECT_LINE, REJECT_REASON, REJECT_TEXT, InvalidInput
from peopleinfo.formats.csv import reasons
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peopleinfo.formats.column_mapping import ColumnMapping

_LONGEST: Final = 1024 * 1024  # bytes of one value; well above the largest record
_PIECE: Final = 256 * 1024
_NUMERIC: Final = "0123456789+-.eE"  # the empty text, at the end of a piece, is in it too
_BLANK: Final = re.compile(r"[ \t\n\r]*")


def read_lines(stream: IO[bytes], columns: ColumnMapping) -> Iterator[Row]:
    """Yield a row for each line that is not blank; a line that is no JSON has its reason as data."""
    line = 0
    while text := stream.readline(_LONGEST):
        line += 1
        if len(text) == _LONGEST and not text.endswith(b"\n"):
            while (rest := stream.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            yield Row(line, InvalidJson(f"is longer than {_LONGEST // 1024} KiB"), b"")
        elif text := text.strip(b" \t\r\n"):
            yield Row(line, _value(text, columns), text)


def read_array(stream: IO[bytes], columns: ColumnMapping) -> Iterator[Row]:
    """Yield a row for each element of one JSON array, read piece by piece; line numbers are where an element begins.

    Raises InvalidInput where the array is broken: what follows cannot be told apart any more.
    """
    text = _Pieces(stream)
    text.skip("[", "the input has to be a JSON array")
    if text.peek() == "]":
        return
    while True:
        line, element = text.element()
        source = element.encode()
        yield Row(line, _value(source, columns), source)
        if text.comma_or_end() == "]":
            return


class _Pieces:
    """A JSON text of which only the part being looked at is in memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._at = 0
        self._line = 1

    def skip(self, wanted: str, otherwise: str) -> None:
        if self.peek() != wanted:
            raise InvalidInput(otherwise)
        self._at += 1

    def peek(self) -> str:
        """Return the next character that is not blank, "" at the end."""
        while True:
            self._pass(_BLANK.match(self._text, self._at).end())  # type: ignore[union-attr] # matches the empty text too
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def element(self) -> tuple[int, str]:
        """Return the line and the text of the next value."""
        self.peek()
        while True:
            try:
                _, end = _SCAN(self._text, self._at)
            except json.JSONDecodeError as error:
                problem = error.msg
            except RecursionError:
                problem = "nested too deep"
            else:
                # A number at the end of the piece may go on in the next one: 12 before .50, or 1 before e400.
                if self._text[end : end + 1] not in _NUMERIC or not self._more():
                    line, element = self._line, self._text[self._at : end]
                    self._pass(end)
                    return line, element
                continue
            if len(self._text) - self._at > _LONGEST or not self._more():
                raise InvalidInput(f"line {self._line}: {problem}; nothing after it can be read")

    def comma_or_end(self) -> str:
        mark = self.peek()
        if mark not in (",", "]"):
            raise InvalidInput(
                f"line {self._line}: a comma or the end of the array is missing; nothing after it can be read"
            )
        self._at += 1
        return mark

    def _pass(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _more(self) -> bool:
        piece = self._stream.read(_PIECE)
        try:
            text = self._decode(piece, final=not piece)
        except UnicodeDecodeError:
            raise InvalidInput(f"line {self._line} or after it: not UTF-8") from None
        self._text = self._text[self._at :] + text
        self._at = 0
        return bool(piece)


class JsonRejects:
    """Writes rejected values as they were, with their line and the reasons, to be mended and imported again."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, outcome: RowResult) -> None:
        """Write a rejected value: an object with its members, anything else as text."""
        source = outcome.row.raw
        text = source if isinstance(source, bytes) else b""
        try:
            value = strict_json.parse(text)
        except InvalidJson:
            value = None
        if not isinstance(value, dict):
            value = {REJECT_TEXT: text.decode(errors="replace")}
        value |= {REJECT_LINE: outcome.row.line, REJECT_REASON: reasons(outcome)}
        self._stream.write(strict_json.encode(value) + b"\n")


_SCAN: Final = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


def _value(text: bytes, columns: ColumnMapping) -> Any:
    try:
        return columns.map_object(strict_json.parse(text))
    except InvalidJson as error:
        return error
