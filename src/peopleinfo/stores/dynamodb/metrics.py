"""What is counted of the calls to DynamoDB."""

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
    """Tell of refusals before there are any, so that the first ones are seen as growth."""
    for action in _ACTIONS:
        DYNAMODB_ATTEMPTS.init_labels(action, "throttled")


def record_attempt(action: str, seconds: float, outcome: str) -> None:
    """Count an attempt of a call."""
    DYNAMODB_SECONDS.observe(seconds, action)
    DYNAMODB_ATTEMPTS.inc(action, outcome)


def record_capacity(action: str, answer: dict[str, Any]) -> None:
    """Count the capacity that DynamoDB says a call took; calls about several tables or items tell it in a list."""
    told = answer.get("ConsumedCapacity") or ()
    for one in [told] if isinstance(told, dict) else told:
        DYNAMODB_UNITS.inc(action, by=one.get("CapacityUnits", 0))
