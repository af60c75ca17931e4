"""The performance check detects a slower service."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bench.regression import losses
from bench.servers import UNLIMITED, ours

if TYPE_CHECKING:
    from pathlib import Path


def test_slower_requests_are_reported_by_kind(tmp_path: Path) -> None:
    key = secrets.token_hex()
    settings = UNLIMITED | {"PEOPLEINFO_ADMIN_KEY": key}
    with (
        ours(f"sqlite:///{tmp_path}/before.db", **settings) as before,
        ours(f"sqlite:///{tmp_path}/now.db", module="tests.bench.slowed", **settings) as now,
    ):
        assert losses(before, now, key, rounds=3, requests=200) == [
            "read by id",
            "read by surname",
            "list of 100",
            "create",
        ]
        assert losses(now, before, key, rounds=3, requests=200) == []
