"""A command reports an unavailable service in one line and prints no log line of a library."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests import valkey_servers
from tests.cli.commands import environment, run

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
NOWHERE: Final = "http://127.0.0.1:1"
TABLE: Final = {"PEOPLEINFO_STORE_URL": "dynamodb://eu-west-1/T"}
UNREACHABLE: Final = {"PEOPLEINFO_STORE_URL": f"dynamodb://eu-west-1/T?endpoint={NOWHERE}&timeout=1"}
NO_CREDENTIALS: Final = "AWS credentials are missing: set AWS_ACCESS_KEY_ID"


def error_lines(folder: Path, command: list[str], variables: dict[str, str]) -> list[str]:
    """Run a command that fails, without the credentials of this machine, and return its lines on stderr."""
    inherited = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "OTEL_"))}
    isolated = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-m", "peopleinfo", *command],
        cwd=folder,
        env=inherited | isolated | variables,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stderr.decode().splitlines()


@pytest.mark.parametrize(
    ("command", "variables", "reason"),
    [
        (["stats"], TABLE, NO_CREDENTIALS),
        (["serve", "--port", "0"], TABLE, NO_CREDENTIALS),
        (["stats"], TABLE | {"AWS_PROFILE": "missing"}, NO_CREDENTIALS),
        (["stats"], TABLE | {"AWS_ROLE_ARN": "arn:x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/missing"}, NO_CREDENTIALS),
        (["stats"], UNREACHABLE | KEY, "table T: DynamoDB does not respond"),
        (["serve", "--port", "0"], UNREACHABLE | KEY, "table T: DynamoDB does not respond"),
        (["restore", "s3://bucket/x?region=eu-west-1"], {}, "Unable to locate credentials"),
        (["restore", f"s3://bucket/x?region=eu-west-1&endpoint={NOWHERE}"], KEY, "Could not connect to the endpoint"),
        (["restore", "s3://bucket/x?endpoint=nonsense"], KEY, "Invalid endpoint"),
        (["restore", "s3://bucket/x"], {"AWS_PROFILE": "missing"}, "profile (missing) could not be found"),
        (["store", "create"], {"PEOPLEINFO_ENCRYPTION": "aws-kms://alias/x"}, "You must specify a region"),
        (
            ["store", "create"],
            KEY | {"PEOPLEINFO_ENCRYPTION": f"aws-kms://alias/x?region=eu-west-1&endpoint={NOWHERE}"},
            "Could not connect to the endpoint",
        ),
        (
            ["store", "create"],
            KEY | {"PEOPLEINFO_ENCRYPTION": "aws-kms://alias/x?region=eu-west-1&endpoint=nonsense"},
            "Invalid endpoint",
        ),
    ],
)
def test_command_prints_one_error_line(
    tmp_path: Path, command: list[str], variables: dict[str, str], reason: str
) -> None:
    (line,) = error_lines(tmp_path, command, variables)
    assert line.startswith("peopleinfo: ")
    assert reason in line
    if reason == NO_CREDENTIALS:
        assert line.startswith(f"peopleinfo: {reason}")
        assert line.endswith("or run with an IAM role")


def test_export_contains_no_log_line_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("surname\nHarte\n")
    assert run(tmp_path, "import", "in.csv").returncode == 0
    ran = run(tmp_path, "export", settings={"CACHE_URL": valkey_servers.shared_url()})
    assert ran.stdout.count(b"\n") == 1
    assert ran.stdout.startswith(b'{"person_id":')


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1:1", "Connect call failed"),
        ("redis://missing.invalid:1", "connecting to missing.invalid:1"),
        ("rediss://127.0.0.1:1?ca=/missing.pem", "cache: "),
        ("redis+cluster://127.0.0.1:1", "Redis Cluster cannot be connected"),
    ],
)
def test_doctor_reports_why_the_cache_is_unreachable(tmp_path: Path, url: str, reason: str) -> None:
    run(tmp_path, "store", "create")
    ran = run(tmp_path, "doctor", settings={"CACHE_URL": url})
    assert (ran.returncode, ran.stderr) == (1, b"")
    last = ran.stdout.decode().splitlines()[-1]
    assert last.startswith("FAIL  cache: ")
    assert reason in last
