"""Ids are decoded to their block and reveal nothing about it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.crypto.person_ids import BLOCK_SIZE, IdCipher, derive_key

SECRET = bytes(range(32))
blocks = st.binary(min_size=BLOCK_SIZE, max_size=BLOCK_SIZE)


@given(blocks)
def test_id_is_decoded_to_its_block(block: bytes) -> None:
    ids = IdCipher(SECRET)
    assert ids.decode(ids.encode(block)) == block


@given(blocks)
def test_id_needs_no_escaping_in_a_url(block: bytes) -> None:
    assert re.fullmatch("[a-z0-9]+", IdCipher(SECRET).encode(block))


@given(blocks)
def test_processes_of_a_deployment_encode_the_same_ids(block: bytes) -> None:
    assert IdCipher(SECRET).encode(block) == IdCipher(SECRET).encode(block)


@given(blocks)
def test_deployments_encode_different_ids(block: bytes) -> None:
    assert IdCipher(SECRET).encode(block) != IdCipher(bytes(32)).encode(block)


def test_block_has_exactly_one_id() -> None:
    ids = IdCipher(SECRET)
    person_id = ids.encode(bytes(BLOCK_SIZE))
    for other in (
        person_id.upper(),
        person_id + "\n",
        f" {person_id}",
        person_id[:-1],
        person_id + "a",
        person_id + "=",
    ):
        assert ids.decode(other) is None


@pytest.mark.parametrize(
    "text", ["", "0", "a" * 31, "a" * 33, "g" * 32, "é" * 32, "٣" * 32, "a" * 31 + "\n", "\0" * 32]
)
def test_text_in_another_format_is_not_decoded(text: str) -> None:
    assert IdCipher(SECRET).decode(text) is None


@given(st.text(max_size=8) | st.text("0123456789abcdefABCDEF", min_size=31, max_size=33))
def test_any_text_can_be_decoded_without_an_error(text: str) -> None:
    ids = IdCipher(SECRET)
    block = ids.decode(text)
    assert block is None or ids.encode(block) == text


def test_each_purpose_has_a_separate_key() -> None:
    keys = {
        derive_key(SECRET, "person ids"),
        derive_key(SECRET, "cursors"),
        derive_key(bytes(32), "person ids"),
        SECRET,
    }
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_ids_do_not_change_between_releases() -> None:
    assert IdCipher(SECRET).encode(bytes(BLOCK_SIZE)) == "9716c3b03be91db1f4aca0799004158a"
