"""Request signatures are equal to those of aiodynamo, a slower implementation of the algorithm of AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiodynamo import sign as reference
from aiodynamo.credentials import Key
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from peopleinfo.stores.dynamodb.sigv4 import sign

text = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789/+", min_size=1, max_size=50)
moments = st.integers(1_600_000_000, 4_000_000_000)


@given(key=st.builds(Key, text, text, st.none() | text), action=text, members=st.dictionaries(text, text), now=moments)
def test_signature_matches_that_of_aiodynamo(key: Key, action: str, members: dict[str, Any], now: int) -> None:
    moment = reference.Instant(datetime.fromtimestamp(now, UTC))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference.Instant, "now", lambda: moment)
        reference_request = reference.signed_dynamo_request(
            key=key, payload=members, action=action, region="eu-west-1", endpoint=URL("http://host.example:1/")
        )
        patch.setattr("peopleinfo.stores.dynamodb.sigv4.time", lambda: float(now))
        headers = sign(key, action, reference_request.body, region="eu-west-1", host="host.example")
    assert headers == reference_request.headers
