"""Metrics of the requests to DynamoDB."""

from __future__ import annotations

from typing import Any, Final

from peopleinfo.telemetry.metrics import DYNAMODB_ATTEMPTS, DYNAMODB_SECONDS, DYNAMODB_UNITS

_ACTIONS: Final = [
    "GetItem",
    "BatchGetItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "TransactWriteItems",
    "BatchWriteItem",
]


def init_labels() -> None:
    """Initialize the counters of throttling, so that a rate includes the first event."""
    for action in _ACTIONS:
        DYNAMODB_ATTEMPTS.init_labels(action, "throttled")


def record_attempt(action: str, seconds: float, outcome: str) -> None:
    """Record the duration and outcome of one attempt."""
    DYNAMODB_SECONDS.observe(seconds, action)
    DYNAMODB_ATTEMPTS.inc(action, outcome)


def record_capacity(action: str, response: dict[str, Any]) -> None:
    """Count the consumed capacity of a response; a request for several items or tables returns a list."""
    consumed = response.get("ConsumedCapacity") or ()
    for capacity in [consumed] if isinstance(consumed, dict) else consumed:
        DYNAMODB_UNITS.inc(action, by=capacity.get("CapacityUnits", 0))
