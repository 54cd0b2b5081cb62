"""``/v1/replays``: jobs that send old events to an endpoint again."""

from datetime import datetime

from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import Replay, ReplayState, ReplayWhat
from hooktide.domain.time.times import read_time
from hooktide.store.base import NewReplay
from hooktide.web.operations.operation import ANYONE, Call, operation
from hooktide.web.operations.response_values import instant, optional_id
from hooktide.wire import events as wire
from hooktide.wire.fields import Listed, PageQuery


@operation(
    "POST",
    "/v1/endpoints/{id}/replays",
    who=ANYONE,
    status=202,
    problems=(
        "invalid_replay",
        "invalid_time",
        "endpoint_disabled",
        "replay_running",
        "payload_erased",
    ),
)
async def start_replay(call: Call, id: str, body: wire.ReplayIn) -> wire.ReplayStarted:
    """Send old events to an endpoint again, each as a new delivery.

    Only event types that the endpoint subscribes to now. `failed`: events whose last delivery to it
    since then failed. `missed`: events since then that were never sent to it, because it was
    disabled, not subscribed or did not exist, and discarded ones. `event`: one event of its
    account, in any state.
    """
    wanted = NewReplay(
        endpoint_id=read("ep", id),
        what=ReplayWhat(body.what),
        since=None if body.since is None else read_time(body.since, "/since"),
        until=None if body.until is None else read_time(body.until, "/until"),
        event_id=None if body.event is None else read("evt", body.event),
    )
    counted, made = await call.services.replays.start(
        call.actor, call.scope, wanted, only_count=body.dry_run
    )
    count = wire.Count(counted.events, counted.at_least)
    return wire.ReplayStarted(count, None if made is None else replay_shown(made))


@operation("GET", "/v1/endpoints/{id}/replays", who=ANYONE)
async def list_replays(call: Call, id: str, query: PageQuery) -> Listed[wire.Replay]:
    """List the replays of an endpoint, newest first."""
    store = call.services.store
    endpoint = await store.get_endpoint(call.scope, read("ep", id))
    page = await store.list_replays(call.scope, endpoint.id, call.before(query), query.limit)
    return call.listed(page, [replay_shown(each) for each in page.items])


@operation("GET", "/v1/replays/{id}", who=ANYONE)
async def get_replay(call: Call, id: str) -> wire.Replay:
    """Get a replay and its progress."""
    return replay_shown(await call.services.store.get_replay(call.scope, read("rpl", id)))


@operation("POST", "/v1/replays/{id}/cancel", who=ANYONE)
async def cancel_replay(call: Call, id: str) -> wire.Replay:
    """Cancel a replay; the deliveries that it created stay.

    A replay that has ended stays as it is.
    """
    return replay_shown(await call.services.replays.cancel(call.actor, call.scope, read("rpl", id)))


def replay_shown(replay: Replay) -> wire.Replay:
    """Show a replay."""
    return wire.Replay(
        id=show("rpl", replay.id),
        account=show("acc", replay.account_id),
        endpoint=show("ep", replay.endpoint_id),
        what=replay.what,
        since=instant(replay.since),
        until=instant(replay.until),
        event=optional_id("evt", replay.event_id),
        state=replay.state,
        reason=replay.reason,
        count=wire.Count(replay.counted, replay.at_least),
        made=replay.made,
        looked_until=_looked_until(replay),
        created_at=instant(made_at(replay.id)),
        ended_at=instant(replay.ended_at),
    )


def _looked_until(replay: Replay) -> datetime | None:
    if replay.since is None:
        return None
    if replay.state is ReplayState.DONE:
        return instant(replay.until or made_at(replay.id))
    return instant(max(replay.since, made_at(replay.looked_to)))


OPERATIONS = (start_replay, list_replays, get_replay, cancel_replay)
