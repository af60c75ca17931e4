"""Operations on person records, independent of the store and of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import FieldError, InvalidPerson, VersionConflict
from peopleinfo.people import strict_json
from peopleinfo.people.field_access import redact, visible_fields
from peopleinfo.people.person import (
    MAX_RECORD_SIZE,
    MAX_STORED_SIZE,
    NAME_FIELDS,
    PersonData,
    StoredPerson,
    parse_legacy_person,
    parse_person,
    person_data_from_fields,
    split_record,
)
from peopleinfo.people.store import PAGE_SIZE, IdempotencyKey, Page, ReadOptions, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import date, datetime

    from peopleinfo.people.search import PersonFilter
    from peopleinfo.people.store import ClientKey

Precondition = Callable[["StoredPerson"], None]
"""Called with the current record before a change; raises an error to reject the change."""
_EARLIEST_TIME_ZONE: Final = timedelta(hours=14)  # UTC+14 (Kiribati), where each day starts first
_MAX_READ_ONLY_SIZE: Final = 1_024  # bytes of the read-only fields in the JSON of a record
# So many records have less than PAGE_SIZE bytes, whatever their sizes.
_MAX_HIDDEN_PAGE: Final = (PAGE_SIZE - 1) // (MAX_STORED_SIZE + _MAX_READ_ONLY_SIZE)
_SCAN_LIMIT: Final = 1_000  # records per page of `iter_pages`


def always_allow(_: StoredPerson) -> None:
    """Accept any record: the precondition of an unconditional change."""


class PeopleService:
    """The operations on the records of a store. `now` returns the current time as an aware datetime."""

    def __init__(self, store: Store, *, now: Callable[[], datetime]) -> None:
        self.store = store
        self._now = now

    @property
    def today(self) -> date:
        """Today's date in the earliest time zone, so that no client's current date counts as the future."""
        return (self._now() + _EARLIEST_TIME_ZONE).date()

    async def get(self, person_id: str, *, options: ReadOptions | None = None) -> StoredPerson:
        """Return a record, from the store itself unless `options` allow a cached response. Raises PersonNotFound."""
        return await self.store.get(person_id, options=options)

    async def create(self, data: Any, *, idempotency_key: ClientKey | None = None) -> StoredPerson:
        """Create a record. A second call with the same `idempotency_key` and content returns the record of the first call.

        Raises InvalidPerson, IdempotencyKeyConflict, IdempotentPersonDeleted.
        """
        person = parse_person(data, today=self.today)
        return await self.store.create(
            person, idempotency_key=self._keyed_digests(idempotency_key, person) if idempotency_key else None
        )

    async def create_legacy(self, data: Any) -> StoredPerson:
        """Create a record from a body of `POST /data`. Raises InvalidPerson."""
        return await self.store.create(parse_legacy_person(data, today=self.today))

    async def replace(self, person_id: str, data: Any, *, precondition: Precondition = always_allow) -> StoredPerson:
        """Replace the fields of a record if `precondition` accepts the current record.

        Raises InvalidPerson, PersonNotFound and the errors of `precondition`.
        """
        return await self._change(person_id, precondition, lambda old, read_only: self._parse(data, old, read_only))

    async def patch(
        self,
        person_id: str,
        patch: Any,
        *,
        precondition: Precondition = always_allow,
        hidden: frozenset[str] = frozenset(),
    ) -> StoredPerson:
        """Apply a JSON Merge Patch (RFC 7396) if `precondition` accepts the current record.

        The validation of a patch without `hidden` fields does not depend on the values of these fields.
        Raises InvalidPerson, PersonNotFound and the errors of `precondition`.
        """
        if hidden:
            return await self._change(
                person_id, precondition, lambda old, read_only: self._patch_visible(old, patch, read_only, hidden)
            )
        return await self._change(
            person_id,
            precondition,
            lambda old, read_only: self._parse(apply_merge_patch(old.to_dict(), patch), old, read_only),
        )

    async def delete(self, person_id: str, *, precondition: Precondition | None = None) -> None:
        """Delete a person if `precondition` accepts the current record.

        Raises PersonNotFound and the errors of `precondition`.
        """
        while True:
            expected = None
            if precondition is not None:
                record = await self.store.get(person_id)
                precondition(record)
                expected = record.version
            with suppress(VersionConflict):  # after a concurrent change, evaluate the precondition again
                await self.store.delete(person_id, expected=expected)
                return

    async def find(
        self,
        person_filter: PersonFilter,
        *,
        after: bytes | None = None,
        limit: int,
        options: ReadOptions | None = None,
        hidden: frozenset[str] = frozenset(),
    ) -> Page:
        """Return a page of the matching records without `hidden` fields; see `Store.find` and `Store.scan`.

        The end of the page does not depend on the values of hidden fields.
        """
        if hidden:
            return await self._find_visible(person_filter, after, limit, options, hidden)
        if person_filter.surname_key is None and person_filter.prefix_key is None:
            return await self.store.scan(after=after, limit=limit, person_filter=person_filter)
        return await self.store.find(person_filter, after=after, limit=limit, options=options)

    async def _find_visible(
        self,
        person_filter: PersonFilter,
        after: bytes | None,
        limit: int,
        options: ReadOptions | None,
        hidden: frozenset[str],
    ) -> Page:
        """Fill a page; its size limit applies to the visible fields only.

        Each query is small enough that the store cannot end it early because of the size of the complete records.
        """
        people: list[bytes] = []
        size = 0
        while True:
            query_limit = min(limit - len(people), _MAX_HIDDEN_PAGE)
            page = await self.find(person_filter, after=after, limit=query_limit, options=options)
            redacted = [redact(body, hidden) for body in page.people]
            people += redacted
            size += sum(map(len, redacted))
            after = page.next
            if after is None or len(redacted) < query_limit or len(people) == limit or size >= PAGE_SIZE:
                return Page(people, after)

    async def iter_pages(
        self, person_filter: PersonFilter, *, hidden: frozenset[str] = frozenset()
    ) -> AsyncIterator[list[bytes]]:
        """Yield the JSON of all matching records without `hidden` fields, a page at a time."""
        after: bytes | None = None
        while True:
            page = await self.find(person_filter, after=after, limit=_SCAN_LIMIT, hidden=hidden)
            if page.people:
                yield page.people
            if page.next is None:
                return
            after = page.next

    async def _change(
        self, person_id: str, precondition: Precondition, new: Callable[[PersonData, dict[str, Any]], PersonData]
    ) -> StoredPerson:
        while True:
            record = await self.store.get(person_id)
            precondition(record)
            person = new(*split_record(record))
            with suppress(VersionConflict):  # after a concurrent change, apply this change to its result
                return await self.store.replace(person_id, person, expected=record.version, current=record)

    def _parse(self, data: Any, old: PersonData, read_only: dict[str, Any], *, require_name: bool = True) -> PersonData:
        """Validate the new fields of a record. A record that already exceeds the size limit must not grow."""
        return parse_person(
            data,
            today=self.today,
            current_birthdate=old.person_birthdate,
            read_only_values=read_only,
            size_limit=max(MAX_RECORD_SIZE, old.size),
            require_name=require_name,
        )

    def _patch_visible(
        self, old: PersonData, patch: Any, read_only: dict[str, Any], hidden: frozenset[str]
    ) -> PersonData:
        """Apply a patch without hidden fields. Only visible fields are validated, so that errors reveal nothing about hidden ones."""
        merged = apply_merge_patch(old.to_dict(), patch)
        visible = person_data_from_fields(visible_fields(old.to_dict(), hidden))
        # A record without a visible name has a hidden one. A patch that removes the visible name must not reveal whether it has.
        require_name = not NAME_FIELDS.isdisjoint(patch)
        new = self._parse(visible_fields(merged, hidden), visible, read_only, require_name=require_name).to_dict()
        complete = person_data_from_fields(
            {name: new.get(name, value) for name, value in merged.items() if name not in read_only}
        )
        if complete.size > MAX_STORED_SIZE:
            raise InvalidPerson(
                [FieldError("", f"must not be larger than {MAX_STORED_SIZE // 1024} KiB, including its hidden fields")]
            )
        return complete

    def _keyed_digests(self, key: ClientKey, person: PersonData) -> IdempotencyKey:
        # A plain digest of a name and a birthdate could be reversed by brute force.
        digests = (
            blake2b(text, key=self.store.secret, person=b"idempotency", digest_size=32).digest()
            for text in (key.encoded, strict_json.encode(person.to_dict()))
        )
        return IdempotencyKey(*digests)


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396, section 2) and return the result; `target` is not modified."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
