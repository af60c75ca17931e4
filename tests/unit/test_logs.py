"""What libraries say is handed on without values, at the level that it deserves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import structlog

from peopleinfo.telemetry import logs

PROGRAM = """
import logging
from peopleinfo.errors import StoreUnavailable
from peopleinfo.telemetry import logs
logs.configure("info")
try:
    raise {error}("Anna Schmidt")
except Exception:
    logging.getLogger("library").exception("something about %s", "Anna Schmidt")
"""


@pytest.mark.parametrize(("error", "level"), [("ValueError", "error"), ("StoreUnavailable", "warning")])
def test_an_answer_that_breaks_off_for_want_of_the_store_is_a_warning_and_all_else_an_error(
    error: str, level: str
) -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, check=True)
    line = json.loads(said.stdout)
    assert (line["level"], line["error"], line["template"]) == (level, error, "something about %s")
    assert b"Anna" not in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "Task exception was never retrieved\nfuture: <Task exception=ValueError('Anna')>",
            "Task exception was never retrieved",
        ),
        ("Exception in callback tell('Anna')\nhandle: <Handle>", "Exception in callback tell"),
        ("cannot store 'Anna'", "cannot store"),
        ("status: Anna", "status"),
    ],
)
def test_of_a_message_that_comes_ready_made_only_its_beginning_is_handed_on(message: str, told: str) -> None:
    program = f'import logging\nfrom peopleinfo.telemetry import logs\nlogs.configure("info")\nlogging.getLogger("asyncio").error({message!r})'
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(said.stdout)["template"] == told


class Moment:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def passed(quiet: logs.Deduplicate, **event: Any) -> dict[str, Any] | None:
    try:
        return dict(quiet(None, "warning", {"level": "warning", **event}))
    except structlog.DropEvent:
        return None


def test_a_storm_is_one_line_a_second_that_says_how_many_were_left_out() -> None:
    clock = Moment()
    quiet = logs.Deduplicate(clock)
    lines = []
    for _ in range(100):  # in 2 seconds
        lines.append(passed(quiet, event="store_unavailable", reason="it is away"))
        clock.now += 0.02
    clock.now += 1
    lines.append(passed(quiet, event="store_unavailable", reason="it is away"))
    written = [line for line in lines if line]
    assert len(written) <= 4
    assert len(written) + sum(line.get("left_out", 0) for line in written) == 101


def test_another_cause_has_a_line_of_its_own() -> None:
    quiet = logs.Deduplicate(Moment())
    assert passed(quiet, event="store_unavailable", reason="it is away")
    assert passed(quiet, event="store_unavailable", reason="it is throttled")
    assert passed(quiet, event="unhandled_exception", error="KeyError", place="a.py:1")
    assert not passed(quiet, event="unhandled_exception", error="KeyError", place="a.py:1", request_id="another")


def test_causes_without_end_do_not_fill_the_memory() -> None:
    quiet = logs.Deduplicate(Moment())
    for number in range(5_000):
        assert passed(quiet, event="unhandled_exception", place=str(number))
    assert len(quiet._logged) <= 1_000
