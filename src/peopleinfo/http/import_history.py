"""/v1/imports: the imports, and their undo."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from peopleinfo.auth.principal import Scope
from peopleinfo.errors import ImportNotFound
from peopleinfo.http.middleware.audit import audit_of
from peopleinfo.http.responses import set_private
from peopleinfo.http.search_params import parse_page
from peopleinfo.people import strict_json
from peopleinfo.people.person import is_id

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from peopleinfo.auth.principal import Principal
    from peopleinfo.bulk.import_history import ImportHistory, ImportSummary
    from peopleinfo.http.cursors import Cursors

_UNDO_TIMEOUT: Final = 20.0  # seconds after which a response returns the progress
_MAX_LEFT: Final = 1_000  # people in a response
_CONTEXT: Final = b"imports"


class ImportsResource:
    """/v1/imports: the imports of the principal, or those of all principals for an administrator."""

    def __init__(self, imports: ImportHistory, cursors: Cursors) -> None:
        self._imports = imports
        self._cursors = cursors

    async def on_get(self, req: Request, resp: Response) -> None:
        """Return a page of imports, newest first."""
        principal = req.context.principal
        limit, cursor = parse_page(req.params)
        before = self._cursors.decode(cursor, _CONTEXT, principal.name) if cursor else None
        page, end = await self._imports.list(before=before, limit=limit, principal=_owner(principal))
        next_cursor = self._cursors.encode(end, _CONTEXT, principal.name) if end else None
        resp.data = strict_json.encode({"imports": [_fields(one) for one in page], "next_cursor": next_cursor})
        set_private(resp)

    on_head = on_get


class ImportEntryResource:
    """/v1/imports/{import_id}: one import, and the people that its undo left unchanged."""

    def __init__(self, imports: ImportHistory) -> None:
        self._imports = imports

    async def on_get(self, req: Request, resp: Response, import_id: str) -> None:
        """Return the import."""
        found = await self._imports.get(_parse_id(import_id))
        if _owner(req.context.principal) not in (None, found.principal):
            raise ImportNotFound
        await respond_with_import(resp, self._imports, found)

    on_head = on_get


class ImportUndoResource:
    """/v1/imports/{import_id}/undo: undo an import, some seconds at a time."""

    def __init__(self, imports: ImportHistory) -> None:
        self._imports = imports

    async def on_post(self, req: Request, resp: Response, import_id: str) -> None:
        """Undo the import or continue its undo. Repeat the request until the state is `undone`."""
        trail, undone = audit_of(req), _parse_id(import_id)
        await self._imports.get(undone)
        if trail:
            trail.record_intent()
        deadline = monotonic() + _UNDO_TIMEOUT
        async for step in self._imports.undo(undone, principal=req.context.principal.name):
            if trail:
                trail.record_people(step.changed)
            if monotonic() >= deadline:
                break
        await respond_with_import(resp, self._imports, await self._imports.get(undone))


async def respond_with_import(resp: Response, imports: ImportHistory, found: ImportSummary) -> None:
    """Make the response an import with the first people that its undo left unchanged."""
    left = []
    async for person in imports.left(bytes.fromhex(found.import_id)):
        left.append(person._asdict())
        if len(left) == _MAX_LEFT:
            break
    resp.data = strict_json.encode(_fields(found) | {"people_left": left})
    set_private(resp)


def _fields(found: ImportSummary) -> dict[str, Any]:
    return {
        "import_id": found.import_id,
        "started_at": found.started_at,
        "principal": found.principal,
        "file": found.file._asdict(),
        "state": found.state,
    } | msgspec.structs.asdict(found.counts)


def _owner(principal: Principal) -> str | None:
    """Return the principal whose imports are visible, None for all imports."""
    return None if principal.has_scope(Scope.ADMIN) else principal.name


def _parse_id(import_id: str) -> bytes:
    if not is_id(import_id):
        raise ImportNotFound
    return bytes.fromhex(import_id)
