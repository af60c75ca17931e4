"""What is counted of the calls to DynamoDB."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp

from peopleinfo.telemetry.metrics import DYNAMODB_ATTEMPTS, DYNAMODB_POOL_SECONDS, DYNAMODB_SECONDS, DYNAMODB_UNITS

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


def attempted(action: str, seconds: float, outcome: str) -> None:
    """Count an attempt of a call."""
    DYNAMODB_SECONDS.observe(seconds, action)
    DYNAMODB_ATTEMPTS.add(action, outcome)


def consumed(action: str, answer: dict[str, Any]) -> None:
    """Count the capacity that DynamoDB says a call took; calls about several tables or items tell it in a list."""
    told = answer.get("ConsumedCapacity") or ()
    for one in [told] if isinstance(told, dict) else told:
        DYNAMODB_UNITS.add(action, by=one.get("CapacityUnits", 0))


class Connections(aiohttp.TCPConnector):
    """Connections to DynamoDB; notes how long a call waits for one."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - as aiohttp has it
        """Return a connection, as soon as one is free."""
        began = monotonic()
        connection = await super().connect(req, traces, timeout)
        DYNAMODB_POOL_SECONDS.observe(monotonic() - began)
        return connection
