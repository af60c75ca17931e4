"""/v1/merges: merge records of one person, and undo merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldError, InvalidMerge
from peopleinfo.http.bodies import read_json
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.request_headers import idempotency_key
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import MAX_VERSION, parse_number
from peopleinfo.matching.merge_rules import Keep
from peopleinfo.matching.merge_service import MergeRequest
from peopleinfo.people import strict_json
from peopleinfo.people.person import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from peopleinfo.matching.merge_service import MergeResult, MergeService, UndoResult
    from peopleinfo.matching.merge_store import MergeRecord

_KEEP: Final = get_args(Keep)


class MergesResource:
    """/v1/merges: merge records."""

    def __init__(self, merges: MergeService, *, body_timeout: float) -> None:
        self._merges = merges
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Merge records into a survivor, or return a preview."""
        req.context.principal.require_scope(Scope.READ)  # the response has values of the records
        key = idempotency_key(req)
        request, is_preview = parse_merge(await read_json(req, seconds=self._body_timeout))
        if trail := audit_of(req):
            trail.set_ids((request.survivor, *request.merged))
            if not is_preview:
                trail.record_intent(request.result)
        if is_preview:
            resp.data = _encode_merge(await self._merges.preview(request))
        else:
            result, applied = await self._merges.merge(request, key=key, principal=req.context.principal.name)
            resp.status = 201 if applied else 200
            resp.set_header("Location", f"/v1/merges/{result.merge_id}")
            resp.data = _encode_merge(result)
        set_private(resp)


class MergeResource:
    """/v1/merges/{merge_id}: a merge without values."""

    def __init__(self, merges: MergeService) -> None:
        self._merges = merges

    async def on_get(self, req: Request, resp: Response, merge_id: str) -> None:
        """Return the merge."""
        record = await self._merges.get(checked_id(merge_id))
        if trail := audit_of(req):
            trail.set_ids(tuple(record.people))
        resp.data = strict_json.encode(summary_of(record))
        set_private(resp)

    on_head = on_get


class UndoResource:
    """/v1/merges/{merge_id}/undo: undo a merge."""

    def __init__(self, merges: MergeService, *, body_timeout: float) -> None:
        self._merges = merges
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response, merge_id: str) -> None:
        """Undo the merge, or return a preview."""
        req.context.principal.require_scope(Scope.READ)  # the response has values of the records
        keep, is_preview = parse_undo(await read_json(req, seconds=self._body_timeout))
        record = await self._merges.get(checked_id(merge_id))
        if trail := audit_of(req):
            trail.set_ids(tuple(record.people))
            if not is_preview:
                trail.record_intent()
        if is_preview:
            result = await self._merges.preview_undo(record.merge_id, keep=keep)
        else:
            principal = req.context.principal.name
            result, _ = await self._merges.undo(record.merge_id, keep=keep, principal=principal)
        resp.data = _encode_undo(result)
        set_private(resp)


class PersonMergesResource:
    """/v1/people/{person_id}/merges: the merges in which a person took part."""

    def __init__(self, merges: MergeService) -> None:
        self._merges = merges

    async def on_get(self, _: Request, resp: Response, person_id: str) -> None:
        """Return the merges, newest first."""
        records = await self._merges.merges_of(person_id)
        resp.data = strict_json.encode({"merges": [summary_of(record) for record in records]})
        set_private(resp)

    on_head = on_get


def parse_merge(body: Any) -> tuple[MergeRequest, bool]:
    """Return the merge in a request body, and whether it is a preview. Raises InvalidMerge with all errors."""
    errors: list[FieldError] = []
    fields = _object("", body, ("survivor", "merged", "take", "result", "preview"), errors)
    survivor = _record("/survivor", fields.get("survivor"), errors)
    given = fields.get("merged")
    if not isinstance(given, list) or not given:
        errors.append(FieldError("/merged", "must be a list of at least one record"))
        given = []
    merged = [_record(f"/merged/{index}", record, errors) for index, record in enumerate(given)]
    versions = dict([survivor, *merged])
    take = _object("/take", fields.get("take", {}), None, errors)
    errors += [
        FieldError(f"/take/{field}", "must be the id of a record of this merge")
        for field, person_id in take.items()
        if not isinstance(person_id, str) or person_id not in versions
    ]
    is_preview = _flag(fields, errors)
    if errors:
        raise InvalidMerge(errors)
    ids = tuple(person_id for person_id, _ in merged)
    return MergeRequest(survivor[0], ids, versions, take, fields.get("result")), is_preview


def parse_undo(body: Any) -> tuple[dict[str, Keep], bool]:
    """Return the decisions in the body of an undo, and whether it is a preview. Raises InvalidMerge with all errors."""
    errors: list[FieldError] = []
    fields = _object("", body, ("keep", "preview"), errors)
    keep = _object("/keep", fields.get("keep", {}), None, errors)
    errors += [
        FieldError(f"/keep/{field}", f"must be one of {', '.join(_KEEP)}")
        for field, decision in keep.items()
        if decision not in _KEEP
    ]
    is_preview = _flag(fields, errors)
    if errors:
        raise InvalidMerge(errors)
    return keep, is_preview


def summary_of(record: MergeRecord) -> dict[str, Any]:
    """Return a merge for clients."""
    fields = msgspec.to_builtins(record)
    del fields["content"]
    return dict(fields)


def checked_id(merge_id: str) -> str:
    """Return the id of a merge; an id that no merge has for an invalid one."""
    return merge_id if is_id(merge_id) else "0" * 32


def _encode_merge(result: MergeResult) -> bytes:
    replaces = strict_json.encode(result.replaces)
    survivor = msgspec.Raw(b'%b,"replaces":%b}' % (result.survivor.body[:-1], replaces))
    merged = [
        {"person_id": each.person_id, "version": each.version, "merged_into": result.survivor.person_id}
        for each in result.merged
    ]
    differences = [each._asdict() for each in result.differences]
    return strict_json.encode(
        {"merge_id": result.merge_id, "survivor": survivor, "merged": merged, "differences": differences}
    )


def _encode_undo(result: UndoResult) -> bytes:
    survivor = msgspec.Raw(result.survivor.body) if result.survivor else None
    merged = [msgspec.Raw(record.body) for record in result.merged]
    return strict_json.encode(
        {"merge_id": result.merge_id, "survivor": survivor, "merged": merged, "edited": list(result.edited)}
    )


def _object(pointer: str, value: Any, known: tuple[str, ...] | None, errors: list[FieldError]) -> dict[str, Any]:
    """Return an object with the `known` fields, or with any fields; append errors."""
    if not isinstance(value, dict):
        errors.append(FieldError(pointer, "must be a JSON object"))
        return {}
    if known is not None:
        unknown = (name for name in value if name not in known)
        errors += [FieldError(f"{pointer}/{name}", f"is unknown; fields are {', '.join(known)}") for name in unknown]
    return value


def _record(pointer: str, value: Any, errors: list[FieldError]) -> tuple[str, int]:
    """Return the id and the version of a record; append errors."""
    fields: Mapping[str, Any] = _object(pointer, value, ("person_id", "version"), errors)
    person_id, version = fields.get("person_id"), fields.get("version")
    if not isinstance(person_id, str) or not is_id(person_id):
        errors.append(FieldError(f"{pointer}/person_id", "must be the id of a person"))
        person_id = ""
    if isinstance(version, str):
        errors.append(FieldError(f"{pointer}/version", "must be a number, not a string"))
    return person_id, parse_number(f"{pointer}/version", version, 1, MAX_VERSION, errors)


def _flag(fields: Mapping[str, Any], errors: list[FieldError]) -> bool:
    is_preview = fields.get("preview", False)
    if not isinstance(is_preview, bool):
        errors.append(FieldError("/preview", "must be true or false"))
    return bool(is_preview)
