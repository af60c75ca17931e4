"""Progress of a long command: a bar with rate and remaining time on a terminal, no output elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peopleinfo.errors import StoreUnavailable
from peopleinfo.signals import Terminated

RESUMABLE = "run the same command again to resume"


@contextmanager
def progress_bar(description: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` records (None: unknown) are done; yield a function that advances the bar by a number of records."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    layout = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*layout, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total, completed=done, rate="")
        start, processed = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal processed
            processed += count
            rate = processed / max(time.monotonic() - start, 1e-3)
            progress.update(task, completed=done + processed, rate=f"{done + processed:,} records, {rate:,.0f}/s")

        yield advance


@contextmanager
def resumable() -> Iterator[None]:
    """Add the remedy to the error of a command that was interrupted or lost its store."""
    try:
        yield
    except Terminated as termination:
        termination.add_note(RESUMABLE)
        raise
    except StoreUnavailable as error:  # includes OutcomeUnknown: storing the last records twice is harmless
        problem = str(error).partition(";")[0]
        raise StoreUnavailable(f"{problem}; {RESUMABLE}") from error
