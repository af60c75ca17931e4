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
from peopleinfo.auth.api_keys import ApiKey, InvalidKey, is_well_formed, issue, new_credential, revoke
from peopleinfo.auth.authenticator import FIGURES_SECONDS, GRACE_SECONDS, REMEMBERED_SECONDS, Gate
from peopleinfo.auth.principal import ANYBODY, Principal, Scope
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
        self.kept |= {key.digest: key for key in keys}

    async def all(self) -> list[ApiKey]:
        return list(self.kept.values())

    async def has_any(self) -> bool:
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
    credential, _ = await issue(keys, name="ci", scopes=[Scope.READ], lifetime=lifetime, now=NOW)
    return credential


def test_a_key_can_be_found_by_scanners_for_secrets() -> None:
    assert re.fullmatch("pi_[0-9A-Za-z]{49}", new_credential())


def test_no_two_keys_are_the_same() -> None:
    assert len({new_credential() for _ in range(1_000)}) == 1_000


@given(st.data())
def test_a_key_with_one_letter_wrong_is_no_key(data: st.DataObject) -> None:
    credential = new_credential()
    assert is_well_formed(credential)
    place = data.draw(st.integers(3, len(credential) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_- "))
    changed = credential[:place] + letter + credential[place + 1 :]
    assert is_well_formed(changed) == (changed == credential)


@pytest.mark.parametrize("text", ["", "pi_", "pi_" + "0" * 49, "x" * 52])
def test_what_has_not_the_form_of_a_key_is_none(text: str) -> None:
    assert not is_well_formed(text)


def test_a_key_of_another_length_is_no_key() -> None:
    assert not is_well_formed(new_credential()[:-1])
    assert not is_well_formed(new_credential() + "0")


async def test_what_is_kept_of_a_key_does_not_hold_it(keys: InMemory) -> None:
    credential = await made(keys)
    (kept,) = keys.kept.values()
    assert credential[3:20] not in repr(kept)


@pytest.mark.parametrize("name", ["", " ", "a b", "ü", "-x", "x" * 65, "x\n", "x/y", "anybody", "admin-key"])
async def test_a_name_that_would_confuse_a_log_is_refused(keys: InMemory, name: str) -> None:
    with pytest.raises(InvalidKey):
        await issue(keys, name=name, scopes=[Scope.READ], lifetime=None, now=NOW)


async def test_nothing_can_be_hidden_from_an_administrator(keys: InMemory) -> None:
    with pytest.raises(InvalidKey):
        await issue(keys, name="a", scopes=[Scope.ADMIN], hidden=["person_address"], lifetime=None, now=NOW)


async def test_a_key_is_asked_for_once_in_a_while(keys: InMemory, wait: Callable[[float], None]) -> None:
    credential = await made(keys)
    gate = Gate(keys, now=lambda: NOW)
    for _ in range(100):
        await gate.ask(credential)
    assert keys.asked == 1
    wait(REMEMBERED_SECONDS)
    await gate.ask(credential)
    assert keys.asked == 2


async def test_a_revoked_key_is_refused_when_it_is_asked_for_again(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Gate(keys, now=lambda: NOW)
    await gate.ask(credential)
    await revoke(keys, "ci", now=NOW)
    wait(REMEMBERED_SECONDS)
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await gate.ask(credential)


async def test_a_key_that_expires_sooner_is_not_believed_longer(keys: InMemory, wait: Callable[[float], None]) -> None:
    credential = await made(keys, timedelta(seconds=1))
    moment = [NOW]
    gate = Gate(keys, now=lambda: moment[0])
    await gate.ask(credential)
    wait(1)
    moment[0] += timedelta(seconds=1)
    with pytest.raises(NotAuthenticated):
        await gate.ask(credential)


class FewSeconds:
    """A provider whose every token is good for the same few seconds, and that counts how often it is asked."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0

    async def principal(self, token: str) -> tuple[Principal, float]:
        self.asked += 1
        return Principal(name=f"oidc:{token}", scopes=frozenset()), self.seconds


@pytest.mark.parametrize("seconds", [1.0, 10 * GRACE_SECONDS])
async def test_a_token_is_not_believed_beyond_its_expiry(
    keys: InMemory, wait: Callable[[float], None], seconds: float
) -> None:
    tokens = FewSeconds(seconds)
    gate = Gate(keys, now=lambda: NOW, tokens=tokens)
    for _ in range(2):
        await gate.ask("a.b.c")
    assert tokens.asked == 1
    wait(min(seconds, GRACE_SECONDS))  # the provider may have withdrawn the key by which it was signed
    await gate.ask("a.b.c")
    assert tokens.asked == 2


async def test_while_the_store_is_away_who_was_let_in_goes_on_for_a_while(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Gate(keys, now=lambda: NOW)
    await gate.ask(credential)
    keys.is_away = True
    for _ in range(int(GRACE_SECONDS) - 1):
        wait(1)
        assert (await gate.ask(credential)).name == "ci"
    wait(1)
    with pytest.raises(StoreUnavailable):
        await gate.ask(credential)


async def test_while_the_store_is_away_nobody_new_is_let_in(keys: InMemory) -> None:
    credential = await made(keys)
    keys.is_away = True
    with pytest.raises(StoreUnavailable):
        await Gate(keys, now=lambda: NOW).ask(credential)


async def test_while_the_store_is_away_who_saw_figures_goes_on_to_see_them(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    for shown, gate in (
        (credential, Gate(keys, now=lambda: NOW)),
        (None, Gate(keys, now=lambda: NOW, open_until_keys=True)),
    ):
        kept, keys.kept = keys.kept, keys.kept if shown else {}
        principal = await gate.ask(shown, for_figures=True)
        keys.is_away = True
        for _ in range(10):
            wait(FIGURES_SECONDS / 10 - 1)
            assert await gate.ask(shown, for_figures=True) == principal
            with pytest.raises(StoreUnavailable):
                await gate.ask(shown)
        wait(10)
        with pytest.raises(StoreUnavailable):
            await gate.ask(shown, for_figures=True)
        keys.is_away, keys.kept = False, kept


async def test_who_was_let_in_does_not_wait_for_a_store_that_hangs_and_its_answer_is_heard_all_the_same(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    credential = await made(keys)
    gate = Gate(keys, now=lambda: NOW)
    await gate.ask(credential)
    await revoke(keys, "ci", now=NOW)
    wait(REMEMBERED_SECONDS)
    keys.answers.clear()
    assert (await gate.ask(credential)).name == "ci"
    keys.answers.set()
    await asyncio.sleep(0)
    assert not gate.knows(credential)
    with pytest.raises(NotAuthenticated):
        await gate.ask(credential)


async def test_what_cannot_be_a_key_costs_the_store_nothing(keys: InMemory) -> None:
    gate = Gate(keys, now=lambda: NOW)
    with pytest.raises(NotAuthenticated):
        await gate.ask("pi_" + "0" * 49)
    assert keys.asked == 0


async def test_without_a_credential_nobody_is_let_in(keys: InMemory) -> None:
    with pytest.raises(NotAuthenticated):
        await Gate(keys, now=lambda: NOW).ask(None)


async def test_a_gate_that_is_open_until_there_are_keys_closes_for_good(
    keys: InMemory, wait: Callable[[float], None]
) -> None:
    gate = Gate(keys, now=lambda: NOW, open_until_keys=True)
    assert await gate.ask(None) is ANYBODY
    assert gate.recognise(None) is ANYBODY
    credential = await made(keys)
    wait(REMEMBERED_SECONDS)
    with pytest.raises(NotAuthenticated):
        await gate.ask(None)
    await revoke(keys, "ci", now=NOW)
    keys.kept.clear()
    with pytest.raises(NotAuthenticated):
        await gate.ask(None)
    assert not gate.is_open
    assert gate.recognise(credential) is None


async def test_a_wrong_credential_is_refused_where_none_is_needed(keys: InMemory) -> None:
    with pytest.raises(NotAuthenticated):
        await Gate(keys, now=lambda: NOW, open_to_all=True).ask(new_credential())


async def test_what_is_remembered_is_bounded(keys: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_REMEMBERED", 3)
    gate = Gate(keys, now=lambda: NOW, admin_key="a" * 32)
    for number in range(10):
        credential, _ = await issue(keys, name=f"k{number}", scopes=[Scope.READ], lifetime=None, now=NOW)
        assert (await gate.ask(credential)).name == f"k{number}"
        assert len(gate._known) <= 3
    assert (await gate.ask("a" * 32)).may(Scope.ADMIN)


def test_a_scope_is_needed_and_an_administrator_has_all() -> None:
    reader = ApiKey(digest=b"", name="r", scopes=frozenset({Scope.READ}), created_at=NOW).principal
    reader.require(Scope.READ)
    with pytest.raises(AccessDenied, match="people:write"):
        reader.require(Scope.WRITE)
    for scope in Scope:
        ANYBODY.require(scope)
