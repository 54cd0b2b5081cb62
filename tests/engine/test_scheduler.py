"""Which delivery is next, and what is read from the store, on virtual time and without a store."""

import pytest
from schedulerkit import FAILED, MILLISECOND, REQUEUED, Schedule

from hooktide.domain.messages.chat import MAX_BATCH, MAX_BATCH_BYTES
from hooktide.domain.model import HOUR, MINUTE, SECOND, Claim, Origin
from hooktide.engine.scheduling import scheduler as scheduler_module
from hooktide.engine.scheduling.lanes import (
    FAILING_THRESHOLD,
    FIRSTS_PER_RETRY,
    LEASE_MARGIN,
    Batch,
    NotSent,
)
from hooktide.engine.scheduling.polling import (
    CLAIM_DELIVERIES,
    CLAIM_ENDPOINTS,
    MIN_CLAIM,
    RESCAN_INTERVAL,
    ClaimDue,
    ReadDueTimes,
    ReadRests,
)
from hooktide.engine.scheduling.scheduler import Limits


def endpoints(batches: list[Batch]) -> list[int]:
    return [batch.lane.endpoint_id for batch in batches]


def claims(batches: list[Batch]) -> list[Claim]:
    return [claim for batch in batches for claim in batch.claims]


def test_lanes_take_turns_and_each_keeps_its_order() -> None:
    schedule = Schedule()
    first = schedule.offer(1, 3)
    second = schedule.offer(2, 2)
    started = schedule.start()
    assert endpoints(started) == [1, 2, 1, 2, 1]
    assert [each for each in claims(started) if each.endpoint_id == 1] == first
    assert [each for each in claims(started) if each.endpoint_id == 2] == second


def test_an_endpoint_gets_its_slots_and_the_next_as_one_comes_free() -> None:
    schedule = Schedule(Limits(per_endpoint=3))
    schedule.offer(1, 5)
    started = schedule.start()
    assert len(started) == 3
    assert schedule.start() == []
    schedule.end(started[0])
    assert len(schedule.start()) == 1


def test_the_process_has_so_many_slots_for_all() -> None:
    schedule = Schedule(Limits(slots=4, per_endpoint=3))
    for endpoint_id in (1, 2):
        schedule.offer(endpoint_id, 3, account_id=endpoint_id)
    started = schedule.start()
    assert endpoints(started) == [1, 2, 1, 2]
    schedule.end(started[1])
    assert endpoints(schedule.start()) == [1]


def test_an_account_at_its_share_leaves_the_slots_to_others_and_its_endpoints_take_turns() -> None:
    schedule = Schedule(Limits(slots=10, per_endpoint=4, per_account=2))
    for endpoint_id in (1, 2, 3):
        schedule.offer(endpoint_id, 2)
    schedule.offer(9, 2, account_id=2)
    started = schedule.start()
    assert endpoints(started) == [1, 2, 9, 9]
    order = []
    for _ in range(4):
        schedule.end(started.pop(0))
        [batch] = schedule.start()
        started.insert(1, batch)
        order.append(batch.lane.endpoint_id)
    assert order == [3, 1, 2, 3]


def test_an_endpoint_at_its_accounts_share_does_not_wait_for_one_that_rests() -> None:
    """A free slot of an account goes to the next of its endpoints that can use it."""
    schedule = Schedule(Limits(slots=2, per_account=1))
    for endpoint_id, account_id in ((1, 1), (2, 1), (3, 1), (8, 2), (9, 3)):
        schedule.offer(endpoint_id, account_id=account_id)
    first, second = schedule.start()
    assert endpoints([first, second]) == [1, 8]
    schedule.end(first)  # endpoint 2 is next of its account, but 9 before it
    assert endpoints(schedule.start()) == [9]
    schedule.scheduler.changed("rest", 2)
    schedule.read_all(rests={2: schedule.clock + HOUR})
    schedule.end(second)
    assert endpoints(schedule.start()) == [3]


def test_a_single_delivery_is_overtaken_once_by_each_lane_at_most() -> None:
    """An account with one delivery does not wait until another's thousand are sent."""
    schedule = Schedule(Limits(slots=4, per_endpoint=2))
    for endpoint_id in range(1, 11):
        schedule.offer(endpoint_id, 100)
    out = schedule.start()
    schedule.offer(99, account_id=2)
    overtaking: list[int] = []
    while 99 not in overtaking:
        schedule.end(out.pop(0))
        started = schedule.start()
        overtaking += endpoints(started)
        out += started
    assert len(overtaking) <= 11


def test_retries_go_after_every_few_first_attempts_and_alone_where_there_is_no_other() -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    retries = [schedule.claim(attempt=2) for _ in range(3)]
    firsts = [schedule.claim() for _ in range(FIRSTS_PER_RETRY + 1)]
    schedule.scheduler.offer([*retries, *firsts])
    order = []
    while started := schedule.start():
        order += claims(started)
        schedule.end(*started)
    assert order == [*firsts[:4], retries[0], firsts[4], *retries[1:]]


def test_what_is_resent_by_hand_goes_before_what_waited() -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    schedule.offer(1, 3)
    schedule.end(*schedule.start())
    resent = schedule.claim(origin=Origin.RESEND)
    schedule.scheduler.offer([resent])
    assert claims(schedule.start()) == [resent]


@pytest.mark.parametrize(("left", "starts"), [(LEASE_MARGIN, True), (LEASE_MARGIN - 1, False)])
def test_a_claim_starts_only_with_lease_enough_and_else_is_released_at_once(
    left: int, starts: bool
) -> None:
    schedule = Schedule()
    offered = schedule.offer()
    schedule.pass_time(MINUTE - left)
    assert len(schedule.start()) == starts
    assert schedule.scheduler.released == ([] if starts else offered)
    schedule.read_all()
    schedule.pass_time(MINUTE)
    assert schedule.claimed_for() == []


def test_a_claim_whose_lease_is_over_is_not_released_but_asked_for() -> None:
    schedule = Schedule()
    schedule.offer()
    schedule.read_all()
    schedule.pass_time(MINUTE)
    assert schedule.start() == []
    assert schedule.scheduler.released == []
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_what_waits_behind_slow_answers_is_released_together_when_a_slot_comes_free() -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    offered = schedule.offer(1, 5)
    [batch] = schedule.start()
    schedule.pass_time(30 * SECOND)
    schedule.end(batch)
    assert schedule.start() == []
    assert schedule.scheduler.released == offered[1:]
    assert schedule.scheduler.waiting == 0


def test_a_clock_that_is_set_ends_no_lease() -> None:
    schedule = Schedule()
    schedule.offer(1, 2)
    schedule.clock += HOUR
    schedule.shift -= HOUR
    [first, _] = schedule.start()
    assert first.claims[0].lease_ends_at == schedule.now.lease + MINUTE
    late = schedule.offer(2)
    schedule.pass_time(MINUTE - LEASE_MARGIN + 1)
    assert schedule.start() == []
    assert schedule.scheduler.released == late


def test_an_endpoint_that_fails_at_once_gets_its_slots_back_late_until_it_succeeds() -> None:
    schedule = Schedule(Limits(per_endpoint=1, failing_pace=0.1))
    schedule.offer(1, 100)
    for _ in range(FAILING_THRESHOLD):
        [batch] = schedule.start()
        schedule.end(batch, verdict=FAILED, took=MILLISECOND)
    [batch] = schedule.start()
    schedule.end(batch, verdict=FAILED, took=30 * MILLISECOND)
    assert schedule.start() == []
    assert schedule.scheduler.next_at == schedule.monotonic + 70 * MILLISECOND
    schedule.pass_time(70 * MILLISECOND - 1)
    assert schedule.start() == []
    schedule.pass_time(1)
    [batch] = schedule.start()
    schedule.end(batch)
    [batch] = schedule.start()
    schedule.end(batch, verdict=FAILED)
    assert len(schedule.start()) == 1


@pytest.mark.parametrize("verdict", [REQUEUED, None])
def test_local_errors_neither_count_as_failures_nor_pace(verdict: object) -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    schedule.offer(1, 3 * FAILING_THRESHOLD)
    [batch] = schedule.start()
    for _ in range(2 * FAILING_THRESHOLD):
        if verdict is None:
            schedule.scheduler.finished(batch, None, schedule.monotonic)
        else:
            schedule.end(batch, verdict=REQUEUED)
        [batch] = schedule.start()
    assert batch.lane.failures == 0


def test_a_chats_first_delivery_shows_that_it_is_one_and_then_all_go_out_in_a_batch() -> None:
    schedule = Schedule(Limits(per_endpoint=3))
    offered = schedule.offer(1, 5)
    started = schedule.start()
    assert [len(batch.claims) for batch in started] == [1, 1, 1]
    for batch in reversed(started):
        schedule.scheduler.finished(batch, NotSent.CHAT, schedule.monotonic)
    [message] = schedule.start()
    assert message.claims == offered
    assert schedule.start() == []


def test_a_message_holds_so_many_deliveries_or_bytes() -> None:
    schedule = Schedule()
    schedule.is_chat()
    schedule.offer(1, MAX_BATCH + 1)
    [message] = schedule.start()
    assert len(message.claims) == MAX_BATCH
    schedule.end(message)
    schedule.pass_time(schedule.pace)
    schedule.run_dry()
    schedule.pass_time(schedule.pace)
    schedule.scheduler.offer(
        [schedule.claim(payload=b"x" * (MAX_BATCH_BYTES // 2)) for _ in range(3)]
    )
    [message] = schedule.start()
    assert len(message.claims) == 2


def test_a_chat_pauses_after_the_start_of_a_message_and_after_its_answer() -> None:
    schedule = Schedule()
    schedule.is_chat()
    schedule.offer()
    [message] = schedule.start()
    schedule.offer()
    schedule.end(message)
    schedule.pass_time(schedule.pace - 1)
    assert schedule.start() == []
    schedule.pass_time(1)
    [message] = schedule.start()
    schedule.offer()
    schedule.pass_time(10 * schedule.pace)
    assert schedule.start() == []  # one at a time
    schedule.end(message)
    assert schedule.start() == []
    assert schedule.scheduler.next_at == schedule.monotonic + schedule.pace
    schedule.pass_time(schedule.pace)
    assert len(schedule.start()) == 1


@pytest.mark.parametrize("how", ["signal", "not sent"])
def test_an_endpoint_that_is_no_chats_any_more_has_a_webhooks_slots_again(how: str) -> None:
    schedule = Schedule(Limits(per_endpoint=3))
    schedule.is_chat()
    if how == "signal":
        schedule.scheduler.changed("endpoint", 1)
    else:
        schedule.offer()
        [message] = schedule.start()
        schedule.scheduler.finished(message, NotSent.RELEASED, schedule.monotonic)
        schedule.pass_time(schedule.pace)
    schedule.offer(1, 5)
    assert [len(batch.claims) for batch in schedule.start()] == [1, 1, 1]


def test_a_message_outside_the_lane_waits_for_its_pause_and_the_lane_for_it() -> None:
    schedule = Schedule()
    schedule.is_chat()
    schedule.offer()
    schedule.end(*schedule.start())
    schedule.offer()
    test = schedule.claim(origin=Origin.TEST)
    wait = schedule.scheduler.reserve(test, schedule.monotonic)
    assert wait == schedule.pace
    schedule.pass_time(wait + 1)
    assert schedule.start() == []
    schedule.scheduler.reserved_sent(test, schedule.monotonic)
    schedule.pass_time(schedule.pace - 1)
    assert schedule.start() == []
    schedule.pass_time(1)
    assert len(schedule.start()) == 1


def test_an_endpoint_that_asked_for_rest_gets_nothing_but_resends_until_the_rest_is_over() -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    [first, second] = schedule.offer(1, 2)
    other = schedule.offer(2)
    started = schedule.start()
    assert claims(started) == [first, *other]
    schedule.end(started[0], rest=SECOND)
    schedule.end(started[1])
    resent = schedule.claim(origin=Origin.RESEND)
    schedule.scheduler.offer([resent])
    [batch] = schedule.start()
    assert batch.claims == [resent]
    schedule.end(batch)
    schedule.read_all({1: schedule.clock + SECOND})
    assert schedule.scheduler.polling.wait(schedule.now) == SECOND
    schedule.pass_time(SECOND - 1)
    assert schedule.read_all() == []
    assert schedule.start() == []
    schedule.pass_time(1)
    schedule.read_all()
    started = schedule.start()
    assert claims(started) == [second]
    schedule.end(*started)
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_a_rest_longer_than_a_lease_releases_what_waits_and_a_short_one_keeps_it() -> None:
    for rest, kept in ((HOUR, 0), (SECOND, 4)):
        schedule = Schedule(Limits(per_endpoint=1))
        offered = schedule.offer(1, 5)
        schedule.end(*schedule.start(), rest=rest)
        assert schedule.scheduler.waiting == kept
        assert schedule.scheduler.released == offered[1 + kept :]


def test_a_process_that_was_taken_for_dead_releases_what_waits_and_has_its_room_again() -> None:
    schedule = Schedule(Limits(per_endpoint=1, waiting_per_endpoint=4))
    offered = schedule.offer(1, 5)
    assert schedule.scheduler.capacity().full_endpoints == {1}
    schedule.scheduler.changed("claims", 0)
    assert schedule.scheduler.released == offered
    assert schedule.scheduler.capacity().full_endpoints == frozenset()


def test_what_waits_for_a_full_endpoint_leaves_room_when_it_begins_to_rest() -> None:
    schedule = Schedule(Limits(per_endpoint=1, waiting_per_endpoint=4))
    released = []
    for endpoint in (1, 2):
        offered = schedule.offer(endpoint, 6)
        schedule.end(*schedule.start(), rest=HOUR)
        released += offered[1:]
        assert schedule.scheduler.released == released
        assert schedule.scheduler.capacity().full_endpoints == set(range(1, endpoint + 1))
        assert schedule.scheduler.polling.wanted
    assert schedule.scheduler.waiting == 0


def test_what_is_offered_to_a_resting_endpoint_is_released_if_its_lease_is_too_short() -> None:
    schedule = Schedule()
    schedule.offer()
    schedule.end(*schedule.start(), rest=HOUR)
    [late] = schedule.offer()
    assert schedule.scheduler.released == [late]
    assert schedule.start() == []


def test_the_stores_word_on_a_rest_ends_it_and_what_is_due_is_asked_for() -> None:
    schedule = Schedule()
    schedule.offer()
    schedule.end(*schedule.start(), rest=SECOND)
    schedule.offer()
    assert schedule.start() == []
    schedule.scheduler.changed("rest", 1)
    asked = schedule.read_all(rests={})
    assert asked[0] == ReadRests(frozenset({1}))
    assert [type(query) for query in asked[1:]] == [ClaimDue]
    assert len(schedule.start()) == 1


def test_while_rests_are_not_known_nothing_is_handed_over() -> None:
    schedule = Schedule()
    assert schedule.scheduler.capacity().deliveries == schedule.limits.waiting
    schedule.scheduler.changed("everything", 0)
    assert schedule.scheduler.capacity().deliveries == 0
    assert schedule.read_all(rests={1: schedule.clock + HOUR}) == [ReadRests(None)]
    capacity = schedule.scheduler.capacity()
    assert (capacity.deliveries, capacity.full_endpoints) == (
        schedule.limits.waiting,
        frozenset({1}),
    )


def test_a_resting_endpoint_is_claimed_for_only_after_a_resend_and_when_its_rest_ends() -> None:
    schedule = Schedule()
    schedule.scheduler.changed("everything", 0)
    schedule.read_all(rests={1: schedule.clock + SECOND})
    schedule.scheduler.polling.due({1: schedule.clock})
    assert schedule.claimed_for() == []
    schedule.scheduler.changed("resend", 1)
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]
    schedule.pass_time(SECOND)
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


@pytest.mark.parametrize("how", ["sent", "released", "no lease", "stopped", "a chat's"])
def test_capacity_is_restored_however_deliveries_leave_memory(how: str) -> None:
    """However deliveries leave memory, the capacity for hand-over is restored, in bytes too."""
    schedule = Schedule()
    if how == "a chat's":
        schedule.is_chat()
    before = schedule.scheduler.capacity()
    offered = [schedule.claim(payload=b"x" * 1000) for _ in range(30)]
    schedule.scheduler.offer(offered)
    capacity = schedule.scheduler.capacity()
    assert before.deliveries - capacity.deliveries == 30
    assert before.payload_bytes - capacity.payload_bytes == 30_000
    if how == "released":
        schedule.end(*schedule.start(), rest=HOUR)
    elif how == "no lease":
        schedule.pass_time(MINUTE)
    elif how == "stopped":
        schedule.scheduler.stop()
        assert schedule.scheduler.released == offered
        schedule.scheduler._stopping = False
    while schedule.run_dry():
        schedule.pass_time(schedule.pace)
    after = schedule.scheduler.capacity()
    assert (after.deliveries, after.payload_bytes) == (before.deliveries, before.payload_bytes)


def test_a_full_endpoint_has_capacity_again_once_half_of_its_queue_is_sent() -> None:
    """A full endpoint accepts new deliveries again after half of its queue has been sent."""
    schedule = Schedule(Limits(waiting_per_endpoint=10))
    schedule.offer(1, 9)
    assert schedule.scheduler.capacity().full_endpoints == frozenset()
    schedule.offer(1)
    assert schedule.scheduler.capacity().full_endpoints == {1}
    for _ in range(5):
        schedule.scheduler.next(schedule.now)
    assert schedule.scheduler.capacity().full_endpoints == {1}
    schedule.scheduler.next(schedule.now)
    assert schedule.scheduler.capacity().full_endpoints == frozenset()


def test_idle_lanes_are_dropped_and_looked_for_seldom_however_many_are_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lanes of idle endpoints are removed from memory eventually."""
    monkeypatch.setattr(scheduler_module, "MAX_IDLE_LANES", 4)
    schedule = Schedule(Limits(per_endpoint=1))
    scheduler = schedule.scheduler
    looked, started = [], []
    drop = scheduler._drop_idle_lanes

    def counted() -> None:
        looked.append(len(scheduler._lanes))
        drop()

    monkeypatch.setattr(scheduler, "_drop_idle_lanes", counted)
    for endpoint_id in range(1, 100):
        schedule.offer(endpoint_id)
        started += schedule.start()
    assert looked == [4, 8, 16, 32, 64]
    schedule.end(*started)
    for endpoint_id in range(100, 131):
        schedule.offer(endpoint_id)
        schedule.run_dry()
    assert looked[5:] == [128, 4, 4, 4, 4][: len(looked) - 5]
    assert len(scheduler._lanes) <= 4


def test_the_store_is_looked_through_at_the_start_and_every_few_seconds_after() -> None:
    """Due times and rests without a notification are found within ``RESCAN_INTERVAL``."""
    schedule = Schedule()
    assert schedule.scheduler.polling.wait(schedule.now) == RESCAN_INTERVAL
    schedule.pass_time(RESCAN_INTERVAL - 1)
    assert schedule.read_all() == []
    schedule.pass_time(1)
    asked = schedule.read_all(due={7: schedule.clock})
    assert asked[:2] == [ReadRests(None), ReadDueTimes()]
    assert [query.endpoint_ids for query in asked[2:] if isinstance(query, ClaimDue)] == [[7]]
    schedule.pass_time(RESCAN_INTERVAL)
    assert ReadDueTimes() in schedule.read_all()


def test_an_endpoint_is_claimed_for_when_it_is_due_and_not_before() -> None:
    schedule = Schedule()
    schedule.scheduler.polling.due({1: schedule.clock + SECOND, 2: schedule.clock + 2 * SECOND})
    assert schedule.claimed_for() == []
    assert schedule.scheduler.polling.wait(schedule.now) == SECOND
    schedule.pass_time(SECOND - 1)
    assert schedule.claimed_for() == []
    schedule.pass_time(1)
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]
    schedule.scheduler.polling.due({2: schedule.clock})  # earlier than announced
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[2]]
    schedule.pass_time(SECOND)
    assert schedule.claimed_for() == []


def test_one_claim_asks_for_many_endpoints_the_longest_due_first() -> None:
    """A claim is one statement for up to ``CLAIM_ENDPOINTS`` endpoints, never one for each."""
    schedule = Schedule()
    count = CLAIM_ENDPOINTS + 10
    schedule.scheduler.polling.due({id_: schedule.clock - id_ for id_ in range(1, count + 1)})
    asked = schedule.claimed_for()
    assert [query.endpoint_ids for query in asked] == [
        list(range(count, 10, -1)),
        list(range(10, 0, -1)),
    ]
    assert [query.each for query in asked] == [
        max(MIN_CLAIM, CLAIM_DELIVERIES // CLAIM_ENDPOINTS),
        CLAIM_DELIVERIES // 10,
    ]


def test_a_lane_that_has_enough_asks_for_more_once_it_has_run_dry() -> None:
    """An endpoint with more due deliveries than its lane holds is queried without a rescan."""
    schedule = Schedule(Limits(per_endpoint=2))
    schedule.offer(1, 6)
    started = schedule.start()
    schedule.scheduler.polling.due({1: schedule.clock})
    for waiting in (4, 3, 2):
        assert schedule.scheduler.waiting == waiting
        assert schedule.claimed_for() == []
        schedule.end(started.pop(0))
        started += schedule.start()
    schedule.end(started.pop(0))
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_a_chat_that_pauses_asks_for_more_after_its_pause() -> None:
    """A chat's lane with more due deliveries is queried again when its pause is over."""
    schedule = Schedule()
    schedule.is_chat()
    schedule.offer()
    schedule.end(*schedule.start())
    schedule.scheduler.polling.due({1: schedule.clock})
    assert schedule.claimed_for() == []
    schedule.pass_time(schedule.pace)
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_what_could_not_be_read_is_read_again() -> None:
    schedule = Schedule()
    scheduler = schedule.scheduler
    scheduler.changed("everything", 0)
    scheduler.changed("rest", 3)
    scheduler.polling.due({5: schedule.clock})
    asked = []
    for _ in range(6):
        query = scheduler.query(schedule.now)
        assert query is not None
        if query not in asked:
            asked.append(query)
            scheduler.polling.failed(query)
            assert scheduler.polling.wait(schedule.now) == 0
        elif isinstance(query, ReadRests):
            scheduler.rests_read(query, {})
    kinds = [type(query) for query in asked]
    assert kinds == [ReadRests, ReadRests, ClaimDue]


def test_a_stopped_scheduler_starts_nothing_and_releases_what_is_offered_when_stopped_again() -> (
    None
):
    schedule = Schedule(Limits(per_endpoint=1))
    offered = schedule.offer(1, 3)
    [batch] = schedule.start()
    schedule.scheduler.stop()
    assert schedule.scheduler.released == offered[1:]
    assert schedule.scheduler.capacity().deliveries == 0
    schedule.end(batch)
    late = schedule.offer()
    assert schedule.start() == []
    schedule.scheduler.stop()
    assert schedule.scheduler.released == [*offered[1:], *late]


def test_a_chat_found_out_while_stopping_is_released_and_not_kept() -> None:
    schedule = Schedule(Limits(per_endpoint=1))
    [first, second] = schedule.offer(1, 2)
    [batch] = schedule.start()
    schedule.scheduler.stop()
    schedule.scheduler.finished(batch, NotSent.CHAT, schedule.monotonic)
    assert schedule.scheduler.released == [second, first]
    assert schedule.scheduler.active == 0


def test_newer_deliveries_stay_in_the_store_until_older_ones_that_did_not_fit_are_claimed() -> None:
    schedule = Schedule(Limits(per_endpoint=1, waiting_per_endpoint=4))
    scheduler = schedule.scheduler
    schedule.offer(1, 4)
    assert scheduler.capacity().full_endpoints == {1}
    scheduler.due({1: schedule.clock}, schedule.clock)  # the fifth
    schedule.run_dry()
    assert scheduler.capacity().full_endpoints == {1}  # there is space, but the fifth is next
    [query] = schedule.claimed_for()
    scheduler.claimed(query, [schedule.claim() for _ in range(query.each)])
    assert scheduler.capacity().full_endpoints == {1}  # there may be more
    schedule.run_dry()
    scheduler.claimed(query, [schedule.claim()])
    assert scheduler.capacity().full_endpoints == frozenset()


@pytest.mark.parametrize(
    ("limits", "payload"),
    [(Limits(waiting=2), b"{}"), (Limits(waiting_bytes=100), b"x" * 50)],
)
def test_so_they_do_where_the_whole_process_had_no_room(limits: Limits, payload: bytes) -> None:
    schedule = Schedule(limits)
    scheduler = schedule.scheduler
    scheduler.offer([schedule.claim(1, payload=payload) for _ in range(2)])
    assert min(scheduler.capacity().deliveries, scheduler.capacity().payload_bytes) == 0
    scheduler.due({2: schedule.clock, 3: schedule.clock + 1}, schedule.clock)
    schedule.run_dry()
    assert scheduler.capacity().full_endpoints == {2}  # a retry that is due later does not count
    [query] = schedule.claimed_for()
    scheduler.claimed(query, [])
    assert scheduler.capacity().full_endpoints == frozenset()


def test_what_came_during_a_rest_is_claimed_before_newer_deliveries_are_offered() -> None:
    schedule = Schedule()
    schedule.offer(1)
    schedule.end(*schedule.start(), rest=SECOND)
    schedule.read_all({1: schedule.clock + SECOND})
    schedule.pass_time(SECOND)
    [query] = schedule.claimed_for()
    assert schedule.scheduler.capacity().full_endpoints == {1}
    schedule.scheduler.claimed(query, [])
    assert schedule.scheduler.capacity().full_endpoints == frozenset()


def test_an_endpoint_that_gets_more_all_the_time_is_offered_it_again_after_one_dry_claim() -> None:
    """Deliveries that were skipped during a claim are claimed within milliseconds."""
    schedule = Schedule(Limits(per_endpoint=1, waiting_per_endpoint=4))
    scheduler = schedule.scheduler
    schedule.offer(1, 4)
    assert scheduler.capacity().full_endpoints == {1}
    schedule.run_dry()
    scheduler.due({1: schedule.clock}, schedule.clock)
    [query] = schedule.claimed_for()
    assert scheduler.capacity().full_endpoints == {1}  # also if the claimer notifies
    scheduler.due({1: schedule.clock}, schedule.clock)
    scheduler.claimed(query, [schedule.claim()])
    assert scheduler.capacity().full_endpoints == frozenset()
    schedule.run_dry()
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_a_stopped_delivery_that_waits_is_released_in_its_turn_and_nothing_else_changes() -> None:
    limits = Limits(per_endpoint=1)
    schedule = Schedule(limits)
    _, stopped, last = schedule.offer(1, 3)
    first = schedule.start()
    schedule.scheduler.changed("stopped", stopped.delivery_id)
    schedule.scheduler.changed("stopped", 999)  # pending in another process, or unknown
    schedule.end(*first)
    started = schedule.start()
    assert claims(started) == [last]
    assert schedule.scheduler.released == [stopped]
    schedule.end(*started)
    assert schedule.start() == []
    assert schedule.scheduler.released == [stopped]
    assert (schedule.scheduler.active, schedule.scheduler.waiting) == (0, 0)
    capacity = schedule.scheduler.capacity()
    assert capacity.deliveries == limits.waiting
    assert capacity.payload_bytes == limits.waiting_bytes


def test_a_stopped_delivery_is_left_out_of_a_chats_message() -> None:
    schedule = Schedule()
    schedule.is_chat()
    first, stopped, last = schedule.offer(1, 3)
    schedule.scheduler.changed("stopped", stopped.delivery_id)
    assert claims(schedule.start()) == [first, last]
    assert schedule.scheduler.released == [stopped]


def test_a_delivery_may_be_stopped_before_the_answer_that_claims_it_arrives() -> None:
    schedule = Schedule()
    claim = schedule.claim()
    schedule.scheduler.changed("stopped", claim.delivery_id)
    schedule.scheduler.offer([claim])
    assert schedule.start() == []
    assert schedule.scheduler.released == [claim]


def test_a_delivery_whose_stop_did_not_commit_is_sent_when_it_is_claimed_again() -> None:
    """A change is also announced if it is unknown whether it was committed."""
    schedule = Schedule()
    [claim] = schedule.offer()
    schedule.scheduler.changed("stopped", claim.delivery_id)
    assert schedule.start() == []
    schedule.scheduler.offer([claim])
    assert claims(schedule.start()) == [claim]


def test_more_is_claimed_when_all_that_waited_for_an_endpoint_was_stopped() -> None:
    schedule = Schedule(Limits(per_endpoint=1, per_account=1))
    schedule.offer(2)
    out = schedule.start()
    [claim] = schedule.offer(1)  # waits for the account's slot
    schedule.scheduler.due({1: schedule.clock}, schedule.clock)
    assert schedule.claimed_for() == []
    schedule.scheduler.changed("stopped", claim.delivery_id)
    schedule.end(*out)
    assert schedule.start() == []
    assert [query.endpoint_ids for query in schedule.claimed_for()] == [[1]]


def test_only_so_many_stopped_deliveries_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "MAX_STOPPED", 2)
    schedule = Schedule()
    first, second, third = offered = schedule.offer(1, 3)
    for claim in offered:
        schedule.scheduler.changed("stopped", claim.delivery_id)
    assert claims(schedule.start()) == [first]
    assert schedule.scheduler.released == [second, third]
