"""The search of a box: `q` in the query of `GET /v1/people` or in the body of `POST /v1/people/search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import FieldError, InvalidSearch
from peopleinfo.http.search_params import LIMIT, parse_limit
from peopleinfo.people import strict_json
from peopleinfo.people.person import normalize
from peopleinfo.people.query import Query, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.service import PeopleService

PARAMETER: Final = "q"
_KNOWN: Final = (PARAMETER, "forgiving", "limit", "cursor")
_BOOLEANS: Final = {"true": True, "false": False, True: True, False: False, None: True}


class TextPage(NamedTuple):
    """The people of a page as JSON, and the JSON of the whole response."""

    people: list[bytes]
    body: bytes


class TextSearch(NamedTuple):
    """A search by the text of a box, and the requested page."""

    text: str
    query: Query
    forgiving: bool
    limit: int
    cursor: str | None

    async def page(self, people: PeopleService, cursors: Cursors, principal: Principal) -> TextPage:
        """Return the page without the hidden fields of the principal. Raises InvalidCursor, InvalidSearch."""
        fingerprint = strict_json.encode([PARAMETER, self.text, self.forgiving])
        after = cursors.decode(self.cursor, fingerprint, principal.name) if self.cursor else None
        result = await people.search(
            self.query, limit=self.limit, after=after, hidden=principal.hidden_fields, forgiving=self.forgiving
        )
        found = [strict_json.encode(person.fields | {"found_by": person.found_by}) for person in result.people]
        cursor = cursors.encode(result.next, fingerprint, principal.name) if result.next else None
        more_exist = strict_json.encode(result.more_exist)
        return TextPage(
            found,
            b'{"people":[%b],"next_cursor":%b,"count":%d,"more_exist":%b}'
            % (b",".join(found), strict_json.encode(cursor), result.matches, more_exist),
        )


def parse_text_search(params: Mapping[str, Any]) -> TextSearch:
    """Parse a search that has the parameter `q`. Raises InvalidSearch with all errors."""
    errors = [
        FieldError(name, f"cannot be combined with {PARAMETER}: leave out one of them")
        for name in params
        if name not in _KNOWN
    ]
    text, cursor, forgiving = params[PARAMETER], params.get("cursor"), params.get("forgiving")
    errors += [
        FieldError(name, "must be given once" if isinstance(value, list) else "must be a string")
        for name, value in ((PARAMETER, text), ("cursor", cursor))
        if not (isinstance(value, str) or (value is None and name == "cursor"))
    ]
    if isinstance(forgiving, list | dict) or forgiving not in _BOOLEANS:
        errors.append(FieldError("forgiving", "must be true or false"))
    limit = parse_limit(params["limit"], errors) if "limit" in params else LIMIT
    if errors:
        raise InvalidSearch(errors)
    text = normalize(text)
    return TextSearch(text, parse(text), _BOOLEANS[forgiving], limit, cursor)
