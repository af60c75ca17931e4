"""Concurrent requests to DynamoDB."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

T = TypeVar("T")

_MAX_REQUESTS: Final = 16


async def gather_limited(jobs: Iterator[Awaitable[T]]) -> list[T]:
    """Await the jobs with limited concurrency; return the results in any order."""

    async def work() -> list[T]:
        return [await job for job in jobs]

    workers = [asyncio.ensure_future(work()) for _ in range(_MAX_REQUESTS)]
    try:
        return [result for results in await asyncio.gather(*workers) for result in results]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
