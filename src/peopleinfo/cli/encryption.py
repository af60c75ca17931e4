"""`peopleinfo encryption`: create keys, encrypt a store, rotate keys and purge undecryptable records."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings
from peopleinfo.settings.urls import EncryptionUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PURGE_PAGE: Final = 500  # records

app = typer.Typer(
    name="encryption",
    help="Encrypt the store and manage its keys.",
    no_args_is_help=True,
)


@app.command("create-key")
def create_key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to create, with mode 0600.", show_default=False)],
) -> None:
    """Create a master key in a new file and print the setting that uses it.

    Without the key no record can be read. Store a copy of it, but not with the backups.

    Example: peopleinfo encryption create-key /etc/peopleinfo/master.key
    """
    from peopleinfo.crypto.master_key import create_file

    create_file(path)
    print(f"PEOPLEINFO_ENCRYPTION=file://{path.absolute()}")


@app.command()
def enable(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Encrypt all records of an unencrypted store in one transaction. Stop the service first.

    Example: peopleinfo encryption enable --encryption file:///etc/peopleinfo/master.key
    """
    from peopleinfo.stores.registry import encrypt_store

    settings = Settings.load(store_url=store, encryption=encryption)
    with _counter("records encrypted") as advance:
        count = run(encrypt_store(settings, on_progress=advance))
    print(f"{count:,} records encrypted; start the service with PEOPLEINFO_ENCRYPTION={settings.encryption}")
    if isinstance(settings.location, Path):
        for copy in sorted(settings.location.parent.glob(f"{settings.location.name}.v*.bak")):
            print(f"{copy} is an older, unencrypted copy: delete it when you no longer need it")


@app.command()
def rotate(
    store: options.Store = None,
    encryption: options.Encryption = None,
    former: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Old master key, to replace the master key as well. Stop the service first.",
        ),
    ] = None,
) -> None:
    """Wrap the key of every record with a new key generation. The service may run.

    Run the same command again to resume.

    Example: peopleinfo encryption rotate
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    try:
        old = EncryptionUrl.parse(former) if former else None
    except ValueError as error:
        raise InvalidSettings(f"--from is invalid: {error}") from error
    with _counter("keys checked") as advance:
        generation = run(_rotate(settings, old, advance))
    print(f"all record keys are wrapped with generation {generation}")


@app.command()
def purge(
    store: options.Store = None,
    encryption: options.Encryption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the number of these records and delete nothing.")
    ] = False,
) -> None:
    """Delete records that cannot be decrypted because their key was deleted. The service may run.

    A restored backup can bring back such records. Check first that the key database is current: a record whose key an older copy
    lacks is deleted.

    Example: peopleinfo encryption purge --dry-run
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    with _counter("records checked") as advance:
        people, undecryptable = run(_purge(settings, advance, remove=not dry_run))
    print(f"{undecryptable:,} of {people:,} records have no key" + ("" if dry_run else "; deleted"))


async def _purge(settings: Settings, advance: Callable[[int], None], *, remove: bool) -> tuple[int, int]:
    from peopleinfo.stores.registry import open_service_store

    people = undecryptable = 0
    after: bytes | None = None
    async with open_service_store(settings) as store:
        while True:
            page = await store.people.purge(after=after, limit=_PURGE_PAGE, remove=remove)
            people, undecryptable, after = people + page.people, undecryptable + page.without_key, page.next
            advance(page.people)
            if after is None:
                return people, undecryptable


async def _rotate(settings: Settings, former: EncryptionUrl | None, advance: Callable[[int], None]) -> int:
    from peopleinfo.crypto.master_key import OldOrNewMasterKey
    from peopleinfo.crypto.rotation import rotate
    from peopleinfo.stores.registry import encryption_of, open_key_store, open_master_key

    current = encryption_of(settings)
    if current is None:
        raise InvalidSettings("PEOPLEINFO_ENCRYPTION is not set: set it to the master key (docs/encryption.md)")
    if former is not None:
        current = current._replace(master=OldOrNewMasterKey(current.master, open_master_key(former)))
    async with open_key_store(settings, current, exclusive=former is not None) as keys:
        return await rotate(keys, current.master, on_progress=advance)


@contextmanager
def _counter(description: str) -> Iterator[Callable[[int], None]]:
    """Show a counter if stderr is a terminal; yield a function that advances it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None)
        yield lambda count: progress.advance(task, count)
