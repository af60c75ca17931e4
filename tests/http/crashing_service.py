"""`peopleinfo` with injected crashes that put personal data into errors: `python crashing_service.py serve`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from peopleinfo.__main__ import main
from peopleinfo.formats.export import Export
from peopleinfo.http.falcon_app import App
from peopleinfo.http.people import PersonResource
from peopleinfo.people.strict_json import parse
from peopleinfo.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from peopleinfo.formats.export import Chunk

CANARY = "Zxqkanarie"
_get, _call = SqliteStore.get, App.__call__


def raise_error() -> Any:
    raise ValueError(f"cannot parse {CANARY}")


async def crash_in_handler(*_: Any, **__: Any) -> None:
    raise_error()


async def crash_in_store(self: SqliteStore, person_id: str, **options: Any) -> Any:
    record = await _get(self, person_id, **options)
    raise KeyError(parse(record.body)["person_surname"])


async def crash_in_batch(self: SqliteStore, person_ids: Sequence[str]) -> Any:
    return await crash_in_store(self, person_ids[0])


async def crash_in_background(_: Any, __: Any, resp: Any, **___: Any) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(raise_error)
    loop.create_task(crash_in_handler())  # noqa: RUF006 - fire and forget
    resp.status = 204


async def crash_mid_stream(*_: Any, **__: Any) -> AsyncIterator[Chunk]:
    yield 1, b"{}\n"
    raise_error()


def crash_outside_middleware(self: App, scope: Any, receive: Any, send: Any) -> Any:
    return crash_in_handler() if scope["method"] == "TRACE" else _call(self, scope, receive, send)


if __name__ == "__main__":
    for owner, name, crash in (
        (PersonResource, "on_put", crash_in_handler),
        (PersonResource, "on_delete", crash_in_background),
        (SqliteStore, "get", crash_in_store),
        (SqliteStore, "get_many", crash_in_batch),
        (Export, "chunks", crash_mid_stream),
        (App, "__call__", crash_outside_middleware),
    ):
        setattr(owner, name, crash)
    main()
