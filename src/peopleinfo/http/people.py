"""The people API: /v1/people."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import falcon

from peopleinfo.http import etags
from peopleinfo.http.bodies import MERGE_PATCH, read_json
from peopleinfo.http.etags import EvaluatesConditions
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.search_params import parse_search, read_query
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_patch, check_search, redact
from peopleinfo.people.store import CacheStatus, ClientKey, ReadOptions
from peopleinfo.privacy import retention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.cursors import Cursors
    from peopleinfo.http.search_params import SearchRequest
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.service import PeopleService
    from peopleinfo.privacy.audit import AuditLog

_KEY_LENGTH: Final = 255


class PeopleResource:
    """/v1/people: add a person, find people."""

    def __init__(self, people: PeopleService, cursors: Cursors, *, body_timeout: float) -> None:
        self._people = people
        self._cursors = cursors
        self._body_seconds = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Add a person."""
        once = idempotency_key(req)
        data = await read_json(req, seconds=self._body_seconds)
        if trail := audit_of(req):
            trail.announce(data)
        record = await self._people.create(data, idempotency_key=once)
        if trail:
            trail.answers([record.body])
        resp.status = 201
        resp.set_header("Location", f"/v1/people/{record.person_id}")
        _answer(resp, record)

    async def on_get(self, req: Request, resp: Response) -> None:
        """Find people by the parameters of the query."""
        await self._find(read_query(req.query_string, req.params), req.params, req, resp)

    async def on_post_search(self, req: Request, resp: Response) -> None:
        """Find people by the members of the body, so that no name stands in a URL."""
        members = await read_json(req, seconds=self._body_seconds)
        await self._find(parse_search(members), members, req, resp)

    async def _find(self, asked: SearchRequest, members: Mapping[str, Any], req: Request, resp: Response) -> None:
        if hidden := req.context.principal.hidden_fields:
            check_search(members, hidden)
        reading = read_options(req)
        RESPONSES.require_room()
        page, cursor = await asked.page(self._people, self._cursors, reading, req.context.principal)
        set_cache_status(req, resp, reading)
        if trail := audit_of(req):
            trail.answers(page.people)
        resp.data = b'{"people":[%b],"next_cursor":%b}' % (b",".join(page.people), strict_json.encode(cursor))
        set_private(resp)

    on_head = on_get


class PersonResource(EvaluatesConditions):
    """/v1/people/{person_id}: one person."""

    def __init__(self, people: PeopleService, *, body_timeout: float) -> None:
        self._people = people
        self._body_seconds = body_timeout

    async def on_get(self, req: Request, resp: Response, person_id: str) -> None:
        """Return the person, or 304 when the client has this version."""
        reading = read_options(req)
        try:
            record = await self._people.get(person_id, options=reading)
        finally:  # that somebody is not there is an answer too
            set_cache_status(req, resp, reading)
        hidden = req.context.principal.hidden_fields
        if etags.are_given(req):
            etags.answer_read(req, resp, etags.of_record(record, hidden))
        _answer(resp, record, hidden)

    async def on_put(self, req: Request, resp: Response, person_id: str) -> None:
        """Put new details in the place of the old ones."""
        precondition = etags.read_of_change(req).require_record
        data = await read_json(req, seconds=self._body_seconds)
        if trail := audit_of(req):
            trail.announce(data)
        _answer(resp, await self._people.replace(person_id, data, precondition=precondition))

    async def on_patch(self, req: Request, resp: Response, person_id: str) -> None:
        """Change some members by a JSON Merge Patch."""
        hidden = req.context.principal.hidden_fields
        precondition = partial(etags.read_of_change(req).require_record, hidden=hidden)
        patch = await read_json(req, seconds=self._body_seconds, media_types=(MERGE_PATCH,))
        if hidden:
            check_patch(patch, hidden)
        if trail := audit_of(req):
            trail.announce(patch)
        _answer(resp, await self._people.patch(person_id, patch, precondition=precondition, hidden=hidden), hidden)

    async def on_delete(self, req: Request, resp: Response, person_id: str) -> None:
        """Erase the person."""
        precondition = etags.read(req).require_record if etags.are_given(req) else None
        if trail := audit_of(req):
            trail.announce()
        await self._people.delete(person_id, precondition=precondition)
        resp.status = 204

    on_head = on_get


class PersonExportResource:
    """/v1/people/{person_id}/export: all that is held about one person."""

    def __init__(self, people: PeopleService, audit: AuditLog | None) -> None:
        self._people = people
        self._audit = audit

    async def on_get(self, _: Request, resp: Response, person_id: str) -> None:
        """Return the record and what the audit tells of it."""
        resp.data = await retention.export_personal_data(self._people, self._audit, person_id)
        resp.set_header("Cache-Control", "private, no-store")
        resp.downloadable_as = "person.json"


def _answer(resp: Response, record: StoredPerson, hidden: frozenset[str] = frozenset()) -> None:
    resp.data = redact(record.body, hidden) if hidden else record.body
    resp.set_header("ETag", etags.etag(record.version, hidden))
    set_private(resp)


def set_private(resp: Response) -> None:
    """Say who may keep an answer that has people in it."""
    # A browser may keep it but has to ask whether it is still true; nobody between us may.
    resp.set_header("Cache-Control", "private, no-cache")


def read_options(req: Request) -> ReadOptions:
    """Return how fresh the answer has to be: `Cache-Control: no-cache` (RFC 9111) asks for what the store itself says."""
    return ReadOptions(fresh="no-cache" in (req.get_header("Cache-Control") or "").lower())


def set_cache_status(req: Request, resp: Response, reading: ReadOptions) -> None:
    """Say where the answer came from (Cache-Status, RFC 9211; and for the log), when there is a cache.

    Which records stay in a cache depends on their sizes, so principals with hidden members are not told.
    """
    if reading.source is not None:
        req.context.source = reading.source
        if not req.context.principal.hidden_fields:
            resp.set_header("Cache-Status", _CACHE_STATUS[reading.source])


_CACHE_STATUS: Final = {
    CacheStatus.LOCAL: "peopleinfo; hit; detail=local",
    CacheStatus.SHARED: "peopleinfo; hit; detail=shared",
    CacheStatus.MISS: "peopleinfo; fwd=miss",
    CacheStatus.BYPASS: "peopleinfo; fwd=bypass",
    CacheStatus.REQUEST: "peopleinfo; fwd=request",
}


def idempotency_key(req: Request) -> ClientKey | None:
    """Return the Idempotency-Key as one of the principal's, or None. Raises falcon's error for 400."""
    key: str | None = req.get_header("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= _KEY_LENGTH:
        raise falcon.HTTPBadRequest(description=f"an Idempotency-Key has 1 to {_KEY_LENGTH} characters: a UUID will do")
    return None if key is None else ClientKey(req.context.principal.name, key)
