"""The error of an import, which is a problem document or the last line of the response."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def failure(response: httpx.Response) -> dict[str, Any] | None:
    """Return the error that ended an import, or None."""
    last: dict[str, Any] = json.loads(response.text.splitlines()[-1])
    return None if last.get("result") == "done" else last
