"""Histories built by hand, with integer times."""

from __future__ import annotations

from typing import Any

from consistency.history import Kind, Operation, Outcome, PersonState


def state(version: int, mark: str, surname: str = "Bach", person: str = "p") -> PersonState:
    return PersonState(person, version, mark, surname)


def operation(kind: Kind, call: int, returned: int, outcome: Outcome = "done", **more: Any) -> Operation:
    return Operation(kind, call, returned, outcome, **({"person": "p"} | more))


def create(
    call: int, returned: int, mark: str = "a", *, surname: str = "Bach", person: str = "p", **more: Any
) -> Operation:
    seen = (state(1, mark, surname, person),)
    return operation("create", call, returned, person="", surname=surname, mark=mark, seen=seen, **more)


def replace(call: int, returned: int, version: int, mark: str, *, surname: str = "Bach", **more: Any) -> Operation:
    seen = (state(version, mark, surname),)
    return operation("replace", call, returned, surname=surname, mark=mark, seen=seen, **more)


def unknown(kind: Kind, call: int, returned: int, mark: str = "", **more: Any) -> Operation:
    surname = "" if kind == "delete" else "Bach"
    return operation(kind, call, returned, "unknown", **({"mark": mark, "surname": surname} | more))


def delete(call: int, returned: int, **more: Any) -> Operation:
    return operation("delete", call, returned, **more)


def restore(call: int, returned: int, version: int, mark: str = "a") -> Operation:
    return operation("restore", call, returned, seen=(state(version, mark),))


def merge(call: int, returned: int, survivor: PersonState, other: str, **more: Any) -> Operation:
    return operation("merge", call, returned, person=survivor.person, other=other, seen=(survivor,), **more)


def undo(call: int, returned: int, survivor: PersonState, merged: PersonState) -> Operation:
    return operation("undo", call, returned, person=survivor.person, other=merged.person, seen=(survivor, merged))


def read(call: int, returned: int, seen: PersonState | None, **more: Any) -> Operation:
    return operation("read", call, returned, "done" if seen else "missing", seen=(seen,) if seen else (), **more)


def list_people(call: int, returned: int, *seen: PersonState, surname: str = "Bach", **more: Any) -> Operation:
    return operation("list", call, returned, person="", surname=surname, seen=seen, **more)
