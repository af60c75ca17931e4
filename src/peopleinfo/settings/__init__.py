"""Settings of the service: `PEOPLEINFO_*` environment variables or the flags of the same name."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from peopleinfo.errors import InvalidSettings
from peopleinfo.settings.durations import parse_days, parse_history
from peopleinfo.settings.identifiers import parse_identifiers, parse_indexes
from peopleinfo.settings.renamed_settings import RENAMED
from peopleinfo.settings.urls import DynamoDBUrl, EncryptionUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

PREFIX = "PEOPLEINFO_"
_UNIX = "unix:"
# Variables that Kubernetes injects for a Service named peopleinfo or peopleinfo-NAME, for example
# PEOPLEINFO_CACHE_PORT_6379_TCP_ADDR. One of them, PEOPLEINFO_PORT, has the name of a setting.
_SERVICE_LINK = re.compile(
    rf"{PREFIX}([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(rf"{PREFIX}([A-Z0-9_]+_)?PORT")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")
_CLIENT_VARIABLES = {f"{PREFIX}API_KEY"}  # a setting of the client, which may run on the same machine
_CACHES = ("redis", "rediss", "redis+cluster", "rediss+cluster")
_MIN_ADMIN_KEY_LENGTH = 32
_ADMIN_KEY = re.compile(rf"[!-~]{{{_MIN_ADMIN_KEY_LENGTH},}}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
# Errors of msgspec, for example "Expected `float` <= 3600.0", and their wording here.
_BOUND = re.compile(r"Expected `\w+` (<=|>=|<|>) ([0-9]+)")
_COMPARISONS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "greater than"}
_TYPE = re.compile(r"Expected `(int|float|bool)`")
_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def _setting(default: Any, description: str, *, shown: bool = True) -> Any:
    return dataclasses.field(default=default, repr=shown, metadata={"description": description})


def _secret(description: str) -> Any:
    """Return a setting that is never displayed. It has no flag, because flags are visible to all users of the machine."""
    return dataclasses.field(default="", repr=False, metadata={"description": description, "secret": True})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings. The description of a field is its text in `--help` and in the settings reference."""

    host: Annotated[str, Meta(min_length=1)] = _setting(
        "127.0.0.1",
        "Address to listen on: an IP address, a host name (all its addresses), :: for every IPv6 and IPv4 address, "
        "or unix:/absolute/path.sock for a Unix socket.",
    )
    port: Annotated[int, Meta(ge=0, le=65535)] = _setting(3000, "Port to listen on. 0: any free port.")
    workers: Annotated[int, Meta(ge=1, le=64)] = _setting(1, "Number of server processes. They share the store.")
    store_url: Annotated[str, Meta(min_length=1)] = _setting(
        "sqlite:///people.db",
        "URL of the store: sqlite:///relative.db, sqlite:////absolute.db or dynamodb://REGION/TABLE "
        "(with ?endpoint=URL for a DynamoDB server outside AWS).",
    )
    cache_url: str = _setting(
        "",
        "URL of the Redis or Valkey cache: redis://HOST:6379, rediss:// for TLS (with ?ca=FILE for a private CA), "
        "redis+cluster:// or rediss+cluster:// for a cluster. USER:PASSWORD@ may precede the host. Empty: no cache.",
        shown=False,  # it may hold a password
    )
    cache_user: str = _setting("", "User name for the cache, unless the URL contains one.")
    cache_password: str = _secret("Password for the cache, separate from the URL so that it can come from a secret.")
    cache_ttl: Annotated[float, Meta(gt=0, le=3600)] = _setting(
        60.0,
        "Seconds until a cached response expires. No response is older, even if the cache missed an invalidation.",
    )
    cache_local_size: Annotated[int, Meta(ge=0)] = _setting(
        67_108_864, "Bytes of responses that each process caches in memory. 0: none."
    )
    cache_timeout: Annotated[float, Meta(gt=0, le=5)] = _setting(
        0.05, "Seconds that a request waits for the cache before it reads from the store."
    )
    cache_fence_ttl: Annotated[float, Meta(gt=0, le=600)] = _setting(
        15.0,
        "Seconds that cached copies of a record are ignored after a write of unknown outcome. Must exceed the longest write.",
    )
    cache_strict_writes: bool = _setting(
        False,
        "When the cache cannot be invalidated, acknowledge a write only after every cached copy has expired.",
    )
    admin_key: str = _secret(
        "Bootstrap API key with all permissions, for setting up a deployment: at least 32 printable characters, from a secret."
    )
    encryption: str = _setting(
        "",
        "Master key for encryption at rest: file:///absolute/path/of/the.key (from `peopleinfo encryption create-key`) or "
        "aws-kms://KEY. Add ?index=prefix to allow searches by surname prefix. Empty: no encryption.",
    )
    oidc_issuer: str = _setting(
        "",
        "Issuer URL of the trusted OpenID provider, for example https://login.example.org/realms/staff. "
        "Empty: no provider.",
    )
    oidc_audience: str = _setting(
        "", "Required audience (`aud`) of the provider's tokens: the name of this service at the provider."
    )
    oidc_scopes_claim: Annotated[str, Meta(min_length=1)] = _setting(
        "scope",
        "Token claim with the scopes or roles, which have the same names as the scopes of API keys. "
        "Dots separate nested claims, for example `realm_access.roles`.",
    )
    oidc_client_id: str = _setting(
        "",
        "Client id of the console at the provider, for signing in to the console. Empty: no sign-in via the provider.",
    )
    oidc_client_secret: str = _secret("Client secret of the console at the provider. Empty: public client.")
    oidc_scopes: str = _setting("openid", "Scopes that the console requests from the provider, separated by spaces.")
    audit_log: str = _setting(
        "",
        "Destination of the audit log, which records every access to personal data: file:///absolute.jsonl or stdout. "
        "Empty: no audit log.",
    )
    trusted_proxies: Annotated[int, Meta(ge=0, le=10)] = _setting(
        0,
        "Number of trusted proxies in front of the service. The client address is that many entries from the right "
        "in X-Forwarded-For.",
    )
    rate_limit: Annotated[int, Meta(ge=0)] = _setting(
        60_000,
        "Units per minute, per process, for each API key (with PEOPLEINFO_ALLOW_ANONYMOUS: each address). A read costs 1, "
        "a search 5, a change 10, an import or export 100. 0: no limit.",
    )
    rate_limit_shared: bool = _setting(
        False,
        "Share the rate limit between all processes through the cache. Each process counts alone during an outage.",
    )
    retention_period: str = _setting(
        "", "Delete people not modified for this long, for example `730d`. Runs daily. Empty: never."
    )
    identifiers: str = _setting(
        "email,phone",
        "Custom fields that find a person in a search, separated by commas. `unique:` before a name rejects a second person with the same value.",
    )
    search_indexes: str = _setting(
        "names,birthdate,address,updated_at,duplicates",
        "Fields that a search by `q` finds, besides identifiers, `updated_at` for the list of the latest updates, and `duplicates` for the "
        "detection of duplicates. "
        "Each index costs writes (docs/capacity.md).",
    )
    duplicates_refuse: Literal["certain", "probable", "possible"] = _setting(
        "certain",
        "Lowest grade of a stored person for which `duplicates=refuse` refuses a new one (docs/duplicates.md).",
    )
    history: str = _setting(
        "365d",
        "Earlier versions of each person that are kept: their age since the replacement, for example `365d`, "
        "or their number, for example `10`. 0: none.",
    )
    trash: str = _setting("", "Time to restore deleted people, for example `30d`. Empty: a deletion erases at once.")
    changes: str = _setting("35d", "Age at which changes leave the feed /v1/changes, for example `35d`.")
    allow_anonymous: bool = _setting(
        False,
        "Give clients without credentials full access. Any client that can reach the service can then change records.",
    )
    cors_origins: str = _setting(
        "",
        "Origins that may call the API from a browser (CORS), separated by commas, for example https://app.example.org. "
        "*: any origin. Empty: only the console.",
    )
    max_connections: Annotated[int, Meta(ge=1)] = _setting(
        4_000, "Maximum number of connections per process. Further connections get a 503 response."
    )
    body_timeout: Annotated[float, Meta(gt=0)] = _setting(
        20.0, "Seconds in which the body of a request, or the next chunk of an import, must arrive."
    )
    metrics_auth: Literal["required", "none"] = _setting(
        "required",
        "Authentication of /metrics: `required` (a credential with the scope metrics:read) or `none` (anonymous clients).",
    )
    drain_seconds: Annotated[float, Meta(ge=0, le=600)] = _setting(
        0.0,
        "Seconds that the server still accepts requests after SIGTERM. Meanwhile /status returns 503, "
        "so that a load balancer routes requests elsewhere.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Minimum level of log events.")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **flags: Any) -> Self:
        """Read the settings from an environment (None: that of the process). A flag that is not None overrides its variable.

        Raises InvalidSettings, which lists every invalid setting and every unknown `PEOPLEINFO_` variable.
        """
        hints = get_type_hints(cls, include_extras=True)
        if unknown := flags.keys() - hints.keys():
            raise TypeError(f"unknown settings: {', '.join(sorted(unknown))}")
        environment = os.environ if environment is None else environment
        variables = {
            name[len(PREFIX) :].lower(): text
            for name, text in environment.items()
            if name.startswith(PREFIX) and name not in _CLIENT_VARIABLES and not is_service_link(name, text)
        }
        problems = [_unknown(name, hints) for name in variables if name not in hints]
        values: dict[str, Any] = {}
        secret = {field.name for field in dataclasses.fields(cls) if field.metadata.get("secret")}
        for name, kind in hints.items():
            value = flags.get(name) if flags.get(name) is not None else variables.get(name)
            if value is None:
                continue
            try:
                values[name] = msgspec.convert(value, kind, strict=False)
            except msgspec.ValidationError as error:
                displayed = "…" if name in secret else value
                problems.append(_invalid_value(f"{PREFIX}{name.upper()}", kind, displayed, error))
        if problems:
            raise InvalidSettings("\n".join(problems))
        settings = cls(**values)
        settings.validate()
        return settings

    def validate(self) -> None:
        """Raise InvalidSettings if a setting has an invalid format or contradicts another one."""
        if self.cache_url and not (urlsplit(self.cache_url).scheme in _CACHES and urlsplit(self.cache_url).hostname):
            raise InvalidSettings(
                f"{PREFIX}CACHE_URL is not a cache URL: use redis://HOST:6379, or rediss://HOST:6379 for TLS"
            )
        if (self.cache_user or self.cache_password) and "@" in urlsplit(self.cache_url).netloc:
            raise InvalidSettings(
                f"{PREFIX}CACHE_URL already contains credentials: remove them, or unset {PREFIX}CACHE_USER and {PREFIX}CACHE_PASSWORD"
            )
        if self.rate_limit_shared and not self.cache_url:
            raise InvalidSettings(f"{PREFIX}RATE_LIMIT_SHARED requires a cache: set {PREFIX}CACHE_URL")
        self.location  # noqa: B018 - raises InvalidSettings
        self.socket_path  # noqa: B018 - as above
        self.encryption_url  # noqa: B018 - as above
        self.audit_file  # noqa: B018 - as above
        self.retention  # noqa: B018 - as above
        self.trash_age  # noqa: B018 - as above
        self.origins  # noqa: B018 - as above
        parse_identifiers(self.identifiers)
        parse_indexes(self.search_indexes)
        parse_history(self.history)
        parse_days("CHANGES", self.changes, "35d")
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise InvalidSettings(
                f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE require each other: set both or neither"
            )
        if self.oidc_client_id and not self.oidc_issuer:
            raise InvalidSettings(f"{PREFIX}OIDC_CLIENT_ID requires a provider: set {PREFIX}OIDC_ISSUER")
        provider = urlsplit(self.oidc_issuer)
        if self.oidc_issuer and not (
            provider.scheme == "https" or (provider.scheme == "http" and is_loopback(provider.hostname or ""))
        ):
            raise InvalidSettings(f"{PREFIX}OIDC_ISSUER must start with https://, except for a provider on localhost")
        if self.admin_key and not _ADMIN_KEY.fullmatch(self.admin_key):
            raise InvalidSettings(
                f"{PREFIX}ADMIN_KEY must have at least {_MIN_ADMIN_KEY_LENGTH} printable ASCII characters and no spaces: "
                "generate one with `openssl rand -hex 32`"
            )

    @property
    def audit_file(self) -> Path | None:
        """Path of the audit log; None if it goes to stdout or is off. Raises InvalidSettings for any other URL."""
        if self.audit_log in ("", "stdout"):
            return None
        url = urlsplit(self.audit_log)
        if url.scheme != "file" or url.netloc or not url.path.strip("/") or url.query or url.fragment:
            raise InvalidSettings(
                f"{PREFIX}AUDIT_LOG={self.audit_log} is not a destination: use file:///absolute.jsonl or stdout"
            )
        return Path(url.path)

    @property
    def origins(self) -> frozenset[str]:
        """The allowed CORS origins, for example `https://app.example.org`; `*` allows any. Raises InvalidSettings."""
        origins = frozenset(filter(None, (origin.strip() for origin in self.cors_origins.split(","))))
        for origin in origins:
            if origin != "*" and _ORIGIN.fullmatch(origin) is None:
                raise InvalidSettings(
                    f"{PREFIX}CORS_ORIGINS: {origin} is not an origin: use lower case and no path, as in https://app.example.org"
                )
        return origins

    @property
    def retention(self) -> timedelta | None:
        """Age at which unmodified records are deleted, None for never. Raises InvalidSettings."""
        return parse_days("RETENTION_PERIOD", self.retention_period, "730d") if self.retention_period else None

    @property
    def trash_age(self) -> timedelta | None:
        """Time for which deleted people remain in the trash, None if a deletion erases. Raises InvalidSettings."""
        return parse_days("TRASH", self.trash, "30d") if self.trash else None

    @property
    def needs_keys(self) -> bool:
        """Whether the service is reachable from other machines and accepts only API keys from the store."""
        return not (self.allow_anonymous or self.has_static_credentials or self.is_local)

    @property
    def is_local(self) -> bool:
        """Whether only clients on this machine can reach the service."""
        return self.host.startswith(_UNIX) or is_loopback(self.host)

    @property
    def allows_anonymous_until_first_key(self) -> bool:
        """Whether anonymous clients are accepted until an API key exists."""
        return self.is_local and not self.has_static_credentials

    @property
    def is_loopback_only(self) -> bool:
        """Whether requests must name this machine, because no credential protects the service from pages of other sites."""
        return self.allows_anonymous_until_first_key and not self.allow_anonymous

    @property
    def listen_address(self) -> str:
        """The address of the service, for messages."""
        return self.host if self.socket_path else f"{self.host} port {self.port}"

    @property
    def socket_path(self) -> Path | None:
        """The Unix socket to listen on; None if the host is a network address. Raises InvalidSettings."""
        if not self.host.startswith(_UNIX):
            return None
        path = Path(self.host.removeprefix(_UNIX))
        if not path.is_absolute():
            raise InvalidSettings(f"{PREFIX}HOST={self.host} is not an absolute path: use unix:/absolute/path.sock")
        return path

    @property
    def has_static_credentials(self) -> bool:
        """Whether the settings define a credential. Anonymous clients are then rejected even before the first API key exists."""
        return bool(self.admin_key or self.oidc_issuer)

    @property
    def encryption_url(self) -> EncryptionUrl | None:
        """The master key of encryption at rest, None if it is off. Raises InvalidSettings."""
        try:
            return EncryptionUrl.parse(self.encryption) if self.encryption else None
        except ValueError as error:
            raise InvalidSettings(f"{PREFIX}ENCRYPTION is not a key URL: {error}") from error

    @property
    def location(self) -> Path | DynamoDBUrl:
        """The file of the SQLite store or the table of the DynamoDB store. Raises InvalidSettings for any other URL."""
        url = urlsplit(self.store_url)
        try:
            if url.scheme == "dynamodb":
                return DynamoDBUrl.parse(self.store_url)
            if url.scheme != "sqlite" or url.netloc or not url.path.strip("/") or url.query or url.fragment:
                raise ValueError("use sqlite:///relative.db, sqlite:////absolute.db or dynamodb://REGION/TABLE")
        except ValueError as error:
            raise InvalidSettings(f"{PREFIX}STORE_URL={self.store_url} is not a store URL: {error}") from error
        return Path(url.path[1:])


def _unknown(name: str, names: Iterable[str]) -> str:
    """Return the error for an unknown variable. It suggests the new name of a renamed setting, else the most similar name."""
    variable = f"{PREFIX}{name.upper()}"
    if name in RENAMED:
        return f"{variable} was renamed to {PREFIX}{RENAMED[name].upper()}"
    similar = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {PREFIX}{similar[0].upper()}?" if similar else ""
    return f"{variable} is not a setting{hint}"


def _invalid_value(variable: str, kind: Any, value: Any, error: msgspec.ValidationError) -> str:
    """Return the error for an invalid value, for example `PEOPLEINFO_CACHE_TTL must be at most 3600 (got 7200)`."""
    if get_origin(kind) is Literal:
        rule = f"one of {', '.join(get_args(kind))}"
    elif bound := _BOUND.match(str(error)):
        rule = f"{_COMPARISONS[bound[1]]} {bound[2]}"
    elif expected := _TYPE.match(str(error)):
        rule = _TYPES[expected[1]]
    else:
        return f"{variable}={value}: {error}"
    return f"{variable} must be {rule} (got {value})"


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes injected an environment variable for a Service."""
    return bool(_SERVICE_LINK.fullmatch(name) or (_SERVICE_PORT.fullmatch(name) and _SERVICE_URL.match(value)))


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
