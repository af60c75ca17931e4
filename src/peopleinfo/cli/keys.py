"""`peopleinfo keys`: manage API keys."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from peopleinfo.auth.api_keys import ApiKey, ApiKeyStore, create_key, revoke, rotate
from peopleinfo.auth.principal import Scope
from peopleinfo.cli import cancellation, options
from peopleinfo.errors import ApiKeyError
from peopleinfo.people import strict_json
from peopleinfo.people.fields import FIELDS
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_MAX_DAYS: Final = 100 * 365

app = typer.Typer(
    name="keys",
    help="Manage API keys.\n\n"
    "A client sends a key as `Authorization: Bearer pi_…`. The store holds a hash of the key. A change takes effect on every instance "
    "within seconds. Once the first key exists, requests without a key are rejected, also on loopback.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the client, for logs and the audit log.", show_default=False)
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope",
            help="Permission of the key (default: people:read). Repeatable. people:write does not include people:read; "
            "people:admin permits everything.",
        ),
    ] = None,
    hidden_fields: Annotated[
        list[str] | None,
        typer.Option(
            "--hide-field",
            metavar="FIELD",
            help=f"Hide a field from the key: {', '.join(FIELDS)}, a custom field, or '*' for all custom fields. Repeatable.",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", help="Lifetime (90d, 12h), last day in UTC (2027-06-30) or never.")
    ] = "365d",
    store: options.Store = None,
) -> None:
    """Create a key and print it once. A missing store is created.

    Example: peopleinfo keys create ci --scope people:read --expires 90d

    Example: peopleinfo keys create mailing --scope people:read --hide-field person_birthdate --hide-field '*'
    """
    lifetime = _lifetime(expires)
    scopes = scope or [Scope.READ]
    credential, key = _run(
        store,
        lambda keys, now: create_key(
            keys, name=name, scopes=scopes, hidden_fields=hidden_fields or [], lifetime=lifetime, now=now
        ),
        create=True,
    )
    _show(credential, key)


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON on a terminal too.")] = False,
    store: options.Store = None,
) -> None:
    """List all keys and their state, including expired and revoked ones. Print a table on a terminal, NDJSON in a pipe.

    Example: peopleinfo keys list
    """
    keys = _run(store, lambda keys, _: keys.all())
    now = datetime.now(UTC)
    rows = [_describe(key, now) for key in keys]
    if json or not sys.stdout.isatty():
        sys.stdout.buffer.writelines(strict_json.encode(row) + b"\n" for row in rows)
    else:
        _print_table(rows)
    if not keys:
        print("no keys: create one with `peopleinfo keys create`", file=sys.stderr)


@app.command("revoke")
def revoke_(
    name_or_id: Annotated[str, typer.Argument(metavar="NAME|ID", help="Name or id of the key.", show_default=False)],
    store: options.Store = None,
) -> None:
    """Revoke a key permanently, or every valid key with this name.

    Example: peopleinfo keys revoke ci
    """
    for key in _run(store, lambda keys, now: revoke(keys, name_or_id, now=now)):
        print(f"{key.name} ({key.key_id}) revoked; instances reject it within seconds")


@app.command("rotate")
def rotate_(
    name_or_id: Annotated[str, typer.Argument(metavar="NAME|ID", help="Name or id of the key.", show_default=False)],
    overlap: Annotated[
        str, typer.Option("--overlap", help="Time for which the old key remains valid, for example 7d, 1h or 0s.")
    ] = "1d",
    store: options.Store = None,
) -> None:
    """Replace a key with a new one of the same name and permissions. The old key remains valid for --overlap.

    Example: peopleinfo keys rotate ci --overlap 1h
    """
    duration = _duration(overlap)
    if duration is None:
        raise ApiKeyError(f"--overlap must be a duration, for example 7d, 12h, 30m or 0s (got {overlap})")
    credential, key = _run(store, lambda keys, now: rotate(keys, name_or_id, overlap=duration, now=now))
    _show(credential, key)
    print(f"The old key remains valid for {overlap}.", file=sys.stderr)


def _run(store: str | None, action: Callable[[ApiKeyStore, datetime], Awaitable[T]], *, create: bool = False) -> T:
    from peopleinfo.people.person import utc_now
    from peopleinfo.stores.registry import open_api_keys

    async def run() -> T:
        async with open_api_keys(Settings.load(store_url=store), create=create) as keys:
            return await action(keys, utc_now())

    return cancellation.run(run())


def _show(credential: str, key: ApiKey) -> None:
    print(credential, flush=True)
    expiry = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until revoked"
    hidden = f", without {', '.join(sorted(key.hidden_fields))}" if key.hidden_fields else ""
    print(
        f"Created key {key.name} ({key.key_id}) for {', '.join(sorted(key.scopes))}{hidden}, valid {expiry}. It is not shown again.\n"
        f"Send it as Authorization: Bearer …; revoke it with `peopleinfo keys revoke {key.key_id}`.",
        file=sys.stderr,
    )


def _lifetime(text: str) -> timedelta | None:
    if text == "never":
        return None
    lifetime = _duration(text)
    if lifetime is None:
        try:
            last = date.fromisoformat(text)
        except ValueError:
            raise ApiKeyError(f"--expires must be 90d, 12h, 2027-06-30 or never (got {text})") from None
        lifetime = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1) - datetime.now(UTC)
    if lifetime <= timedelta(0):
        raise ApiKeyError(f"--expires must be in the future (got {text})")
    return lifetime


def _duration(text: str) -> timedelta | None:
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not (number.isascii() and number.isdigit()):
        return None
    return min(timedelta(**{unit: int(number[:9])}), timedelta(days=_MAX_DAYS))


def _describe(key: ApiKey, now: datetime) -> dict[str, object]:
    return {
        "id": key.key_id,
        "name": key.name,
        "state": key.state(now),
        "scopes": sorted(key.scopes),
        "hidden": sorted(key.hidden_fields),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _print_table(rows: Iterable[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "name", "state", "scopes", "hidden", "expires")
    for row in rows:
        expires_at = row["expires_at"]
        table.add_row(
            str(row["id"]),
            str(row["name"]),
            str(row["state"]),
            ", ".join(map(str, row["scopes"])),  # type: ignore[call-overload] # a list
            ", ".join(map(str, row["hidden"])),  # type: ignore[call-overload] # a list
            f"{expires_at:%Y-%m-%d %H:%M}" if isinstance(expires_at, datetime) else "never",
        )
    Console().print(table)
