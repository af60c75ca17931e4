"""Log events of libraries are forwarded without values and with the right level."""

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
def test_response_aborted_by_an_unavailable_store_is_a_warning_and_other_failures_are_errors(
    error: str, level: str
) -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, check=True)
    line = json.loads(output.stdout)
    assert (line["level"], line["error"], line["template"]) == (level, error, "something about %s")
    assert b"Anna" not in output.stdout + output.stderr


@pytest.mark.parametrize(
    ("message", "template"),
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
def test_preformatted_message_is_truncated(message: str, template: str) -> None:
    program = f'import logging\nfrom peopleinfo.telemetry import logs\nlogs.configure("info")\nlogging.getLogger("asyncio").error({message!r})'
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(output.stdout)["template"] == template


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def passed(quiet: logs.Deduplicate, **event: Any) -> dict[str, Any] | None:
    try:
        return dict(quiet(None, "warning", {"level": "warning", **event}))
    except structlog.DropEvent:
        return None


def test_repeated_events_become_one_line_per_second_with_a_count() -> None:
    clock = Clock()
    quiet = logs.Deduplicate(clock)
    lines = []
    for _ in range(100):  # in 2 seconds
        lines.append(passed(quiet, event="store_unavailable", reason="it is down"))
        clock.now += 0.02
    clock.now += 1
    lines.append(passed(quiet, event="store_unavailable", reason="it is down"))
    written = [line for line in lines if line]
    assert len(written) <= 4
    assert len(written) + sum(line.get("left_out", 0) for line in written) == 101


def test_each_cause_has_a_separate_line() -> None:
    quiet = logs.Deduplicate(Clock())
    assert passed(quiet, event="store_unavailable", reason="it is down")
    assert passed(quiet, event="store_unavailable", reason="it is throttled")
    assert passed(quiet, event="unhandled_exception", error="KeyError", place="a.py:1")
    assert not passed(quiet, event="unhandled_exception", error="KeyError", place="a.py:1", request_id="another")


def test_number_of_remembered_causes_is_limited() -> None:
    quiet = logs.Deduplicate(Clock())
    for number in range(5_000):
        assert passed(quiet, event="unhandled_exception", place=str(number))
    assert len(quiet._logged) <= 1_000
