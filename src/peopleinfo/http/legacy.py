"""The legacy API at /data, compatible with the service that PeopleInfo replaces."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.errors import FieldError, InvalidCursor
from peopleinfo.http import problems
from peopleinfo.http.bodies import read_body
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.request_headers import is_fresh
from peopleinfo.http.responses import set_cache_status, set_private
from peopleinfo.http.search_params import parse_search
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_new, check_search
from peopleinfo.people.person import missing_fields, normalize

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.service import PeopleService


class DataResource:
    """/data: create a person and list the people with a surname."""

    def __init__(self, people: PeopleService, cursors: Cursors, *, body_timeout: float) -> None:
        self._people = people
        self._cursors = cursors
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Create a person and return the submitted body unchanged."""
        body = (await read_body(req, seconds=self._body_timeout)).removeprefix(codecs.BOM_UTF8)
        data = strict_json.parse(body)
        if missing := missing_fields(data):
            reasons = tuple(FieldError(f"/{name}", "is required and must be a non-empty string") for name in missing)
            problems.respond(req, resp, _MISSING, "Missing required fields", reasons)
            return
        if hidden := req.context.principal.hidden_fields:
            check_new(data, hidden, self._people.unique_identifiers)
        if trail := audit_of(req):
            trail.record_intent(data)
        record = await self._people.create_legacy(data, principal=req.context.principal.name)
        if trail:
            trail.set_people([record.body])
        resp.set_header("Location", f"/v1/people/{record.person_id}")
        resp.data = body

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return a JSON array of the people with a surname, oldest first."""
        surname, limit, cursor = (req.params.get(name) for name in ("person_surname", "limit", "cursor"))
        principal = req.context.principal.name
        resumed = self._decode_cursor(cursor, surname, principal) if cursor is not None else None
        surname, limit = (resumed.surname, limit or resumed.limit) if resumed else (surname, limit)
        if not isinstance(surname, str) or not normalize(surname):
            problems.respond(req, resp, _NO_SURNAME, "person_surname query parameter is required")
            return
        search = parse_search({"surname": surname, "limit": limit})
        if hidden := req.context.principal.hidden_fields:
            check_search(["surname"], hidden)
        RESPONSES.require_room()
        position = resumed.position if resumed else None
        page, status = await self._people.find_cached(
            search.where, after=position, limit=search.limit, fresh=is_fresh(req), hidden=hidden
        )
        if status is not None:
            set_cache_status(req, resp, status)
        if trail := audit_of(req):
            trail.set_people(page.people)
        resp.data = b"[" + b",".join(page.people) + b"]"
        set_private(resp)
        if page.next is not None:
            cursor = self._cursors.encode(_encode(_NextPage(surname, str(search.limit), page.next)), _SEARCH, principal)
            resp.set_header("Link", f'</data?cursor={cursor}>; rel="next"')

    on_head = on_get

    def _decode_cursor(self, cursor: object, surname: object, principal: str) -> _NextPage:
        """Decode a cursor. Raises InvalidCursor, also if the cursor belongs to a different surname."""
        if not isinstance(cursor, str):
            raise InvalidCursor
        resumed = _decode(self._cursors.decode(cursor, _SEARCH, principal))
        if surname not in (None, resumed.surname):
            raise InvalidCursor
        return resumed


class _NextPage(msgspec.Struct, array_like=True):
    """The content of an encrypted cursor, which keeps the surname out of the URL of the next page."""

    surname: str
    limit: str
    position: bytes


_SEARCH: Final = b"/data"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_NextPage).decode


_MISSING = problems.ProblemType(400, "missing-members", "Missing fields")
_NO_SURNAME = problems.ProblemType(400, "missing-surname", "Missing surname")
