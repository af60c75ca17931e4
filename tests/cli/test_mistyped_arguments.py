"""Mistyped and renamed commands and options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from peopleinfo import __version__
from peopleinfo.cli import app
from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every command with its words."""
    for name, command in group.commands.items():  # type: ignore[attr-defined] # a click group
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def longest_option(command: object) -> str | None:
    """Return the longest option of a command, or None if it has none."""
    options = [name for param in command.params for name in param.opts if name.startswith("--")]  # type: ignore[attr-defined] # a click command
    return max(options, key=len, default=None)


COMMANDS = dict(commands(get_command(app)))
OPTIONS = [(words, option) for words, command in COMMANDS.items() if (option := longest_option(command))]


def test_every_command_is_covered() -> None:
    assert {("serve",), ("keys", "create"), ("encryption", "rotate"), ("audit", "verify")} <= COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_mistyped_command_is_reported_with_the_nearest_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    typed = f"{command[-1]}x"
    ran = run(tmp_path, *command[:-1], typed)
    assert ran.returncode == 2
    _, named, nearest = stderr_of(ran).partition(f"No such command '{typed}'. Did you mean ")
    assert named
    assert f"'{command[-1]}'" in nearest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "option"), OPTIONS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_mistyped_option_is_reported_with_the_nearest_one(
    tmp_path: Path, command: tuple[str, ...], option: str
) -> None:
    typed = f"{option}x"
    ran = run(tmp_path, *command, typed)
    assert ran.returncode == 2
    text = stderr_of(ran)
    assert f"No such option: {typed}" in text
    assert option in text.replace(typed, "")
    assert list(tmp_path.iterdir()) == []


def test_version_option_prints_the_version(tmp_path: Path) -> None:
    ran = run(tmp_path, "--version")
    assert (ran.returncode, ran.stdout.decode()) == (0, f"peopleinfo {__version__}\n")
    assert ran.stdout == run(tmp_path, "version").stdout


@pytest.mark.parametrize(
    ("arguments", "old", "new"),
    [
        (["serve", "--store", "x"], "--store", "--store-url"),
        (["serve", "--open", "x"], "--open", "--allow-anonymous"),
        (["import", "people.csv", "--again"], "--again", "--force"),
        (["keys", "create", "x", "--hide=*"], "--hide", "--hide-field"),
        (["sweep", "--retention-period", "1d"], "sweep", "retention run"),
        (["encryption", "on"], "encryption on", "encryption enable"),
    ],
)
def test_renamed_argument_is_rejected_with_its_new_name(
    tmp_path: Path, arguments: list[str], old: str, new: str
) -> None:
    ended = run(tmp_path, *arguments)
    assert (ended.returncode, ended.stderr) == (2, f"peopleinfo: {old} was renamed to {new}\n".encode())
    assert list(tmp_path.iterdir()) == []


def test_old_name_is_accepted_as_a_value(tmp_path: Path) -> None:
    ran = run(tmp_path, "keys", "create", "sweep")
    assert ran.returncode == 0, stderr_of(ran)
