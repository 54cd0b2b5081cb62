"""``/v1/replays``: an endpoint is sent old events again."""

from typing import Annotated

import msgspec

from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import Replay, ReplayState, ReplayWhat
from hooktide.domain.times import read_time, show_time
from hooktide.store.base import NewReplay
from hooktide.web.api.shapes import Instant, instant, maybe
from hooktide.web.operation import ANYONE, Call, operation
from hooktide.web.pages import Listed, PageQuery

Since = Annotated[
    str,
    msgspec.Meta(description="An instant, RFC 3339: this and later. Not for `event`."),
]
Until = Annotated[str, msgspec.Meta(description="An instant, RFC 3339: earlier than this. Or now.")]
OneEvent = Annotated[str, msgspec.Meta(description="An `evt_` id, for `event` alone.")]
DryRun = Annotated[bool, msgspec.Meta(description="Only count.")]


class ReplayIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which events to send again: those that failed or were missed `since`, or one."""

    what: ReplayWhat
    since: Since | None = None
    until: Until | None = None
    event: OneEvent | None = None
    dry_run: DryRun = False


class CountOut(msgspec.Struct):
    """How many events a replay sends; `at_least`: there may be more, it was not all looked at."""

    events: int
    at_least: bool


class ReplayOut(msgspec.Struct, kw_only=True):
    """A replay. `made` is how many deliveries it has made, of `count`, when it was asked for.

    It goes through what there was in the order of time, and has `looked_until`. `reason` says why
    it was cancelled, or why it made nothing of one event.
    """

    id: str
    account: str
    endpoint: str
    what: ReplayWhat
    since: Instant | None
    until: Instant | None
    event: str | None
    state: ReplayState
    reason: str
    count: CountOut
    made: int
    looked_until: Instant | None
    created_at: Instant
    ended_at: Instant | None


class ReplayStarted(msgspec.Struct):
    """How many events there are to send, and the replay that sends them (null: only counted)."""

    count: CountOut
    replay: ReplayOut | None


@operation(
    "POST",
    "/v1/endpoints/{id}/replays",
    who=ANYONE,
    status=202,
    problems=("invalid_replay", "invalid_time", "endpoint_disabled", "replay_running"),
)
async def start_replay(call: Call, id: str, body: ReplayIn) -> ReplayStarted:
    """Send old events to an endpoint again, each as a new delivery.

    Of what the endpoint wants now. `failed`: what was last sent to it since and failed. `missed`:
    what happened since and was never sent to it, because it was disabled, did not want it, or was
    not there; and what was discarded. `event`: one event of its account, whatever became of it.
    """
    wanted = NewReplay(
        endpoint_id=read("ep", id),
        what=body.what,
        since=None if body.since is None else read_time(body.since, "/since"),
        until=None if body.until is None else read_time(body.until, "/until"),
        event_id=None if body.event is None else read("evt", body.event),
    )
    counted, made = await call.services.replays.start(call.scope, wanted, only_count=body.dry_run)
    count = CountOut(counted.events, counted.at_least)
    return ReplayStarted(count, None if made is None else replay_shown(made))


@operation("GET", "/v1/endpoints/{id}/replays", who=ANYONE)
async def list_replays(call: Call, id: str, query: PageQuery) -> Listed[ReplayOut]:
    """List the replays of an endpoint, newest first."""
    store = call.services.store
    endpoint = await store.get_endpoint(call.scope, read("ep", id))
    page = await store.list_replays(call.scope, endpoint.id, call.before(query), query.limit)
    return call.listed(page, [replay_shown(each) for each in page.items])


@operation("GET", "/v1/replays/{id}", who=ANYONE)
async def get_replay(call: Call, id: str) -> ReplayOut:
    """Get a replay, and how far it is."""
    return replay_shown(await call.services.store.get_replay(call.scope, read("rpl", id)))


@operation("POST", "/v1/replays/{id}/cancel", who=ANYONE)
async def cancel_replay(call: Call, id: str) -> ReplayOut:
    """Have a replay make no more deliveries; those that it made stay.

    One that has ended stays as it is.
    """
    return replay_shown(await call.services.replays.cancel(call.scope, read("rpl", id)))


def replay_shown(replay: Replay) -> ReplayOut:
    """Show a replay."""
    return ReplayOut(
        id=show("rpl", replay.id),
        account=show("acc", replay.account_id),
        endpoint=show("ep", replay.endpoint_id),
        what=replay.what,
        since=instant(replay.since),
        until=instant(replay.until),
        event=maybe("evt", replay.event_id),
        state=replay.state,
        reason=replay.reason,
        count=CountOut(replay.counted, replay.at_least),
        made=replay.made,
        looked_until=_looked_until(replay),
        created_at=show_time(made_at(replay.id)),
        ended_at=instant(replay.ended_at),
    )


def _looked_until(replay: Replay) -> str | None:
    if replay.since is None:
        return None
    if replay.state is ReplayState.DONE:
        return show_time(replay.until or made_at(replay.id))
    return show_time(max(replay.since, made_at(replay.looked_to)))


OPERATIONS = (start_replay, list_replays, get_replay, cancel_replay)
