"""The cache is bounded, evicts by key, group and least recent use, and is never stale."""

import pytest

from hooktide.runtime.cache import Cache


def test_the_least_recently_used_value_is_dropped_first() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.keep("a", 1)
    cache.keep("b", 2)
    assert cache.get("a") == 1
    cache.keep("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_a_value_is_dropped_by_its_key_and_others_stay() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.keep("a", 1)
    cache.keep("b", 2)
    cache.drop("a")
    cache.drop("never here")
    assert [cache.get(key) for key in "ab"] == [None, 2]


def tens(value: int) -> int:
    return value // 10


def test_a_group_is_dropped_and_others_stay() -> None:
    cache: Cache[str, int] = Cache(9, tens)
    for key, value in {"a": 10, "b": 11, "c": 20}.items():
        cache.keep(key, value)
    cache.drop_group(1)
    cache.drop_group(7)
    assert [cache.get(key) for key in "abc"] == [None, None, 20]


def test_a_value_leaves_its_group_when_it_is_evicted_dropped_or_replaced() -> None:
    cache: Cache[str, int] = Cache(2, tens)
    cache.keep("a", 10)
    cache.keep("b", 20)
    cache.keep("c", 30)  # evicts a
    cache.keep("a", 40)  # evicts b; a is in a different group now
    cache.drop_group(1)
    assert [cache.get(key) for key in "abc"] == [40, None, 30]
    cache.keep("a", 50)
    cache.drop_group(4)
    assert cache.get("a") == 50
    assert cache.get("c") == 30, "replacing a value evicts nothing"
    cache.drop("a")
    cache.drop_group(3)
    assert (len(cache), cache._keys_of) == (0, {})


def test_many_values_leave_nothing_behind() -> None:
    cache: Cache[int, int] = Cache(10, tens)
    for value in range(1000):
        cache.keep(value, value)
    assert len(cache) == 10
    assert sum(map(len, cache._keys_of.values())) == 10
    cache.clear()
    assert (len(cache), cache._keys_of) == (0, {})


async def test_what_is_found_is_read_once() -> None:
    cache: Cache[str, int] = Cache(2)
    asked = []

    async def read() -> int:
        asked.append(1)
        return 7

    assert [await cache.find("a", read), await cache.find("a", read)] == [7, 7]
    assert len(asked) == 1


@pytest.mark.parametrize("change", ["drop", "drop_group", "clear"])
async def test_what_was_read_while_something_changed_is_returned_but_not_kept(change: str) -> None:
    cache: Cache[str, int] = Cache(2, tens)

    async def read() -> int:
        if change == "drop":
            cache.drop("a")
        elif change == "drop_group":
            cache.drop_group(0)
        else:
            cache.clear()
        return 7

    assert await cache.find("a", read) == 7
    assert cache.get("a") is None
