"""What an import would store of the first rows of an input."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from peopleinfo.bulk.row_validation import validate
from peopleinfo.bulk.rows import Row, RowResult, SkippedRow
from peopleinfo.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from peopleinfo.formats.reader import Input
    from peopleinfo.people.person import PersonData

PREVIEW_ROWS: Final = 20
_EXAMPLES: Final = 3
_MAX_EXAMPLE_LENGTH: Final = 100  # characters
_MAX_SKIPPED: Final = 1_000


def columns(source: Input) -> list[tuple[str, str, list[str]]]:
    """Return the name of each column, the field that it gives, and its first values."""
    found = source.columns
    fields = {name: field for field, names in reversed(found.sources.items()) for name in names}
    return [
        (name, fields.get(name, name), _examples(cells[index] for cells in source.sample if index < len(cells)))
        for index, name in enumerate(found.names)
    ]


def preview_rows(source: Input, today: date) -> Iterator[tuple[RowResult, PersonData | None]]:
    """Yield the results that the first rows would have, with the person, until `PREVIEW_ROWS` of them are not skipped."""
    left = PREVIEW_ROWS
    for row in itertools.islice(_readable(source.rows), PREVIEW_ROWS + _MAX_SKIPPED):
        if isinstance(row.data, SkippedRow):
            yield RowResult(row, "skipped", None, (row.data.error,)), None
            continue
        person, errors = validate(row, today)
        yield RowResult(row, "rejected" if person is None else "stored", None, errors), person
        left -= 1
        if not left:
            return


def _readable(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows up to an error after the first one: a preview often ends within a row."""
    is_first = True
    try:
        for row in rows:
            is_first = False
            yield row
    except InvalidInput:
        if is_first:
            raise


def _examples(values: Iterable[str]) -> list[str]:
    texts = dict.fromkeys(value[:_MAX_EXAMPLE_LENGTH] for value in values if value.strip())
    return list(itertools.islice(texts, _EXAMPLES))
