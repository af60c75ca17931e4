"""Parsing of search parameters from a query or a body, and pagination."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.formats.export_formats import FORMATS
from peopleinfo.people.people_list import SORT_BY_NAME, SORT_PARAMETERS
from peopleinfo.people.person_filter import Match, PersonFilter, Search

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.auth.principal import Principal
    from peopleinfo.formats.export_formats import ExportFormat
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.people_list import PeopleList
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import CacheStatus, Page

LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_VERSION: Final = 999_999_999
MAX_IDS: Final = 10_000  # ids of an export
PERSON_IDS: Final = "person_ids"
SORT: Final = "sort"
_CACHED_LENGTH: Final = 500  # characters; longer queries are not cached
_WHOLE_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_FILTERS: Final = Search.__struct_fields__
SEARCH_PARAMETERS: Final = (*_FILTERS, SORT, "limit", "cursor")
_MATCHES: Final = get_args(Match)
ExportProgram = Literal["excel"]


class SearchRequest(NamedTuple):
    """A search and the requested page."""

    where: PersonFilter
    limit: int
    cursor: str | None
    sort: str | None = None

    async def page(
        self, people: PeopleService, cursors: Cursors, principal: Principal, *, fresh: bool
    ) -> tuple[Page, str | None, CacheStatus | None]:
        """Return the page without the hidden fields of the principal, the cursor of the next page and the cache status.

        The cursor is valid for this principal only. Raises InvalidCursor.
        """
        position = cursors.decode(self.cursor, self.where.fingerprint, principal.name) if self.cursor else None
        page, status = await people.find_cached(
            self.where, after=position, limit=self.limit, fresh=fresh, hidden=principal.hidden_fields
        )
        if page.next is None:
            return page, None, status
        return page, cursors.encode(page.next, self.where.fingerprint, principal.name), status

    async def sorted_page(self, people: PeopleList, cursors: Cursors, principal: Principal) -> tuple[Page, str | None]:
        """Return the page in the requested order, and the cursor of the next page, like `page`. Raises InvalidCursor, InvalidSearch."""
        fingerprint = b"%b %b" % ((self.sort or "").encode(), self.where.fingerprint)
        position = cursors.decode(self.cursor, fingerprint, principal.name) if self.cursor else None
        page = await people.page(
            self.where,
            after=position,
            limit=self.limit,
            hidden=principal.hidden_fields,
            sort=self.sort or SORT_BY_NAME,
        )
        return page, cursors.encode(page.next, fingerprint, principal.name) if page.next else None


def parse_query(text: str, params: Mapping[str, Any]) -> SearchRequest:
    """Parse the text and the parameters of a query. Raises InvalidSearch with all errors.

    Short queries are cached, because parsing a repeated query costs more than reading the result from memory.
    """
    if len(text) > _CACHED_LENGTH or list in map(type, params.values()):  # a list: a repeated parameter
        return parse_search(params)
    return _parse_cached(tuple(params.items()))


@lru_cache(maxsize=2_000)  # at most 10 MiB
def _parse_cached(params: tuple[tuple[str, str], ...]) -> SearchRequest:
    return parse_search(dict(params))


def parse_search(params: Mapping[str, Any]) -> SearchRequest:
    """Parse a search from query parameters or the fields of a body. Raises InvalidSearch with all errors."""
    filters, page, errors = _split_params(params, SEARCH_PARAMETERS)
    limit, sort = parse_limit(page.get("limit"), errors), page.get(SORT)
    if sort not in (None, *SORT_PARAMETERS):
        errors.append(FieldError(SORT, f"must be one of {', '.join(SORT_PARAMETERS)}"))
    return SearchRequest(_filter(filters, errors), limit, page.get("cursor"), sort)


def parse_filters(params: Mapping[str, Any]) -> PersonFilter:
    """Parse filters from query parameters or the fields of a body. Raises InvalidSearch with all errors."""
    filters, _, errors = _split_params(params, _FILTERS)
    return _filter(filters, errors)


class ExportRequest(NamedTuple):
    """The filter of an export or the ids of its records, its format, and whether it is CSV for Excel."""

    where: PersonFilter
    person_ids: list[str] | None
    format: ExportFormat | None
    for_excel: bool


def parse_export(params: Mapping[str, Any]) -> ExportRequest:
    """Parse the filters and the format of an export. Raises InvalidSearch with all errors."""
    filters, others, errors = _split_params(params, (*_FILTERS, "format", "for", PERSON_IDS))
    form, program = others.get("format"), others.get("for")
    if form not in (None, *FORMATS):
        errors.append(FieldError("format", f"must be one of {', '.join(FORMATS)}"))
    if program is not None and (program not in get_args(ExportProgram) or form not in (None, "csv")):
        errors.append(FieldError("for", "must be excel, and the format CSV"))
    person_ids = others.get(PERSON_IDS)
    if person_ids is not None:
        errors += _id_errors(person_ids, filters)
    return ExportRequest(_filter(filters, errors), person_ids, "csv" if program else form, program is not None)


def _id_errors(person_ids: Any, filters: Mapping[str, str]) -> list[FieldError]:
    is_list = isinstance(person_ids, list) and all(isinstance(person_id, str) for person_id in person_ids)
    if not is_list or not 1 <= len(person_ids) <= MAX_IDS:
        return [FieldError(PERSON_IDS, f"must be a list of 1 to {MAX_IDS:,} ids")]
    return [FieldError(name, f"cannot be combined with {PERSON_IDS}: leave out one of them") for name in filters]


def _split_params(
    params: Mapping[str, Any], known: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, Any], list[FieldError]]:
    """Split parameters into filters, other parameters and errors."""
    if not isinstance(params, dict):
        raise InvalidSearch([FieldError("", "must be a JSON object")])
    filters: dict[str, str] = {}
    others: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in params.items():
        if name not in known:
            errors.append(FieldError(name, f"is unknown; known parameters are {', '.join(known)}"))
        elif name == PERSON_IDS:
            others[name] = value
        elif isinstance(value, list):
            errors.append(FieldError(name, "must be given once"))
        elif name == "limit":
            others[name] = value
        elif value is not None and not isinstance(value, str):
            errors.append(FieldError(name, "must be a string"))
        elif value is not None:
            (filters if name in _FILTERS else others)[name] = value
    return filters, others, errors


def _filter(filters: dict[str, str], errors: list[FieldError]) -> PersonFilter:
    match = filters.pop("match", "folded")
    if match not in _MATCHES:
        errors.append(FieldError("match", f"must be one of {', '.join(_MATCHES)}"))
    try:
        where = PersonFilter(Search(**filters, match="exact" if match == "exact" else "folded"))
    except InvalidSearch as error:
        raise InvalidSearch([*errors, *error.errors]) from None
    if errors:
        raise InvalidSearch(errors)
    return where


def parse_limit(value: Any, errors: list[FieldError]) -> int:
    """Return the limit of a page; append an error if it is invalid."""
    return LIMIT if value is None else parse_number("limit", value, 1, MAX_LIMIT, errors)


def parse_page(params: Mapping[str, Any]) -> tuple[int, str | None]:
    """Return the limit and the cursor of a page. Raises InvalidSearch."""
    errors: list[FieldError] = []
    limit = parse_limit(params.get("limit"), errors)
    if errors:
        raise InvalidSearch(errors)
    return limit, params.get("cursor")


def parse_number(name: str, value: Any, low: int, high: int, errors: list[FieldError]) -> int:
    """Return a whole number from `low` to `high`, the value of a query parameter or of a JSON field; append an error if it is invalid."""
    digits = bytes(value).decode() if isinstance(value, msgspec.Raw) else value
    if isinstance(digits, str) and _WHOLE_NUMBER.fullmatch(digits) and low <= int(digits) <= high:
        return int(digits)
    errors.append(FieldError(name, f"must be a whole number from {low} to {high}"))
    return low
