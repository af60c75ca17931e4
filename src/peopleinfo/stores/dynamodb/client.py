"""Calls to one DynamoDB table: signed, bounded in time, tried again with jitter while that can help, and honest about what is not known."""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiodynamo.http.types import Request, RequestFailed
from yarl import URL

from peopleinfo.errors import InvalidJson, OutcomeUnknown, StoreConfigurationError, StoreUnavailable
from peopleinfo.people import strict_json
from peopleinfo.stores.dynamodb import metrics
from peopleinfo.stores.dynamodb.sigv4 import sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiodynamo.credentials import Credentials
    from aiodynamo.http.types import HttpImplementation, Response

Json = dict[str, Any]
Item = dict[str, dict[str, str]]  # attribute → type ("S", "N", "B") → value, as DynamoDB writes it

_FIRST_DELAY: Final = 0.025  # seconds; doubles with every attempt
_LONGEST_DELAY: Final = 1.0
BATCH: Final = 25  # items of a BatchWriteItem at most
_KEYS: Final = 100  # of a BatchGetItem at most
_DONE: Final = 200
_THEIR_FAULT: Final = 500

# The call was refused before anything was done, and may be accepted the next time.
_REFUSED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ThrottlingError",
        "TransactionConflict",
        "TransactionConflictException",
    }
)
_CONFLICT: Final = {"TransactionConflict", "TransactionConflictException"}
_IN_PROGRESS: Final = "TransactionInProgressException"  # the attempt before is still being done
_CREDENTIALS: Final = frozenset({"ExpiredTokenException", "UnrecognizedClientException"})
_UNUSABLE: Final = {
    "ResourceNotFoundException": "there is no such table: make it with `peopleinfo store create`",
    "AccessDeniedException": "these credentials may not use the table: see docs/dynamodb.md for what they need",
    "UnrecognizedClientException": "AWS does not know these credentials",
    "MissingAuthenticationTokenException": "AWS does not accept these credentials",
}


_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Timeouts:
    """Time limits of calls in seconds, as multiples of the limit of one attempt; an attempt normally takes milliseconds."""

    attempt: float = 1.0

    @property
    def read(self) -> float:
        """Limit of a read, with all its attempts."""
        return 3 * self.attempt

    @property
    def write(self) -> float:
        """Limit of a write, with all its attempts."""
        return 5 * self.attempt

    @property
    def scan(self) -> float:
        """Limit of a page of a scan, with all its attempts."""
        return 10 * self.attempt

    @property
    def scan_attempt(self) -> float:
        """Limit of one attempt at a page of a scan, whose response may be a megabyte over a slow network."""
        return self.scan / 2

    @property
    def control(self) -> float:
        """Limit of a call that creates, changes or describes a table."""
        return 15 * self.attempt

    @property
    def bulk(self) -> float:
        """Limit of a batch of a load, for which no client waits at a screen."""
        return 30 * self.attempt


class ConditionFailed(Exception):
    """A write was not done since its condition did not hold.

    `item` is what is there, None when nothing is. `repeated`: an earlier attempt of the same call may have been done, unheard.
    """

    def __init__(self, item: Item | None, *, repeated: bool) -> None:
        super().__init__("the condition did not hold")
        self.item = item
        self.repeated = repeated


class TransactionCancelled(Exception):
    """A transaction was not done; `failed` says of each of its writes whether its condition was to blame."""

    def __init__(self, reasons: Sequence[Json], *, repeated: bool) -> None:
        super().__init__("the transaction was cancelled")
        self.failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
        self.repeated = repeated


class RequestRejected(Exception):
    """DynamoDB refused a call and would refuse it again; `code` is its name for the reason."""

    def __init__(self, action: str, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.code = code


class TableClient:
    """A table, and the way to it."""

    def __init__(
        self,
        name: str,
        *,
        http: HttpImplementation,
        credentials: Credentials,
        region: str,
        endpoint: URL | None,
        timeouts: Timeouts,
    ) -> None:
        self.name = name
        self.timeouts = timeouts
        self._http = http
        self._credentials = credentials
        self._region = region
        url = endpoint or URL(f"https://dynamodb.{region}.amazonaws.com/")
        self._url, self._host = str(url), url.host or ""

    def for_table(self, name: str) -> TableClient:
        """Return another table, which is reached in the same way."""
        other = copy(self)
        other.name = name
        return other

    async def get(self, key: Item, attributes: str | None = None) -> Item | None:
        """Return an item, or the named attributes of it, as it stands now; None when there is none."""
        wanted = {"Key": key, "ConsistentRead": True}
        if attributes:
            wanted["ProjectionExpression"] = attributes
        answer = await self.call("GetItem", wanted, self.timeouts.read)
        item: Item | None = answer.get("Item")
        return item or None

    async def get_many(self, keys: Sequence[Item]) -> list[Item]:
        """Return the items under these keys that exist, in no order."""
        found: list[Item] = []
        for start in range(0, len(keys), _KEYS):
            found += (await self.batch_get({self.name: {"Keys": keys[start : start + _KEYS]}}))[self.name]
        return found

    async def batch_get(self, wanted: dict[str, Json]) -> dict[str, list[Item]]:
        """Return the items that exist of at most 100 in one or several tables, each as it stands now, by table and in no order."""
        found: dict[str, list[Item]] = {name: [] for name in wanted}
        asked: Json = {name: {"ConsistentRead": True, **keys} for name, keys in wanted.items()}
        deadline = monotonic() + self.timeouts.read
        for delay in _delays():
            answer = await self.call("BatchGetItem", {"RequestItems": asked}, deadline - monotonic(), names_table=False)
            for name, items in answer["Responses"].items():
                found[name] += items
            if not (asked := answer.get("UnprocessedKeys") or {}):
                break
            await _pause(delay, deadline, "the table is throttled", unknown=False)
        return found

    async def query(self, condition: str, values: Item, *, limit: int, **more: Any) -> tuple[list[Item], Item | None]:
        """Return a page of items and the key after which the next one begins, None when there is no more."""
        asked = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "Limit": limit, **more}
        answer = await self.call("Query", asked, self.timeouts.read)
        return answer["Items"], answer.get("LastEvaluatedKey")

    async def scan(self, *, limit: int, **more: Any) -> tuple[list[Item], Item | None]:
        """Return a page of everything, and the key after which the next one begins, None when there is no more."""
        asked = {"Limit": limit, "ConsistentRead": True, **more}
        answer = await self.call("Scan", asked, self.timeouts.scan, an_attempt=self.timeouts.scan_attempt)
        return answer["Items"], answer.get("LastEvaluatedKey")

    async def put(self, item: Item, condition: str) -> None:
        """Store an item if the condition holds of what is in its place. Raises ConditionFailed."""
        await self.call("PutItem", {"Item": item, **_conditional(condition)}, self.timeouts.write, writes=True)

    async def update(self, key: Item, change: str, condition: str, values: Item) -> None:
        """Change an item if the condition holds of it. Raises ConditionFailed."""
        asked = {"Key": key, "UpdateExpression": change, "ExpressionAttributeValues": values}
        await self.call("UpdateItem", {**asked, **_conditional(condition)}, self.timeouts.write, writes=True)

    async def transact_write(self, *writes: Json, token: str) -> None:
        """Do all the writes or none. `token` names this transaction: a repetition within ten minutes is not done again.

        Raises Cancelled.
        """
        named = [{kind: {"TableName": self.name, **write} for kind, write in operation.items()} for operation in writes]
        asked = {"TransactItems": named, "ClientRequestToken": token}
        await self.call("TransactWriteItems", asked, self.timeouts.write, writes=True, names_table=False)

    async def put_many(self, items: Sequence[Item]) -> None:
        """Store at most `BATCH` items, whatever is in their places."""
        asked: Json = {self.name: [{"PutRequest": {"Item": item}} for item in items]}
        deadline = monotonic() + self.timeouts.bulk
        partly = False
        for delay in _delays():
            seconds = deadline - monotonic()
            answer = await self.call(
                "BatchWriteItem", {"RequestItems": asked}, seconds, writes=True, repeated=partly, names_table=False
            )
            if not (asked := answer.get("UnprocessedItems") or {}):
                return
            partly = True
            await _pause(delay, deadline, "the table is throttled", unknown=True)

    async def call(
        self,
        action: str,
        payload: Json,
        seconds: float,
        *,
        an_attempt: float | None = None,
        writes: bool = False,
        repeated: bool = False,
        names_table: bool = True,
    ) -> Json:
        """Have DynamoDB do something within `seconds` and return its answer; `an_attempt` may take that many of them.

        `repeated`: an earlier call may have done a part of it.
        Raises ConditionFailed, Cancelled, Refused, StoreUnavailable, and OutcomeUnknown when it may have been done all the same.
        """
        payload = {"ReturnConsumedCapacity": "TOTAL", **payload}
        if names_table:
            payload["TableName"] = self.name
        body = _encode(payload)
        deadline = monotonic() + seconds
        for delay in _delays():
            began = monotonic()
            try:
                answer = await self._attempt(action, body, min(deadline, began + (an_attempt or self.timeouts.attempt)))
            except (TimeoutError, RequestFailed):
                why, unheard = (
                    "DynamoDB does not answer",
                    True,
                )  # an attempt may have been done without our hearing of it
                metrics.record_attempt(action, monotonic() - began, "timeout")
            except StoreConfigurationError as error:  # there are no credentials any more
                raise _gives_up(str(error), unknown=repeated and writes) from error
            else:
                if answer.status == _DONE:
                    done: Json = msgspec.json.decode(answer.body)
                    partly = done.get("UnprocessedItems") or done.get("UnprocessedKeys")
                    metrics.record_attempt(action, monotonic() - began, "throttled" if partly else "ok")
                    metrics.record_capacity(action, done)
                    return done
                metrics.record_attempt(action, monotonic() - began, _outcome(answer))
                why, unheard = self._retry_reason(action, answer, repeated=repeated)
            repeated = repeated or unheard
            await _pause(delay, deadline, why, unknown=repeated and writes)
        raise AssertionError("delays never end")

    def _retry_reason(self, action: str, answer: Response, *, repeated: bool) -> tuple[str, bool]:
        """Return why to try again and whether it may have been done. Raises ConditionFailed, Cancelled, Refused when that cannot help."""
        code, told = _parse_error(answer)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(told.get("Item"), repeated=repeated)
        if code == "TransactionCanceledException" and (reasons := _final_reasons(told)):
            raise TransactionCancelled(reasons, repeated=repeated)
        if code in _REFUSED or code == "TransactionCanceledException":
            return "DynamoDB is throttled", False
        if code in _CREDENTIALS and self._credentials.invalidate():
            return "the credentials have expired", False
        if answer.status >= _THEIR_FAULT or code == _IN_PROGRESS:
            return "DynamoDB does not answer", True
        raise RequestRejected(action, code, str(told.get("message") or told.get("Message") or ""))

    async def _attempt(self, action: str, body: bytes, deadline: float) -> Response:
        async with asyncio.timeout(max(0.0, deadline - monotonic())):
            key = await self._credentials.get_key(self._http)
            if key is None:
                raise StoreConfigurationError("there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                                    "AWS_PROFILE, or run where a role is given")  # fmt: skip
            headers = sign(key, action, body, region=self._region, host=self._host)
            return await self._http(Request("POST", self._url, headers, body))


def _outcome(answer: Response) -> str:
    """Return what an answer that is no success is counted as."""
    code, told = _parse_error(answer)
    if code in _REFUSED or (code == "TransactionCanceledException" and not _final_reasons(told)):
        reasons = {code} | {reason.get("Code") for reason in told.get("CancellationReasons") or ()}
        return "conflict" if reasons & _CONFLICT else "throttled"
    if code in {"ConditionalCheckFailedException", "TransactionCanceledException"}:
        return "condition_failed"
    return "timeout" if answer.status >= _THEIR_FAULT else "rejected"


def unusable(table: str, refused: RequestRejected) -> StoreConfigurationError:
    """Say what to mend when the table cannot be used at all."""
    return StoreConfigurationError(f"table {table}: {_UNUSABLE.get(refused.code, str(refused))}")


def _delays() -> Iterator[float]:
    delay = _FIRST_DELAY
    while True:
        yield random.uniform(0, delay)  # noqa: S311 - spreads retries
        delay = min(2 * delay, _LONGEST_DELAY)


async def _pause(delay: float, deadline: float, why: str, *, unknown: bool) -> None:
    """Wait before the next attempt. Raises when there is no time for one."""
    if monotonic() + delay >= deadline:
        raise _gives_up(why, unknown=unknown)
    await asyncio.sleep(delay)


def _gives_up(why: str, *, unknown: bool) -> StoreUnavailable:
    return OutcomeUnknown(why) if unknown else StoreUnavailable(why)


@contextmanager
def several_writes() -> Iterator[None]:
    """Raise OutcomeUnknown for StoreUnavailable: of several writes, some may be done when another one fails."""
    try:
        yield
    except OutcomeUnknown:
        raise
    except StoreUnavailable as error:
        raise OutcomeUnknown(str(error)) from error


def _conditional(condition: str) -> Json:
    return {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _parse_error(answer: Response) -> tuple[str, Json]:
    try:
        told = strict_json.decode(answer.body, dict[str, Any])
    except InvalidJson:
        return f"status {answer.status}", {}
    return str(told.get("__type", "")).rpartition("#")[2], told


def _final_reasons(told: Json) -> list[Json]:
    """Return the reasons of a cancellation, none when trying again may help."""
    reasons: list[Json] = told.get("CancellationReasons") or []
    codes = {reason.get("Code") for reason in reasons} - {None, "None"}
    return reasons if "ConditionalCheckFailed" in codes or not codes <= _REFUSED else []
