"""What may be skipped: elsewhere whatever a machine has no program for, in CI nothing but what `EXPECTED` names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

# Beginning of the reason of a skip → why CI may be unable to run the test.
EXPECTED_REASONS: Final = {
    "needs IPv6": "a runner may have none",
    "needs the right to make PID namespaces": "a runner may be a container without it",
    "needs the right to mount a disk": "a runner may be a container without it",
    "takes too long on this store": "the same test runs on this table without encryption and on an encrypted file",
}


def refuse_unexpected(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that CI does not expect into a failure."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    reason = reason_of(report)
    if not reason.startswith(tuple(EXPECTED_REASONS)):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {reason}\nProvide it there (.ci/run), or name the skip in tests/skips.py."


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason that a test gave for its skip."""
    place = report.longrepr
    return str(place[2] if isinstance(place, tuple) else place).removeprefix("Skipped: ")
