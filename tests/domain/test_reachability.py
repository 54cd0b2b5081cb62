"""A missing route is a local error only while nothing else is reachable, and for a limited time."""

from hooktide.domain.delivery.reachability import MAX_ADDRESSES, Reachability
from hooktide.domain.model import DAY, MINUTE, SECOND, Micros

NOW: Micros = 5 * DAY
LOST, OTHER, THIRD = "192.0.2.1", "198.51.100.1", "203.0.113.1"


def test_it_is_ours_where_nothing_is_known() -> None:
    assert Reachability().is_local(LOST, 0)
    assert Reachability().is_local(LOST, NOW)


def test_it_is_the_addresss_while_another_was_reached_within_a_minute() -> None:
    known = Reachability()
    known.reached(OTHER, NOW)
    assert not known.is_local(LOST, NOW)
    assert not known.is_local(LOST, NOW + MINUTE - 1)
    assert known.is_local(LOST, NOW + MINUTE)


def test_that_the_address_itself_was_reached_says_nothing() -> None:
    known = Reachability()
    known.reached(LOST, NOW)
    assert known.is_local(LOST, NOW + 1)


def test_another_that_was_reached_before_the_address_itself_counts() -> None:
    known = Reachability()
    known.reached(OTHER, NOW)
    for _ in range(2):
        known.reached(LOST, NOW + 1)
    assert not known.is_local(LOST, NOW + 2)
    assert not known.is_local(THIRD, NOW + 2)
    assert known.is_local(LOST, NOW + MINUTE)
    assert not known.is_local(THIRD, NOW + MINUTE)


def test_the_loopback_says_nothing_of_the_network() -> None:
    known = Reachability()
    known.reached("127.0.0.1", NOW)
    known.reached("::1", NOW)
    assert known.is_local(LOST, NOW)


def test_after_ten_minutes_it_is_the_addresss_whatever_happens_elsewhere() -> None:
    known = Reachability()
    assert known.is_local(LOST, NOW)
    assert known.is_local(LOST, NOW + 10 * MINUTE - 1)
    assert not known.is_local(LOST, NOW + 10 * MINUTE)
    assert not known.is_local(LOST, NOW + 10 * MINUTE + 12 * 60 * MINUTE)  # the next retry
    assert known.is_local(OTHER, NOW + 10 * MINUTE)


def test_the_ten_minutes_begin_again_once_the_address_was_reached_or_a_day_later() -> None:
    known = Reachability()
    known.is_local(LOST, NOW)
    known.reached(LOST, NOW + 5 * MINUTE)
    assert known.is_local(LOST, NOW + 11 * MINUTE)
    assert not known.is_local(LOST, NOW + 21 * MINUTE)
    assert not known.is_local(LOST, NOW + 21 * MINUTE + DAY - 1)
    assert known.is_local(LOST, NOW + 21 * MINUTE + 2 * DAY - 1)


def test_it_remembers_so_many_addresses_and_no_more() -> None:
    known = Reachability()
    for number in range(MAX_ADDRESSES + 5):
        known.is_local(f"address {number}", NOW + number * SECOND)
    assert len(known._trouble) == MAX_ADDRESSES
