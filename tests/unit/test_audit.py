"""The audit's lines: chained so that nothing can be changed or left out unseen, and without a value of anybody's."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo import audit as audits
from peopleinfo.audit import AuditStream, Event, ids_of, touched, verify
from peopleinfo.errors import StoreUnavailable
from peopleinfo.telemetry.metrics import AUDIT_EVENTS

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 2


def event(action: str = "getPerson", *people: str) -> Event:
    return Event(1_700_000_000.5, "ci", action, 200, people or (ID,), ("person_name",), "r-1", "192.0.2.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


async def written(path: Path, *actions: str) -> list[bytes]:
    stream = AuditStream(path)
    for action in actions:
        stream.note(event(action), at_once=False)
    stream.close()
    return path.read_bytes().splitlines(keepends=True)


async def test_an_event_is_a_line_of_json(path: Path) -> None:
    first, last = await written(path, "getPerson")
    line = json.loads(first)
    writer = line.pop("writer")
    assert line == {
        "time": "2023-11-14T22:13:20.500000Z",
        "seq": 1,
        "action": "getPerson",
        "principal": "ci",
        "outcome": 200,
        "people": [ID],
        "fields": ["person_name"],
        "request_id": "r-1",
        "client": "192.0.2.1",
        "event": "audit",
    }
    assert (json.loads(last)["action"], json.loads(last)["writer"]) == ("end", writer)


async def test_the_file_is_readable_by_its_owner_alone(path: Path) -> None:
    await written(path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_was_written_is_verified(path: Path) -> None:
    lines = await written(path, "a", "b") + (await written(path, "c"))[3:]
    count, chains, wrong = verify(lines)
    assert (count, wrong) == (5, [])
    assert [chain.ended for chain in chains.values()] == [True, True]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"ci"', b'"cj"'), (b":200,", b":403,"), (b".5", b".6"), (ID.encode(), b"f" * 32), (b"r-1", b"r-2")],
)
async def test_a_line_that_was_changed_is_found(path: Path, number: int, old: bytes, new: bytes) -> None:
    lines = await written(path, "a", "b", "c", "d")
    lines[number] = lines[number].replace(old, new)
    assert len(verify(lines)[2]) == 1


@pytest.mark.parametrize("number", range(1, 4))
async def test_a_line_that_was_left_out_is_found(path: Path, number: int) -> None:
    lines = await written(path, "a", "b", "c", "d")
    del lines[number]
    assert len(verify(lines)[2]) == 1


async def test_lines_that_changed_places_are_found(path: Path) -> None:
    lines = await written(path, "a", "b", "c", "d")
    lines[1], lines[2] = lines[2], lines[1]
    assert verify(lines)[2]


async def test_a_line_that_stands_twice_is_found(path: Path) -> None:
    lines = await written(path, "a", "b")
    assert verify([lines[0], *lines])[2]


async def test_a_missing_beginning_shows(path: Path) -> None:
    lines = await written(path, "a", "b", "c")
    _, chains, _ = verify(lines[1:])
    assert [chain.first for chain in chains.values()] == [2]


async def test_lines_of_a_log_between_are_passed_over(path: Path) -> None:
    lines = await written(path, "a", "b")
    assert verify([b'{"event":"request","status":200}\n', lines[0], b"Traceback\n", *lines[1:]])[2] == []


async def test_a_line_that_is_cut_off_is_found(path: Path) -> None:
    lines = await written(path, "a", "b")
    assert len(verify([lines[0], lines[1][:-30] + b"\n"])[2]) == 1


async def test_two_writers_of_one_file_have_a_chain_each(path: Path) -> None:
    first, second = AuditStream(path), AuditStream(path)
    for _ in range(10):
        first.note(event(), at_once=True)
        second.note(event(), at_once=True)
    first.close()
    second.close()
    count, chains, wrong = verify(path.read_bytes().splitlines(keepends=True))
    assert (count, len(chains), wrong) == (22, 2, [])


async def test_a_change_is_in_the_file_when_it_is_noted(path: Path) -> None:
    stream = AuditStream(path)
    stream.note(event("getPerson"), at_once=False)
    assert not path.exists()
    stream.note(event("changePerson"), at_once=True)
    assert len(path.read_bytes().splitlines()) == 2
    stream.close()


async def test_a_file_that_was_rotated_is_left_and_the_chain_goes_on(path: Path) -> None:
    stream = AuditStream(path)
    stream.note(event(), at_once=True)
    older = path.rename(path.with_suffix(".1"))
    stream.note(event(), at_once=True)
    stream.close()
    lines = [*older.read_bytes().splitlines(keepends=True), *path.read_bytes().splitlines(keepends=True)]
    assert len(older.read_bytes().splitlines()) == 1
    assert verify(lines)[::2] == (3, [])


async def test_while_it_cannot_be_written_events_wait_and_then_nothing_is_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "_WAITING", 3)
    stream = AuditStream(path / "not a folder")
    path.touch()
    for _ in range(2):
        stream.note(event(), at_once=True)
        stream.require()
    stream.note(event(), at_once=True)
    with pytest.raises(StoreUnavailable, match="the audit cannot be written"):
        stream.require()
    path.unlink()
    path.mkdir()
    stream.require()
    stream.close()
    assert verify((path / "not a folder").read_bytes().splitlines(keepends=True))[::2] == (4, [])


async def test_what_is_written_and_what_fails_is_counted(path: Path) -> None:
    before = {outcome: AUDIT_EVENTS.values.get((outcome,), 0) for outcome in ("written", "failed")}
    stream = AuditStream(path / "not a folder")
    path.touch()
    stream.note(event(), at_once=True)
    assert AUDIT_EVENTS.values["failed",] == before["failed"] + 1
    assert AUDIT_EVENTS.values["written",] == before["written"]
    path.unlink()
    path.mkdir()
    stream.note(event(), at_once=True)
    assert AUDIT_EVENTS.values["written",] == before["written"] + 2
    stream.close()


async def test_a_full_disk_leaves_no_half_a_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = AuditStream(path)
    stream.note(event(), at_once=True)
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, text: write(file, text[:20]))
        stream.note(event(), at_once=True)
    stream.close()
    assert verify(path.read_bytes().splitlines(keepends=True))[::2] == (3, [])


async def test_what_is_told_of_somebody_is_all_there_is_or_the_latest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "_PIECE", 500)  # less than two lines: no line is cut
    stream = AuditStream(path)
    for number in range(20):
        stream.note(event(f"action{number}", ID if number % 2 else "0" * 32), at_once=False)
    told = await stream.events_of(ID)
    assert told
    assert [json.loads(line)["action"] for line in told.lines] == [f"action{number}" for number in range(1, 20, 2)]
    assert told.left_out == 0
    monkeypatch.setattr(audits, "_TOLD", 3)
    told = await stream.events_of(ID)
    assert told
    assert [json.loads(line)["action"] for line in told.lines] == ["action15", "action17", "action19"]
    assert told.left_out == 7
    stream.close()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"person_name": "Anna", "person_address": None}, ("person_name", "person_address")),
        ({"person_surname": "B", "Anna's secret": 1}, ("person_surname", "*")),
        ([], ()),
        (None, ()),
    ],
)
def test_fields_are_named_and_those_of_somebodys_own_are_not(data: Any, named: tuple[str, ...]) -> None:
    assert touched(data) == named


def test_ids_are_read_from_whatever_place_they_stand_in() -> None:
    bodies = [b'{"person_id":"' + ID.encode() + b'","version":1}', b'{"version":1,"person_id":"x"}']
    assert ids_of(bodies) == (ID, "x")
