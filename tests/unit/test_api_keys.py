"""API keys: their format, and the cache of the authenticator."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth import authenticator as authenticator_module
from peopleinfo.auth.api_keys import ApiKey, create_key, generate_key, is_well_formed, revoke
from peopleinfo.auth.authenticator import KEY_CACHE_TTL, STALE_KEY_TTL, STALE_METRICS_TTL, Authenticator
from peopleinfo.auth.principal import ANONYMOUS, Principal, Scope
from peopleinfo.errors import AccessDenied, ApiKeyError, NotAuthenticated, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class InMemoryKeyStore:
    """An in-memory store of keys that counts lookups and can be unavailable."""

    def __init__(self) -> None:
        self.stored: dict[bytes, ApiKey] = {}
        self.lookups = 0
        self.is_down = False
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def find(self, digest: bytes) -> ApiKey | None:
        await self._look_up()
        return self.stored.get(digest)

    async def save(self, *keys: ApiKey) -> None:
        self.stored |= {key.key_hash: key for key in keys}

    async def all(self) -> list[ApiKey]:
        return list(self.stored.values())

    async def any_exist(self) -> bool:
        await self._look_up()
        return bool(self.stored)

    async def _look_up(self) -> None:
        self.lookups += 1
        await self.may_respond.wait()
        if self.is_down:
            raise StoreUnavailable("down")


@pytest.fixture
def keys() -> InMemoryKeyStore:
    return InMemoryKeyStore()


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that advances the clock of the authenticator by some seconds."""
    moment = [1_000.0]
    monkeypatch.setattr(authenticator_module, "monotonic", lambda: moment[0])

    def advance(seconds: float) -> None:
        moment[0] += seconds

    return advance


async def new_credential(keys: InMemoryKeyStore, lifetime: timedelta | None = None) -> str:
    credential, _ = await create_key(keys, name="ci", scopes=[Scope.READ], lifetime=lifetime, now=NOW)
    return credential


def test_key_is_recognised_by_secret_scanners() -> None:
    assert re.fullmatch("pi_[0-9A-Za-z]{49}", generate_key())


def test_generated_keys_are_unique() -> None:
    assert len({generate_key() for _ in range(1_000)}) == 1_000


@given(st.data())
def test_key_with_a_wrong_letter_is_not_well_formed(data: st.DataObject) -> None:
    credential = generate_key()
    assert is_well_formed(credential)
    position = data.draw(st.integers(3, len(credential) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_- "))
    changed = credential[:position] + letter + credential[position + 1 :]
    assert is_well_formed(changed) == (changed == credential)


@pytest.mark.parametrize("text", ["", "pi_", "pi_" + "0" * 49, "x" * 52])
def test_text_in_another_format_is_not_a_key(text: str) -> None:
    assert not is_well_formed(text)


def test_key_of_another_length_is_not_well_formed() -> None:
    assert not is_well_formed(generate_key()[:-1])
    assert not is_well_formed(generate_key() + "0")


async def test_stored_form_of_a_key_does_not_contain_the_key(keys: InMemoryKeyStore) -> None:
    credential = await new_credential(keys)
    (stored,) = keys.stored.values()
    assert credential[3:20] not in repr(stored)


@pytest.mark.parametrize("name", ["", " ", "a b", "ü", "-x", "x" * 65, "x\n", "x/y", "anonymous", "admin-key"])
async def test_key_name_with_special_characters_is_rejected(keys: InMemoryKeyStore, name: str) -> None:
    with pytest.raises(ApiKeyError):
        await create_key(keys, name=name, scopes=[Scope.READ], lifetime=None, now=NOW)


async def test_key_with_the_admin_scope_cannot_have_hidden_fields(keys: InMemoryKeyStore) -> None:
    with pytest.raises(ApiKeyError):
        await create_key(keys, name="a", scopes=[Scope.ADMIN], hidden_fields=["person_address"], lifetime=None, now=NOW)


async def test_key_is_looked_up_once_per_cache_lifetime(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    credential = await new_credential(keys)
    authenticator = Authenticator(keys, now=lambda: NOW)
    for _ in range(100):
        await authenticator.authenticate(credential)
    assert keys.lookups == 1
    advance(KEY_CACHE_TTL)
    await authenticator.authenticate(credential)
    assert keys.lookups == 2


async def test_revoked_key_is_rejected_by_the_next_lookup(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    credential = await new_credential(keys)
    authenticator = Authenticator(keys, now=lambda: NOW)
    await authenticator.authenticate(credential)
    await revoke(keys, "ci", now=NOW)
    advance(KEY_CACHE_TTL)
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await authenticator.authenticate(credential)


async def test_key_is_not_cached_beyond_its_expiry(keys: InMemoryKeyStore, advance: Callable[[float], None]) -> None:
    credential = await new_credential(keys, timedelta(seconds=1))
    moment = [NOW]
    authenticator = Authenticator(keys, now=lambda: moment[0])
    await authenticator.authenticate(credential)
    advance(1)
    moment[0] += timedelta(seconds=1)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(credential)


class ShortLivedTokens:
    """A token verifier that counts lookups; every token has the same lifetime."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lookups = 0

    async def principal(self, token: str) -> tuple[Principal, float]:
        self.lookups += 1
        return Principal(name=f"oidc:{token}", scopes=frozenset()), self.seconds


@pytest.mark.parametrize("seconds", [1.0, 10 * STALE_KEY_TTL])
async def test_token_is_not_cached_beyond_its_expiry(
    keys: InMemoryKeyStore, advance: Callable[[float], None], seconds: float
) -> None:
    tokens = ShortLivedTokens(seconds)
    authenticator = Authenticator(keys, now=lambda: NOW, tokens=tokens)
    for _ in range(2):
        await authenticator.authenticate("a.b.c")
    assert tokens.lookups == 1
    advance(min(seconds, STALE_KEY_TTL))  # the provider may have withdrawn its signing key
    await authenticator.authenticate("a.b.c")
    assert tokens.lookups == 2


async def test_cached_key_is_accepted_for_a_time_while_store_is_down(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    credential = await new_credential(keys)
    authenticator = Authenticator(keys, now=lambda: NOW)
    await authenticator.authenticate(credential)
    keys.is_down = True
    for _ in range(int(STALE_KEY_TTL) - 1):
        advance(1)
        assert (await authenticator.authenticate(credential)).name == "ci"
    advance(1)
    with pytest.raises(StoreUnavailable):
        await authenticator.authenticate(credential)


async def test_unknown_key_is_rejected_while_store_is_down(keys: InMemoryKeyStore) -> None:
    credential = await new_credential(keys)
    keys.is_down = True
    with pytest.raises(StoreUnavailable):
        await Authenticator(keys, now=lambda: NOW).authenticate(credential)


async def test_cached_key_can_read_metrics_while_store_is_down(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    credential = await new_credential(keys)
    for shown, authenticator in (
        (credential, Authenticator(keys, now=lambda: NOW)),
        (None, Authenticator(keys, now=lambda: NOW, allow_anonymous_until_first_key=True)),
    ):
        stored, keys.stored = keys.stored, keys.stored if shown else {}
        principal = await authenticator.authenticate(shown, for_metrics=True)
        keys.is_down = True
        for _ in range(10):
            advance(STALE_METRICS_TTL / 10 - 1)
            assert await authenticator.authenticate(shown, for_metrics=True) == principal
            with pytest.raises(StoreUnavailable):
                await authenticator.authenticate(shown)
        advance(10)
        with pytest.raises(StoreUnavailable):
            await authenticator.authenticate(shown, for_metrics=True)
        keys.is_down, keys.stored = False, stored


async def test_cached_key_does_not_wait_for_a_slow_store_but_its_late_response_counts(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    credential = await new_credential(keys)
    authenticator = Authenticator(keys, now=lambda: NOW)
    await authenticator.authenticate(credential)
    await revoke(keys, "ci", now=NOW)
    advance(KEY_CACHE_TTL)
    keys.may_respond.clear()
    assert (await authenticator.authenticate(credential)).name == "ci"
    keys.may_respond.set()
    await asyncio.sleep(0)
    assert not authenticator.is_cached(credential)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(credential)


async def test_malformed_key_causes_no_lookup(keys: InMemoryKeyStore) -> None:
    authenticator = Authenticator(keys, now=lambda: NOW)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate("pi_" + "0" * 49)
    assert keys.lookups == 0


async def test_request_without_a_credential_is_rejected(keys: InMemoryKeyStore) -> None:
    with pytest.raises(NotAuthenticated):
        await Authenticator(keys, now=lambda: NOW).authenticate(None)


async def test_anonymous_access_ends_permanently_with_the_first_key(
    keys: InMemoryKeyStore, advance: Callable[[float], None]
) -> None:
    authenticator = Authenticator(keys, now=lambda: NOW, allow_anonymous_until_first_key=True)
    assert await authenticator.authenticate(None) is ANONYMOUS
    assert authenticator.cached_principal(None) is ANONYMOUS
    credential = await new_credential(keys)
    advance(KEY_CACHE_TTL)
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(None)
    await revoke(keys, "ci", now=NOW)
    keys.stored.clear()
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(None)
    assert not authenticator.allows_anonymous
    assert authenticator.cached_principal(credential) is None


async def test_invalid_credential_is_rejected_even_if_anonymous_access_is_allowed(keys: InMemoryKeyStore) -> None:
    with pytest.raises(NotAuthenticated):
        await Authenticator(keys, now=lambda: NOW, allow_anonymous=True).authenticate(generate_key())


async def test_cache_of_keys_has_a_limited_size(keys: InMemoryKeyStore) -> None:
    authenticator = Authenticator(keys, now=lambda: NOW, admin_key="a" * 32, max_cache_size=3)
    for number in range(10):
        credential, _ = await create_key(keys, name=f"k{number}", scopes=[Scope.READ], lifetime=None, now=NOW)
        assert (await authenticator.authenticate(credential)).name == f"k{number}"
        assert len(authenticator._entries) <= 3
    assert (await authenticator.authenticate("a" * 32)).has_scope(Scope.ADMIN)


def test_operation_requires_its_scope_and_admin_has_every_scope() -> None:
    reader = ApiKey(key_hash=b"", name="r", scopes=frozenset({Scope.READ}), created_at=NOW).principal
    reader.require_scope(Scope.READ)
    with pytest.raises(AccessDenied, match="people:write"):
        reader.require_scope(Scope.WRITE)
    for scope in Scope:
        ANONYMOUS.require_scope(scope)
