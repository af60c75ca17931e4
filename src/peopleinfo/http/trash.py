"""/v1/trash: deleted people, which can be restored until they expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.responses import set_person, set_private
from peopleinfo.http.search_params import parse_page
from peopleinfo.people import strict_json
from peopleinfo.people.trash import summary

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.people.trash import Trash

_CONTEXT: Final = b"trash"


class TrashResource:
    """/v1/trash: the people in the trash, the last deleted one first."""

    def __init__(self, trash: Trash, cursors: Cursors) -> None:
        self._trash = trash
        self._cursors = cursors

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return a page of people with their names and the times of deletion and erasure."""
        principal = req.context.principal
        limit, cursor = parse_page(req.params)
        after = self._cursors.decode(cursor, _CONTEXT, principal.name) if cursor else None
        RESPONSES.require_room()
        page = await self._trash.page(after=after, limit=limit)
        if trail := audit_of(req):
            trail.set_ids(tuple(person.person_id for person in page.people))
        next_cursor = self._cursors.encode(page.next, _CONTEXT, principal.name) if page.next else None
        people = [summary(person, principal.hidden_fields) for person in page.people]
        resp.data = strict_json.encode({"people": people, "next_cursor": next_cursor})
        set_private(resp)

    on_head = on_get


class TrashedPersonResource:
    """/v1/trash/{person_id}: a person in the trash."""

    def __init__(self, trash: Trash) -> None:
        self._trash = trash

    async def on_delete(self, req: Request, resp: Response, person_id: str) -> None:
        """Erase the person."""
        if trail := audit_of(req):
            trail.record_intent()
        await self._trash.erase(person_id)
        resp.status = 204

    async def on_post_restore(self, req: Request, resp: Response, person_id: str) -> None:
        """Move the person back from the trash."""
        if trail := audit_of(req):
            trail.record_intent()
        set_person(resp, await self._trash.restore(person_id, principal=req.context.principal.name))
