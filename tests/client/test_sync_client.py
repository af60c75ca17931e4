"""The synchronous client is the generated one."""

from __future__ import annotations

import pytest

from scripts.generate_sync_client import SOURCE, TARGET, generate


def test_synchronous_client_is_generated_from_the_asynchronous_one() -> None:
    assert TARGET.read_text() == generate(SOURCE.read_text()), "run `make sync-client`"


def test_unused_replacement_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"AsyncTransport.*remove it"):
        generate(SOURCE.read_text().replace("AsyncTransport", "Transport"))
