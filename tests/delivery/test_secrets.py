"""Committed secrets are detected, including API keys of PeopleInfo."""

from __future__ import annotations

import secrets
import string
import subprocess
from typing import TYPE_CHECKING

import pytest

from peopleinfo.auth.api_keys import generate_key
from tests.delivery.pipeline import ROOT

if TYPE_CHECKING:
    from pathlib import Path

AWS = "AKIA" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))
PRIVATE = "-----BEGIN EC " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (f"key: {generate_key()}", "PeopleInfo API key"),
        (f"key: {AWS}", "AWS Access Key"),
        (PRIVATE, "Private Key"),
        ("key: pi_" + "a" * 49, ""),
        ("nothing of the kind", ""),
    ],
    ids=["api key", "aws", "private key", "similar to an api key", "none"],
)
def test_secret_is_detected(tmp_path: Path, planted: str, kind: str) -> None:
    file = tmp_path / "notes.md"
    file.write_text(f"{planted}\n")
    completed = subprocess.run([ROOT / "scripts" / "scan_secrets", file], capture_output=True, text=True, check=False)
    assert bool(completed.returncode) == bool(kind)
    assert kind in completed.stdout
    assert planted not in completed.stdout
