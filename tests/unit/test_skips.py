"""In CI an undeclared skip is a failure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.skips import EXPECTED_REASONS, refuse_unexpected


def skipped(reason: str, **more: Any) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="test", location=("test.py", 1, "test"), keywords={}, outcome="skipped",
        longrepr=("test.py", 1, f"Skipped: {reason}"), when="setup", **more,
    )  # fmt: skip


def outcome_in_ci(report: pytest.TestReport) -> str:
    refuse_unexpected(report)
    return report.outcome


def test_skip_without_declaration_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    report = skipped("needs Java")
    assert outcome_in_ci(report) == "failed"
    assert "unexpected skip in CI: needs Java" in str(report.longrepr)


def test_declared_skip_and_expected_failure_are_unchanged_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert [outcome_in_ci(skipped(f"{reason}: more")) for reason in EXPECTED_REASONS] == ["skipped"] * len(
        EXPECTED_REASONS
    )
    assert outcome_in_ci(skipped("", wasxfail="known")) == "skipped"


def test_any_skip_is_allowed_outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert outcome_in_ci(skipped("needs Java")) == "skipped"
