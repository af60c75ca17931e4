"""The audit log: verification detects every changed or removed line, and lines contain no personal data."""

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


async def write_events(path: Path, *actions: str) -> list[bytes]:
    log = AuditLogWriter(path)
    for action in actions:
        log.record(event(action))
    log.close()
    return path.read_bytes().splitlines(keepends=True)


async def test_event_is_written_as_a_json_line(path: Path) -> None:
    first, last = await write_events(path, "getPerson")
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


async def test_audit_file_is_accessible_only_to_its_owner(path: Path) -> None:
    await write_events(path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_unmodified_log_passes_verification(path: Path) -> None:
    lines = await write_events(path, "a", "b") + (await write_events(path, "c"))[3:]
    count, chains, wrong = verify(lines)
    assert (count, wrong) == (5, [])
    assert [chain.ended for chain in chains.values()] == [True, True]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"ci"', b'"cj"'), (b":200,", b":403,"), (b".5", b".6"), (ID.encode(), b"f" * 32), (b"r-1", b"r-2")],
)
async def test_changed_line_is_detected(path: Path, number: int, old: bytes, new: bytes) -> None:
    lines = await write_events(path, "a", "b", "c", "d")
    lines[number] = lines[number].replace(old, new)
    assert len(verify(lines)[2]) == 1


@pytest.mark.parametrize("number", range(1, 4))
async def test_removed_line_is_detected(path: Path, number: int) -> None:
    lines = await write_events(path, "a", "b", "c", "d")
    del lines[number]
    assert len(verify(lines)[2]) == 1


async def test_reordered_lines_are_detected(path: Path) -> None:
    lines = await write_events(path, "a", "b", "c", "d")
    lines[1], lines[2] = lines[2], lines[1]
    assert verify(lines)[2]


async def test_duplicate_line_is_detected(path: Path) -> None:
    lines = await write_events(path, "a", "b")
    assert verify([lines[0], *lines])[2]


async def test_missing_first_lines_are_detected(path: Path) -> None:
    lines = await write_events(path, "a", "b", "c")
    assert "start at 2" in verify(lines[1:]).problems[0]


async def test_other_log_lines_are_ignored(path: Path) -> None:
    lines = await write_events(path, "a", "b")
    assert verify([b'{"event":"request","status":200}\n', lines[0], b"Traceback\n", *lines[1:]])[2] == []


async def test_truncated_line_is_detected(path: Path) -> None:
    lines = await write_events(path, "a", "b")
    assert len(verify([lines[0], lines[1][:-30] + b"\n"])[2]) == 1


async def test_each_writer_of_a_file_has_its_own_chain(path: Path) -> None:
    first, second = AuditLogWriter(path), AuditLogWriter(path)
    for _ in range(10):
        first.write(event())
        second.write(event())
    first.close()
    second.close()
    count, chains, wrong = verify(path.read_bytes().splitlines(keepends=True))
    assert (count, len(chains), wrong) == (22, 2, [])


async def test_event_of_a_change_is_written_immediately(path: Path) -> None:
    log = AuditLogWriter(path)
    log.record(event("getPerson"))
    assert path.read_bytes() == b""
    log.write(event("changePerson"))
    assert len(path.read_bytes().splitlines()) == 2
    log.close()


async def test_chain_continues_in_a_new_file_after_rotation(path: Path) -> None:
    log = AuditLogWriter(path)
    log.write(event())
    older = path.rename(path.with_suffix(".1"))
    log.write(event())
    log.close()
    lines = [*older.read_bytes().splitlines(keepends=True), *path.read_bytes().splitlines(keepends=True)]
    assert len(older.read_bytes().splitlines()) == 1
    assert verify(lines)[::2] == (3, [])


@pytest.fixture
def unwritable(path: Path) -> Path:
    """Path of a log that is not writable until `make_writable`, because its folder is a file."""
    path.touch()
    return path / "audit.jsonl"


def make_writable(path: Path) -> None:
    path.parent.unlink()
    path.parent.mkdir()


async def test_changes_are_rejected_and_reads_are_queued_while_log_is_not_writable(unwritable: Path) -> None:
    log = AuditLogWriter(unwritable)
    for _ in range(3):
        log.check_writable(change=False)
        log.record(event())
        with pytest.raises(AuditUnavailable, match="the audit log is unavailable"):
            log.check_writable(change=True)
    assert log.write_error()
    make_writable(unwritable)
    log.check_writable(change=True)
    assert not log.write_error()
    log.close()
    found = verify(unwritable.read_bytes().splitlines(keepends=True), read_heads(unwritable))
    assert (found.lines, found.problems) == (4, [])


async def test_queue_has_a_limit_in_bytes(unwritable: Path) -> None:
    log = AuditLogWriter(unwritable, max_queue_size=10_000)
    with contextlib.suppress(AuditUnavailable):
        for _ in range(1_000):
            log.record(event("findPeople", *[ID] * 50))
    with pytest.raises(AuditUnavailable):
        log.check_writable(change=False)
    make_writable(unwritable)
    log.check_writable(change=False)
    log.record(event("later"))
    log.close()
    assert len(unwritable.read_bytes()) < 15_000
    assert verify(unwritable.read_bytes().splitlines(keepends=True)).problems == []


@pytest.mark.parametrize("queued", [1, 2_000])
async def test_cost_of_a_failed_attempt_does_not_depend_on_the_queue(
    unwritable: Path, queued: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLogWriter(unwritable)
    for _ in range(queued):
        log.record(event())
    encoded: list[object] = []
    monkeypatch.setattr("peopleinfo.people.strict_json.encode", encoded.append)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    with contextlib.suppress(AuditUnavailable):
        log.check_writable(change=True)
    sys.setprofile(None)
    assert encoded == []
    assert calls < 150
    monkeypatch.undo()
    make_writable(unwritable)
    log.close()


async def test_written_events_and_failures_are_counted(unwritable: Path) -> None:
    log = AuditLogWriter(unwritable)
    before = {outcome: AUDIT_EVENTS.values.get((outcome,), 0) for outcome in ("written", "failed")}
    with pytest.raises(AuditUnavailable):
        log.write(event())
    assert AUDIT_EVENTS.values["failed",] == before["failed"] + 1
    assert AUDIT_EVENTS.values["written",] == before["written"]
    make_writable(unwritable)
    log.write(event())
    assert AUDIT_EVENTS.values["written",] == before["written"] + 2
    log.close()


async def test_queue_is_written_without_another_request(unwritable: Path) -> None:
    log = AuditLogWriter(unwritable)
    log.record(event())
    make_writable(unwritable)
    while not (unwritable.exists() and unwritable.read_bytes()):
        await asyncio.sleep(0.01)
    log.close()


async def test_full_disk_leaves_no_partial_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, other = AuditLogWriter(path), AuditLogWriter(path)
    log.write(event())
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, text: write(file, text[:20]))
        with pytest.raises(AuditUnavailable, match="No space left"):
            log.write(event())
    other.write(event())
    log.close()
    other.close()
    assert verify(path.read_bytes().splitlines(keepends=True))[::2] == (5, [])


async def test_change_is_rejected_before_the_disk_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLogWriter(path)
    log.check_writable(change=True)
    statistics = os.fstatvfs
    with monkeypatch.context() as full:
        full.setattr(os, "fstatvfs", lambda file: with_free_blocks(statistics(file), f_bavail=1))
        with pytest.raises(AuditUnavailable, match="No space left"):
            log.check_writable(change=True)
        log.record(event())
        log.flush()
        assert len(path.read_bytes().splitlines()) == 1  # written, because there is space for one line
    log.check_writable(change=True)
    log.close()


def with_free_blocks(statistics: os.statvfs_result, *, f_bavail: int) -> os.statvfs_result:
    return os.statvfs_result((*statistics[:4], f_bavail, *statistics[5:]))


async def test_line_after_a_partial_line_is_complete(path: Path) -> None:
    path.write_bytes(b'{"event":"aud')
    log = AuditLogWriter(path)
    log.write(event())
    log.close()
    assert [line.startswith(b'{"event":"audit"') for line in path.read_bytes().splitlines()] == [False, True, True]


@pytest.mark.parametrize("device", ["/dev/full", "fifo", "folder"])
async def test_change_is_rejected_if_the_path_is_not_writable(tmp_path: Path, device: str) -> None:
    path = tmp_path / device if device.isalpha() else tmp_path / "full"
    if device == "fifo":
        os.mkfifo(path)
    elif device == "folder":
        path.mkdir()
    else:
        path.symlink_to(device)
    log = AuditLogWriter(path)
    with pytest.raises(AuditUnavailable):
        log.write(event())
    log.close()


async def test_lines_are_written_to_a_pipe_until_it_is_full(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLogWriter(path)
    with contextlib.suppress(AuditUnavailable):
        for _ in range(1_000):
            log.write(event("findPeople", *[ID] * 80))
    assert "the pipe is full" in log.write_error()
    taken = os.read(reader, 1_000_000)
    assert log.write_error() == ""
    log.close()
    taken += os.read(reader, 1_000_000)
    assert verify(taken.splitlines(keepends=True)).problems == []
    os.close(reader)
    gone = AuditLogWriter(path)
    with pytest.raises(AuditUnavailable):
        gone.write(event())
    gone.close()


async def test_no_line_exceeds_the_atomic_size_of_a_pipe(path: Path) -> None:
    log = AuditLogWriter(path)
    people = tuple(f"{number:032x}" for number in range(1_000))
    long = AuditEvent(
        1_700_000_000.5, "oidc:" + "x" * 200, "exportPeople", 200, people, ("person_name",) * 4, "r" * 40, "1" * 45
    )
    log.write(long)
    log.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert max(map(len, lines)) <= LINE_SIZE
    assert [who for line in lines for who in json.loads(line).get("people", ())] == list(people)
    assert verify(lines).problems == []


async def test_intent_contains_the_operation_but_no_outcome(path: Path) -> None:
    log = AuditLogWriter(path)
    log.write(event("erasePerson")._replace(intent=True, outcome=0))
    log.close()
    line = json.loads(path.read_bytes().splitlines()[0])
    assert (line["action"], line["intent"], line["people"]) == ("intent", "erasePerson", [ID])
    assert "outcome" not in line


async def three_writers(path: Path) -> list[AuditLogWriter]:
    logs = [AuditLogWriter(path) for _ in range(3)]
    for log in logs:
        for _ in range(3):
            log.write(event())
    return logs


def problems_of(path: Path) -> list[str]:
    return verify(path.read_bytes().splitlines(keepends=True), read_heads(path)).problems


async def test_every_writer_is_registered(path: Path) -> None:
    logs = await three_writers(path)
    assert problems_of(path) == []
    for log in logs:
        log.close()
    assert problems_of(path) == []
    assert {head.seq for head in read_heads(path).values()} == {4}
    assert heads_path(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("ended", [True, False])
async def test_writer_with_no_lines_left_is_detected(path: Path, number: int, *, ended: bool) -> None:
    logs = await three_writers(path)
    if ended:
        for log in logs:
            log.close()
    lines = path.read_bytes().splitlines(keepends=True)
    writer = json.loads(lines[number * 3])["writer"]
    path.write_bytes(b"".join(line for line in lines if json.loads(line)["writer"] != writer))
    assert [writer in problem for problem in problems_of(path)] == [True]


@pytest.mark.parametrize("cut", [1, 2, 5])
async def test_missing_last_lines_are_detected(path: Path, cut: int) -> None:
    await three_writers(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-cut]))
    assert problems_of(path)


async def test_changed_last_line_is_detected(path: Path) -> None:
    log = AuditLogWriter(path)
    log.write(event())
    path.write_bytes(path.read_bytes().replace(b'"ci"', b'"cj"'))
    assert len(problems_of(path)) == 1
    log.close()


async def test_unregistered_writer_is_detected(path: Path) -> None:
    (await three_writers(path))[0].close()
    text = heads_path(path).read_text().splitlines(keepends=True)
    heads_path(path).write_text("".join(text[1:]))
    assert "is not registered" in problems_of(path)[0]


async def test_register_covers_rotated_files(path: Path) -> None:
    logs = await three_writers(path)
    older = path.rename(path.with_name("audit.jsonl.1"))
    for log in logs:
        log.write(event())
        log.close()
    lines = [*older.read_bytes().splitlines(keepends=True), *path.read_bytes().splitlines(keepends=True)]
    assert verify(lines, read_heads(path)).problems == []
    assert verify(lines[9:], read_heads(path)).problems


async def test_removed_register_is_created_again_with_the_next_file(path: Path) -> None:
    log = AuditLogWriter(path)
    log.write(event())
    path.unlink()
    heads_path(path).unlink()
    log.write(event())
    assert [head.seq for head in read_heads(path).values()] == [2]
    log.close()


async def test_most_recent_lines_about_a_person_are_returned(path: Path) -> None:
    for max_lines, first, omitted in ((100, 1, 0), (3, 15, 7)):
        path.unlink(missing_ok=True)
        log = AuditLogWriter(
            path, max_excerpt_lines=max_lines, search_size=500
        )  # below two lines, so that a line can exceed a chunk
        for number in range(20):
            log.record(event(f"action{number}", ID if number % 2 else "0" * 32))
        events = await log.events_for(ID)
        assert events
        actions = [json.loads(line)["action"] for line in events.lines]
        assert actions == [f"action{number}" for number in range(first, 20, 2)]
        assert events.omitted == omitted
        log.close()


async def test_queued_lines_about_a_person_are_returned(unwritable: Path) -> None:
    log = AuditLogWriter(unwritable)
    log.record(event())
    with pytest.raises(AuditUnavailable):
        await log.events_for(ID)
    make_writable(unwritable)
    events = await log.events_for(ID)
    assert events
    assert len(events.lines) == 1
    log.close()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"person_name": "Anna", "person_address": None}, ("person_name", "person_address")),
        ({"person_surname": "B", "Anna's secret": 1}, ("person_surname", "*")),
        ([], ()),
        (None, ()),
    ],
)
def test_standard_fields_are_named_and_custom_fields_are_not(data: Any, expected: tuple[str, ...]) -> None:
    assert field_names(data) == expected


def test_id_is_read_from_any_position_in_the_record() -> None:
    bodies = [b'{"person_id":"' + ID.encode() + b'","version":1}', b'{"version":1,"person_id":"x"}']
    assert person_ids(bodies) == (ID, "x")
