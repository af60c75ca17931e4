"""What can be done with people, over any store: the rules that belong to no store and no protocol."""

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
"""Is called with the record that a change starts from; raises an error to refuse the change."""
_FIRST_TIME_ZONE: Final = timedelta(hours=14)  # where every new day begins (Kiribati)
_SERVER_SIZE: Final = 1_024  # bytes of the members that the server adds to a record, at most
# People who together have less than PAGE_SIZE bytes, however large they are.
_STEP: Final = (PAGE_SIZE - 1) // (MAX_STORED_SIZE + _SERVER_SIZE)
_DUMPED: Final = 1_000  # people read at a time by `everyone`


def always_allow(_: StoredPerson) -> None:
    """Allow a change of every record: the precondition of a change without conditions."""


class PeopleService:
    """The people in a store. `now` gives the time, with its zone."""

    def __init__(self, store: Store, *, now: Callable[[], datetime]) -> None:
        self.store = store
        self._now = now

    @property
    def today(self) -> date:
        """The latest date that it is anywhere on earth: nobody is refused for having been born today."""
        return (self._now() + _FIRST_TIME_ZONE).date()

    async def get(self, person_id: str, *, options: ReadOptions | None = None) -> StoredPerson:
        """Return a person; without a `reading` it is what the store itself says. Raises PersonNotFound."""
        return await self.store.get(person_id, options=options)

    async def create(self, data: Any, *, idempotency_key: ClientKey | None = None) -> StoredPerson:
        """Store a new person; a second call with the same `once` and the same content returns the first one's answer.

        Raises InvalidPerson, KeyReused, CreationErased.
        """
        details = parse_person(data, today=self.today)
        return await self.store.create(
            details, idempotency_key=self._once(idempotency_key, details) if idempotency_key else None
        )

    async def create_legacy(self, data: Any) -> StoredPerson:
        """Store a new person as `POST /data` takes it. Raises InvalidPerson."""
        return await self.store.create(parse_legacy_person(data, today=self.today))

    async def replace(self, person_id: str, data: Any, *, precondition: Precondition = always_allow) -> StoredPerson:
        """Put new details in the place of the old ones, if `precondition` allows it for the current record.

        Raises InvalidPerson, PersonNotFound, and what `precondition` raises.
        """
        return await self._change(person_id, precondition, lambda old, given: self._details(data, old, given))

    async def patch(
        self,
        person_id: str,
        patch: Any,
        *,
        precondition: Precondition = always_allow,
        hidden: frozenset[str] = frozenset(),
    ) -> StoredPerson:
        """Change some members (JSON Merge Patch, RFC 7396), if `precondition` allows it for the current record.

        Whether a patch that names no `hidden` member is accepted does not depend on their values.
        Raises InvalidPerson, PersonNotFound, and what `precondition` raises.
        """
        if hidden:
            return await self._change(
                person_id, precondition, lambda old, given: self._patched(old, patch, given, hidden)
            )
        return await self._change(
            person_id,
            precondition,
            lambda old, given: self._details(apply_merge_patch(old.to_dict(), patch), old, given),
        )

    async def delete(self, person_id: str, *, precondition: Precondition | None = None) -> None:
        """Remove a person for good, if `precondition` allows it for the current record. Raises PersonNotFound, and what it raises."""
        while True:
            expected = None
            if precondition is not None:
                record = await self.store.get(person_id)
                precondition(record)
                expected = record.version
            with suppress(VersionConflict):  # a concurrent change came first: evaluate the precondition again
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
        """Return a page of the matching people without `hidden` members; see `Store.find` and `Store.scan`.

        Where the page ends does not depend on the values of hidden members.
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
        """Fill a page from steps that the store cannot end because of their size; the visible size ends the page."""
        people: list[bytes] = []
        size = 0
        while True:
            wanted = min(limit - len(people), _STEP)
            page = await self.find(person_filter, after=after, limit=wanted, options=options)
            seen = [redact(body, hidden) for body in page.people]
            people += seen
            size += sum(map(len, seen))
            after = page.next
            if after is None or len(seen) < wanted or len(people) == limit or size >= PAGE_SIZE:
                return Page(people, after)

    async def iter_pages(
        self, person_filter: PersonFilter, *, hidden: frozenset[str] = frozenset()
    ) -> AsyncIterator[list[bytes]]:
        """Yield the JSON of all matching people without `hidden` members, some at a time."""
        after: bytes | None = None
        while True:
            page = await self.find(person_filter, after=after, limit=_DUMPED, hidden=hidden)
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
            details = new(*split_record(record))
            with suppress(VersionConflict):  # a concurrent change came first: change the result of that one
                return await self.store.replace(person_id, details, expected=record.version, current=record)

    def _details(self, data: Any, old: PersonData, given: dict[str, Any], *, needs_name: bool = True) -> PersonData:
        """Check new details; a record that is too large already must not grow."""
        return parse_person(
            data,
            today=self.today,
            current_birthdate=old.person_birthdate,
            read_only_values=given,
            size_limit=max(MAX_RECORD_SIZE, old.size),
            require_name=needs_name,
        )

    def _patched(self, old: PersonData, patch: Any, given: dict[str, Any], hidden: frozenset[str]) -> PersonData:
        """Merge a patch that names no hidden member. Only the visible members are checked, so errors do not depend on hidden ones."""
        merged = apply_merge_patch(old.to_dict(), patch)
        seen = person_data_from_fields(visible_fields(old.to_dict(), hidden))
        # Without a visible name a hidden one must be there, but a patch cannot find that out by removing the visible one.
        needs_name = not NAME_FIELDS.isdisjoint(patch)
        new = self._details(visible_fields(merged, hidden), seen, given, needs_name=needs_name).to_dict()
        whole = person_data_from_fields(
            {name: new.get(name, value) for name, value in merged.items() if name not in given}
        )
        if whole.size > MAX_STORED_SIZE:
            raise InvalidPerson(
                [FieldError("", f"is larger than {MAX_STORED_SIZE // 1024} KiB with its hidden members")]
            )
        return whole

    def _once(self, key: ClientKey, details: PersonData) -> IdempotencyKey:
        # Keyed: a bare digest of a name and a birthdate can be found by trying them all.
        digests = (
            blake2b(text, key=self.store.secret, person=b"idempotency", digest_size=32).digest()
            for text in (key.encoded, strict_json.encode(details.to_dict()))
        )
        return IdempotencyKey(*digests)


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396, section 2); `target` stays as it is."""
    if not isinstance(patch, dict):
        return patch
    merged: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
