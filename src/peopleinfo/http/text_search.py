"""The search of a box: `q` in the query of `GET /v1/people` or in the body of `POST /v1/people/search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.responses import CountedPage
from peopleinfo.http.search_params import parse_limit
from peopleinfo.people import strict_json
from peopleinfo.people.person import normalize
from peopleinfo.people.store import first_page
from peopleinfo.people.text_query import Query, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.text_search import SearchResult

PARAMETER: Final = "q"
PARAMETERS: Final = (PARAMETER, "forgiving", "limit", "cursor")
_OF_EXPORT: Final = ("format", "for")  # parameters of an export that a search for a text can have
_BOOLEANS: Final = {"true": True, "false": False}  # in a query


class TextSearch(NamedTuple):
    """A search by the text of a box, and the requested page."""

    text: str
    query: Query
    forgiving: bool
    limit: int
    cursor: str | None

    async def page(self, people: PeopleService, cursors: Cursors, principal: Principal) -> CountedPage:
        """Return the page without the hidden fields of the principal. Raises InvalidCursor, InvalidSearch."""
        fingerprint = strict_json.encode([PARAMETER, self.text, self.forgiving])
        after = cursors.decode(self.cursor, fingerprint, principal.name) if self.cursor else None
        result = await people.search(
            self.query, limit=self.limit, after=after, hidden=principal.hidden_fields, forgiving=self.forgiving
        )
        found, end = _encode(result)
        cursor = cursors.encode(end, fingerprint, principal.name) if end else None
        return CountedPage.of(found, cursor, result.matches, more_exist=result.more_exist)


def _encode(result: SearchResult) -> tuple[list[bytes], bytes | None]:
    """Return the JSON of the first people, up to the size of a page, and the position of the next page."""
    encoded = (strict_json.encode(person.fields | {"found_by": person.found_by}) for person in result.people)
    found = first_page(encoded, len(result.people))
    is_whole = len(found) == len(result.people)
    return found, result.next if is_whole else result.people[len(found) - 1].position


def split_export(params: Any) -> tuple[TextSearch | None, Any]:
    """Split the parameters of an export into the search for a text, if there is one, and the others. Raises InvalidSearch."""
    if not isinstance(params, dict) or PARAMETER not in params:
        return None, params
    if pages := [name for name in ("limit", "cursor") if name in params]:
        raise InvalidSearch([FieldError(name, "is unknown: an export has no pages") for name in pages])
    others = {name: value for name, value in params.items() if name in _OF_EXPORT}
    return parse_text_search({name: value for name, value in params.items() if name not in others}), others


def parse_text_search(params: Mapping[str, Any]) -> TextSearch:
    """Parse a search that has the parameter `q`. Raises InvalidSearch with all errors."""
    errors = [
        FieldError(name, f"cannot be combined with {PARAMETER}: leave out one of them")
        for name in params
        if name not in PARAMETERS
    ]
    text, cursor, forgiving = params[PARAMETER], params.get("cursor"), params.get("forgiving")
    errors += [
        FieldError(name, "must be given once" if isinstance(value, list) else "must be a string")
        for name, value in ((PARAMETER, text), ("cursor", cursor))
        if not (isinstance(value, str) or (value is None and name == "cursor"))
    ]
    is_forgiving = _boolean(forgiving)
    if is_forgiving is None:
        errors.append(FieldError("forgiving", "must be true or false"))
    limit = parse_limit(params.get("limit"), errors)
    if errors or is_forgiving is None:
        raise InvalidSearch(errors)
    text = normalize(text)
    return TextSearch(text, parse(text), is_forgiving, limit, cursor)


def _boolean(value: Any) -> bool | None:
    """Return the value of a parameter or of a JSON field, true by default, or None if it is invalid. JSON numbers have no hash."""
    if value is None or isinstance(value, bool):
        return value is not False
    return _BOOLEANS.get(value) if isinstance(value, str) else None
