"""The number of people in a table: exact for a small table, otherwise an estimate from a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peopleinfo.people.people_list import Count
from peopleinfo.stores.dynamodb.client import RequestRejected

if TYPE_CHECKING:
    from peopleinfo.stores.dynamodb.client import Json, TableClient

_MAX_PAGES: Final = 4  # of 1 MB each, which cost 256 read units
# Every record has exactly one item at its home key: the record itself or a redirect.
_IS_HOME: Final = "attribute_exists(moved_to) OR (attribute_exists(fold) AND attribute_not_exists(home))"


async def count_people(table: TableClient) -> Count:
    """Return the number of people."""
    count = read = 0
    start: Json = {}
    for _ in range(_MAX_PAGES):
        request = {"Select": "COUNT", "ConsistentRead": True, "FilterExpression": _IS_HOME, **start}
        page = await table.call("Scan", request, table.timeouts.scan, attempt_timeout=table.timeouts.scan_attempt)
        count, read = count + page["Count"], read + page["ScannedCount"]
        if "LastEvaluatedKey" not in page:
            return Count(count, is_exact=True)
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    items = await estimate_items(table) or read
    return Count(max(round(count * items / read), count), is_exact=False)


async def estimate_items(table: TableClient) -> int | None:
    """Return the approximate number of items, which DynamoDB updates about every six hours; None without permission."""
    try:
        described = await table.call("DescribeTable", {}, table.timeouts.read)
    except RequestRejected:  # the role lacks the permission
        return None
    return int(described["Table"].get("ItemCount", 0)) or None
