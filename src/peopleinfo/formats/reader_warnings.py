"""Warnings about guesses: the encoding, columns and dates that the reader detected in an input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from peopleinfo.formats.encodings import UTF8

if TYPE_CHECKING:
    from collections.abc import Callable

    from peopleinfo.formats.reader import Input


_EXAMINED_ROWS: Final = 200
_ENCODED_TWICE: Final = re.compile(
    "[Ã\u00c2\u00c4\u00c5\u00d0\u00d1][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u2013-\u203a\u20ac\u2122]|\u00e2\u20ac"
)
_ENTITY: Final = re.compile(
    r"&(?:#\d{2,5}|#x[0-9a-f]{2,5}|[a-z]{1,2}(?:uml|acute|grave|circ|tilde|cedil|ring|slash|caron)|szlig|apos|quot|amp);",
    re.IGNORECASE,
)
_SWAPPED: Final = str.maketrans("dm", "md")


def warnings(source: Input, option: Callable[[str, str], str]) -> list[str]:
    """Return the problem and the guesses of an input, each with the option that replaces it. `option` formats an option of the interface."""
    problem = [source.problem.safe_message] if source.problem else []
    is_card = source.format == "vcard"
    one, several = ("card", "cards") if is_card else ("entry", "entries")
    reason = "a record holds no binary data" + ("" if is_card else " and no passwords")
    omitted = [
        f"{name} of {count:,} {one if count == 1 else several} is not stored: {reason}"
        for name, count in source.omitted.items()
    ]
    guesses = [
        *_encoding(source, option),
        *_letters(source, option),
        *_names(source, option),
        *_birthdates(source, option),
    ]
    return [*problem, *_sheets(source, option), *guesses, *omitted]


def _sheets(source: Input, option: Callable[[str, str], str]) -> list[str]:
    if not source.other_sheets:
        return []
    others = ", ".join(map(repr, source.other_sheets))
    verb = "is" if len(source.other_sheets) == 1 else "are"
    return [f"only the sheet {source.sheet!r} is read; {others} {verb} not: set {option('sheet', 'NAME')} for another"]


def _encoding(source: Input, option: Callable[[str, str], str]) -> list[str]:
    if probable := source.probable_encoding:
        return [f"the input is not valid UTF-8 and may be {probable}: set {option('encoding', probable)}"]
    if source.is_encoding_guessed:
        other = option("encoding", UTF8)
        return [f"the encoding was guessed from the letters: {source.encoding}; set another one like {other}"]
    return []


def _letters(source: Input, option: Callable[[str, str], str]) -> list[str]:
    """Warn of letters that an earlier conversion has damaged."""
    text = "\n".join("\n".join(cells) for cells in source.sample[:_EXAMINED_ROWS])
    if len(_ENCODED_TWICE.findall(text)) > 1:
        return [f"letters such as Ã¼ for ü: the text was encoded twice, or {option('encoding', UTF8)} is missing"]
    if _ENTITY.search(text):
        return [
            "letters such as &uuml; for ü: another program has written the text for a web page; export it again as plain text"
        ]
    if "\ufffd" in text:
        return [
            "the text contains the character U+FFFD, with which another program has replaced letters: export the file again as UTF-8"
        ]
    return []


def _names(source: Input, option: Callable[[str, str], str]) -> list[str]:
    if not source.columns.is_divided or source.columns.whole is None:
        return []
    column = source.columns.names[source.columns.whole]
    keep = option("map", f"person_name={column}")
    return [f"{column!r} has whole names, which were divided into given names and surname; {keep} keeps them whole"]


def _birthdates(source: Input, option: Callable[[str, str], str]) -> list[str]:
    if source.date_choices:
        choices = " or ".join(option("date_format", choice) for choice in source.date_choices)
        return [f"birthdates can be read as more than one day: set {choices}"]
    if source.dates and source.dates.column.is_assumed:
        found = ", ".join(source.date_formats)
        other = option("date_format", source.date_formats[0].translate(_SWAPPED))
        return [
            f"the order of day and month was guessed from the language of the heading: {found}; set {other} if the month is first"
        ]
    guessed = [text for text in source.date_formats if text != "%Y-%m-%d"]
    if source.is_date_format_guessed and guessed:
        return [f"the format of birthdates was guessed from the column: {', '.join(guessed)}"]
    return []
