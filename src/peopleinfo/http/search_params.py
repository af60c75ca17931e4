"""Searches as they come in, from a query or a body, and pages as they go out."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.people.search import Match, PersonFilter, Search

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import Page, ReadOptions

LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_SHORT: Final = 500  # characters of a query
_WHOLE: Final = re.compile(r"\d{1,9}", re.ASCII)
_FILTERS: Final = Search.__struct_fields__
_MATCHES: Final = get_args(Match)
Form = Literal["ndjson", "csv"]  # of an export
_FORMS: Final = get_args(Form)


class SearchRequest(NamedTuple):
    """A search with the page that is asked for."""

    where: PersonFilter
    limit: int
    cursor: str | None

    async def page(
        self, people: PeopleService, cursors: Cursors, reading: ReadOptions, principal: Principal
    ) -> tuple[Page, str | None]:
        """Return the page as this principal sees it, and the cursor of the next one, which is valid for it alone. Raises InvalidCursor."""
        after = cursors.decode(self.cursor, self.where.fingerprint, principal.name) if self.cursor else None
        page = await people.find(
            self.where, after=after, limit=self.limit, options=reading, hidden=principal.hidden_fields
        )
        return page, cursors.encode(
            page.next, self.where.fingerprint, principal.name
        ) if page.next is not None else None


def read_query(text: str, members: Mapping[str, Any]) -> SearchRequest:
    """Read a search from a query: its text and its parameters. Raises InvalidSearch with every reason.

    Many look for the same in the same words, and to read those costs more than to find the answer in memory: so short ones are remembered.
    """
    if len(text) > _SHORT or list in map(type, members.values()):  # a list: given more than once
        return parse_search(members)
    return _remembered(tuple(members.items()))


@lru_cache(maxsize=2_000)  # at most 10 MiB
def _remembered(members: tuple[tuple[str, str], ...]) -> SearchRequest:
    return parse_search(dict(members))


def parse_search(members: Mapping[str, Any]) -> SearchRequest:
    """Read a search from the parameters of a query or the members of a body. Raises InvalidSearch with every reason."""
    filters, page, errors = _split_params(members, (*_FILTERS, "limit", "cursor"))
    limit = _limit(page["limit"], errors) if "limit" in page else LIMIT
    return SearchRequest(_filter(filters, errors), limit, page.get("cursor"))


def read_export(members: Mapping[str, Any]) -> tuple[PersonFilter, str | None]:
    """Read a search that has no pages, and the form it is to be answered in. Raises InvalidSearch with every reason."""
    filters, rest, errors = _split_params(members, (*_FILTERS, "format"))
    form = rest.get("format")
    if form not in (None, *_FORMS):
        errors.append(FieldError("format", f"is one of {', '.join(_FORMS)}"))
    return _filter(filters, errors), form


def _split_params(
    members: Mapping[str, Any], known: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, Any], list[FieldError]]:
    """Divide what was given into filters and the rest, and say what cannot be used."""
    if not isinstance(members, dict):
        raise InvalidSearch([FieldError("", "must be a JSON object")])
    filters: dict[str, str] = {}
    rest: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in members.items():
        if name not in known:
            errors.append(FieldError(name, f"is not known here; known are {', '.join(known)}"))
        elif isinstance(value, list):
            errors.append(FieldError(name, "is given more than once"))
        elif name == "limit":
            rest[name] = value
        elif value is not None and not isinstance(value, str):
            errors.append(FieldError(name, "must be a string"))
        elif value is not None:
            (filters if name in _FILTERS else rest)[name] = value
    return filters, rest, errors


def _filter(filters: dict[str, str], errors: list[FieldError]) -> PersonFilter:
    match = filters.pop("match", "folded")
    if match not in _MATCHES:
        errors.append(FieldError("match", f"is one of {', '.join(_MATCHES)}"))
    try:
        where = PersonFilter(Search(**filters, match="exact" if match == "exact" else "folded"))
    except InvalidSearch as refused:
        raise InvalidSearch([*errors, *refused.errors]) from None
    if errors:
        raise InvalidSearch(errors)
    return where


def _limit(value: Any, errors: list[FieldError]) -> int:
    if value is None:
        return LIMIT
    digits = bytes(value).decode() if isinstance(value, msgspec.Raw) else value
    if isinstance(digits, str) and _WHOLE.fullmatch(digits) and 1 <= int(digits) <= MAX_LIMIT:
        return int(digits)
    errors.append(FieldError("limit", f"must be a whole number from 1 to {MAX_LIMIT}"))
    return LIMIT
