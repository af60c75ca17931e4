"""The cache of derived values is bounded, and derives each value once while it is in use."""

from __future__ import annotations

from peopleinfo.people.value_cache import MAX_CACHED_LENGTH, ValueCache


def test_value_in_use_is_derived_once_while_others_come_and_go() -> None:
    derived: list[str] = []

    def derive(text: str) -> tuple[str, ...]:
        derived.append(text)
        return ()

    cache = ValueCache(derive, 8)
    for number in range(100):
        assert cache["anna"] == cache[str(number)] == ()
    assert derived == ["anna", *map(str, range(100))]
    assert len(cache) <= 4


def test_long_value_is_not_cached() -> None:
    cache = ValueCache(len, 8)
    assert cache["x" * (MAX_CACHED_LENGTH + 1)] == MAX_CACHED_LENGTH + 1
    assert not cache
