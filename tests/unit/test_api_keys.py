"""The form of a key, and what the gate believes of one for how long."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.auth import authenticator as gates
from peopleinfo.auth.api_keys import ApiKey, ApiKeyError, create_key, generate_key, is_well_formed, revoke
from peopleinfo.auth.authenticator import KEY_CACHE_TTL, STALE_KEY_TTL, STALE_METRICS_TTL, Authenticator
from peopleinfo.auth.principal import ANONYMOUS, Principal, Scope
from peopleinfo.errors import AccessDenied, NotAuthenticated, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class InMemory:
    """Keys in memory, which can be made to fail, and which count how often they are asked."""

    def __init__(self) -> None:
        self.kept: dict[bytes, ApiKey] = {}
        self.asked = 0
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def find(self, digest: bytes) -> ApiKey | None:
        await self._ask()
        return self.kept.get(digest)

    async def save(self, *keys: ApiKey) -> None:
        self.kept |= {key.key_hash: key for key in keys}

    async def all(self) -> list[ApiKey]:
        return list(self.kept.values())

    async def any_exist(self) -> bool:
        await self._ask()
        return bool(self.kept)

    async def _ask(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.is_away:
            raise StoreUnavailable("away")


@pytest.fixture
def keys() -> InMemory:
    return InMemory()


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for the gate."""
    moment = [1_000.0]
    monkeypatch.setattr(gates, "monotonic", lambda: moment[0])

    def wait(seconds: float) -> None:
        moment[0] += seconds

    return wait


async def made(keys: InMemory, lifetime: timedelta | None = None) -> str:
    credential, _ = await create_key(keys, name="ci", scopes=[Scope.READ], lifetime=lifetime, now=NOW)
    return credential


def test_a_key_can_be_found_by_scanners_for_secrets() -> None:
    assert re.fullmatch("pi_[0-9A-Za-z]{49}", generate_key())


def test_no_two_keys_are_the_same() -> None:
    assert len({generate_key() for _ in range(1_000)}) == 1_000


@given(st.data())
def test_a_key_with_one_letter_wrong_is_no_key(data: st.DataObject) -> None:
    credential = generate_key()
    assert is_well_formed(credential)
    place = data.draw(st.integers(3, len(credential) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_- "))
    changed = credential[:place] + letter + credential[place + 1 :]
    assert is_well_formed(changed) == (changed == credential)


@pytest.mark.parametrize("text", ["", "pi_", "pi_" + "0" * 49, "x" * 52])
def test_what_has_not_the_form_of_a_key_is_none(text: str) -> None:
    assert not is_well_formed(text)


def test_a_key_of_another_length_is_no_key() -> None:
    assert not is_well_formed(generate_key()[:-1])
    assert not is_well_formed(generate_key() + "0")


async def test_what_is_kept_of_a_key_does_not_hold_it(keys: InMemory) -> None:
    credential = await made(keys)
    (kept,) = keys.kept.values()
    assert credential[3:20] not in repr(kept)


@pytest.mark.parametrize("name", ["", " ", "a b", "ü", "-x", "x" * 65, "x\n", "x/y", "anybody", "admin-key"])
async def test_a_name_that_would_confuse_a_log_is_refused(keys: InMemory, name: str) -> None:
    with pytest.raises(ApiKeyError):
        await create_key(keys, name=name, scopes=[Scope.READ], lifetime=None, now=NOW)


async def test_nothing_can_be_hidden_from_an_administrator(keys: InMemory) -> None:
    with pytest.raises(ApiKeyError):
        await create_key(keys, name="a", scopes=[Scope.ADMIN], hidden_fields=["person_address"], lifetime=None, now=NOW)


async def test_a_key_is_asked_for_once_in_a_while(keys: InMemory, wait: Callable[[float], None]) -> None:
    credential = await made(keys)
    gate = Authenticator(keys, now=lambda: NOW)
    for _ in range(100):
        await gate.authenticate(credential)
    assert keys.asked == 1
    wait(KEY_CACHE_TTL)
    await gate.authenticate(credential)
    assert keys.asked == 2


async def test_a_revoked_key_is_refused_when_it_is_asked_for_again(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Authenticator(keys, now=lambda: NOW)
    await gate.authenticate(credential)
    await revoke(keys, "ci", now=NOW)
    wait(KEY_CACHE_TTL)
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await gate.authenticate(credential)


async def test_a_key_that_expires_sooner_is_not_believed_longer(keys: InMemory, wait: Callable[[float], None]) -> None:
    credential = await made(keys, timedelta(seconds=1))
    moment = [NOW]
    gate = Authenticator(keys, now=lambda: moment[0])
    await gate.authenticate(credential)
    wait(1)
    moment[0] += timedelta(seconds=1)
    with pytest.raises(NotAuthenticated):
        await gate.authenticate(credential)


class FewSeconds:
    """A provider whose every token is good for the same few seconds, and that counts how often it is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    async def principal(self, token: str) -> tuple[Principal, float]:
        self.asked += 1
        return Principal(name=f"oidc:{token}", scopes=frozenset()), self.seconds


@pytest.mark.parametrize("seconds", [1.0, 10 * STALE_KEY_TTL])
async def test_a_token_is_not_believed_beyond_its_expiry(
    keys: InMemory, wait: Callable[[float], None], seconds: float
) -> None:
    tokens = FewSeconds(seconds)
    gate = Authenticator(keys, now=lambda: NOW, tokens=tokens)
    for _ in range(2):
        await gate.authenticate("a.b.c")
    assert tokens.asked == 1
    wait(min(seconds, STALE_KEY_TTL))  # the provider may have withdrawn the key by which it was signed
    await gate.authenticate("a.b.c")
    assert tokens.asked == 2


async def test_while_the_store_is_away_who_was_let_in_goes_on_for_a_while(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Authenticator(keys, now=lambda: NOW)
    await gate.authenticate(credential)
    keys.is_away = True
    for _ in range(int(STALE_KEY_TTL) - 1):
        wait(1)
        assert (await gate.authenticate(credential)).name == "ci"
    wait(1)
    with pytest.raises(StoreUnavailable):
        await gate.authenticate(credential)


async def test_while_the_store_is_away_nobody_new_is_let_in(keys: InMemory) -> None:
    credential = await made(keys)
    keys.is_away = True
    with pytest.raises(StoreUnavailable):
        await Authenticator(keys, now=lambda: NOW).authenticate(credential)


async def test_while_the_store_is_away_who_saw_figures_goes_on_to_see_them(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    for shown, gate in (
        (credential, Authenticator(keys, now=lambda: NOW)),
        (None, Authenticator(keys, now=lambda: NOW, allow_anonymous_until_first_key=True)),
    ):
        kept, keys.kept = keys.kept, keys.kept if shown else {}
        principal = await gate.authenticate(shown, for_metrics=True)
        keys.is_away = True
        for _ in range(10):
            wait(STALE_METRICS_TTL / 10 - 1)
            assert await gate.authenticate(shown, for_metrics=True) == principal
            with pytest.raises(StoreUnavailable):
                await gate.authenticate(shown)
        wait(10)
        with pytest.raises(StoreUnavailable):
            await gate.authenticate(shown, for_metrics=True)
        keys.is_away, keys.kept = False, kept


async def test_who_was_let_in_does_not_wait_for_a_store_that_hangs_and_its_answer_is_heard_all_the_same(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Authenticator(keys, now=lambda: NOW)
    await gate.authenticate(credential)
    await revoke(keys, "ci", now=NOW)
    wait(KEY_CACHE_TTL)
    keys.answers.clear()
    assert (await gate.authenticate(credential)).name == "ci"
    keys.answers.set()
    await asyncio.sleep(0)
    assert not gate.is_cached(credential)
    with pytest.raises(NotAuthenticated):
        await gate.authenticate(credential)


async def test_what_cannot_be_a_key_costs_the_store_nothing(keys: InMemory) -> None:
    gate = Authenticator(keys, now=lambda: NOW)
    with pytest.raises(NotAuthenticated):
        await gate.authenticate("pi_" + "0" * 49)
    assert keys.asked == 0


async def test_without_a_credential_nobody_is_let_in(keys: InMemory) -> None:
    with pytest.raises(NotAuthenticated):
        await Authenticator(keys, now=lambda: NOW).authenticate(None)


async def test_a_gate_that_is_open_until_there_are_keys_closes_for_good(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    gate = Authenticator(keys, now=lambda: NOW, allow_anonymous_until_first_key=True)
    assert await gate.authenticate(None) is ANONYMOUS
    assert gate.cached_principal(None) is ANONYMOUS
    credential = await made(keys)
    wait(KEY_CACHE_TTL)
    with pytest.raises(NotAuthenticated):
        await gate.authenticate(None)
    await revoke(keys, "ci", now=NOW)
    keys.kept.clear()
    with pytest.raises(NotAuthenticated):
        await gate.authenticate(None)
    assert not gate.allows_anonymous
    assert gate.cached_principal(credential) is None


async def test_a_wrong_credential_is_refused_where_none_is_needed(keys: InMemory) -> None:
    with pytest.raises(NotAuthenticated):
        await Authenticator(keys, now=lambda: NOW, allow_anonymous=True).authenticate(generate_key())


async def test_what_is_remembered_is_bounded(keys: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_MAX_CACHE_SIZE", 3)
    gate = Authenticator(keys, now=lambda: NOW, admin_key="a" * 32)
    for number in range(10):
        credential, _ = await create_key(keys, name=f"k{number}", scopes=[Scope.READ], lifetime=None, now=NOW)
        assert (await gate.authenticate(credential)).name == f"k{number}"
        assert len(gate._entries) <= 3
    assert (await gate.authenticate("a" * 32)).has_scope(Scope.ADMIN)


def test_a_scope_is_needed_and_an_administrator_has_all() -> None:
    reader = ApiKey(key_hash=b"", name="r", scopes=frozenset({Scope.READ}), created_at=NOW).principal
    reader.require_scope(Scope.READ)
    with pytest.raises(AccessDenied, match="people:write"):
        reader.require_scope(Scope.WRITE)
    for scope in Scope:
        ANONYMOUS.require_scope(scope)
