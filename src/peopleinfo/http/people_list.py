"""The number of people, and the first letters of their surnames: /v1/people/count and /v1/people/letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peopleinfo.http.bodies import read_json
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import parse_filters
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_search
from peopleinfo.people.people_list import SORT_BY_NAME, SORT_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.identifier_filters import IdentifierFilters
    from peopleinfo.people.people_list import PeopleList


class CountResource:
    """/v1/people/count: the number of people that match the filters of a search."""

    def __init__(self, people: PeopleList, identifiers: IdentifierFilters, *, body_timeout: float) -> None:
        self._people = people
        self._identifiers = identifiers
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response) -> None:
        """Count by the query parameters."""
        await self._count(req.params, req, resp)

    async def on_post(self, req: Request, resp: Response) -> None:
        """Count by the fields of the body, which keeps names out of URLs and logs."""
        await self._count(await read_json(req, seconds=self._body_timeout), req, resp)

    async def _count(self, params: Mapping[str, Any], req: Request, resp: Response) -> None:
        principal = req.context.principal
        if self._identifiers.are_in(params):
            found = await self._identifiers.count(params, principal)
        else:
            where = parse_filters(params)
            if hidden := principal.hidden_fields:
                check_search(params, hidden)
            found = await self._people.count(where)
        resp.data = strict_json.encode({"count": found.people, "exact": found.is_exact})
        set_private(resp)

    on_head = on_get


class LettersResource:
    """/v1/people/letters: the first letters of the surnames."""

    def __init__(self, people: PeopleList) -> None:
        self._people = people

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return the letters from A to Z with which a surname starts."""
        if hidden := req.context.principal.hidden_fields:
            check_search(SORT_PARAMETERS[SORT_BY_NAME], hidden)
        letters = [letter.upper() for letter in await self._people.letters()]
        resp.data = strict_json.encode({"letters": letters})
        set_private(resp)

    on_head = on_get
