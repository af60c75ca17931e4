"""`make test-fast` (`--fast`): tests without emulators, Redis and browsers that need little CPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tests.limits import FAST_LANE
from tests.store_kinds import ALL_STORES, ENCRYPTED

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PROFILE: Final = "fast"  # of Hypothesis
_EMBEDDED_STORES: Final = {"sqlite", ENCRYPTED}
# Excluded module → reason.
EXCLUDED: Final = {
    "test_audit_failure": "starts a server for every failure",
    "test_graceful_shutdown": "waits while servers drain",
    "test_faults": "waits between the attempts of a client",
    "test_data_leaks": "searches every output of a server under load",
    "test_hostile_requests": "sends thousands of requests",
    "test_listening": "starts a server for every address",
    "test_memory_budget": "measures the memory of servers",
    "test_metrics": "replaces workers under load",
    "test_open_files": "starts several processes for each server",
    "test_schemathesis": "generates requests for every operation",
    "test_startup": "runs the interpreter for every start",
    "test_health": "waits until a server notices that its file is gone",
    "test_signals": "starts a server for every moment",
    "test_wheels": "builds packages and installs them",
    "test_workers": "starts several processes for each server",
    "test_concurrent_patch": "starts several processes for each server",
}


def enable() -> None:
    """Enable the fast lane for this session and its workers."""
    os.environ[FAST_LANE] = "1"


def is_enabled() -> bool:
    """Return whether this session runs in the fast lane."""
    return FAST_LANE in os.environ


def is_excluded(module: Path) -> bool:
    """Return whether the fast lane excludes a module."""
    return is_enabled() and module.stem in EXCLUDED


def needs_no_server(item: pytest.Item) -> bool:
    """Return whether a test uses an embedded store or none."""
    parameters = getattr(item, "callspec", None)
    values = {str(value) for value in parameters.params.values()} if parameters else set()
    return not any(kind in value for kind in set(ALL_STORES) - _EMBEDDED_STORES for value in values)
