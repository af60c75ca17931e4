"""Histories made by hand: who asked what, from when to when, and what they were told. Time is counted in whole steps."""

from __future__ import annotations

from typing import Any

from consistency.history import Kind, Operation, Outcome, Stand


def stand(version: int, mark: str, surname: str = "Bach", person: str = "p") -> Stand:
    return Stand(person, version, mark, surname)


def operation(kind: Kind, call: int, back: int, outcome: Outcome = "done", **more: Any) -> Operation:
    return Operation(kind, call, back, outcome, **({"person": "p"} | more))


def create(
    call: int, back: int, mark: str = "a", *, surname: str = "Bach", person: str = "p", **more: Any
) -> Operation:
    seen = (stand(1, mark, surname, person),)
    return operation("create", call, back, person="", surname=surname, mark=mark, seen=seen, **more)


def replace(call: int, back: int, version: int, mark: str, *, surname: str = "Bach", **more: Any) -> Operation:
    seen = (stand(version, mark, surname),)
    return operation("replace", call, back, surname=surname, mark=mark, seen=seen, **more)


def unknown(kind: Kind, call: int, back: int, mark: str = "", **more: Any) -> Operation:
    surname = "" if kind == "erase" else "Bach"
    return operation(kind, call, back, "unknown", **({"mark": mark, "surname": surname} | more))


def erase(call: int, back: int, **more: Any) -> Operation:
    return operation("erase", call, back, **more)


def read(call: int, back: int, seen: Stand | None, **more: Any) -> Operation:
    return operation("read", call, back, "done" if seen else "missing", seen=(seen,) if seen else (), **more)


def listed(call: int, back: int, *seen: Stand, surname: str = "Bach", **more: Any) -> Operation:
    return operation("list", call, back, person="", surname=surname, seen=seen, **more)
