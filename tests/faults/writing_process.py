"""A process that writes to a store continuously until it is killed: `python -m tests.faults.writing_process FILE FIRST_MARK PERSON…`."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peopleinfo.people.person import utc_now
from peopleinfo.people.service import PeopleService
from peopleinfo.stores.sqlite.factory import open_sqlite
from tests.faults.history import Reporter, marked_person

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = 20


async def main() -> None:
    path, first, *known_ids = sys.argv[1:]
    reporter = Reporter(sys.stdout.fileno())
    marks = (f"{first}.{number}" for number in range(10**9))
    async with open_sqlite(Path(path), now=utc_now) as store, asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(
                write(
                    PeopleService(store, secret=store.secret, now=utc_now), reporter, known_ids[writer::WRITERS], marks
                )
            )


async def write(people: PeopleService, reporter: Reporter, own_ids: list[str], marks: Iterator[str]) -> None:
    """Create, replace and delete the writer's own people, one after the other."""
    while True:
        mark = next(marks)
        operation = random.choice(["create", "create", "replace", "replace", "delete"])
        person_id = own_ids[random.randrange(len(own_ids))] if own_ids and operation != "create" else None
        if person_id is None:
            reporter.started("create", None, mark)
            record = await people.create(marked_person(mark))
            own_ids.append(record.person_id)
            reporter.done("create", record.person_id, mark)
        elif operation == "replace":
            reporter.started("replace", person_id, mark)
            await people.replace(person_id, marked_person(mark))
            reporter.done("replace", person_id, mark)
        else:
            reporter.started("delete", person_id, mark)
            await people.delete(person_id)
            own_ids.remove(person_id)
            reporter.done("delete", person_id, mark)


if __name__ == "__main__":
    asyncio.run(main())
