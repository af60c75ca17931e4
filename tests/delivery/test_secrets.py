"""A secret that is committed is found, one of ours too."""

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
    ids=["ours", "aws", "private key", "what only looks like ours", "none"],
)
def test_a_secret_is_found(tmp_path: Path, planted: str, kind: str) -> None:
    file = tmp_path / "notes.md"
    file.write_text(f"{planted}\n")
    ran = subprocess.run([ROOT / "scripts" / "scan_secrets", file], capture_output=True, text=True, check=False)
    assert bool(ran.returncode) == bool(kind)
    assert kind in ran.stdout
    assert planted not in ran.stdout
