"""Batches: several people in one request. Each item has its own result, limits and audit events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import falcon

from peopleinfo.errors import (
    AuditUnavailable,
    FieldAccessDenied,
    OutcomeUnknown,
    PeopleInfoError,
    PersonMerged,
    PersonNotFound,
    RateLimitExceeded,
)
from peopleinfo.http import etags, problems
from peopleinfo.http.batch_items import OPERATION_OF, BatchItem, parse_ids, parse_item, parse_list
from peopleinfo.http.bodies import read_json
from peopleinfo.http.memory_budget import RESPONSES
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.middleware.request_limits import cost
from peopleinfo.http.openapi.operations import FIELD_ACCESS_OPERATIONS
from peopleinfo.http.openapi.trash_operations import ERASE_PERSON
from peopleinfo.http.request_headers import is_fresh
from peopleinfo.http.responses import set_private
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import check_new, check_patch, redact
from peopleinfo.people.idempotency import ClientKey
from peopleinfo.people.person import StoredPerson, is_id
from peopleinfo.people.preconditions import always_allow
from peopleinfo.people.store import PAGE_SIZE
from peopleinfo.telemetry import tracing
from peopleinfo.telemetry.access_log import count_reads
from peopleinfo.telemetry.metrics import STORE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from falcon.asgi import Request, Response

    from peopleinfo.auth.principal import Principal
    from peopleinfo.http.middleware.audit import RequestAudit
    from peopleinfo.http.middleware.request_limits import RateLimiter
    from peopleinfo.people.preconditions import Precondition
    from peopleinfo.people.service import PeopleService
    from peopleinfo.people.store import JoinedReader

_READS: Final = "/v1/people/batch-get"
_READ_COST: Final = 1  # units of a read by id
_RESULT: Final = '{"person_id":"', '","status":200,"etag":"\\"', '\\"","person":', "}"
_FORMAT: Final = "{}%b{}%d{}%b{}".format(*_RESULT).encode()
_ITEM_ERRORS: Final = (PeopleInfoError, falcon.HTTPError)  # of an item before it is processed


class BatchGetResource:
    """/v1/people/batch-get: several people by id."""

    def __init__(
        self, people: PeopleService, limiter: RateLimiter | None, joined: JoinedReader | None, *, body_timeout: float
    ) -> None:
        self._people = people
        self._limiter = limiter
        self._joined = joined
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Return a result for each id, in order."""
        ids = parse_ids(await read_json(req, seconds=self._body_timeout))
        RESPONSES.require_room()
        refused = self._charge(req, resp, len(ids))
        results = None if refused else self._read_now(req, ids)
        if results is None:
            results = b",".join(await self._read(req, ids, refused))
        resp.data = b'{"results":[%b]}' % results
        set_private(resp)

    def _read_now(self, req: Request, ids: list[str]) -> bytes | None:
        """Return the results of reads of the embedded store, None if the principal or a result needs a check of its own."""
        if self._joined is None or req.context.principal.hidden_fields:
            return None
        started = perf_counter()
        with tracing.span("store", "get_many"):
            results = self._joined.join_now(ids, _RESULT)
        if results is not None:
            STORE_SECONDS.observe(perf_counter() - started, "get_many")
            if trail := audit_of(req):
                trail.set_ids(tuple(ids))
        return results

    async def _read(self, req: Request, ids: list[str], refused: list[PeopleInfoError]) -> list[bytes]:
        admitted = ids[: len(ids) - len(refused)]
        found, statuses = await self._people.get_many(admitted, fresh=is_fresh(req))
        count_reads(statuses)
        if trail := audit_of(req):
            _audit_reads(trail, admitted, found)
        results = await _results_of_reads(req, admitted, found, await self._merged(admitted, found))
        results += [
            _with_id(one, (await _problem(req, error)).text)
            for one, error in zip(ids[len(admitted) :], refused, strict=True)
        ]
        return results

    async def _merged(self, ids: Sequence[str], found: Mapping[str, StoredPerson]) -> dict[str, PersonMerged]:
        """Return which of the ids that were not found are merged into others; only a single read tells them apart."""
        missing = [person_id for person_id in dict.fromkeys(ids) if person_id not in found and is_id(person_id)]
        outcomes = await asyncio.gather(*map(self._people.get_cached, missing), return_exceptions=True)
        return {one: error for one, error in zip(missing, outcomes, strict=True) if isinstance(error, PersonMerged)}

    def _charge(self, req: Request, resp: Response, count: int) -> list[PeopleInfoError]:
        """Charge the ids after the first one, which the request has paid for; return the errors of the last ids."""
        limiter, principal = self._limiter, req.context.principal
        if limiter is None or count == 1:
            return []
        with suppress(RateLimitExceeded):
            limiter.charge(req, resp, principal, _READ_COST * (count - 1))
            return []
        for index in range(1, count):
            try:
                limiter.charge(req, resp, principal, _READ_COST)
            except RateLimitExceeded as error:
                return [error] * (count - index)
        return []


def _audit_reads(trail: RequestAudit, ids: Sequence[str], found: Mapping[str, StoredPerson]) -> None:
    """Record the ids that were found as the people of the request, and the others as not found."""
    trail.set_ids(tuple(person_id for person_id in ids if person_id in found))
    if unknown := tuple(person_id for person_id in ids if person_id not in found and is_id(person_id)):
        trail.record_people(unknown, outcome=404)


async def _results_of_reads(
    req: Request, ids: Sequence[str], found: Mapping[str, StoredPerson], merged: Mapping[str, PersonMerged]
) -> list[bytes]:
    hidden = req.context.principal.hidden_fields
    results, size = [], 0
    for person_id in ids:
        record = found.get(person_id)
        if record is None:
            error: Exception = merged.get(person_id) or PersonNotFound(person_id)
        elif size >= PAGE_SIZE:
            error = _TOO_LARGE
        else:
            results.append(_found(record, hidden))
            size += len(results[-1])
            continue
        results.append(_with_id(person_id, (await _problem(req, error)).text))
    return results


def _found(record: StoredPerson, hidden: frozenset[str]) -> bytes:
    if hidden:
        return _with_id(record.person_id, _person(200, record, hidden).text)
    # Formatted once: this function runs a hundred times in a request.
    values = record.person_id.encode(), record.version, record.body
    return _FORMAT % values


def _with_id(person_id: str, result: bytes) -> bytes:
    return b'{"person_id":%b,%b' % (strict_json.encode(person_id), result[1:])


_TOO_LARGE: Final = falcon.HTTPContentTooLarge(
    description=f"the results before this one have {PAGE_SIZE // 1024**2} MiB: request this person in another batch"
)


class _Accepted(NamedTuple):
    """An item to process, and its audit; None if auditing is off."""

    item: BatchItem
    trail: RequestAudit | None


class BatchResource:
    """/v1/people/batch: creates, changes and deletes several people."""

    def __init__(self, people: PeopleService, limiter: RateLimiter | None, *, body_timeout: float) -> None:
        self._people = people
        self._limiter = limiter
        self._body_timeout = body_timeout

    async def on_post(self, req: Request, resp: Response) -> None:
        """Return a result for each item, in order."""
        items = parse_list(await read_json(req, seconds=self._body_timeout), "items")
        RESPONSES.require_room()
        admitted = [self._admit(req, resp, index, fields) for index, fields in enumerate(items)]
        outcomes: dict[int, Any] = {}
        accepted = {index: one for index, one in enumerate(admitted) if isinstance(one, _Accepted)}
        for indexes in _in_order(accepted):
            outcomes |= await self._process(req.context.principal, {index: accepted[index] for index in indexes})
        results = [await _result(req, one, outcomes.get(index)) for index, one in enumerate(admitted)]
        resp.data = b'{"results":[%b]}' % b",".join(results)
        set_private(resp)

    def _admit(self, req: Request, resp: Response, index: int, fields: Any) -> _Accepted | Exception:
        """Return an item with its audit, after its intent was recorded, or the error that rejects it."""
        principal = req.context.principal
        try:
            item = parse_item(fields)
            operation = OPERATION_OF[item.operation]
            if self._limiter is not None and index:  # the request has paid for the first item
                self._limiter.charge(req, resp, principal, cost(operation))
            if principal.hidden_fields:
                _check_access(item, principal.hidden_fields, self._people.unique_identifiers)
            trail = audit_of(req)
            if trail is not None:
                trail = trail.of_item(operation, item.person_id)
                if item.operation == "delete" and not self._people.has_trash:
                    trail.set_action(ERASE_PERSON)
                trail.record_intent(item.data)
        except _ITEM_ERRORS as error:
            return error
        return _Accepted(item, trail)

    async def _process(self, principal: Principal, accepted: dict[int, _Accepted]) -> dict[int, Any]:
        """Process items of different people concurrently; return the record, None or the error of each."""
        new = {index: one.item for index, one in accepted.items() if one.item.operation == "create"}
        changes = {index: one.item for index, one in accepted.items() if index not in new}
        created, *changed = await asyncio.gather(
            _all_or_error(self._create(principal, list(new.values())), len(new)),
            *(_outcome(self._change(principal, item)) for item in changes.values()),
        )
        return dict(zip(new, created, strict=True)) | dict(zip(changes, changed, strict=True))

    async def _create(self, principal: Principal, items: Sequence[BatchItem]) -> Sequence[Any]:
        new = [
            (item.data, ClientKey(principal.name, item.idempotency_key) if item.idempotency_key else None)
            for item in items
        ]
        return await self._people.create_each(new, principal=principal.name) if new else []

    async def _change(self, principal: Principal, item: BatchItem) -> StoredPerson | None:
        precondition: Precondition | None = item.conditions.require_record if item.conditions else None
        if item.operation == "delete":
            await self._people.delete(item.person_id, precondition=precondition, principal=principal.name)
            return None
        precondition = precondition or always_allow
        if item.operation == "replace":
            return await self._people.replace(
                item.person_id, item.data, precondition=precondition, principal=principal.name
            )
        hidden = principal.hidden_fields
        if item.conditions:
            precondition = partial(item.conditions.require_record, hidden=hidden)
        return await self._people.patch(
            item.person_id, item.data, precondition=precondition, hidden=hidden, principal=principal.name
        )


def _check_access(item: BatchItem, hidden: frozenset[str], unique: frozenset[str]) -> None:
    """Raise FieldAccessDenied if a principal with hidden fields must not perform the operation of an item."""
    if OPERATION_OF[item.operation].name not in FIELD_ACCESS_OPERATIONS:
        raise FieldAccessDenied(sorted(hidden))
    if item.operation == "patch":
        check_patch(item.data, hidden)
    else:
        check_new(item.data, hidden, unique)


def _in_order(accepted: dict[int, _Accepted]) -> list[list[int]]:
    """Divide items into groups to process one after the other, so that the items of one person keep their order."""
    groups: list[list[int]] = []
    earlier: dict[str, int] = {}  # subject → its number of items so far
    for index, one in accepted.items():
        number = 0
        if (subject := one.item.subject) is not None:
            number = earlier[subject] = earlier.get(subject, -1) + 1
        groups += [[]] if number == len(groups) else []
        groups[number].append(index)
    return groups


async def _outcome(change: Awaitable[StoredPerson | None]) -> StoredPerson | Exception | None:
    try:
        return await change
    except Exception as error:  # noqa: BLE001 - the result of this item; the others have their own
        return error


async def _all_or_error(creations: Awaitable[Sequence[Any]], count: int) -> Sequence[Any]:
    try:
        return await creations
    except Exception as error:  # noqa: BLE001 - the result of these items
        return [error] * count


async def _result(req: Request, admitted: _Accepted | Exception, outcome: StoredPerson | Exception | None) -> bytes:
    """Return the JSON of the result of an item, and record its outcome in the audit log."""
    if not isinstance(admitted, _Accepted):
        return (await _problem(req, admitted)).text
    if isinstance(outcome, Exception):
        result = await _problem(req, outcome)
    elif outcome is None:
        result = _Result(204, b'{"status":204}')
    else:
        operation = admitted.item.operation
        hidden = req.context.principal.hidden_fields if operation == "patch" else frozenset()
        result = _person(201 if operation == "create" else 200, outcome, hidden)
    if admitted.trail is None:
        return result.text
    if isinstance(outcome, StoredPerson):
        admitted.trail.set_ids((outcome.person_id,))
    try:
        admitted.trail.end(result.status)
    except AuditUnavailable:
        return (await _problem(req, OutcomeUnknown("the audit log is unavailable"))).text
    return result.text


class _Result(NamedTuple):
    """A status, and the JSON of a result with this status."""

    status: int
    text: bytes


def _person(status: int, record: StoredPerson, hidden: frozenset[str]) -> _Result:
    if not hidden:
        text = b'{"status":%d,"etag":"\\"%d\\"","person":%b}' % (status, record.version, record.body)
        return _Result(status, text)
    tag = strict_json.encode(etags.etag(record.version, hidden))
    return _Result(status, b'{"status":%d,"etag":%b,"person":%b}' % (status, tag, redact(record.body, hidden)))


async def _problem(req: Request, error: Exception) -> _Result:
    problem = await problems.document(req, error)
    if isinstance(error, PersonMerged) and req.uri_template == _READS:
        problem["status"] = 307  # as for a single read
    status = problem["status"]
    return _Result(status, b'{"status":%d,"problem":%b}' % (status, strict_json.encode(problem)))
