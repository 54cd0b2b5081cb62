"""Replays: counted first, then begun; stopped where they turn out wrong."""

from starlette.responses import Response

from hooktide.domain import ids
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import show
from hooktide.domain.model import ReplayWhat, Scope
from hooktide.domain.spans import read_span
from hooktide.store.base import NewReplay
from hooktide.web.dashboard.endpoints import endpoint, find, scope_of, show_endpoint
from hooktide.web.dashboard.events import event
from hooktide.web.dashboard.page import act
from hooktide.web.dashboard.visit import Visit


@act("/endpoints/{id}/replay", back=endpoint)
async def replay(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/replay``: count; with ``begin``, do it."""
    found = await find(visit)
    wanted = _wanted(visit, found.id)
    only_count = "begin" not in visit.form
    counted, made = await visit.services.replays.start(visit.scope, wanted, only_count=only_count)
    if made is None:
        visit.keeps = True
        return await show_endpoint(visit, counted=counted)
    detail = f"what was {wanted.what.value}: {counted.events} events"
    await visit.note("replay.start", show("ep", found.id), detail, scope_of(found))
    return visit.go(f"/endpoints/{show('ep', found.id)}", "replay.begun")


def _wanted(visit: Visit, endpoint_id: int) -> NewReplay:
    span = read_span(visit.form.text("since"))
    if span is None:
        raise InvalidError("invalid_span", "write it like 6h or 2d", pointer="/since")
    try:
        what = ReplayWhat(visit.form.text("what"))
    except ValueError:
        raise InvalidError("invalid_replay", "choose failed or missed", pointer="/what") from None
    return NewReplay(endpoint_id=endpoint_id, what=what, since=max(0, visit.now - span))


@act("/events/{id}/replay", back=event)
async def replay_event(visit: Visit) -> Response:
    """``POST /dashboard/events/{id}/replay``: send this one event to an endpoint of its account."""
    row = await visit.services.store.get_event(visit.scope, visit.id("evt"))
    found = await visit.services.store.get_endpoint(
        visit.scope, ids.read("ep", visit.form.text("endpoint"))
    )
    wanted = NewReplay(endpoint_id=found.id, what=ReplayWhat.EVENT, event_id=row.event.id)
    await visit.services.replays.start(visit.scope, wanted, only_count=False)
    text = show("ep", found.id)
    await visit.note("replay.start", text, show("evt", row.event.id), scope_of(found))
    return visit.go(f"/endpoints/{text}", "replay.begun")


@act("/replays/{id}/cancel")
async def cancel_replay(visit: Visit) -> Response:
    """``POST /dashboard/replays/{id}/cancel``."""
    found = await visit.services.replays.cancel(visit.scope, ids.read("rpl", visit.path()))
    text = show("ep", found.endpoint_id)
    whose = Scope(project_id=found.project_id, account_id=found.account_id)
    await visit.note("replay.cancel", visit.path(), "", whose)
    return visit.go(f"/endpoints/{text}", "replay.cancelled")


PAGES = (replay, replay_event, cancel_replay)
