"""URLs of a DynamoDB table and of a master key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

_MAX_TIMEOUT = 60  # seconds
_MAX_SHARDS = 64  # a search by surname queries every shard


@dataclass(frozen=True)
class DynamoDBUrl:
    """A DynamoDB table: `dynamodb://REGION/TABLE`, with options in the query.

    `endpoint`: URL of a server outside AWS. `shards`: number of shards of a new table. `timeout`: seconds for one attempt of a call;
    the timeouts of reads and writes are multiples of it. `keys`: table of the encryption keys (default `TABLE-keys`).
    """

    region: str
    table: str
    endpoint: str | None = None
    shards: int | None = None
    custom_key_table: str | None = None
    timeout: float = 1.0

    @property
    def key_table(self) -> str:
        """Name of the table with the encryption key of each record."""
        return self.custom_key_table or f"{self.table}-keys"

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL. Raises ValueError with the expected format."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        table = parts.path.strip("/")
        endpoint, shards, keys, timeout = (
            options.pop(name, None) for name in ("endpoint", "shards", "keys", "timeout")
        )
        if parts.scheme != "dynamodb" or not parts.netloc or not table or "/" in table or options or parts.fragment:
            raise ValueError("use dynamodb://REGION/TABLE, with ?endpoint=http://127.0.0.1:8000 for a local server")
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("endpoint must start with http:// or https://")
        if shards is not None and not (shards.isascii() and shards.isdigit() and 1 <= int(shards) <= _MAX_SHARDS):
            raise ValueError(f"shards must be a number from 1 to {_MAX_SHARDS}")
        seconds = _timeout(timeout)
        return cls(parts.netloc, table, endpoint, int(shards) if shards else None, keys or None, seconds)


def _timeout(text: str | None) -> float:
    """Return the timeout of one attempt of a DynamoDB call. Raises ValueError outside 1 to `_MAX_TIMEOUT` seconds."""
    if text is None:
        return DynamoDBUrl.timeout
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MAX_TIMEOUT):
        raise ValueError(f"timeout must be a whole number of seconds from 1 to {_MAX_TIMEOUT}")
    return float(text)


class EncryptionUrl(NamedTuple):
    """A master key, and whether the encrypted store supports searches by surname prefix (None: as at its creation)."""

    scheme: Literal["file", "aws-kms"]
    key: str  # the path of a file, or the id, ARN or alias of a KMS key
    prefixes: bool | None = None
    region: str | None = None
    endpoint: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL. Raises ValueError with the expected format."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        index, region, endpoint = (options.pop(name, None) for name in ("index", "region", "endpoint"))
        if options or parts.fragment or index not in (None, "exact", "prefix"):
            raise ValueError(
                "the query may contain only index=prefix or index=exact and, for KMS, region= and endpoint="
            )
        prefixes = None if index is None else index == "prefix"
        if parts.scheme == "file" and not parts.netloc and parts.path.strip("/") and not (region or endpoint):
            return cls("file", unquote(parts.path), prefixes)
        if parts.scheme == "aws-kms" and (key := f"{parts.netloc}{parts.path}"):
            return cls("aws-kms", key, prefixes, region, endpoint)
        raise ValueError("use file:///absolute/path/of/the.key or aws-kms://KEY (an id, an ARN or alias/NAME)")
