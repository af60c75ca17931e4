"""Run the coroutine of a command; a termination signal cancels it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from peopleinfo import signals

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine like `asyncio.run`. Raises Terminated, after cleanup, when a signal cancelled it."""
    if signals.received:
        main.close()
    signals.check()
    try:
        return asyncio.run(_cancelled_by_signals(main))
    except asyncio.CancelledError:
        signals.check()
        raise


async def _cancelled_by_signals(main: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[T]", asyncio.current_task())

    def cancel(number: int) -> None:
        loop.call_soon_threadsafe(task.cancel)
        if asyncio.current_task(loop) is task:  # running, not awaiting: the cancellation could come late
            signals.terminate(number)

    previous: signals.Reaction = None
    try:
        previous = signals.react(cancel)
        return await main
    finally:
        main.close()
        signals.react(previous)
