"""The lines of a CSV text: line ends of any kind, limited length, and the delimiter."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from peopleinfo.formats import headings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_LINE_LENGTH: Final = 1024 * 1024  # characters of a line and of a row; bounds the memory
_CHUNK_SIZE: Final = 256 * 1024  # bytes
_SAMPLE_LINES: Final = 200
_HINT: Final = re.compile(r'"?sep="?(.)"?[\t,;| ]*\r?\n?', re.IGNORECASE | re.DOTALL)
_ENDS: Final = ("\n", "\r")
_END_OF_FILE: Final = "\x1a"  # of MS-DOS
_RARE_DELIMITERS: Final = ("^", "~", ":", "\u00a6", "\x01", "\x1f")  # need a header with known names
_HEADER_LINES: Final = 20  # the header is one of the first lines with text
_QUOTED_HEADERS: Final = {  # quotes of a header, with the translation to double quotes and back
    re.compile(r"\s*'[^']*'(?:[^'\w]'[^']*')+\s*"): (str.maketrans("'\"", "\"'"), str.maketrans("'\"", "\"'")),
    re.compile(r"\s*“[^”]*”(?:[^“\w]“[^”]*”)+\s*"): (str.maketrans('“”"', '""“'), str.maketrans("“", '"')),
}
_ONE_CELL: Final = re.compile(r'\s*"(?:[^"]|"")*"\s*')


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
        if "\ufeff" in text:
            lines = [line.removeprefix("\ufeff") for line in lines]
        rest = lines.pop() if lines else ""
        if lines:
            yield Lines(number, lines)
            number += len(lines)
        if len(rest) > MAX_LINE_LENGTH:
            yield Lines(number, [rest[:MAX_LINE_LENGTH]], is_overlong=True)
            number += 1
            rest = _skip_line(stream, decode)
    if lines := _split((rest + decode(b"", final=True)).removesuffix(_END_OF_FILE)):
        yield Lines(number, lines)


def first_lines(parts: Iterator[Lines]) -> tuple[Lines, Iterator[Lines]]:
    """Return the first lines, enough to examine them, and the others. The last line of a short text is in a part of its own."""
    first = next(parts, Lines(1, []))
    while not first.is_overlong and len(first.lines) < _SAMPLE_LINES and (more := next(parts, None)):
        if more.is_overlong:
            return first, itertools.chain([more], parts)
        first = first._replace(lines=first.lines + more.lines)
    return first, parts


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
    """Return the delimiter that gives a header the most known names, then the most lines the same number of cells, outside quotes."""
    if lines and (exported := _EXPORTED.match(lines[0])):
        return exported[1]
    sample = [line for line in lines[:_SAMPLE_LINES] if line.strip()]
    known = {delimiter: _count_known(sample, delimiter) for delimiter in (*DELIMITERS, *_RARE_DELIMITERS)}
    usable = [*DELIMITERS, *(delimiter for delimiter in _RARE_DELIMITERS if known[delimiter] > 1)]
    return max(usable, key=lambda one: (known[one], one in DELIMITERS, _rate(sample, one)))


def _count_known(lines: list[str], delimiter: str) -> int:
    """Return how many known headings a delimiter gives the first line, or another line that has several.

    A heading of whole names counts twice: a wrong delimiter may divide it.
    """
    counts = [
        sum(_weight(headings.role(cell.strip('"'))) for cell in line.split(delimiter)) if delimiter in line else 0
        for line in lines[:_HEADER_LINES]
    ]
    return max([*counts[:1], *(count for count in counts if count > 1)], default=0)


def _weight(role: headings.Role | None) -> int:
    if role is None or role.name in ("day", "month", "year"):
        return 0
    return 2 if role.name.startswith("whole") else 1


def quote_translation(lines: Sequence[str]) -> tuple[dict[int, int], dict[int, int]] | None:
    """Return translations from the quotes of a header to double quotes, and back; None for a header with other quotes."""
    header = next((line for line in lines if line.strip()), "")
    return next((both for pattern, both in _QUOTED_HEADERS.items() if pattern.fullmatch(header)), None)


def unwrapped(lines: Sequence[str]) -> list[str] | None:
    """Return the lines of a table in which each row is one quoted cell, as a program writes that took each line for a cell; else None."""
    sample = [line for line in lines[:_SAMPLE_LINES] if line.strip()]
    if not all(map(_ONE_CELL.fullmatch, sample[1:])) or len(sample) < 2:  # noqa: PLR2004
        return None
    inner = [line.strip()[1:-1].replace('""', '"') if _ONE_CELL.fullmatch(line) else line for line in sample]
    widths = {len(cells) for cells in csv.reader(inner, delimiter=detect_delimiter(inner))}
    return inner if len(widths) == 1 and widths != {1} else None


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
