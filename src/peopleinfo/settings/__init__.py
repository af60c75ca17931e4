"""Every setting of the service, in one place: `PEOPLEINFO_*` in the environment, or the flag of the same name."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from peopleinfo.errors import PeopleInfoError
from peopleinfo.settings.urls import DynamoDBUrl, EncryptionUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "PEOPLEINFO_"
_UNIX = "unix:"
# Variables that Kubernetes makes for each Service of the namespace that is called peopleinfo or peopleinfo-NAME, such as
# PEOPLEINFO_CACHE_PORT_6379_TCP_ADDR; the name of one of them is also that of a setting.
_SERVICE_LINK = re.compile(
    rf"{PREFIX}([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(rf"{PREFIX}([A-Z0-9_]+_)?PORT")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")
_CLIENT_VARIABLES = {f"{PREFIX}API_KEY"}  # of a client that runs on the same machine
# Settings that had another name before 0.1.0; to be deleted with 0.2.0.
RENAMED = {
    "store": "store_url",
    "cache": "cache_url",
    "cache_seconds": "cache_ttl",
    "cache_local": "cache_local_size",
    "cache_deadline": "cache_timeout",
    "cache_fence": "cache_fence_ttl",
    "cache_strict": "cache_strict_writes",
    "oidc_client": "oidc_client_id",
    "oidc_asked": "oidc_scopes",
    "audit": "audit_log",
    "proxies": "trusted_proxies",
    "rate_limits": "rate_limit",
    "rate_limits_shared": "rate_limit_shared",
    "retention": "retention_period",
    "open": "allow_anonymous",
    "connections": "max_connections",
    "body_seconds": "body_timeout",
    "metrics": "metrics_auth",
    "key": "api_key",
}
_CACHES = ("redis", "rediss", "redis+cluster", "rediss+cluster")
_ADMIN_KEY_LENGTH = 32
_ADMIN_KEY = re.compile(rf"[!-~]{{{_ADMIN_KEY_LENGTH},}}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
_DAYS = re.compile(r"[1-9][0-9]{0,4}d", re.ASCII)


class InvalidSettings(PeopleInfoError):
    """The settings cannot be used; each line of the message names one and says what it takes."""


def _setting(default: Any, description: str, *, shown: bool = True) -> Any:
    return dataclasses.field(default=default, repr=shown, metadata={"description": description})


def _secret(description: str) -> Any:
    """Return a setting whose value is shown to nobody; it has no flag, as everybody on the machine sees those."""
    return dataclasses.field(default="", repr=False, metadata={"description": description, "secret": True})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; each field's description is what `--help` and the reference say of it."""

    host: Annotated[str, Meta(min_length=1)] = _setting(
        "127.0.0.1",
        "Address to listen on: an IP address, a host name (all its addresses), :: for all of IPv6 and IPv4, "
        "or unix:/absolute/path.sock for a Unix socket.",
    )
    port: Annotated[int, Meta(ge=0, le=65535)] = _setting(3000, "Port to listen on; 0 takes a free one.")
    workers: Annotated[int, Meta(ge=1, le=64)] = _setting(1, "Processes that serve; they share the store.")
    store_url: Annotated[str, Meta(min_length=1)] = _setting(
        "sqlite:///people.db",
        "Where people are kept: sqlite:///relative.db, sqlite:////absolute.db or dynamodb://REGION/TABLE "
        "(with ?endpoint=URL for a server that is not AWS's).",
    )
    cache_url: str = _setting(
        "",
        "Redis or Valkey to put before the store: redis://HOST:6379, rediss:// for TLS (with ?ca=FILE for a CA of your own), "
        "redis+cluster:// or rediss+cluster:// for a cluster, with USER:PASSWORD@ before the host; none when empty.",
        shown=False,  # it may hold a password
    )
    cache_user: str = _setting("", "User of the cache, when its URL names none.")
    cache_password: str = _secret(
        "Password of the cache, apart from its URL: so it can come from where secrets are kept."
    )
    cache_ttl: Annotated[float, Meta(gt=0, le=3600)] = _setting(
        60.0,
        "Seconds that the cache keeps an answer: none is older, even when a change could not be told to the cache.",
    )
    cache_local_size: Annotated[int, Meta(ge=0)] = _setting(
        67_108_864, "Bytes of responses that each process caches in its own memory; 0 for none."
    )
    cache_timeout: Annotated[float, Meta(gt=0, le=5)] = _setting(0.05, "Seconds that a request waits for the cache.")
    cache_fence_ttl: Annotated[float, Meta(gt=0, le=600)] = _setting(
        15.0,
        "Seconds that the cache stays silent about a change of unknown outcome; no change may take longer to be stored.",
    )
    cache_strict_writes: bool = _setting(
        False,
        "Acknowledge a change that the cache cannot be told of only when nobody can have the older answer any more.",
    )
    admin_key: str = _secret(
        "A key that may do everything, for the first steps of a new deployment: 32 printable characters or more, from a secret."
    )
    encryption: str = _setting(
        "",
        "Seal what is kept of people: file:///absolute/path/of/the.key (of `peopleinfo encryption create-key`) or aws-kms://KEY, "
        "with ?index=prefix to find surnames by their beginning all the same; not sealed when empty.",
    )
    oidc_issuer: str = _setting(
        "",
        "OpenID provider whose tokens let people in, as it calls itself: https://login.example.org/realms/staff; none when empty.",
    )
    oidc_audience: str = _setting(
        "", "Who the provider's tokens have to be meant for (`aud`): the name of this service there."
    )
    oidc_scopes_claim: Annotated[str, Meta(min_length=1)] = _setting(
        "scope", "Claim of a token that holds its scopes or roles, which are named as ours are; dots lead into objects."
    )
    oidc_client_id: str = _setting(
        "", "What the provider knows the console by (`client_id`), for people to sign in there; not offered when empty."
    )
    oidc_client_secret: str = _secret("The secret of that client, when it has one.")
    oidc_scopes: str = _setting("openid", "Scopes that the console asks the provider for, with blanks between.")
    audit_log: str = _setting(
        "", "Where it is written down who read or changed whom: file:///absolute.jsonl, or stdout; nowhere when empty."
    )
    trusted_proxies: Annotated[int, Meta(ge=0, le=10)] = _setting(
        0,
        "How many proxies of yours every request comes through: from so far right in X-Forwarded-For its address is taken.",
    )
    rate_limit: Annotated[int, Meta(ge=0)] = _setting(
        60_000,
        "Units a minute that each key (with PEOPLEINFO_ALLOW_ANONYMOUS, each address) may take of each process: a read takes 1, a search 5, a change 10, "
        "an import or export 100; 0 for no limits.",
    )
    rate_limit_shared: bool = _setting(
        False, "Count for all processes together, through the cache; each for itself while it is away."
    )
    retention_period: str = _setting(
        "", "Erase people whom nobody has changed for so long, once a day: 730d, in days; nobody when empty."
    )
    allow_anonymous: bool = _setting(
        False, "Serve everybody who can reach it, and let those who show no key read and change people."
    )
    cors_origins: str = _setting(
        "",
        "Origins whose pages may ask, divided by commas: https://app.example.org; * for every page; none but our own when empty.",
    )
    max_connections: Annotated[int, Meta(ge=1)] = _setting(
        4_000, "Connections that each process has at most; whoever comes beyond that is answered 503."
    )
    body_timeout: Annotated[float, Meta(gt=0)] = _setting(
        20.0, "Seconds in which a request's body, or in an import its next piece, has to arrive."
    )
    metrics_auth: Literal["required", "none"] = _setting(
        "required",
        "Whether /metrics needs a key with the scope metrics:read like the API (required), or serves anonymous clients (none).",
    )
    drain_seconds: Annotated[float, Meta(ge=0, le=600)] = _setting(
        0.0,
        "Seconds that it goes on serving after SIGTERM, while /status says 503, so that a load balancer can send its requests elsewhere first.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Least level that is logged.")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **flags: Any) -> Self:
        """Read the settings from the environment (None: the process's); flags that are not None come before it.

        Raises InvalidSettings naming every wrong one, and every `PEOPLEINFO_` variable that is no setting.
        """
        hints = get_type_hints(cls, include_extras=True)
        if unknown := flags.keys() - hints.keys():
            raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
        variables = os.environ if environment is None else environment
        given = {
            name[len(PREFIX) :].lower(): text
            for name, text in variables.items()
            if name.startswith(PREFIX) and name not in _CLIENT_VARIABLES and not is_service_link(name, text)
        }
        problems = [_unknown(name, hints) for name in given if name not in hints]
        values: dict[str, Any] = {}
        secret = {field.name for field in dataclasses.fields(cls) if field.metadata.get("secret")}
        for name, kind in hints.items():
            value = flags.get(name) if flags.get(name) is not None else given.get(name)
            if value is None:
                continue
            try:
                values[name] = msgspec.convert(value, kind, strict=False)
            except msgspec.ValidationError as error:
                shown = "…" if name in secret else value
                problems.append(f"{PREFIX}{name.upper()}={shown}: {error}")
        if problems:
            raise InvalidSettings("\n".join(problems))
        settings = cls(**values)
        settings.validate()
        return settings

    def validate(self) -> None:
        """Raise InvalidSettings when settings that are right by themselves do not go together."""
        if self.cache_url and not (urlsplit(self.cache_url).scheme in _CACHES and urlsplit(self.cache_url).hostname):
            raise InvalidSettings(
                f"{PREFIX}CACHE_URL is not understood: write redis://HOST:6379, or rediss://HOST:6379 for TLS"
            )
        if (self.cache_user or self.cache_password) and "@" in urlsplit(self.cache_url).netloc:
            raise InvalidSettings(
                f"{PREFIX}CACHE_URL names a user already: leave it out there, or {PREFIX}CACHE_USER and {PREFIX}CACHE_PASSWORD"
            )
        if self.rate_limit_shared and not self.cache_url:
            raise InvalidSettings(
                f"{PREFIX}RATE_LIMIT_SHARED needs a cache to share them through: set {PREFIX}CACHE_URL"
            )
        self.location  # noqa: B018 - asked for its exception
        self.socket_path  # noqa: B018 - likewise
        self.encryption_url  # noqa: B018 - likewise
        self.audit_file  # noqa: B018 - likewise
        self.retention  # noqa: B018 - likewise
        self.origins  # noqa: B018 - likewise
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise InvalidSettings(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE go together: set both or none")
        if self.oidc_client_id and not self.oidc_issuer:
            raise InvalidSettings(f"{PREFIX}OIDC_CLIENT_ID needs {PREFIX}OIDC_ISSUER: who is to sign people in?")
        provider = urlsplit(self.oidc_issuer)
        if self.oidc_issuer and not (
            provider.scheme == "https" or (provider.scheme == "http" and is_loopback(provider.hostname or ""))
        ):
            raise InvalidSettings(
                f"{PREFIX}OIDC_ISSUER is to begin with https://: who is in between could let in anybody"
            )
        if self.admin_key and not _ADMIN_KEY.fullmatch(self.admin_key):
            raise InvalidSettings(
                f"{PREFIX}ADMIN_KEY takes {_ADMIN_KEY_LENGTH} printable characters or more, without blanks: openssl rand -hex 32 makes some"
            )

    @property
    def audit_file(self) -> Path | None:
        """The file of the audit; None when it goes to stdout or nowhere. Raises InvalidSettings when `audit` is neither."""
        if self.audit_log in ("", "stdout"):
            return None
        url = urlsplit(self.audit_log)
        if url.scheme != "file" or url.netloc or not url.path.strip("/") or url.query or url.fragment:
            raise InvalidSettings(
                f"{PREFIX}AUDIT_LOG={self.audit_log} is not understood: write file:///absolute.jsonl or stdout"
            )
        return Path(url.path)

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may ask; `*` stands for all. Raises InvalidSettings when one is none."""
        origins = frozenset(filter(None, (origin.strip() for origin in self.cors_origins.split(","))))
        for origin in origins:
            if origin != "*" and _ORIGIN.fullmatch(origin) is None:
                raise InvalidSettings(
                    f"{PREFIX}CORS_ORIGINS: {origin} is no origin: write https://app.example.org, in small letters and without a path"
                )
        return origins

    @property
    def retention(self) -> timedelta | None:
        """How long people are kept whom nobody changes, None for ever. Raises InvalidSettings."""
        if not self.retention_period:
            return None
        if _DAYS.fullmatch(self.retention_period) is None:
            raise InvalidSettings(
                f"{PREFIX}RETENTION_PERIOD={self.retention_period} is not understood: write 730d, say, in days"
            )
        return timedelta(days=int(self.retention_period[:-1]))

    @property
    def needs_keys(self) -> bool:
        """Whether others than this machine are served, and only keys that lie in the store can tell who may be."""
        return not (self.allow_anonymous or self.has_static_credentials or self.is_local)

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine reach the service."""
        return self.host.startswith(_UNIX) or is_loopback(self.host)

    @property
    def place(self) -> str:
        """Where the service listens, for messages."""
        return self.host if self.socket_path else f"{self.host} port {self.port}"

    @property
    def socket_path(self) -> Path | None:
        """The Unix socket to listen on; None when the host is an address. Raises InvalidSettings."""
        if not self.host.startswith(_UNIX):
            return None
        path = Path(self.host.removeprefix(_UNIX))
        if not path.is_absolute():
            raise InvalidSettings(f"{PREFIX}HOST={self.host}: write unix:/absolute/path.sock")
        return path

    @property
    def has_static_credentials(self) -> bool:
        """Whether the settings themselves name a credential, so that whoever shows none is refused although there are no keys yet."""
        return bool(self.admin_key or self.oidc_issuer)

    @property
    def encryption_url(self) -> EncryptionUrl | None:
        """What people are sealed with, None when they are not. Raises InvalidSettings."""
        try:
            return EncryptionUrl.parse(self.encryption) if self.encryption else None
        except ValueError as error:
            raise InvalidSettings(f"{PREFIX}ENCRYPTION is not understood: {error}") from error

    @property
    def location(self) -> Path | DynamoDBUrl:
        """The file of the embedded store, or the table of the distributed one. Raises InvalidSettings when `store` is no URL of either."""
        url = urlsplit(self.store_url)
        try:
            if url.scheme == "dynamodb":
                return DynamoDBUrl.parse(self.store_url)
            if url.scheme != "sqlite" or url.netloc or not url.path.strip("/") or url.query or url.fragment:
                raise ValueError("write sqlite:///relative.db, sqlite:////absolute.db or dynamodb://REGION/TABLE")
        except ValueError as error:
            raise InvalidSettings(f"{PREFIX}STORE_URL={self.store_url} is not understood: {error}") from error
        return Path(url.path[1:])


def _unknown(name: str, known: Iterable[str]) -> str:
    """Return the error for a variable that is not a setting: its new name, or the most similar one."""
    variable = f"{PREFIX}{name.upper()}"
    if name in RENAMED:
        return f"{variable} was renamed to {PREFIX}{RENAMED[name].upper()}"
    similar = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {PREFIX}{similar[0].upper()}?" if similar else ""
    return f"{variable} is not a setting{hint}"


def is_service_link(name: str, value: str) -> bool:
    """Say whether an environment variable is a link that Kubernetes made for a Service, and so no setting."""
    return bool(_SERVICE_LINK.fullmatch(name) or (_SERVICE_PORT.fullmatch(name) and _SERVICE_URL.match(value)))


def is_loopback(host: str) -> bool:
    """Say whether only programs on this machine reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
