"""Settings that are a number of days, or a number of versions."""

from __future__ import annotations

import re
from datetime import timedelta

from peopleinfo.errors import InvalidSettings

_DAYS = re.compile(r"[1-9][0-9]{0,4}d", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,5}", re.ASCII)


def parse_days(name: str, text: str, example: str) -> timedelta:
    """Return the number of days in a setting, for example `35d`. Raises InvalidSettings."""
    if _DAYS.fullmatch(text) is None:
        raise InvalidSettings(f"PEOPLEINFO_{name}={text} is not a number of days: use for example {example}")
    return timedelta(days=int(text[:-1]))


def parse_history(text: str) -> tuple[int | None, timedelta | None]:
    """Return the limits of the history: the number of versions or their age, None for the other one. Raises InvalidSettings."""
    if _COUNT.fullmatch(text):
        return int(text), None
    return None, parse_days("HISTORY", text, "365d, or a number of versions such as 10")
