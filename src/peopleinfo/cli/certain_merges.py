"""`peopleinfo duplicates merge --grade certain`: merge all certain pairs of the review queue."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from peopleinfo.cli.cancellation import run
from peopleinfo.cli.progress import progress_bar, resumable
from peopleinfo.people import strict_json

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from peopleinfo.settings import Settings


def merge_all(settings: Settings, *, apply: bool) -> None:
    """Merge the certain pairs or, without `apply`, list them. Prints the outcome of each pair, then the counts."""
    counts: Counter[str] = Counter()
    try:
        with resumable():
            run(_merge_all(settings, counts, apply=apply))
    finally:
        found = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())
        print(f"pairs: {found or 'none'}", file=sys.stderr)
    if counts["certain"]:
        print("nothing is merged yet: add --apply to merge the certain pairs", file=sys.stderr)


async def _merge_all(settings: Settings, counts: Counter[str], *, apply: bool) -> None:
    from peopleinfo.app import match_service, merge_service, open_audit_file, review_of
    from peopleinfo.matching.certain_merges import CertainMerges
    from peopleinfo.privacy.audit import COMMAND, audited_command
    from peopleinfo.stores.registry import open_service_store

    async with AsyncExitStack() as stack:
        audit = open_audit_file(settings, stack)

        def audited(*people: str) -> AbstractContextManager[None]:
            return audited_command(audit, "mergePeople", *people)

        store = await stack.enter_async_context(open_service_store(settings))
        matches = match_service(store, settings)
        task = CertainMerges(review_of(matches, store), matches, merge_service(store), audited=audited)
        with progress_bar("merging" if apply else "checking", None) as advance:
            async for outcome in task.run(apply=apply, principal=COMMAND):
                counts[outcome.outcome] += 1
                sys.stdout.buffer.write(strict_json.encode(outcome._asdict()) + b"\n")
                advance(1)
