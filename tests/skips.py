"""Rules for skipped tests: in CI, only skips with a reason in `EXPECTED_REASONS` are accepted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

# Prefix of the skip reason → why CI may be unable to run the test.
EXPECTED_REASONS: Final = {
    "needs IPv6": "a runner may lack it",
    "needs the right to make PID namespaces": "a runner may be an unprivileged container",
    "needs the right to mount a disk": "a runner may be an unprivileged container",
    "takes too long on this store": "the same test runs on this table without encryption and on an encrypted file",
}


def refuse_unexpected(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn an unexpected skip in CI into a failure."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    reason = reason_of(report)
    if not reason.startswith(tuple(EXPECTED_REASONS)):
        report.outcome = "failed"
        report.longrepr = (
            f"unexpected skip in CI: {reason}\nProvide the requirement (.ci/run) or add the reason to tests/skips.py."
        )


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skip."""
    location = report.longrepr
    return str(location[2] if isinstance(location, tuple) else location).removeprefix("Skipped: ")
