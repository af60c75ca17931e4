"""Filters by identifiers: `?email=…` and the other names in PEOPLEINFO_IDENTIFIERS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldAccessDenied, FieldError, InvalidSearch
from peopleinfo.http.responses import CountedPage
from peopleinfo.http.search_params import SEARCH_PARAMETERS, SORT, parse_search
from peopleinfo.http.text_search import PARAMETERS as TEXT_PARAMETERS
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_search, is_hidden
from peopleinfo.people.identifiers import keys_of
from peopleinfo.people.people_list import SORT_BY_NAME, Count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.http.search_params import SearchRequest
    from peopleinfo.people.identifier_search import IdentifiedPeople
    from peopleinfo.people.service import PeopleService

# Parameters of a search that take precedence over a custom field with the same name.
_RESERVED: Final = frozenset((*SEARCH_PARAMETERS, *TEXT_PARAMETERS))
_MAX_LENGTH: Final = 256  # characters of a value


class IdentifierFilters:
    """The searches by identifiers that a store with an index answers."""

    def __init__(self, people: PeopleService) -> None:
        self._people = people
        self._names = frozenset(people.identifiers) - _RESERVED

    def are_in(self, params: Any) -> bool:
        """Return whether parameters contain the name of an identifier."""
        return isinstance(params, dict) and not self._names.isdisjoint(params)

    async def page(self, params: Mapping[str, Any], cursors: Cursors, principal: Principal) -> CountedPage:
        """Return a page of the matching people. Raises InvalidSearch, InvalidCursor, FieldAccessDenied."""
        values, search = self._parse(params, principal)
        if search.sort not in (None, SORT_BY_NAME):
            raise InvalidSearch([FieldError(SORT, f"must be {SORT_BY_NAME} with an identifier")])
        fingerprint = strict_json.encode([sorted(values.items()), search.where.fingerprint.decode()])
        after = cursors.decode(search.cursor, fingerprint, principal.name) if search.cursor else None
        found = await self._find(values, search, principal)
        people, end = found.page(after, search.limit)
        cursor = cursors.encode(end, fingerprint, principal.name) if end else None
        return CountedPage.of(people, cursor, len(found.people), more_exist=found.more_exist)

    async def count(self, params: Mapping[str, Any], principal: Principal) -> Count:
        """Return the number of matching people. Raises InvalidSearch, FieldAccessDenied."""
        values, search = self._parse(params, principal)
        if pages := [
            FieldError(name, "is unknown: a count has no pages") for name in ("limit", "cursor", SORT) if name in params
        ]:
            raise InvalidSearch(pages)
        found = await self._find(values, search, principal)
        return Count(len(found.people), is_exact=not found.more_exist)

    async def _find(self, values: Mapping[str, str], search: SearchRequest, principal: Principal) -> IdentifiedPeople:
        return await self._people.find_identified(values, search.where, principal.hidden_fields)

    def _parse(self, params: Mapping[str, Any], principal: Principal) -> tuple[dict[str, str], SearchRequest]:
        values = {name: value for name, value in params.items() if name in self._names}
        errors = [FieldError(name, reason) for name, value in values.items() if (reason := _problem(name, value))]
        if errors:
            raise InvalidSearch(errors)
        if hidden := principal.hidden_fields:
            check_search(params, hidden)
            if denied := [name for name in values if is_hidden(name, hidden)]:
                raise FieldAccessDenied(sorted(denied))
        return values, parse_search({name: value for name, value in params.items() if name not in values})


def _problem(name: str, value: Any) -> str | None:
    if isinstance(value, list):
        return "must be given once"
    if not isinstance(value, str):
        return "must be a string"
    if len(value) > _MAX_LENGTH:
        return f"must not be longer than {_MAX_LENGTH} characters"
    return None if keys_of(name, value) else "must contain a letter or a digit"
