"""The URLs of a DynamoDB table and of a master key, as settings hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

_MAX_TIMEOUT = 60  # seconds
_SHARDS = 64  # at most: a search by surname queries each of them


@dataclass(frozen=True)
class DynamoDBUrl:
    """Which table: `dynamodb://REGION/TABLE`, with `?endpoint=` for a server that is not AWS's and `?shards=` for a new table.

    `?timeout=` limits one attempt of a call, in seconds; the limits of a whole read or write are multiples of it.
    Where people are sealed their keys lie in the table `TABLE-keys`, or the one that `?keys=` names.
    """

    region: str
    table: str
    endpoint: str | None = None
    shards: int | None = None
    other_keys: str | None = None
    timeout: float = 1.0

    @property
    def keys(self) -> str:
        """The table of persons' keys."""
        return self.other_keys or f"{self.table}-keys"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart. Raises ValueError, saying what it should look like."""
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        table = parts.path.strip("/")
        endpoint, shards, keys, timeout = (asked.pop(name, None) for name in ("endpoint", "shards", "keys", "timeout"))
        if parts.scheme != "dynamodb" or not parts.netloc or not table or "/" in table or asked or parts.fragment:
            raise ValueError("write dynamodb://REGION/TABLE, with ?endpoint=http://127.0.0.1:8000 for a local server")
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("the endpoint is to begin with http:// or https://")
        if shards is not None and not (shards.isascii() and shards.isdigit() and 1 <= int(shards) <= _SHARDS):
            raise ValueError(f"shards is a number from 1 to {_SHARDS}")
        seconds = _timeout(timeout)
        return cls(parts.netloc, table, endpoint, int(shards) if shards else None, keys or None, seconds)


def _timeout(text: str | None) -> float:
    """Return the limit of one attempt of a DynamoDB call. Raises ValueError outside 1 to `_MAX_TIMEOUT` seconds."""
    if text is None:
        return DynamoDBUrl.timeout
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_TIMEOUT):
        raise ValueError(f"timeout must be a whole number of seconds from 1 to {_MAX_TIMEOUT}")
    return float(text)


class EncryptionUrl(NamedTuple):
    """Where the master key is, and whether surnames are to be found by their beginning too (None: as the store was made)."""

    scheme: Literal["file", "aws-kms"]
    key: str  # the path of a file, or the id, ARN or alias of a key of KMS
    prefixes: bool | None = None
    region: str | None = None
    endpoint: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart. Raises ValueError, saying what it should look like."""
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        index, region, endpoint = (asked.pop(name, None) for name in ("index", "region", "endpoint"))
        if asked or parts.fragment or index not in (None, "exact", "prefix"):
            raise ValueError("after the ? there may be index=prefix or index=exact, and for KMS region= and endpoint=")
        prefixes = None if index is None else index == "prefix"
        if parts.scheme == "file" and not parts.netloc and parts.path.strip("/") and not (region or endpoint):
            return cls("file", unquote(parts.path), prefixes)
        if parts.scheme == "aws-kms" and (key := f"{parts.netloc}{parts.path}"):
            return cls("aws-kms", key, prefixes, region, endpoint)
        raise ValueError("write file:///absolute/path/of/the.key or aws-kms://KEY (an id, an ARN or alias/NAME)")
