"""The API of the service that PeopleInfo grew out of, as it was meant: /data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from peopleinfo.errors import FieldError
from peopleinfo.http import problems
from peopleinfo.http.bodies import read_body
from peopleinfo.http.cursors import InvalidCursor
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.people import read_options, set_cache_status, set_private
from peopleinfo.http.search_params import parse_search
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_search
from peopleinfo.people.person import missing_fields, normalize

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.service import PeopleService


class DataResource:
    """/data: store a person, list the people of a surname."""

    def __init__(self, people: PeopleService, cursors: Cursors, *, body_timeout: float) -> None:
        self._people = people
        self._cursors = cursors
        self._body_seconds = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Store a person and answer exactly what was submitted."""
        body = await read_body(req, seconds=self._body_seconds)
        data = strict_json.parse(body)
        if missing := missing_fields(data):
            reasons = tuple(FieldError(f"/{name}", "is required, a string that is not empty") for name in missing)
            problems.respond(req, resp, _MISSING, "Missing required fields", reasons)
            return
        if trail := audit_of(req):
            trail.announce(data)
        record = await self._people.create_legacy(data)
        if trail:
            trail.answers([record.body])
        resp.set_header("Location", f"/v1/people/{record.person_id}")
        resp.data = body

    async def on_get(self, req: Request, resp: Response) -> None:
        """List the people of a surname, oldest first; always a list."""
        surname, limit, cursor = (req.params.get(name) for name in ("person_surname", "limit", "cursor"))
        principal = req.context.principal.name
        begun = self._opened(cursor, surname, principal) if cursor is not None else None
        surname, limit = (begun.surname, limit or begun.limit) if begun else (surname, limit)
        if not isinstance(surname, str) or not normalize(surname):
            problems.respond(req, resp, _NO_SURNAME, "person_surname query parameter is required")
            return
        asked = parse_search({"surname": surname, "limit": limit})
        if hidden := req.context.principal.hidden_fields:
            check_search(["surname"], hidden)
        reading = read_options(req)
        RESPONSES.require_room()
        after = begun.after if begun else None
        page = await self._people.find(asked.where, after=after, limit=asked.limit, options=reading, hidden=hidden)
        set_cache_status(req, resp, reading)
        if trail := audit_of(req):
            trail.answers(page.people)
        resp.data = b"[" + b",".join(page.people) + b"]"
        set_private(resp)
        if page.next is not None:
            cursor = self._cursors.encode(_encode(_Next(surname, str(asked.limit), page.next)), _SEARCH, principal)
            resp.set_header("Link", f'</data?cursor={cursor}>; rel="next"')

    on_head = on_get

    def _opened(self, cursor: object, surname: object, principal: str) -> _Next:
        """Return what a cursor says. Raises InvalidCursor, also when it is of another surname than is asked for."""
        if not isinstance(cursor, str):
            raise InvalidCursor
        begun = _decode(self._cursors.decode(cursor, _SEARCH, principal))
        if surname not in (None, begun.surname):
            raise InvalidCursor
        return begun


class _Next(msgspec.Struct, array_like=True):
    """What the cursor of a page holds, sealed: no surname is to stand in a URL that we make."""

    surname: str
    limit: str
    after: bytes


_SEARCH: Final = b"/data"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Next).decode


_MISSING = problems.ProblemType(400, "missing-members", "Members are missing")
_NO_SURNAME = problems.ProblemType(400, "missing-surname", "A parameter is missing")
