"""A user's program: tests check its types with `mypy --strict` and run it with the installed client."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import assert_type

from peopleinfo_client import AsyncClient, Client, FieldError, ImportResult, InvalidPerson, Page, Person


def use_client(url: str) -> None:
    with Client(url, timeout=60) as people:
        anna = assert_type(people.create({"person_surname": "Müller", "score": Decimal("1.50")}), Person)
        moved = assert_type(people.patch(anna, {"person_address": "12 Lindenweg"}), Person)
        assert moved.extra == {"score": Decimal("1.50")}
        for page in people.pages(surname="muller", limit=5):
            assert assert_type(page, Page).people == [moved]
        people.delete(moved)
        assert invalid_fields(people) == ["/person_birthdate"]


def invalid_fields(people: Client) -> list[str]:
    try:
        people.create({"person_surname": "Müller", "person_birthdate": "2023-02-30"})
    except InvalidPerson as error:
        return [field.pointer for field in assert_type(error.errors, tuple[FieldError, ...])]
    return []


async def use_async_client(url: str) -> None:
    async with AsyncClient(url, timeout=60) as people:
        results = [result async for result in people.import_people([{"person_surname": "Øster"}])]
        assert assert_type(results, list[ImportResult])[-1].stored == 1
        found = [person async for person in people.find(surname="oster")]
        exported = [person async for person in people.export(surname="oster")]
        assert assert_type(found, list[Person]) == exported


if __name__ == "__main__":
    use_client(sys.argv[1])
    asyncio.run(use_async_client(sys.argv[1]))
    print("done")
