"""The audit's lines: chained so that nothing can be changed or left out unseen, and without a value of anybody's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.errors import AuditUnavailable
from peopleinfo.privacy.audit import AuditEvent, field_names, person_ids
from peopleinfo.privacy.audit_file import AuditLogWriter
from peopleinfo.privacy.audit_sink import LINE_SIZE, heads_path, read_heads
from peopleinfo.privacy.audit_verify import verify
from peopleinfo.telemetry.metrics import AUDIT_EVENTS

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 2


def event(action: str = "getPerson", *people: str) -> AuditEvent:
    return AuditEvent(1_700_000_000.5, "ci", action, 200, people or (ID,), ("person_name",), "r-1", "192.0.2.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


async def written(path: Path, *actions: str) -> list[bytes]:
    stream = AuditLogWriter(path)
    for action in actions:
        stream.record(event(action))
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


async def test_a_missing_beginning_is_found(path: Path) -> None:
    lines = await written(path, "a", "b", "c")
    assert "start at 2" in verify(lines[1:]).problems[0]


async def test_lines_of_a_log_between_are_passed_over(path: Path) -> None:
    lines = await written(path, "a", "b")
    assert verify([b'{"event":"request","status":200}\n', lines[0], b"Traceback\n", *lines[1:]])[2] == []


async def test_a_line_that_is_cut_off_is_found(path: Path) -> None:
    lines = await written(path, "a", "b")
    assert len(verify([lines[0], lines[1][:-30] + b"\n"])[2]) == 1


async def test_two_writers_of_one_file_have_a_chain_each(path: Path) -> None:
    first, second = AuditLogWriter(path), AuditLogWriter(path)
    for _ in range(10):
        first.write(event())
        second.write(event())
    first.close()
    second.close()
    count, chains, wrong = verify(path.read_bytes().splitlines(keepends=True))
    assert (count, len(chains), wrong) == (22, 2, [])


async def test_a_change_is_in_the_file_when_it_is_noted(path: Path) -> None:
    stream = AuditLogWriter(path)
    stream.record(event("getPerson"))
    assert path.read_bytes() == b""
    stream.write(event("changePerson"))
    assert len(path.read_bytes().splitlines()) == 2
    stream.close()


async def test_a_file_that_was_rotated_is_left_and_the_chain_goes_on(path: Path) -> None:
    stream = AuditLogWriter(path)
    stream.write(event())
    older = path.rename(path.with_suffix(".1"))
    stream.write(event())
    stream.close()
    lines = [*older.read_bytes().splitlines(keepends=True), *path.read_bytes().splitlines(keepends=True)]
    assert len(older.read_bytes().splitlines()) == 1
    assert verify(lines)[::2] == (3, [])


@pytest.fixture
def hindered(path: Path) -> Path:
    """An audit whose folder is a file until `restored`."""
    path.touch()
    return path / "audit.jsonl"


def restored(path: Path) -> None:
    path.parent.unlink()
    path.parent.mkdir()


async def test_while_it_cannot_be_written_changes_are_refused_and_reads_wait(hindered: Path) -> None:
    stream = AuditLogWriter(hindered)
    for _ in range(3):
        stream.check_writable(change=False)
        stream.record(event())
        with pytest.raises(AuditUnavailable, match="the audit log is unavailable"):
            stream.check_writable(change=True)
    assert stream.write_error()
    restored(hindered)
    stream.check_writable(change=True)
    assert not stream.write_error()
    stream.close()
    found = verify(hindered.read_bytes().splitlines(keepends=True), read_heads(hindered))
    assert (found.lines, found.problems) == (4, [])


async def test_what_waits_is_limited_in_bytes(hindered: Path) -> None:
    stream = AuditLogWriter(hindered, max_queue_size=10_000)
    with contextlib.suppress(AuditUnavailable):
        for _ in range(1_000):
            stream.record(event("findPeople", *[ID] * 50))
    with pytest.raises(AuditUnavailable):
        stream.check_writable(change=False)
    restored(hindered)
    stream.check_writable(change=False)
    stream.record(event("later"))
    stream.close()
    assert len(hindered.read_bytes()) < 15_000
    assert verify(hindered.read_bytes().splitlines(keepends=True)).problems == []


@pytest.mark.parametrize("waiting", [1, 2_000])
async def test_an_attempt_that_fails_costs_the_same_however_many_events_wait(
    hindered: Path, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = AuditLogWriter(hindered)
    for _ in range(waiting):
        stream.record(event())
    encoded: list[object] = []
    monkeypatch.setattr("peopleinfo.people.strict_json.encode", encoded.append)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    with contextlib.suppress(AuditUnavailable):
        stream.check_writable(change=True)
    sys.setprofile(None)
    assert encoded == []
    assert calls < 150
    monkeypatch.undo()
    restored(hindered)
    stream.close()


async def test_what_is_written_and_what_fails_is_counted(hindered: Path) -> None:
    stream = AuditLogWriter(hindered)
    before = {outcome: AUDIT_EVENTS.values.get((outcome,), 0) for outcome in ("written", "failed")}
    with pytest.raises(AuditUnavailable):
        stream.write(event())
    assert AUDIT_EVENTS.values["failed",] == before["failed"] + 1
    assert AUDIT_EVENTS.values["written",] == before["written"]
    restored(hindered)
    stream.write(event())
    assert AUDIT_EVENTS.values["written",] == before["written"] + 2
    stream.close()


async def test_what_waits_is_written_without_a_further_request(hindered: Path) -> None:
    stream = AuditLogWriter(hindered)
    stream.record(event())
    restored(hindered)
    while not (hindered.exists() and hindered.read_bytes()):
        await asyncio.sleep(0.01)
    stream.close()


async def test_a_full_disk_leaves_no_half_a_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, other = AuditLogWriter(path), AuditLogWriter(path)
    stream.write(event())
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, text: write(file, text[:20]))
        with pytest.raises(AuditUnavailable, match="No space left"):
            stream.write(event())
    other.write(event())
    stream.close()
    other.close()
    assert verify(path.read_bytes().splitlines(keepends=True))[::2] == (5, [])


async def test_a_change_is_refused_before_the_disk_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = AuditLogWriter(path)
    stream.check_writable(change=True)
    statistics = os.fstatvfs
    with monkeypatch.context() as full:
        full.setattr(os, "fstatvfs", lambda file: replaced(statistics(file), f_bavail=1))
        with pytest.raises(AuditUnavailable, match="No space left"):
            stream.check_writable(change=True)
        stream.record(event())
        stream.flush()
        assert len(path.read_bytes().splitlines()) == 1  # what fits is written
    stream.check_writable(change=True)
    stream.close()


def replaced(statistics: os.statvfs_result, *, f_bavail: int) -> os.statvfs_result:
    return os.statvfs_result((*statistics[:4], f_bavail, *statistics[5:]))


async def test_the_line_after_half_a_line_is_whole(path: Path) -> None:
    path.write_bytes(b'{"event":"aud')
    stream = AuditLogWriter(path)
    stream.write(event())
    stream.close()
    assert [line.startswith(b'{"event":"audit"') for line in path.read_bytes().splitlines()] == [False, True, True]


@pytest.mark.parametrize("device", ["/dev/full", "fifo", "folder"])
async def test_a_path_that_takes_nothing_refuses_changes(tmp_path: Path, device: str) -> None:
    path = tmp_path / device if device.isalpha() else tmp_path / "full"
    if device == "fifo":
        os.mkfifo(path)
    elif device == "folder":
        path.mkdir()
    else:
        path.symlink_to(device)
    stream = AuditLogWriter(path)
    with pytest.raises(AuditUnavailable):
        stream.write(event())
    stream.close()


async def test_lines_reach_the_reader_of_a_pipe_until_it_takes_no_more(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stream = AuditLogWriter(path)
    with contextlib.suppress(AuditUnavailable):
        for _ in range(1_000):
            stream.write(event("findPeople", *[ID] * 80))
    assert "the pipe is full" in stream.write_error()
    taken = os.read(reader, 1_000_000)
    assert stream.write_error() == ""
    stream.close()
    taken += os.read(reader, 1_000_000)
    assert verify(taken.splitlines(keepends=True)).problems == []
    os.close(reader)
    gone = AuditLogWriter(path)
    with pytest.raises(AuditUnavailable):
        gone.write(event())
    gone.close()


async def test_no_line_is_longer_than_a_pipe_takes_in_one_piece(path: Path) -> None:
    stream = AuditLogWriter(path)
    people = tuple(f"{number:032x}" for number in range(1_000))
    long = AuditEvent(
        1_700_000_000.5, "oidc:" + "x" * 200, "exportPeople", 200, people, ("person_name",) * 4, "r" * 40, "1" * 45
    )
    stream.write(long)
    stream.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert max(map(len, lines)) <= LINE_SIZE
    assert [who for line in lines for who in json.loads(line).get("people", ())] == list(people)
    assert verify(lines).problems == []


async def test_an_intent_names_the_operation_and_has_no_outcome(path: Path) -> None:
    stream = AuditLogWriter(path)
    stream.write(event("erasePerson")._replace(intent=True, outcome=0))
    stream.close()
    line = json.loads(path.read_bytes().splitlines()[0])
    assert (line["action"], line["intent"], line["people"]) == ("intent", "erasePerson", [ID])
    assert "outcome" not in line


async def three_writers(path: Path) -> list[AuditLogWriter]:
    streams = [AuditLogWriter(path) for _ in range(3)]
    for stream in streams:
        for _ in range(3):
            stream.write(event())
    return streams


def checked(path: Path) -> list[str]:
    return verify(path.read_bytes().splitlines(keepends=True), read_heads(path)).problems


async def test_all_writers_are_registered(path: Path) -> None:
    streams = await three_writers(path)
    assert checked(path) == []
    for stream in streams:
        stream.close()
    assert checked(path) == []
    assert {head.seq for head in read_heads(path).values()} == {4}
    assert heads_path(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("ended", [True, False])
async def test_a_writer_whose_lines_were_removed_is_found(path: Path, number: int, *, ended: bool) -> None:
    streams = await three_writers(path)
    if ended:
        for stream in streams:
            stream.close()
    lines = path.read_bytes().splitlines(keepends=True)
    writer = json.loads(lines[number * 3])["writer"]
    path.write_bytes(b"".join(line for line in lines if json.loads(line)["writer"] != writer))
    assert [writer in problem for problem in checked(path)] == [True]


@pytest.mark.parametrize("cut", [1, 2, 5])
async def test_lines_that_were_cut_off_at_the_end_are_found(path: Path, cut: int) -> None:
    await three_writers(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-cut]))
    assert checked(path)


async def test_a_last_line_that_was_changed_is_found(path: Path) -> None:
    stream = AuditLogWriter(path)
    stream.write(event())
    path.write_bytes(path.read_bytes().replace(b'"ci"', b'"cj"'))
    assert len(checked(path)) == 1
    stream.close()


async def test_a_writer_that_is_not_registered_is_found(path: Path) -> None:
    (await three_writers(path))[0].close()
    text = heads_path(path).read_text().splitlines(keepends=True)
    heads_path(path).write_text("".join(text[1:]))
    assert "is not registered" in checked(path)[0]


async def test_the_register_covers_rotated_files(path: Path) -> None:
    streams = await three_writers(path)
    older = path.rename(path.with_name("audit.jsonl.1"))
    for stream in streams:
        stream.write(event())
        stream.close()
    lines = [*older.read_bytes().splitlines(keepends=True), *path.read_bytes().splitlines(keepends=True)]
    assert verify(lines, read_heads(path)).problems == []
    assert verify(lines[9:], read_heads(path)).problems


async def test_a_removed_register_is_made_again_with_the_next_file(path: Path) -> None:
    stream = AuditLogWriter(path)
    stream.write(event())
    path.unlink()
    heads_path(path).unlink()
    stream.write(event())
    assert [head.seq for head in read_heads(path).values()] == [2]
    stream.close()


async def test_the_latest_lines_about_a_person_are_returned(path: Path) -> None:
    for told, first, left_out in ((100, 1, 0), (3, 15, 7)):
        path.unlink(missing_ok=True)
        stream = AuditLogWriter(path, max_excerpt_lines=told, search_size=500)  # less than two lines: no line is cut
        for number in range(20):
            stream.record(event(f"action{number}", ID if number % 2 else "0" * 32))
        events = await stream.events_for(ID)
        assert events
        actions = [json.loads(line)["action"] for line in events.lines]
        assert actions == [f"action{number}" for number in range(first, 20, 2)]
        assert events.omitted == left_out
        stream.close()


async def test_lines_about_a_person_that_wait_are_not_left_out(hindered: Path) -> None:
    stream = AuditLogWriter(hindered)
    stream.record(event())
    with pytest.raises(AuditUnavailable):
        await stream.events_for(ID)
    restored(hindered)
    events = await stream.events_for(ID)
    assert events
    assert len(events.lines) == 1
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
    assert field_names(data) == named


def test_ids_are_read_from_whatever_place_they_stand_in() -> None:
    bodies = [b'{"person_id":"' + ID.encode() + b'","version":1}', b'{"version":1,"person_id":"x"}']
    assert person_ids(bodies) == (ID, "x")
