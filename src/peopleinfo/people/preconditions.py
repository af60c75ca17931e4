"""Preconditions of changes: checks of the current record, for example of its version."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peopleinfo.people.person import StoredPerson

Precondition = Callable[["StoredPerson"], None]
"""Called with the current record before a change; raises an error to reject the change."""


def always_allow(_: StoredPerson) -> None:
    """Accept any record: the precondition of an unconditional change."""
