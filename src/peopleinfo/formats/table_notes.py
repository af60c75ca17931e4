"""Rows of a table that describe no person: separators, totals, and notes below the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from peopleinfo.bulk.rows import InvalidRow, SkippedRow
from peopleinfo.formats.headings import is_heading

if TYPE_CHECKING:
    from collections.abc import Sequence

SEPARATORS: Final = "-=_+|:*~.#"
_SEPARATOR_ROW: Final = re.compile(rf"[\s{re.escape(SEPARATORS)}]+")
_NUMBER: Final = re.compile(r"[-+(]?[^\w\s]?\s?\d[\d.,' \u00a0\u202f%]*\)?\s?(?:[^\w\s]|[A-Z]{3})?")
_COUNT: Final = re.compile(
    r"\(?\d[\d.,]*\s+(?:rows?|records?|lines?|entries|people|members|Zeilen?|Datensätze|Mitglieder|lignes?|filas?|righe|linhas?|rijen)"
    r"\b[^:]*\)?",
    re.IGNORECASE,
)
_TOTAL: Final = re.compile(
    r"(?:grand |sub-?)?totals?|sums?|count|(?:gesamt|zwischen)?summe|gesamt|insgesamt|anzahl|total général|sous-total|somme|totale|"
    r"subtotale|somma|suma|subtotaal|totaal|aantal|antal|yhteensä|summa|razem|łącznie|celkem|összesen|ukupno|skupaj|всего|итого|разом|"
    r"σύνολο|toplam|المجموع|סה\"כ|合计|总计|合計|総計|小計|합계|총계",
    re.IGNORECASE,
)
_PAGE: Final = re.compile(
    r"-*\s*(?:page|seite|página|pagina|pág\.?|side|sida|sivu|strona|strana|stranica|oldal|страница|сторінка|стр\.|σελίδα|sayfa)\s*:?\s*"
    r"\d+(?:\s*(?:/|of|von|de|sur|di|van|av|z|из)\s*\d+)?\s*-*",
    re.IGNORECASE,
)
# The start of a note, a colon, a year, or a sentence.
_NOTE: Final = re.compile(r"[#(\[<†‡©•]|\*+\s|\d|.*(?::|\b\d{4}\b)|(?:\S+\s+){4}")


def no_person(cells: Sequence[str], width: int) -> SkippedRow | InvalidRow | None:
    """Return the reason why the cells of a row describe no person, or None. `width` is the number of columns."""
    texts = [text for cell in cells if (text := cell.strip())]
    if all(map(_SEPARATOR_ROW.fullmatch, texts)):
        return SkippedRow("the row separates other rows")
    first, *others = texts
    if _TOTAL.fullmatch(first.rstrip(" :=.")) and all(map(_NUMBER.fullmatch, others)):
        return SkippedRow("the row is a total")
    if len(others) <= 1 and is_heading(first):
        return InvalidRow("looks like a heading, not a person: a table needs one row with all headings")
    return None if others or width == 1 else _note(first)


def _note(text: str) -> SkippedRow | InvalidRow | None:
    """Return the reason why the only text of a row is no name, or None."""
    if _COUNT.fullmatch(text) or _PAGE.fullmatch(text):
        return SkippedRow("the row states the number of rows or of a page")
    if _NOTE.match(text):
        return InvalidRow(
            "looks like a note, not a person: it has text in one cell only. Remove the row, or fill in another cell"
        )
    return None
