"""AWS Signature Version 4 for DynamoDB. Caches the signing key of the day, which aiodynamo derives for every request."""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodynamo.credentials import Key

_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_VERSION: Final = "DynamoDB_20120810"
_SIGNED_HEADERS: Final = "content-type;host;x-amz-date;x-amz-target"


def sign(key: Key, action: str, body: bytes, *, region: str, host: str) -> dict[str, str]:
    """Return the headers of a signed request."""
    timestamp = _timestamp(int(time()))
    day = timestamp[:8]
    scope = f"{day}/{region}/dynamodb/aws4_request"
    target = f"{_VERSION}.{action}"
    canonical_request = (
        f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\nhost:{host}\nx-amz-date:{timestamp}\nx-amz-target:{target}\n\n"
        f"{_SIGNED_HEADERS}\n{sha256(body).hexdigest()}"
    )
    string_to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"
    signature = hmac.digest(_signing_key(key.secret, day, region), string_to_sign.encode(), "sha256").hex()
    headers = {
        "Content-Type": _CONTENT_TYPE,
        "X-Amz-Date": timestamp,
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key.id}/{scope}, SignedHeaders={_SIGNED_HEADERS}, Signature={signature}",
    }
    if key.token:
        headers["X-Amz-Security-Token"] = key.token
    return headers


@lru_cache(1)
def _timestamp(seconds: int) -> str:
    return strftime("%Y%m%dT%H%M%SZ", gmtime(seconds))


@lru_cache(2)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, "dynamodb", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key
