"""Creation of a person that reports possible duplicates, or refuses the person: `POST /v1/people?duplicates=`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import FieldError, IdempotentPersonDeleted, InvalidSearch
from peopleinfo.matching.creation_check import counts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from falcon.asgi import Request, Response

    from peopleinfo.matching.creation_check import NewRecords
    from peopleinfo.people.idempotency import ClientKey
    from peopleinfo.people.person import StoredPerson
    from peopleinfo.people.service import PeopleService

DuplicateMode = Literal["report", "refuse"]
_MODES: Final = ("report", "refuse")


class CheckedCreation:
    """Creates people whose duplicates the client wants to know."""

    def __init__(self, people: PeopleService, new_records: NewRecords) -> None:
        self._people = people
        self._new_records = new_records

    def of(self, req: Request, resp: Response) -> Callable[..., Awaitable[StoredPerson]]:
        """Return the function that creates the person of a request. Raises InvalidSearch, AccessDenied, FieldAccessDenied."""
        mode = req.get_param("duplicates")
        if mode not in _MODES:
            raise InvalidSearch([FieldError("duplicates", f"must be one of {', '.join(_MODES)}")])
        principal = req.context.principal
        principal.require_scope(Scope.READ)  # the response describes other people
        self._new_records.check(principal.hidden_fields)
        return self._refusing(req, resp) if mode == "refuse" else self._reporting(req, resp)

    def _reporting(self, req: Request, resp: Response) -> Callable[..., Awaitable[StoredPerson]]:
        async def create(data: Any, *, idempotency_key: ClientKey | None, principal: str) -> StoredPerson:
            record = await self._people.create(data, idempotency_key=idempotency_key, principal=principal)
            found = await self._new_records.report(record.person_id, req.context.principal.hidden_fields)
            _set_headers(resp, record.person_id, counts(found))
            return record

        return create

    def _refusing(self, req: Request, resp: Response) -> Callable[..., Awaitable[StoredPerson]]:
        hidden = req.context.principal.hidden_fields

        async def create(data: Any, *, idempotency_key: ClientKey | None, principal: str) -> StoredPerson:
            try:
                record = await self._people.create(data, idempotency_key=idempotency_key, principal=principal)
            except IdempotentPersonDeleted:
                await self._new_records.refuse_again(data, hidden)
                raise
            found = await self._new_records.refuse(record.person_id, hidden)
            _set_headers(resp, record.person_id, counts(found))
            return record

        return create


def _set_headers(resp: Response, person_id: str, duplicates: str) -> None:
    resp.set_header("Duplicates", duplicates)
    resp.set_header("Link", f'</v1/people/{person_id}/duplicates>; rel="related"')
