"""Keys are made, listed, key_rotation and revoked on the command line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.auth.api_keys import is_well_formed
from tests.cli.commands import run, said

if TYPE_CHECKING:
    from pathlib import Path


def create(folder: Path, *more: str, name: str = "ci") -> str:
    made = run(folder, "keys", "create", "--name", name, *more)
    assert made.returncode == 0, said(made)
    return made.stdout.decode().strip()


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(folder, "keys", "list").stdout.splitlines()]


def refused(folder: Path, *arguments: str) -> str:
    ended = run(folder, "keys", *arguments)
    assert ended.returncode != 0
    assert ended.stdout == b""
    return said(ended)


def test_a_key_is_printed_once_and_alone(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "--name", "ci", "--scope", "people:read", "--expires", "90d")
    credential = made.stdout.decode().strip()
    assert is_well_formed(credential)
    told = said(made)
    assert "ci" in told
    assert "not shown again" in told
    assert credential not in told
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert credential.encode() not in everything
    assert credential not in run(tmp_path, "keys", "list").stdout.decode()


def test_the_list_says_what_a_key_may_do_and_until_when(tmp_path: Path) -> None:
    create(
        tmp_path,
        "--scope",
        "people:read",
        "--scope",
        "people:write",
        "--hide-field",
        "person_address",
        "--hide-field",
        "*",
    )
    create(tmp_path, "--expires", "never", name="always")
    first, second = listed(tmp_path)
    assert (first["name"], first["state"]) == ("ci", "valid")
    assert (first["scopes"], first["hidden"]) == (["people:read", "people:write"], ["*", "person_address"])
    assert first["expires_at"]
    assert (second["scopes"], second["expires_at"]) == (["people:read"], None)


def test_a_revoked_key_stays_in_the_list(tmp_path: Path) -> None:
    create(tmp_path)
    assert b"is revoked" in run(tmp_path, "keys", "revoke", "ci").stdout
    (key,) = listed(tmp_path)
    assert key["state"] == "revoked"
    assert "there is no valid key" in refused(tmp_path, "revoke", "ci")


def test_a_rotated_key_has_the_same_rights(tmp_path: Path) -> None:
    first = create(tmp_path, "--scope", "people:write")
    rotated = run(tmp_path, "keys", "rotate", "ci", "--overlap", "0s")
    assert is_well_formed(second := rotated.stdout.decode().strip())
    assert second != first
    old, new = listed(tmp_path)
    assert (old["state"], new["state"]) == ("expired", "valid")
    assert old["scopes"] == new["scopes"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "--name", "ci", "--scope", "people:everything"], "people:read"),
        (["create", "--name", "c i"], "a name has"),
        (["create", "--name", "ci", "--expires", "soon"], "90d, 12h, 2027-06-30 or never"),
        (["create", "--name", "ci", "--expires", "2020-01-01"], "over already"),
        (["create", "--name", "ci", "--expires", "0d"], "over already"),
        (
            ["create", "--name", "ci", "--scope", "people:admin", "--hide-field", "person_address"],
            "nothing can be hidden",
        ),
        (["revoke", "nobody"], "peopleinfo keys list"),
        (["rotate", "nobody"], "peopleinfo keys list"),
        (["rotate", "nobody", "--overlap", "soon"], "7d, 12h, 30m or 0s"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path, arguments: list[str], told: str) -> None:
    run(tmp_path, "store", "create")
    assert told in re.sub(r"[│\s]+", " ", refused(tmp_path, *arguments))


def test_without_keys_the_list_says_how_to_make_one(tmp_path: Path) -> None:
    run(tmp_path, "store", "create")
    assert "peopleinfo keys create" in said(run(tmp_path, "keys", "list"))


@pytest.mark.parametrize("command", ["create", "list", "revoke", "rotate"])
def test_the_help_shows_an_example(tmp_path: Path, command: str) -> None:
    assert f"Example: peopleinfo keys {command}".encode() in run(tmp_path, "keys", command, "--help").stdout
