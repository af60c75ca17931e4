"""How far a long command has come: a bar with rate and remaining time on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peopleinfo.errors import StoreDamaged, StoreUnavailable
from peopleinfo.signals import Terminated

RESUMABLE = "nothing is lost: the same command continues where this one stopped"


@contextmanager
def progress_bar(what: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` people (None: nobody knows) are done, and yield what moves it on by a number of them."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    layout = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeRemainingColumn())
    with Progress(*layout, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, completed=done, told="")
        began, now = time.monotonic(), 0

        def advance(count: int) -> None:
            nonlocal now
            now += count
            rate = now / max(time.monotonic() - began, 1e-3)
            progress.update(task, completed=done + now, told=f"{done + now:,} people, {rate:,.0f}/s")

        yield advance


@contextmanager
def resumable() -> Iterator[None]:
    """End a command that was interrupted, or left by its store, by saying that it can be gone on with."""
    try:
        yield
    except Terminated as ended:
        ended.add_note(RESUMABLE)
        raise
    except StoreDamaged:
        raise
    except (
        StoreUnavailable
    ) as error:  # also when it is not known whether the last people were stored: they may come again
        why = str(error).partition(";")[0]
        raise StoreUnavailable(f"{why}; {RESUMABLE}") from error
