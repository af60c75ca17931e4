"""Operations on person records, independent of the store and of the protocol."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from peopleinfo.errors import (
    FieldError,
    InvalidPerson,
    InvalidSearch,
    PeopleInfoError,
    PersonMerged,
    PersonNotFound,
    VersionConflict,
)
from peopleinfo.people import strict_json
from peopleinfo.people.birthdate import earliest_date
from peopleinfo.people.deletion import Deletion
from peopleinfo.people.field_access import redact, visible_fields
from peopleinfo.people.history import Operation, Origin
from peopleinfo.people.idempotency import IdempotencyKey
from peopleinfo.people.identifier_search import IdentifiedPeople, IdentifierSearch
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
from peopleinfo.people.preconditions import always_allow
from peopleinfo.people.search_index import MAX_HITS
from peopleinfo.people.store import MAX_HIDDEN_PAGE, PAGE_SIZE, CacheStatus, Creation, Page
from peopleinfo.people.text_search import PeopleSearch, SearchResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from peopleinfo.people.idempotency import ClientKey
    from peopleinfo.people.person_filter import PersonFilter
    from peopleinfo.people.preconditions import Precondition
    from peopleinfo.people.search_index import SearchIndex
    from peopleinfo.people.store import CachedReader, PersonStore
    from peopleinfo.people.text_query import Query
    from peopleinfo.people.trash import Trash

_SCAN_LIMIT: Final = 1_000  # records per page of `iter_pages`
_SELECTED_LIMIT: Final = 100  # records per page of `iter_selected`


class PeopleService:
    """The operations on the records of a store. `now` returns the current time as an aware datetime."""

    def __init__(
        self,
        store: PersonStore,
        *,
        secret: bytes,
        now: Callable[[], datetime],
        cache: CachedReader | None = None,
        index: SearchIndex | None = None,
        trash: Trash | None = None,
    ) -> None:
        """Derive keys from `secret`. `cache` is the cache in front of the store, `index` its search index; None without one.

        `trash` takes the deleted people if it is on.
        """
        self._store = store
        deletion = Deletion(store, trash)
        self.has_trash = deletion.has_trash
        self.delete = deletion.delete
        self.erase = deletion.erase
        self._secret = secret
        self._now = now
        self._cache = cache
        self._index = index
        self._search = PeopleSearch(index) if index else None
        self._by_identifier = IdentifierSearch(index) if index else None

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The custom fields that find a person."""
        return self._index.plan.identifiers if self._index else ()

    @property
    def unique_identifiers(self) -> frozenset[str]:
        """The identifiers that no two people may share."""
        return self._index.plan.unique if self._index else frozenset()

    @property
    def finds_prefixes(self) -> bool:
        """Whether a search can find the start of a surname."""
        return self._index is None or self._index.is_readable

    @property
    def today(self) -> date:
        """The current date, see `earliest_date`."""
        return earliest_date(self._now())

    def get(self, person_id: str) -> Awaitable[StoredPerson]:
        """Return a record from the store itself. Raises PersonNotFound."""
        return self._store.get(person_id)

    def get_cached(
        self, person_id: str, *, fresh: bool = False
    ) -> Awaitable[tuple[StoredPerson | None, CacheStatus | None]]:
        """Return a record, None for an unknown id, and the cache status, None without a cache. `fresh`: bypass the cache.

        Raises PersonMerged.
        """
        if self._cache is None or fresh:
            return self._get_uncached(person_id)
        return self._cache.get_cached(person_id)

    async def get_many(
        self, person_ids: Sequence[str], *, fresh: bool = False
    ) -> tuple[dict[str, StoredPerson], Sequence[CacheStatus]]:
        """Return the records with these ids, by id, and the cache statuses of the reads. `fresh`: bypass the cache."""
        if self._cache is not None and not fresh:
            return await self._cache.get_many_cached(person_ids)
        records = await self._store.get_many(person_ids)
        found = {record.person_id: record for record in records if record is not None}
        return found, [self._bypassed] * len(records) if self._bypassed else []

    async def search(
        self,
        query: Query,
        *,
        limit: int,
        after: bytes | None = None,
        hidden: frozenset[str] = frozenset(),
        forgiving: bool = True,
    ) -> SearchResult:
        """Return a page of the people that match the text of a box; see `PeopleSearch.find`. Raises InvalidSearch without an index."""
        if self._search is None:
            raise InvalidSearch([FieldError("q", "is not supported by this store: search by surname and name")])
        return await self._search.find(query, limit=limit, after=after, hidden=hidden, forgiving=forgiving)

    async def find_identified(
        self, values: Mapping[str, str], where: PersonFilter, hidden: frozenset[str]
    ) -> IdentifiedPeople:
        """Return the people with these values of identifiers; see `IdentifierSearch.find`. Raises InvalidSearch without an index."""
        if self._by_identifier is None:
            raise InvalidSearch([FieldError(name, "is not indexed by this store") for name in values])
        return await self._by_identifier.find(values, where, hidden)

    async def search_ids(
        self, query: Query, *, hidden: frozenset[str] = frozenset(), forgiving: bool = True
    ) -> list[str]:
        """Return the ids of all people that `search` finds, the best match first. Raises InvalidSearch without an index."""
        found = await self.search(query, limit=MAX_HITS, hidden=hidden, forgiving=forgiving)
        return [str(person.fields["person_id"]) for person in found.people]

    async def _get_uncached(self, person_id: str) -> tuple[StoredPerson | None, CacheStatus | None]:
        try:
            return await self._store.get(person_id), self._bypassed
        except PersonMerged:
            raise
        except PersonNotFound:
            return None, self._bypassed

    @property
    def _bypassed(self) -> CacheStatus | None:
        return CacheStatus.REQUEST if self._cache else None

    async def create(
        self, data: Any, *, idempotency_key: ClientKey | None = None, principal: str | None = None
    ) -> StoredPerson:
        """Create a record. A second call with the same `idempotency_key` and content returns the record of the first call.

        Raises InvalidPerson, IdempotencyKeyConflict, IdempotentPersonDeleted.
        """
        creation = self._creation(data, idempotency_key)
        return await self._store.create(creation.data, idempotency_key=creation.idempotency_key, principal=principal)

    async def create_each(
        self, new: Sequence[tuple[Any, ClientKey | None]], *, principal: str | None = None
    ) -> list[StoredPerson | PeopleInfoError]:
        """Create records from data and idempotency keys; return for each, in order, the record or the error. No key may occur twice."""
        parsed = [self._creation_or_error(*one) for one in new]
        creations = [one for one in parsed if isinstance(one, Creation)]
        try:
            outcomes: Iterator[StoredPerson | PeopleInfoError] = iter(
                await self._store.create_each(creations, principal=principal) if creations else ()
            )
        except PeopleInfoError as error:
            outcomes = repeat(error)
        return [next(outcomes) if isinstance(one, Creation) else one for one in parsed]

    async def create_legacy(self, data: Any, *, principal: str | None = None) -> StoredPerson:
        """Create a record from a body of `POST /data`. Raises InvalidPerson."""
        return await self._store.create(parse_legacy_person(data, today=self.today), principal=principal)

    async def replace(
        self,
        person_id: str,
        data: Any,
        *,
        precondition: Precondition = always_allow,
        principal: str | None = None,
    ) -> StoredPerson:
        """Replace the fields of a record if `precondition` accepts the current record.

        Raises InvalidPerson, PersonNotFound and the errors of `precondition`.
        """
        return await self._change(
            person_id, precondition, principal, lambda old, read_only: self._parse(data, old, read_only)
        )

    async def patch(
        self,
        person_id: str,
        patch: Any,
        *,
        precondition: Precondition = always_allow,
        hidden: frozenset[str] = frozenset(),
        principal: str | None = None,
    ) -> StoredPerson:
        """Apply a JSON Merge Patch (RFC 7396) if `precondition` accepts the current record.

        The validation of a patch without `hidden` fields does not depend on the values of these fields.
        Raises InvalidPerson, PersonNotFound and the errors of `precondition`.
        """
        if hidden:
            return await self._change(
                person_id,
                precondition,
                principal,
                lambda old, read_only: self._patch_visible(old, patch, read_only, hidden),
            )
        return await self._change(
            person_id,
            precondition,
            principal,
            lambda old, read_only: self._parse(apply_merge_patch(old.to_dict(), patch), old, read_only),
        )

    async def find(
        self,
        person_filter: PersonFilter,
        *,
        after: bytes | None = None,
        limit: int,
        hidden: frozenset[str] = frozenset(),
    ) -> Page:
        """Return a page of the matching records without `hidden` fields; see `PersonReader.find` and `PersonReader.scan`.

        The end of the page does not depend on the values of hidden fields.
        """
        page, _ = await self.find_cached(person_filter, after=after, limit=limit, fresh=True, hidden=hidden)
        return page

    async def find_cached(
        self,
        person_filter: PersonFilter,
        *,
        after: bytes | None = None,
        limit: int,
        fresh: bool = False,
        hidden: frozenset[str] = frozenset(),
    ) -> tuple[Page, CacheStatus | None]:
        """Return a page like `find`, and the cache status, None without a cache. `fresh`: bypass the cache."""
        if hidden:
            return await self._find_visible(person_filter, after, limit, hidden, fresh=fresh)
        if person_filter.surname_key is None and person_filter.prefix_key is None:
            return await self._store.scan(after=after, limit=limit, person_filter=person_filter), None
        if self._cache is None or fresh:
            return await self._store.find(person_filter, after=after, limit=limit), self._bypassed
        return await self._cache.find_cached(person_filter, after=after, limit=limit)

    async def _find_visible(
        self, person_filter: PersonFilter, after: bytes | None, limit: int, hidden: frozenset[str], *, fresh: bool
    ) -> tuple[Page, CacheStatus | None]:
        """Fill a page; its size limit applies to the visible fields only. The cache status is that of the last query.

        Each query is small enough that the store cannot end it early because of the size of the complete records.
        """
        people: list[bytes] = []
        size = 0
        while True:
            query_limit = min(limit - len(people), MAX_HIDDEN_PAGE)
            page, status = await self.find_cached(person_filter, after=after, limit=query_limit, fresh=fresh)
            redacted = [redact(body, hidden) for body in page.people]
            people += redacted
            size += sum(map(len, redacted))
            after = page.next
            if after is None or len(redacted) < query_limit or len(people) == limit or size >= PAGE_SIZE:
                return Page(people, after), status

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

    async def iter_selected(
        self, person_ids: Sequence[str], *, hidden: frozenset[str] = frozenset()
    ) -> AsyncIterator[list[bytes]]:
        """Yield the JSON of the records with these ids without `hidden` fields, a page at a time; omit unknown ids."""
        for start in range(0, len(person_ids), _SELECTED_LIMIT):
            people = await self._store.get_many(person_ids[start : start + _SELECTED_LIMIT])
            bodies = [person.body for person in people if person is not None]
            yield [redact(body, hidden) for body in bodies] if hidden else bodies

    async def _change(
        self,
        person_id: str,
        precondition: Precondition,
        principal: str | None,
        new: Callable[[PersonData, dict[str, Any]], PersonData],
    ) -> StoredPerson:
        origin = Origin(Operation.UPDATED, principal)
        while True:
            record = await self._store.get(person_id)
            precondition(record)
            person = new(*split_record(record))
            with suppress(VersionConflict):  # after a concurrent change, apply this change to its result
                return await self._store.replace(
                    person_id, person, expected=record.version, current=record, origin=origin
                )

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

    def _creation(self, data: Any, idempotency_key: ClientKey | None) -> Creation:
        person = parse_person(data, today=self.today)
        return Creation(person, self._keyed_digests(idempotency_key, person) if idempotency_key else None)

    def _creation_or_error(self, data: Any, idempotency_key: ClientKey | None) -> Creation | InvalidPerson:
        try:
            return self._creation(data, idempotency_key)
        except InvalidPerson as error:
            return error

    def _keyed_digests(self, key: ClientKey, person: PersonData) -> IdempotencyKey:
        # A plain digest of a name and a birthdate could be reversed by brute force.
        digests = (
            blake2b(text, key=self._secret, person=b"idempotency", digest_size=32).digest()
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
