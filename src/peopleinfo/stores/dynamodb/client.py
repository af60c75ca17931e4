"""Client for one DynamoDB table: signs requests, limits their time, retries with jitter and reports unknown outcomes."""

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
MAX_BATCH_WRITE: Final = 25  # items of a BatchWriteItem
_MAX_BATCH_GET: Final = 100  # keys of a BatchGetItem
_OK: Final = 200
_SERVER_ERROR: Final = 500

# DynamoDB rejected the request without side effects; a retry may succeed.
_RETRYABLE: Final = frozenset(
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
_IN_PROGRESS: Final = "TransactionInProgressException"  # the previous attempt is still running
_CREDENTIALS: Final = frozenset({"ExpiredTokenException", "UnrecognizedClientException"})
_REMEDIES: Final = {
    "ResourceNotFoundException": "the table does not exist: create it with `peopleinfo store create`",
    "AccessDeniedException": "the credentials lack permission for the table: see docs/dynamodb.md for the required policy",
    "UnrecognizedClientException": "AWS does not recognize the credentials: check AWS_ACCESS_KEY_ID or the role",
    "MissingAuthenticationTokenException": "AWS rejected the credentials: check AWS_ACCESS_KEY_ID or the role",
}


_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Timeouts:
    """Timeouts of calls in seconds, as multiples of the timeout of one attempt."""

    attempt: float = 1.0

    @property
    def read(self) -> float:
        """Timeout of a read with its retries."""
        return 3 * self.attempt

    @property
    def write(self) -> float:
        """Timeout of a write with its retries."""
        return 5 * self.attempt

    @property
    def scan(self) -> float:
        """Timeout of a page of a scan with its retries."""
        return 10 * self.attempt

    @property
    def scan_attempt(self) -> float:
        """Timeout of one attempt of a scan: a response of a megabyte over a slow network takes long."""
        return self.scan / 2

    @property
    def control(self) -> float:
        """Timeout of a call that creates, changes or describes a table."""
        return 15 * self.attempt

    @property
    def bulk(self) -> float:
        """Timeout of a batch of a bulk operation."""
        return 30 * self.attempt


class ConditionFailed(Exception):
    """The condition of a write failed.

    `item` is the existing item, or None. `repeated`: an earlier attempt of the same call may have been applied.
    """

    def __init__(self, item: Item | None, *, repeated: bool) -> None:
        super().__init__("the condition failed")
        self.item = item
        self.repeated = repeated


class TransactionCancelled(Exception):
    """DynamoDB cancelled a transaction; `failed` states for each write whether its condition failed."""

    def __init__(self, reasons: Sequence[Json], *, repeated: bool) -> None:
        super().__init__("the transaction was cancelled")
        self.failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
        self.repeated = repeated


class RequestRejected(Exception):
    """DynamoDB rejected a request that a retry cannot help; `code` is its error code."""

    def __init__(self, action: str, code: str, message: str) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.code = code


class TableClient:
    """Sends requests for one table."""

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
        """Return a client for another table over the same connections."""
        other = copy(self)
        other.name = name
        return other

    async def get(self, key: Item, attributes: str | None = None) -> Item | None:
        """Read an item, or some attributes of it, consistently; return None if it does not exist."""
        request = {"Key": key, "ConsistentRead": True}
        if attributes:
            request["ProjectionExpression"] = attributes
        response = await self.call("GetItem", request, self.timeouts.read)
        item: Item | None = response.get("Item")
        return item or None

    async def get_many(self, keys: Sequence[Item], attributes: str | None = None) -> list[Item]:
        """Return the existing items of these keys, or some attributes of them, in any order."""
        found: list[Item] = []
        projection = {"ProjectionExpression": attributes} if attributes else {}
        for start in range(0, len(keys), _MAX_BATCH_GET):
            request = {"Keys": keys[start : start + _MAX_BATCH_GET], **projection}
            found += (await self.batch_get({self.name: request}))[self.name]
        return found

    async def batch_get(self, tables: dict[str, Json]) -> dict[str, list[Item]]:
        """Read at most 100 items of several tables consistently; return the existing ones by table, in any order."""
        found: dict[str, list[Item]] = {name: [] for name in tables}
        request: Json = {name: {"ConsistentRead": True, **keys} for name, keys in tables.items()}
        deadline = monotonic() + self.timeouts.read
        for delay in _delays():
            response = await self.call(
                "BatchGetItem", {"RequestItems": request}, deadline - monotonic(), names_table=False
            )
            for name, items in response["Responses"].items():
                found[name] += items
            if not (request := response.get("UnprocessedKeys") or {}):
                break
            await _pause(delay, deadline, "the table is throttled", unknown=False)
        return found

    async def query(self, condition: str, values: Item, *, limit: int, **more: Any) -> tuple[list[Item], Item | None]:
        """Return a page of items and the key after which the next page starts, or None."""
        request = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, "Limit": limit, **more}
        response = await self.call("Query", request, self.timeouts.read)
        return response["Items"], response.get("LastEvaluatedKey")

    async def scan(self, *, limit: int, **more: Any) -> tuple[list[Item], Item | None]:
        """Return a page of the table and the key after which the next page starts, or None."""
        request = {"Limit": limit, "ConsistentRead": True, **more}
        response = await self.call("Scan", request, self.timeouts.scan, attempt_timeout=self.timeouts.scan_attempt)
        return response["Items"], response.get("LastEvaluatedKey")

    async def put(self, item: Item, condition: str) -> None:
        """Store an item if the existing one meets the condition. Raises ConditionFailed."""
        await self.call("PutItem", {"Item": item, **_conditional(condition)}, self.timeouts.write, writes=True)

    async def update(self, key: Item, change: str, condition: str, values: Item) -> None:
        """Update an item if it meets the condition. Raises ConditionFailed."""
        request = {"Key": key, "UpdateExpression": change, "ExpressionAttributeValues": values}
        await self.call("UpdateItem", {**request, **_conditional(condition)}, self.timeouts.write, writes=True)

    async def delete(self, key: Item, condition: str, values: Item) -> None:
        """Delete an item if it meets the condition. Raises ConditionFailed."""
        request = {"Key": key, "ExpressionAttributeValues": values, **_conditional(condition)}
        await self.call("DeleteItem", request, self.timeouts.write, writes=True)

    async def transact_write(self, *writes: Json, token: str) -> None:
        """Apply all writes or none. `token` makes retries idempotent for ten minutes. Raises TransactionCancelled."""
        operations = [
            {kind: {"TableName": self.name, **write} for kind, write in operation.items()} for operation in writes
        ]
        request = {"TransactItems": operations, "ClientRequestToken": token}
        await self.call("TransactWriteItems", request, self.timeouts.write, writes=True, names_table=False)

    async def put_many(self, items: Sequence[Item]) -> None:
        """Store at most `MAX_BATCH_WRITE` items and overwrite existing ones."""
        await self._write_batch([_put_request(item) for item in items], self.timeouts.bulk, writes=True)

    async def write_many(self, items: Sequence[Item], obsolete: Sequence[Item]) -> None:
        """Store items and delete those with the keys `obsolete`. Repetitions have no further effect."""
        requests = [_put_request(item) for item in items] + [{"DeleteRequest": {"Key": key}} for key in obsolete]
        for start in range(0, len(requests), MAX_BATCH_WRITE):
            await self._write_batch(requests[start : start + MAX_BATCH_WRITE], self.timeouts.write, writes=False)

    async def _write_batch(self, requests: list[Json], total_timeout: float, *, writes: bool) -> None:
        request: Json = {self.name: requests}
        deadline = monotonic() + total_timeout
        repeated = False
        for delay in _delays():
            timeout = deadline - monotonic()
            response = await self.call(
                "BatchWriteItem",
                {"RequestItems": request},
                timeout,
                writes=writes,
                repeated=repeated,
                names_table=False,
            )
            if not (request := response.get("UnprocessedItems") or {}):
                return
            repeated = True
            await _pause(delay, deadline, "the table is throttled", unknown=writes)

    async def call(
        self,
        action: str,
        payload: Json,
        total_timeout: float,
        *,
        attempt_timeout: float | None = None,
        writes: bool = False,
        repeated: bool = False,
        names_table: bool = True,
    ) -> Json:
        """Send a request, retry it within `total_timeout` and return the response; both timeouts are in seconds.

        `repeated`: an earlier call may have been applied in part. Raises ConditionFailed, TransactionCancelled, RequestRejected,
        StoreUnavailable, and OutcomeUnknown if a write may have been applied.
        """
        payload = {"ReturnConsumedCapacity": "TOTAL", **payload}
        if names_table:
            payload["TableName"] = self.name
        body = _encode(payload)
        deadline = monotonic() + total_timeout
        for delay in _delays():
            start = monotonic()
            try:
                response = await self._attempt(
                    action, body, min(deadline, start + (attempt_timeout or self.timeouts.attempt))
                )
            except (TimeoutError, RequestFailed):
                # The response is lost; the request may have been applied.
                reason, may_be_applied = "DynamoDB does not respond", True
                metrics.record_attempt(action, monotonic() - start, "timeout")
            except StoreConfigurationError as error:  # the credentials are no longer available
                raise _failure(str(error), unknown=repeated and writes) from error
            else:
                if response.status == _OK:
                    content: Json = msgspec.json.decode(response.body)
                    unprocessed = content.get("UnprocessedItems") or content.get("UnprocessedKeys")
                    metrics.record_attempt(action, monotonic() - start, "throttled" if unprocessed else "ok")
                    metrics.record_capacity(action, content)
                    return content
                metrics.record_attempt(action, monotonic() - start, _outcome(response))
                reason, may_be_applied = self._retry_reason(action, response, repeated=repeated)
            repeated = repeated or may_be_applied
            await _pause(delay, deadline, reason, unknown=repeated and writes)
        raise AssertionError("delays never end")

    def _retry_reason(self, action: str, response: Response, *, repeated: bool) -> tuple[str, bool]:
        """Return the reason for a retry and whether the request may have been applied.

        Raises ConditionFailed, TransactionCancelled or RequestRejected if a retry cannot help.
        """
        code, error = _parse_error(response)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed(error.get("Item"), repeated=repeated)
        if code == "TransactionCanceledException" and (reasons := _final_reasons(error)):
            raise TransactionCancelled(reasons, repeated=repeated)
        if code in _RETRYABLE or code == "TransactionCanceledException":
            return "DynamoDB is throttled", False
        if code in _CREDENTIALS and self._credentials.invalidate():
            return "the credentials have expired", False
        if response.status >= _SERVER_ERROR or code == _IN_PROGRESS:
            return "DynamoDB does not respond", True
        raise RequestRejected(action, code, str(error.get("message") or error.get("Message") or ""))

    async def _attempt(self, action: str, body: bytes, deadline: float) -> Response:
        async with asyncio.timeout(max(0.0, deadline - monotonic())):
            key = await self._credentials.get_key(self._http)
            if key is None:
                raise StoreConfigurationError("AWS credentials are missing: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                                    "set AWS_PROFILE, or run with an IAM role")  # fmt: skip
            headers = sign(key, action, body, region=self._region, host=self._host)
            return await self._http(Request("POST", self._url, headers, body))


def _outcome(response: Response) -> str:
    """Return the metric label of an error response."""
    code, error = _parse_error(response)
    if code in _RETRYABLE or (code == "TransactionCanceledException" and not _final_reasons(error)):
        codes = {code} | {reason.get("Code") for reason in error.get("CancellationReasons") or ()}
        return "conflict" if codes & _CONFLICT else "throttled"
    if code in {"ConditionalCheckFailedException", "TransactionCanceledException"}:
        return "condition_failed"
    return "timeout" if response.status >= _SERVER_ERROR else "rejected"


def configuration_error(table: str, rejected: RequestRejected) -> StoreConfigurationError:
    """Return the error of an unusable table with its remedy."""
    return StoreConfigurationError(f"table {table}: {_REMEDIES.get(rejected.code, str(rejected))}")


def _delays() -> Iterator[float]:
    delay = _FIRST_DELAY
    while True:
        yield random.uniform(0, delay)  # noqa: S311 - spreads retries
        delay = min(2 * delay, _LONGEST_DELAY)


async def _pause(delay: float, deadline: float, reason: str, *, unknown: bool) -> None:
    """Wait before the next attempt. Raises StoreUnavailable or OutcomeUnknown if the deadline is too near."""
    if monotonic() + delay >= deadline:
        raise _failure(reason, unknown=unknown)
    await asyncio.sleep(delay)


def _failure(reason: str, *, unknown: bool) -> StoreUnavailable:
    return OutcomeUnknown(reason) if unknown else StoreUnavailable(reason)


@contextmanager
def non_atomic_writes() -> Iterator[None]:
    """Convert StoreUnavailable to OutcomeUnknown: some of several writes may have been applied."""
    try:
        yield
    except OutcomeUnknown:
        raise
    except StoreUnavailable as error:
        raise OutcomeUnknown(str(error)) from error


def _put_request(item: Item) -> Json:
    return {"PutRequest": {"Item": item}}


def _conditional(condition: str) -> Json:
    return {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _parse_error(response: Response) -> tuple[str, Json]:
    try:
        error = strict_json.decode(response.body, dict[str, Any])
    except InvalidJson:
        return f"status {response.status}", {}
    return str(error.get("__type", "")).rpartition("#")[2], error


def _final_reasons(error: Json) -> list[Json]:
    """Return the reasons of a cancellation; an empty list if a retry may help."""
    reasons: list[Json] = error.get("CancellationReasons") or []
    codes = {reason.get("Code") for reason in reasons} - {None, "None"}
    return reasons if "ConditionalCheckFailed" in codes or not codes <= _RETRYABLE else []
