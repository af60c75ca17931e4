"""The headers of every response, and the validation of request headers."""

from __future__ import annotations

import re
from typing import Final

RESPONSE_HEADERS: Final = [("X-Content-Type-Options", "nosniff")]
MAX_HEADERS: Final = 100  # of a request
# uri-host [":" port] (RFC 9110, section 7.2; RFC 3986, section 3.2.2), of a length that fits the domain name system.
_HOST: Final = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]{2,80}\]|[0-9A-Za-z._~!$&'()*+,;=%-]{1,255})(?::[0-9]{0,5})?")


def is_host(value: bytes) -> bool:
    """Return whether a value is valid for the header Host: a name or an address, and optionally a port."""
    return _HOST.fullmatch(value) is not None
