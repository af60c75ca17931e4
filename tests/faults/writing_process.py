"""A process that writes to a store without a pause until it is killed: `python -m tests.faults.writing_process FILE FIRST_MARK PERSON…`."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peopleinfo.app import utc_now
from peopleinfo.people.service import PeopleService
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faults.history import Writing, details_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 20


async def main() -> None:
    path, first, *known = sys.argv[1:]
    writing = Writing(sys.stdout.fileno())
    marks = (f"{first}.{number}" for number in range(10**9))
    async with open_sqlite(Path(path), now=utc_now) as store, asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(PeopleService(store, now=utc_now), writing, known[writer::WRITERS], marks))


async def write(people: PeopleService, writing: Writing, mine: list[str], marks: Iterator[str]) -> None:
    """Create, replace and erase one's own people, one after the other."""
    while True:
        mark = next(marks)
        operation = random.choice(["create", "create", "replace", "replace", "erase"])
        person_id = mine[random.randrange(len(mine))] if mine and operation != "create" else None
        if person_id is None:
            writing.begun("create", None, mark)
            record = await people.create(details_marked(mark))
            mine.append(record.person_id)
            writing.done("create", record.person_id, mark)
        elif operation == "replace":
            writing.begun("replace", person_id, mark)
            await people.replace(person_id, details_marked(mark))
            writing.done("replace", person_id, mark)
        else:
            writing.begun("erase", person_id, mark)
            await people.delete(person_id)
            mine.remove(person_id)
            writing.done("erase", person_id, mark)


if __name__ == "__main__":
    asyncio.run(main())
