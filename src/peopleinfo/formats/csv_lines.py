"""The lines of a CSV text: line ends of any kind, limited length, and the delimiter."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_LINE_LENGTH: Final = 1024 * 1024  # characters of a line and of a row; bounds the memory
_CHUNK_SIZE: Final = 256 * 1024  # bytes
_SAMPLE_LINES: Final = 200
_HINT: Final = re.compile(r'"?sep="?(.)"?[\t,;| ]*\r?\n?', re.IGNORECASE | re.DOTALL)
_ENDS: Final = ("\n", "\r")


class Lines(NamedTuple):
    """Consecutive lines with their line ends. The number of the first one counts from 1."""

    number: int
    lines: list[str]
    is_overlong: bool = False  # one line without its rest


def read_lines(stream: IO[bytes]) -> Iterator[Lines]:
    """Yield the lines of a UTF-8 text in parts. Invalid bytes become surrogates; a line over `MAX_LINE_LENGTH` is cut."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    number, rest = 1, ""
    while chunk := stream.read1(_CHUNK_SIZE):  # type: ignore[attr-defined] # the stream is buffered
        text = rest + decode(chunk)
        # The last line may continue; a CR may be followed by an LF.
        lines = _split(text)
        rest = lines.pop() if lines else ""
        if lines:
            yield Lines(number, lines)
            number += len(lines)
        if len(rest) > MAX_LINE_LENGTH:
            yield Lines(number, [rest[:MAX_LINE_LENGTH]], is_overlong=True)
            number += 1
            rest = _skip_line(stream, decode)
    if lines := _split(rest + decode(b"", final=True)):
        yield Lines(number, lines)


def _split(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()


def _skip_line(stream: IO[bytes], decode: Callable[[bytes], str]) -> str:
    """Read up to the end of the current line and return the text after it."""
    while chunk := stream.read1(_CHUNK_SIZE):  # type: ignore[attr-defined] # the stream is buffered
        lines = _split(decode(chunk))
        if len(lines) > 1 or (lines[:1] and lines[0].endswith(_ENDS)):
            return "".join(lines[1:])
    return ""


def delimiter_hint(line: str) -> str | None:
    """Return the delimiter that a first line such as `sep=;` sets, or None."""
    match = _HINT.fullmatch(line)
    return match[1] if match else None


_EXPORTED: Final = re.compile(r'"?person_id"?([,;\t|])')  # the header of an export, also saved by another program


def detect_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that divides the most lines into the same number of cells, outside quotes."""
    if lines and (exported := _EXPORTED.match(lines[0])):
        return exported[1]
    sample = [line for line in lines[:_SAMPLE_LINES] if line.strip()]
    return max(DELIMITERS, key=lambda delimiter: _rate(sample, delimiter))


def _rate(lines: list[str], delimiter: str) -> tuple[float, int]:
    """Rate a delimiter: the part of the rows that have the most frequent number of cells above 1, and this number."""
    widths = Counter[int]()
    try:
        for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            widths[len(cells)] += 1
    except csv.Error:  # a cell over the limit
        return 0.0, 0
    rows = widths.total()
    del widths[1]
    if not widths:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    return round(count / rows, 1), width


def has_blank_after_delimiter(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether a blank follows each delimiter outside quotes, unless the cell is empty or quoted."""
    if delimiter.isspace():
        return False
    try:
        rows = list(csv.reader(lines[:_SAMPLE_LINES], delimiter=delimiter))
    except csv.Error:  # a cell over the limit
        return False
    cells = [cell for row in rows for cell in row[1:] if cell.strip()]
    return bool(cells) and all(cell.startswith(" ") for cell in cells)
