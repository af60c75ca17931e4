"""`peopleinfo encryption`: keys, and what is done with everybody's."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.settings import InvalidSettings, Settings
from peopleinfo.settings.urls import EncryptionUrl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PURGED: Final = 500  # people looked at by one call

app = typer.Typer(
    name="encryption",
    help="Make the key that people are sealed with, seal them, change their keys, remove what is left of the erased.",
    no_args_is_help=True,
)


@app.command("create-key")
def create_key(path: Annotated[Path, typer.Argument(help="Where the key is to lie, for its owner alone.")]) -> None:
    """Make a master key in a new file, and say how to use it. Keep a copy where no backup of the people lies: nobody is read without it.

    Example: peopleinfo encryption create-key /etc/peopleinfo/master.key
    """
    from peopleinfo.crypto.master_key import create_file

    create_file(path)
    print(f"PEOPLEINFO_ENCRYPTION=file://{path.absolute()}")


@app.command()
def enable(store: options.Store = None, encryption: options.Encryption = None) -> None:
    """Seal the people of a store that was not sealed until now, all or none; the service has to be stopped meanwhile.

    Example: peopleinfo encryption enable --encryption file:///etc/peopleinfo/master.key
    """
    from peopleinfo.app import encrypt_store

    settings = Settings.load(store_url=store, encryption=encryption)
    with _counted("people sealed") as told:
        count = run(encrypt_store(settings, on_progress=told))
    print(f"{count:,} people were sealed; start the service with PEOPLEINFO_ENCRYPTION={settings.encryption}")
    if isinstance(settings.location, Path):
        for copy in sorted(settings.location.parent.glob(f"{settings.location.name}.v*.bak")):
            print(f"{copy} is an older copy of the same people, and plain: remove it when you no longer need it")


@app.command()
def rotate(
    store: options.Store = None,
    encryption: options.Encryption = None,
    former: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="The master key until now, to change it too. Stop the service first: while one has the file open it is refused.",
        ),
    ] = None,
) -> None:
    """Wrap every person's key anew, by a new generation; the service may run. Run again, it goes on where it was cut short.

    Example: peopleinfo encryption rotate
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    try:
        old = EncryptionUrl.parse(former) if former else None
    except ValueError as error:
        raise InvalidSettings(f"--from is not understood: {error}") from error
    with _counted("keys looked at") as told:
        generation = run(_rotate(settings, old, told))
    print(f"every person's key is wrapped by generation {generation} now")


@app.command()
def purge(
    store: options.Store = None,
    encryption: options.Encryption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many they are.")] = False,
) -> None:
    """Remove what a restored backup has brought back of people who were erased; the service may run.

    They have no key any more, so nobody can read them. Be sure that the newest keys are there: whoever is not in an older copy of them is
    taken for erased.

    Example: peopleinfo encryption purge --dry-run
    """
    settings = Settings.load(store_url=store, encryption=encryption)
    with _counted("people looked at") as told:
        people, gone = run(_purge(settings, told, remove=not dry_run))
    print(
        f"{gone:,} of {people:,} people have no key any more"
        + ("" if dry_run else "; what was left of them is removed")
    )


async def _purge(settings: Settings, told: Callable[[int], None], *, remove: bool) -> tuple[int, int]:
    from peopleinfo.app import open_people

    people = gone = 0
    after: bytes | None = None
    async with open_people(settings) as opened:
        while True:
            done = await opened.store.purge(after=after, limit=_PURGED, remove=remove)
            people, gone, after = people + done.people, gone + done.without_key, done.next
            told(done.people)
            if after is None:
                return people, gone


async def _rotate(settings: Settings, former: EncryptionUrl | None, told: Callable[[int], None]) -> int:
    from peopleinfo.app import encryption as encryption_of
    from peopleinfo.app import open_key_store, open_master_key
    from peopleinfo.crypto.master_key import OldOrNewMasterKey
    from peopleinfo.crypto.rotation import rotate

    given = encryption_of(settings)
    if given is None:
        raise InvalidSettings("say in PEOPLEINFO_ENCRYPTION what people are sealed with: docs/encryption.md")
    if former is not None:
        given = given._replace(master=OldOrNewMasterKey(given.master, open_master_key(former)))
    async with open_key_store(settings, given, exclusive=former is not None) as keys:
        return await rotate(keys, given.master, on_progress=told)


@contextmanager
def _counted(what: str) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many there were; yield what counts them."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.advance(task, count)
