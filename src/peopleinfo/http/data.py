"""The API of the service that PeopleInfo grew out of, as it was meant: /data."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from peopleinfo import strictjson
from peopleinfo.errors import FieldError
from peopleinfo.http import problems
from peopleinfo.http.audited import trail_of
from peopleinfo.http.people import keep_private, read_freshness, say_source
from peopleinfo.http.requests import read_body
from peopleinfo.http.searches import LIMIT, read_search
from peopleinfo.masks import require_askable, shown
from peopleinfo.person import missing_members, normalised

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people import People


class DataResource:
    """/data: store a person, list the people of a surname."""

    def __init__(self, people: People, cursors: Cursors, *, body_seconds: float) -> None:
        self._people = people
        self._cursors = cursors
        self._body_seconds = body_seconds

    async def on_post(self, req: Request, resp: Response) -> None:
        """Store a person and answer exactly what was submitted."""
        body = await read_body(req, seconds=self._body_seconds)
        data = strictjson.parse(body)
        if missing := missing_members(data):
            reasons = tuple(FieldError(f"/{name}", "is required, a string that is not empty") for name in missing)
            problems.write(req, resp, _MISSING, "Missing required fields", reasons)
            return
        record = await self._people.create_from_seed(data)
        if trail := trail_of(req):
            trail.changes(data)
            trail.answers([record.body])
        resp.set_header("Location", f"/v1/people/{record.person_id}")
        resp.data = body

    async def on_get(self, req: Request, resp: Response) -> None:
        """List the people of a surname, oldest first; always a list."""
        members = {name: value for name in ("limit", "cursor") if (value := req.params.get(name)) is not None}
        surname = req.params.get("person_surname")
        if not isinstance(surname, str) or not normalised(surname):
            problems.write(req, resp, _NO_SURNAME, "person_surname query parameter is required")
            return
        asked = read_search({"surname": surname, **members})
        if hidden := req.context.principal.hidden:
            require_askable(["surname"], hidden)
        reading = read_freshness(req)
        page, cursor = await asked.page(self._people, self._cursors, reading)
        say_source(req, resp, reading)
        if trail := trail_of(req):
            trail.answers(page.people)
        people = [shown(body, hidden) for body in page.people] if hidden else page.people
        resp.data = b"[" + b",".join(people) + b"]"
        keep_private(resp)
        if cursor:
            query = {"person_surname": surname, "cursor": cursor}
            if asked.limit != LIMIT:
                query["limit"] = str(asked.limit)
            resp.set_header("Link", f'</data?{urlencode(query)}>; rel="next"')

    on_head = on_get


_MISSING = problems.Kind(400, "missing-members", "Members are missing")
_NO_SURNAME = problems.Kind(400, "missing-surname", "A parameter is missing")
