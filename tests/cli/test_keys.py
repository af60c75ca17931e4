"""`peopleinfo keys`: create, list, rotate and revoke."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from peopleinfo.auth.api_keys import is_well_formed
from tests.cli.commands import run, stderr_of

if TYPE_CHECKING:
    from pathlib import Path


def create(folder: Path, *more: str, name: str = "ci") -> str:
    created = run(folder, "keys", "create", name, *more)
    assert created.returncode == 0, stderr_of(created)
    return created.stdout.decode().strip()


def list_keys(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(folder, "keys", "list").stdout.splitlines()]


def rejected(folder: Path, *arguments: str) -> str:
    ended = run(folder, "keys", *arguments)
    assert ended.returncode != 0
    assert ended.stdout == b""
    return stderr_of(ended)


def test_new_key_is_printed_alone_and_only_once(tmp_path: Path) -> None:
    created = run(tmp_path, "keys", "create", "ci", "--scope", "people:read", "--expires", "90d")
    credential = created.stdout.decode().strip()
    assert is_well_formed(credential)
    message = stderr_of(created)
    assert "ci" in message
    assert "not shown again" in message
    assert credential not in message
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert credential.encode() not in files
    assert credential not in run(tmp_path, "keys", "list").stdout.decode()


def test_list_shows_the_permissions_and_expiry_of_a_key(tmp_path: Path) -> None:
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
    first, second = list_keys(tmp_path)
    assert (first["name"], first["state"]) == ("ci", "valid")
    assert (first["scopes"], first["hidden"]) == (["people:read", "people:write"], ["*", "person_address"])
    assert first["expires_at"]
    assert (second["scopes"], second["expires_at"]) == (["people:read"], None)


def test_revoked_key_stays_in_the_list(tmp_path: Path) -> None:
    create(tmp_path)
    assert b" revoked; " in run(tmp_path, "keys", "revoke", "ci").stdout
    (key,) = list_keys(tmp_path)
    assert key["state"] == "revoked"
    assert "there is no valid key" in rejected(tmp_path, "revoke", "ci")


def test_rotated_key_has_the_same_permissions(tmp_path: Path) -> None:
    first = create(tmp_path, "--scope", "people:write")
    rotated = run(tmp_path, "keys", "rotate", "ci", "--overlap", "0s")
    assert is_well_formed(second := rotated.stdout.decode().strip())
    assert second != first
    old, new = list_keys(tmp_path)
    assert (old["state"], new["state"]) == ("expired", "valid")
    assert old["scopes"] == new["scopes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "ci", "--scope", "people:everything"], "people:read"),
        (["create", "c i"], "the name of a key must have"),
        (["create", "ci", "--expires", "soon"], "90d, 12h, 2027-06-30 or never"),
        (["create", "ci", "--expires", "2020-01-01"], "must be in the future"),
        (["create", "ci", "--expires", "0d"], "must be in the future"),
        (
            ["create", "ci", "--scope", "people:admin", "--hide-field", "person_address"],
            "leave out the hidden fields",
        ),
        (["revoke", "missing"], "peopleinfo keys list"),
        (["rotate", "missing"], "peopleinfo keys list"),
        (["rotate", "missing", "--overlap", "soon"], "7d, 12h, 30m or 0s"),
    ],
)
def test_invalid_argument_is_rejected_with_the_valid_form(tmp_path: Path, arguments: list[str], message: str) -> None:
    run(tmp_path, "store", "create")
    assert message in re.sub(r"[│\s]+", " ", rejected(tmp_path, *arguments))


def test_empty_list_names_the_command_that_creates_a_key(tmp_path: Path) -> None:
    run(tmp_path, "store", "create")
    assert "peopleinfo keys create" in stderr_of(run(tmp_path, "keys", "list"))


@pytest.mark.parametrize("command", ["create", "list", "revoke", "rotate"])
def test_help_shows_an_example(tmp_path: Path, command: str) -> None:
    assert f"Example: peopleinfo keys {command}".encode() in run(tmp_path, "keys", command, "--help").stdout
