"""A typical Python service for the same purpose: FastAPI, pydantic, aioboto3 and redis-py, as a good developer writes it in an afternoon.

It stores people in one DynamoDB table (by id, with an index by surname) and caches reads in Redis for a minute. It is not slow on purpose:
clients stay open, connection pools are large enough, a cached response is sent without decoding, and uvicorn runs on uvloop and httptools.
It lacks guarantees of PeopleInfo: a search can miss the latest write (the index is eventually consistent, and cache fills race with
invalidations), a search ends after 100 people, and there are no versions, prefixes, idempotency keys or fences.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any

import aioboto3
import redis.asyncio as redis
from aiobotocore.config import AioConfig
from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

TABLE = os.environ["PEOPLE_TABLE"]
SURNAMES = "by_surname"  # the index
TTL = 60
LIMIT = 100

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


class NewPerson(BaseModel):
    """The request body that creates a person."""

    person_name: Name
    person_surname: Name
    person_birthdate: date
    person_address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Person(NewPerson):
    """A person as it is stored and returned."""

    person_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    version: int = 1
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class People(BaseModel):
    """The response to a search."""

    people: list[Person]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep the clients open while the service runs."""
    config = AioConfig(max_pool_connections=128)
    async with (
        aioboto3.Session().client("dynamodb", config=config) as dynamodb,
        redis.from_url(os.environ["REDIS_URL"]) as cache,
    ):
        app.state.dynamodb, app.state.cache = dynamodb, cache
        yield


app = FastAPI(title="People", lifespan=lifespan)


@app.post("/v1/people", status_code=201)
async def create(new: NewPerson, request: Request, response: Response) -> Person:
    """Store a person."""
    person = Person(**new.model_dump())
    await request.app.state.dynamodb.put_item(
        TableName=TABLE, Item=to_item(person), ConditionExpression="attribute_not_exists(person_id)"
    )
    await request.app.state.cache.delete(surname_key(person.person_surname))
    response.headers["Location"] = f"/v1/people/{person.person_id}"
    return person


@app.get("/v1/people/{person_id}", response_model=Person)
async def get(person_id: str, request: Request) -> Response:
    """Return a person."""
    key = f"person:{person_id}"
    if (body := await request.app.state.cache.get(key)) is None:
        found = await request.app.state.dynamodb.get_item(
            TableName=TABLE, Key={"person_id": {"S": person_id}}, ConsistentRead=True
        )
        if "Item" not in found:
            raise HTTPException(404, "person not found")
        body = from_item(found["Item"]).model_dump_json()
        await request.app.state.cache.set(key, body, ex=TTL)
    return Response(body, media_type="application/json")


@app.get("/v1/people", response_model=People)
async def find(surname: Annotated[Name, Query()], request: Request) -> Response:
    """Return the people with a surname."""
    key = surname_key(surname)
    if (body := await request.app.state.cache.get(key)) is None:
        found = await request.app.state.dynamodb.query(
            TableName=TABLE,
            IndexName=SURNAMES,
            KeyConditionExpression="surname_key = :surname",
            ExpressionAttributeValues={":surname": {"S": folded(surname)}},
            Limit=LIMIT,
        )
        body = People(people=[from_item(item) for item in found["Items"]]).model_dump_json()
        await request.app.state.cache.set(key, body, ex=TTL)
    return Response(body, media_type="application/json")


def folded(surname: str) -> str:
    """Return the search key of a surname."""
    return surname.strip().casefold()


def surname_key(surname: str) -> str:
    """Return the cache key of a surname."""
    return f"surname:{folded(surname)}"


def to_item(person: Person) -> dict[str, Any]:
    """Return a person as a DynamoDB item."""
    members = person.model_dump(mode="json", exclude={"version"})
    item = {name: {"S": text} for name, text in members.items()}
    return item | {"version": {"N": str(person.version)}, "surname_key": {"S": folded(person.person_surname)}}


def from_item(item: dict[str, Any]) -> Person:
    """Return the person of a DynamoDB item; pydantic converts the numbers and dates."""
    return Person.model_validate({name: next(iter(value.values())) for name, value in item.items()})
