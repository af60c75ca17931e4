"""`peopleinfo keys`: who may call the service."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from peopleinfo.auth.api_keys import ApiKey, ApiKeyError, ApiKeyStore, create_key, revoke, rotate
from peopleinfo.auth.principal import Scope
from peopleinfo.cli import cancellation, options
from peopleinfo.people import strict_json
from peopleinfo.people.fields import FIELDS
from peopleinfo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LONGEST: Final = 100 * 365  # days

app = typer.Typer(
    name="keys",
    help="Make, list, renew and revoke the API keys that let programs call the service.\n\n"
    "A key is sent as `Authorization: Bearer pi_…`. It lies, as a hash, in the store, and what is done here holds on every instance within "
    "seconds. As soon as the first key is made, whoever shows none is refused, on loopback too.",
    no_args_is_help=True,
)


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Who uses it; stands in the logs and in the audit.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it may do; may be given several times. people:admin may do everything."),
    ] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(
            "--hide-field",
            metavar="MEMBER",
            help=f"A member of people that it must not see: {', '.join(FIELDS)}, one of your own, or '*' for all of your own. "
            "May be given several times.",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", help="When it ends: 90d, 12h, 2027-06-30 (the end of that day, UTC) or never.")
    ] = "365d",
    store: options.Store = None,
) -> None:
    """Make a key and print it, this once: it is kept as a hash. A missing store is made, as the first key comes before the first start.

    Example: peopleinfo keys create --name ci --scope people:read --expires 90d

    Example: peopleinfo keys create --name mailing --scope people:read --hide-field person_birthdate --hide-field '*'
    """
    lifetime = _lifetime(expires)
    scopes = scope or [Scope.READ]
    credential, key = _run(
        store,
        lambda keys, now: create_key(
            keys, name=name, scopes=scopes, hidden_fields=hide or [], lifetime=lifetime, now=now
        ),
        create=True,
    )
    _show(credential, key)


@app.command("list")
def list_(
    json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line, as in a pipe, also on a terminal.")
    ] = False,
    store: options.Store = None,
) -> None:
    """List every key that was ever made, and whether it is valid: a table on a terminal, a JSON object a line in a pipe.

    Example: peopleinfo keys list
    """
    keys = _run(store, lambda keys, _: keys.all())
    now = datetime.now(UTC)
    rows = [_described(key, now) for key in keys]
    if json or not sys.stdout.isatty():
        sys.stdout.buffer.writelines(strict_json.encode(row) + b"\n" for row in rows)
    else:
        _print_table(rows)
    if not keys:
        print("there are no keys yet: `peopleinfo keys create --help`", file=sys.stderr)


@app.command("revoke")
def revoke_(
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="The name of the key, or its id.")],
    store: options.Store = None,
) -> None:
    """End a key now, for good. With a name: every valid key of that name.

    Example: peopleinfo keys revoke ci
    """
    for key in _run(store, lambda keys, now: revoke(keys, which, now=now)):
        print(f"{key.name} ({key.key_id}) is revoked; every instance knows within seconds")


@app.command("rotate")
def rotate_(
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="The name of the key, or its id.")],
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old key goes on: 7d, 1h, 0s.")] = "1d",
    store: options.Store = None,
) -> None:
    """Make a new key in the place of one, with the same name and rights; the old one goes on for a while.

    Example: peopleinfo keys rotate ci --overlap 1h
    """
    goes_on = _duration(overlap)
    if goes_on is None:
        raise ApiKeyError(f"--overlap {overlap} is not understood: write 7d, 12h, 30m or 0s")
    credential, key = _run(store, lambda keys, now: rotate(keys, which, overlap=goes_on, now=now))
    _show(credential, key)
    print(f"The key before it goes on for {overlap}.", file=sys.stderr)


def _run(store: str | None, do: Callable[[ApiKeyStore, datetime], Awaitable[T]], *, create: bool = False) -> T:
    from peopleinfo.app import open_api_keys, utc_now

    async def run() -> T:
        async with open_api_keys(Settings.load(store_url=store), create=create) as keys:
            return await do(keys, utc_now())

    return cancellation.run(run())


def _show(credential: str, key: ApiKey) -> None:
    print(credential, flush=True)
    ends = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until it is revoked"
    hidden = f", without {', '.join(sorted(key.hidden_fields))}" if key.hidden_fields else ""
    print(
        f"This is the key {key.name} ({key.key_id}) for {', '.join(sorted(key.scopes))}{hidden}, {ends}. It is not shown again.\n"
        "Send it as the header Authorization: Bearer …; take it back by `peopleinfo keys revoke " + key.key_id + "`.",
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
            raise ApiKeyError(f"--expires {text} is not understood: write 90d, 12h, 2027-06-30 or never") from None
        lifetime = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1) - datetime.now(UTC)
    if lifetime <= timedelta(0):
        raise ApiKeyError(f"--expires {text} is over already")
    return lifetime


def _duration(text: str) -> timedelta | None:
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not (number.isascii() and number.isdigit()):
        return None
    return min(timedelta(**{unit: int(number[:9])}), timedelta(days=_LONGEST))


def _described(key: ApiKey, now: datetime) -> dict[str, object]:
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
        ends = row["expires_at"]
        table.add_row(
            str(row["id"]),
            str(row["name"]),
            str(row["state"]),
            ", ".join(map(str, row["scopes"])),  # type: ignore[call-overload] # a list
            ", ".join(map(str, row["hidden"])),  # type: ignore[call-overload] # likewise
            f"{ends:%Y-%m-%d %H:%M}" if isinstance(ends, datetime) else "never",
        )
    Console().print(table)
