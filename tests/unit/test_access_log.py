"""The access log: requests wait only for small batches of lines, and no request is lost or counted twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from peopleinfo.telemetry.access_log import MAX_BATCH, AccessLog, AccessRecord
from peopleinfo.telemetry.metrics import REQUESTS

if TYPE_CHECKING:
    import pytest

LABELS = ("/v1/busy", "GET", "200")


def record(number: int) -> AccessRecord:
    return AccessRecord(LABELS[0], LABELS[1], 200, 0.001, f"request-{number}", 0.0)


def lines(output: bytes) -> list[str]:
    return [json.loads(line)["request_id"] for line in output.splitlines()]


async def test_busy_moment_is_written_in_batches(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    flushes: list[int] = []
    log = AccessLog(silent=False, on_flush=lambda: flushes.append(1))
    before = REQUESTS.values.get(LABELS, 0)
    written: list[str] = []
    for number in range(2 * MAX_BATCH + 1):
        log.append(record(number))
        batch = lines(capfdbinary.readouterr().out)
        assert len(batch) in (0, MAX_BATCH)
        written += batch
    assert len(written) == 2 * MAX_BATCH
    assert not flushes  # workers publish their metrics once per interval
    log.flush()
    log.flush()
    written += lines(capfdbinary.readouterr().out)
    assert written == [f"request-{number}" for number in range(2 * MAX_BATCH + 1)]
    assert REQUESTS.values[LABELS] - before == len(written)
    assert len(flushes) == 1
