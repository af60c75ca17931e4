"""`peopleinfo` with injected crashes whose errors contain personal data: `python crashing_service.py serve`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from peopleinfo.__main__ import main
from peopleinfo.http import bulk
from peopleinfo.http.bodies import App
from peopleinfo.http.people import PersonResource
from peopleinfo.people.strict_json import parse
from peopleinfo.stores.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = "Zxqkanarie"
_get, _call = SqliteStore.get, App.__call__


def break_() -> Any:
    raise ValueError(f"cannot make anything of {CANARY}")


async def in_a_handler(*_: Any, **__: Any) -> None:
    break_()


async def in_the_store(self: SqliteStore, person_id: str, **more: Any) -> Any:
    record = await _get(self, person_id, **more)
    raise KeyError(parse(record.body)["person_surname"])


async def beside_the_answer(_: Any, __: Any, resp: Any, **___: Any) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(break_)
    loop.create_task(in_a_handler())  # noqa: RUF006 - nobody waits for it
    resp.status = 204


async def in_the_midst_of_a_stream(*_: Any, **__: Any) -> AsyncIterator[str]:
    yield "{}\n"
    break_()


def outside_of_everything(self: App, scope: Any, receive: Any, send: Any) -> Any:
    return in_a_handler() if scope["method"] == "TRACE" else _call(self, scope, receive, send)


if __name__ == "__main__":
    for place, name, crash in (
        (PersonResource, "on_put", in_a_handler),
        (PersonResource, "on_delete", beside_the_answer),
        (SqliteStore, "get", in_the_store),
        (bulk, "as_ndjson", in_the_midst_of_a_stream),
        (App, "__call__", outside_of_everything),
    ):
        setattr(place, name, crash)
    main()
