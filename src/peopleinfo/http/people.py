"""The people API: /v1/people."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldError, InvalidSearch, PersonMerged, PersonNotFound
from peopleinfo.http import etags
from peopleinfo.http.bodies import read_json
from peopleinfo.http.etags import EvaluatesConditions
from peopleinfo.http.identifier_filters import IdentifierFilters
from peopleinfo.http.media_types import MERGE_PATCH
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.openapi.trash_operations import ERASE_PERSON
from peopleinfo.http.problems import ProblemType, respond
from peopleinfo.http.request_headers import idempotency_key, is_fresh
from peopleinfo.http.responses import set_cache_status, set_person, set_private
from peopleinfo.http.search_params import parse_query, parse_search
from peopleinfo.http.text_search import PARAMETER, parse_text_search
from peopleinfo.matching.errors import PossibleDuplicate
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_new, check_patch, check_search
from peopleinfo.people.people_list import SORT_PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.http.checked_creation import CheckedCreation
    from peopleinfo.http.cursors import Cursors
    from peopleinfo.http.responses import CountedPage
    from peopleinfo.http.search_params import SearchRequest
    from peopleinfo.matching.merge_service import MergeService
    from peopleinfo.people.people_list import PeopleList
    from peopleinfo.people.service import PeopleService
    from peopleinfo.privacy.subject_export import PersonalDataExport

_MERGED: Final = ProblemType(307, "merged", "Merged")


class PeopleResource:
    """/v1/people: create a person and search for people."""

    def __init__(
        self,
        people: PeopleService,
        people_list: PeopleList,
        cursors: Cursors,
        new_records: CheckedCreation,
        *,
        body_timeout: float,
    ) -> None:
        self._people = people
        self._list = people_list
        self._cursors = cursors
        self._checked = new_records
        self._identifiers = IdentifierFilters(people)
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Create a person."""
        key = idempotency_key(req)
        create = self._checked.of(req, resp) if req.query_string else self._people.create
        data = await read_json(req, seconds=self._body_timeout)
        if hidden := req.context.principal.hidden_fields:
            check_new(data, hidden, self._people.unique_identifiers)
        if trail := audit_of(req):
            trail.record_intent(data)
        try:
            record = await create(data, idempotency_key=key, principal=req.context.principal.name)
        except PossibleDuplicate as refused:  # the response contains the candidates
            if trail:
                trail.record_people(tuple(str(one["person_id"]) for one in refused.candidates), outcome=409)
            raise
        if trail:
            trail.set_people([record.body])
        resp.status = 201
        resp.set_header("Location", f"/v1/people/{record.person_id}")
        set_person(resp, record)

    async def on_get(self, req: Request, resp: Response) -> None:
        """Search by the query parameters."""
        if PARAMETER in req.params:
            await self._search_text(req.params, req, resp)
            return
        if req.params and self._identifiers.are_in(req.params):
            await self._search_identifiers(req.params, req, resp)
            return
        await self._search(parse_query(req.query_string, req.params), req.params, req, resp)

    async def on_post_search(self, req: Request, resp: Response) -> None:
        """Search by the fields of the body, which keeps names out of URLs and logs."""
        params = await read_json(req, seconds=self._body_timeout)
        if isinstance(params, dict) and PARAMETER in params:
            await self._search_text(params, req, resp)
            return
        if self._identifiers.are_in(params):
            await self._search_identifiers(params, req, resp)
            return
        await self._search(parse_search(params), params, req, resp)

    async def _search(self, search: SearchRequest, params: Mapping[str, Any], req: Request, resp: Response) -> None:
        principal = req.context.principal
        if hidden := principal.hidden_fields:
            check_search((*params, *SORT_PARAMETERS.get(search.sort or "", ())), hidden)
        RESPONSES.require_room()
        if search.sort:
            page, cursor = await search.sorted_page(self._list, self._cursors, principal)
        else:
            page, cursor, status = await search.page(self._people, self._cursors, principal, fresh=is_fresh(req))
            if status is not None:
                set_cache_status(req, resp, status)
        if trail := audit_of(req):
            trail.set_people(page.people)
        resp.data = b'{"people":[%b],"next_cursor":%b}' % (b",".join(page.people), strict_json.encode(cursor))
        set_private(resp)

    async def _search_text(self, params: Mapping[str, Any], req: Request, resp: Response) -> None:
        search = parse_text_search(params)
        RESPONSES.require_room()
        _set_page(req, resp, await search.page(self._people, self._cursors, req.context.principal))

    async def _search_identifiers(self, params: Mapping[str, Any], req: Request, resp: Response) -> None:
        RESPONSES.require_room()
        _set_page(req, resp, await self._identifiers.page(params, self._cursors, req.context.principal))

    on_head = on_get


class PersonResource(EvaluatesConditions):
    """/v1/people/{person_id}: one person."""

    def __init__(self, people: PeopleService, merges: MergeService, *, body_timeout: float) -> None:
        self._people = people
        self._merges = merges
        self._body_timeout = body_timeout

    async def on_get(self, req: Request, resp: Response, person_id: str) -> None:
        """Return the person, or 304 if the client has the current version, or 307 if the record is merged into another one."""
        if req.query_string and "as" in req.params:
            await self._get_before_merge(req, resp, person_id)
            return
        try:
            record, status = await self._people.get_cached(person_id, fresh=is_fresh(req))
        except PersonMerged as merged:
            await self._redirect(req, resp, merged)
            return
        if status is not None:
            set_cache_status(req, resp, status)
        if record is None:
            raise PersonNotFound(person_id)
        hidden = req.context.principal.hidden_fields
        if etags.are_given(req):
            etags.answer_read(req, resp, etags.of_record(record, hidden))
        set_person(resp, record, hidden)

    async def _get_before_merge(self, req: Request, resp: Response, person_id: str) -> None:
        if req.params["as"] != "merged":
            raise InvalidSearch([FieldError("as", "must be merged")])
        set_person(resp, await self._merges.before_merge(person_id), req.context.principal.hidden_fields)

    async def _redirect(self, req: Request, resp: Response, merged: PersonMerged) -> None:
        """Redirect to the outermost survivor. No cache may store the response, because the merge can be undone."""
        survivor = await outermost_survivor(self._people, merged)
        members = {"merged_into": survivor, "merge_id": merged.merge_id}
        respond(req, resp, _MERGED, str(merged), members=members)
        resp.set_header("Location", f"/v1/people/{survivor}")
        resp.set_header("Cache-Control", "no-store")

    async def on_put(self, req: Request, resp: Response, person_id: str) -> None:
        """Replace all fields of the person."""
        precondition = etags.read_of_change(req).require_record
        data = await read_json(req, seconds=self._body_timeout)
        if trail := audit_of(req):
            trail.record_intent(data)
        principal = req.context.principal.name
        set_person(resp, await self._people.replace(person_id, data, precondition=precondition, principal=principal))

    async def on_patch(self, req: Request, resp: Response, person_id: str) -> None:
        """Change fields of the person with a JSON Merge Patch (RFC 7396)."""
        principal, hidden = req.context.principal.name, req.context.principal.hidden_fields
        precondition = partial(etags.read_of_change(req).require_record, hidden=hidden)
        patch = await read_json(req, seconds=self._body_timeout, media_types=(MERGE_PATCH,))
        if hidden:
            check_patch(patch, hidden)
        if trail := audit_of(req):
            trail.record_intent(patch)
        record = await self._people.patch(
            person_id, patch, precondition=precondition, hidden=hidden, principal=principal
        )
        set_person(resp, record, hidden)

    async def on_delete(self, req: Request, resp: Response, person_id: str) -> None:
        """Delete the person, or erase it if the client or the settings require that."""
        precondition = etags.read(req).require_record if etags.are_given(req) else None
        erases = _parse_erase(req.params.get("erase"))
        principal = req.context.principal
        if erases:
            principal.require_scope(Scope.ADMIN)
        if trail := audit_of(req):
            if erases or not self._people.has_trash:
                trail.set_action(ERASE_PERSON)
            trail.record_intent()
        if erases:
            await self._people.erase(person_id, precondition=precondition)
        else:
            await self._people.delete(person_id, precondition=precondition, principal=principal.name)
        resp.status = 204

    on_head = on_get


class PersonExportResource:
    """/v1/people/{person_id}/export: subject access, with all data about one person."""

    def __init__(self, export: PersonalDataExport) -> None:
        self._export = export

    async def on_get(self, _: Request, resp: Response, person_id: str) -> None:
        """Return the record, the earlier versions and the audit events of the person, and the records merged into it."""
        resp.data = await self._export.document(person_id)
        resp.set_header("Cache-Control", "private, no-store")
        resp.downloadable_as = "person.json"


async def outermost_survivor(people: PeopleService, merged: PersonMerged) -> str:
    """Return the id of the record into which a merged record leads, directly or through other merges."""
    survivor = merged.merged_into
    while True:
        try:
            await people.get_cached(survivor)
        except PersonMerged as outer:
            survivor = outer.merged_into
        else:
            return survivor


def _parse_erase(value: Any) -> bool:
    """Return the parameter `erase`. Raises InvalidSearch."""
    if value not in (None, "true", "false"):
        raise InvalidSearch([FieldError("erase", "must be true or false")])
    return bool(value == "true")


def _set_page(req: Request, resp: Response, page: CountedPage) -> None:
    if trail := audit_of(req):
        trail.set_people(page.people)
    resp.data = page.body
    set_private(resp)
