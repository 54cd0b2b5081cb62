"""Ids sort by time, never repeat, and are read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import NODES, IdMaker, between, first_at, made_at, read, show

NOW = 1_767_268_800_000_000


@given(st.lists(st.integers(0, 2**51), min_size=2, max_size=50))
def test_ids_only_grow_even_when_the_clock_does_not(clock: list[int]) -> None:
    make = IdMaker()
    made = [make(now) for now in clock]
    assert made == sorted(set(made))


def test_an_id_tells_when_it_was_made() -> None:
    assert made_at(IdMaker(node=5)(NOW)) == NOW


def test_two_nodes_never_make_the_same_id() -> None:
    one, two = IdMaker(node=1), IdMaker(node=2)
    assert not {one(NOW) for _ in range(100)} & {two(NOW) for _ in range(100)}


def test_ids_go_on_above_those_in_use_although_the_clock_went_back() -> None:
    last = IdMaker()(NOW)
    assert IdMaker(floor=last)(NOW - 86_400_000_000) > last
    assert IdMaker(node=7, floor=last + 3)(0) % NODES == 7


@given(st.integers(0, 2**63 - 1))
def test_an_id_is_read_as_it_was_shown(number: int) -> None:
    assert read("evt", show("evt", number)) == number


def test_ids_sort_as_text_as_they_do_as_numbers() -> None:
    make = IdMaker()
    shown = [show("dlv", make(NOW + n * 10**9)) for n in range(50)]
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evt",
        "evt_",
        "evt_1",
        "ep_0000000000000001",
        "evt_000000000000000G",
        "evt_00000000000000AB",
        "evt_0000000000000001 ",
        "evt_00000000000000001",
        "evt_ffffffffffffffff",
        "evt_000000000000000\u0661",
        "evt_0000_00000000001",
        "' OR 1=1 --",
        "evt_%2e%2e",
        "evt_\x00000000000000001",
        "e" * 10_000,
    ],
)
def test_what_is_no_id_of_the_kind_does_not_exist(text: str) -> None:
    with pytest.raises(NotFoundError):
        read("evt", text)


def test_ids_are_larger_than_one_that_was_passed_by_and_keep_their_node() -> None:
    ids = IdMaker(node=3)
    ahead = IdMaker(node=9)(5_000)
    ids.pass_by(ahead)
    made = ids(1_000)
    assert made > ahead
    assert made % NODES == 3
    ids.pass_by(0)
    assert ids(1_000) == made + NODES


def test_what_was_made_from_an_instant_on_and_before_another_lies_between_two_ids() -> None:
    first, last = IdMaker(node=0), IdMaker(node=2047)
    after, before = between(NOW, NOW + 5)
    assert after is not None
    assert before is not None
    assert last(NOW - 1) <= after < first(NOW)
    assert IdMaker(node=2047)(NOW + 4) < before <= first(NOW + 5)


def test_the_lower_of_a_page_and_an_instant_bounds_a_list() -> None:
    assert between(None, None) == (None, None)
    assert between(None, None, 7) == (None, 7)
    assert between(0, 0) == (-1, 0)
    assert between(None, NOW, 7) == (None, 7)
    assert between(None, NOW, first_at(NOW) + 1) == (None, first_at(NOW))
