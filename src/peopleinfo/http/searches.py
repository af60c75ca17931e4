"""Searches as they come in, from a query or a body, and pages as they go out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.search import Filter, Match, Search

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people import People
    from peopleinfo.store import Page

LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_WHOLE: Final = re.compile(r"\d{1,9}", re.ASCII)
_FILTERS: Final = Search.__struct_fields__
_MEMBERS: Final = (*_FILTERS, "limit", "cursor")


class Asked(NamedTuple):
    """A search with the page that is asked for."""

    where: Filter
    limit: int
    cursor: str | None

    async def page(self, people: People, cursors: Cursors) -> tuple[Page, str | None]:
        """Return the page and the cursor of the next one. Raises InvalidCursor."""
        after = cursors.open(self.cursor, self.where.identity) if self.cursor else None
        page = await people.find(self.where, after=after, limit=self.limit)
        return page, cursors.seal(page.next, self.where.identity) if page.next is not None else None


def read_search(members: Mapping[str, Any]) -> Asked:
    """Read a search from the parameters of a query or the members of a body. Raises InvalidSearch with every reason."""
    errors = _unknown(members, _MEMBERS)
    cursor = _text(members, "cursor", errors)
    limit = _limit(members, errors)
    return Asked(_filter(members, errors), limit, cursor)


def read_filter(members: Mapping[str, Any]) -> Filter:
    """Read a search that has no pages. Raises InvalidSearch with every reason."""
    return _filter(members, _unknown(members, _FILTERS))


def _unknown(members: Mapping[str, Any], known: tuple[str, ...]) -> list[FieldError]:
    if not isinstance(members, dict):
        raise InvalidSearch([FieldError("", "must be a JSON object")])
    return [
        FieldError(name, f"is not known here; known are {', '.join(known)}") for name in members if name not in known
    ]


def _filter(members: Mapping[str, Any], errors: list[FieldError]) -> Filter:
    texts = {name: _text(members, name, errors) for name in _FILTERS}
    match = texts.pop("match") or "folded"
    if match not in get_args(Match):
        errors.append(FieldError("match", f"is one of {', '.join(get_args(Match))}"))
    try:
        where = Filter(Search(**texts, match="exact" if match == "exact" else "folded"))
    except InvalidSearch as refused:
        raise InvalidSearch([*errors, *refused.errors]) from None
    if errors:
        raise InvalidSearch(errors)
    return where


def _text(members: Mapping[str, Any], name: str, errors: list[FieldError]) -> str | None:
    value = members.get(name)
    if value is None or isinstance(value, str):
        return value
    errors.append(FieldError(name, "is given more than once" if isinstance(value, list) else "must be a string"))
    return None


def _limit(members: Mapping[str, Any], errors: list[FieldError]) -> int:
    value = members.get("limit")
    if value is None:
        return LIMIT
    digits = bytes(value).decode() if isinstance(value, msgspec.Raw) else value
    if isinstance(digits, str) and _WHOLE.fullmatch(digits) and 1 <= int(digits) <= MAX_LIMIT:
        return int(digits)
    errors.append(FieldError("limit", f"must be a whole number from 1 to {MAX_LIMIT}"))
    return LIMIT
