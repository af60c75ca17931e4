"""Fixtures of the delivery tests."""

from pathlib import Path

import pytest

from tests.delivery.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")
