"""Sound keys and nicknames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peopleinfo.people import index_entries
from peopleinfo.people.nicknames import are_nicknames, familiar_names, related_names
from peopleinfo.people.sounds import SOUND_LENGTH, SOUND_VERSION, sound


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Smith", "Smyth"),
        ("Meyer", "Maier"),
        ("Schmidt", "Schmitt"),
        ("Philipp", "Filip"),
        ("Kowalczyk", "Kowalcyk"),
        ("Cecilia", "Sesilia"),
        ("Müller", "MULLER"),
        ("García-López", "Garcia Lopez"),
    ],
)
def test_names_that_sound_alike_have_one_key(a: str, b: str) -> None:
    assert sound(a) == sound(b)


@pytest.mark.parametrize(("a", "b"), [("Smith", "Jones"), ("Anna", "Hannelore"), ("Berg", "Burger"), ("山田", "鈴木")])
def test_names_that_sound_different_have_different_keys(a: str, b: str) -> None:
    assert sound(a) != sound(b)


@given(st.text(min_size=1, max_size=40))
def test_sound_key_is_short_and_stable(name: str) -> None:
    assert len(sound(name)) <= SOUND_LENGTH
    assert sound(name) == sound(f" {name} ")


def test_name_in_another_script_has_a_key() -> None:
    assert sound("山田") == "山田"


@pytest.mark.parametrize(("a", "b"), [("william", "bill"), ("bill", "william"), ("jose", "pepe"), ("johannes", "hans")])
def test_short_form_is_a_nickname_in_both_directions(a: str, b: str) -> None:
    assert are_nicknames(a, b)


@pytest.mark.parametrize(("a", "b"), [("marina", "martina"), ("william", "william"), ("bill", "anna"), ("", "anna")])
def test_other_names_are_no_nicknames(a: str, b: str) -> None:
    assert not are_nicknames(a, b)


@pytest.mark.parametrize(
    ("short", "name"), [("milli", "amelia"), ("mandey", "amanda"), ("amelia", "milly"), ("bob", "rob")]
)
def test_familiar_names_include_other_spellings_of_an_ending(short: str, name: str) -> None:
    assert name in familiar_names(short)
    assert short not in familiar_names(short)


def test_every_related_name_is_folded_and_related_back() -> None:
    related = related_names("elisabeth")
    assert "lisa" in related
    assert all(name.isascii() and name.islower() and are_nicknames(name, "elisabeth") for name in related)


def test_new_version_of_the_sounds_makes_an_index_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = index_entries.DEFAULT_PLAN
    before = plan.text
    monkeypatch.setattr(index_entries, "SOUND_VERSION", SOUND_VERSION + 1)
    assert plan.text != before
    assert index_entries.IndexPlan.parse(plan.text) == plan
