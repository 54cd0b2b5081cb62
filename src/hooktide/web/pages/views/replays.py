"""Replays: the selection, its count, the progress, and cancelling."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from hooktide.domain.errors import InvalidError, NotFoundError, RefusedError
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import (
    DAY,
    DeliveryState,
    Endpoint,
    Origin,
    Replay,
    ReplayState,
    ReplayWhat,
)
from hooktide.domain.phrase import Phrase, phrase
from hooktide.domain.stored_reasons import reason_words
from hooktide.domain.time.times import show_time
from hooktide.store.base import NewReplay, ReplayCount
from hooktide.web.pages.framework.fields import read_fields
from hooktide.web.pages.framework.formats import minute
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.framework.wrong import wrong_of
from hooktide.web.pages.views.delivery import endpoint_name, read_moment
from hooktide.web.pages.views.progress import count_words, share_of

SHOWN = 10
PAGE_SIZE = 100
WHAT = {
    ReplayWhat.FAILED: phrase("What failed"),
    ReplayWhat.MISSED: phrase("What was missed"),
    ReplayWhat.EVENT: phrase("One event"),
}
STATES = {
    ReplayState.RUNNING: (phrase("Running"), "heed"),
    ReplayState.DONE: (phrase("Done"), "good"),
    ReplayState.CANCELLED: (phrase("Cancelled"), "quiet"),
}


@dataclass(frozen=True, slots=True)
class ReplayForm:
    """The selection: one ``event``, or a period of time."""

    what: ReplayWhat
    since: str
    until: str
    event: str

    def wanted(self, endpoint_id: int) -> NewReplay:
        """Return the requested replay.

        :raises InvalidError: the form is incomplete.
        """
        if self.what is ReplayWhat.EVENT:
            event_id = _event(self.event)
            return NewReplay(endpoint_id=endpoint_id, what=self.what, event_id=event_id)
        return NewReplay(
            endpoint_id=endpoint_id,
            what=self.what,
            since=read_moment(self.since, "since"),
            until=read_moment(self.until, "until") if self.until else None,
        )


def _event(text: str) -> int:
    try:
        return read("evt", text)
    except NotFoundError:
        raise InvalidError(
            "invalid_replay",
            phrase("give the event's id, like evt_0c8f1e5a3b2d4800"),
            pointer="/event",
        ) from None


@page("/endpoints/{id}/replay")
async def replay(request: PageRequest) -> View:
    """Show the form for a selection, then how many events it contains."""
    found = await request.services.store.get_endpoint(request.scope, request.id("ep"))
    counted = await _count(request, found)
    listed = await request.services.store.list_replays(request.scope, found.id, None, SHOWN)
    request.keeps = True
    return request.show(
        "replay.html",
        endpoint=show("ep", found.id),
        called=endpoint_name(found),
        enabled=found.enabled,
        what=request.value("what", ReplayWhat.FAILED.value),
        span={
            "since": _field(request, "since", show_time(request.now - DAY)[:16]),
            "until": _field(request, "until", ""),
        },
        counted=None
        if counted is None
        else count_words(counted.events, "event", at_least=counted.at_least),
        nothing=counted is not None and not counted.events,
        jobs=[job_of(each) for each in listed.items],
    )


def _field(request: PageRequest, name: str, default: str) -> str:
    """Return what a field for an instant shows, in UTC, as browsers write it."""
    text = request.form.text(name) if request.is_filled and name in request.form else default
    with suppress(InvalidError):
        return show_time(read_moment(text, name))[:19] if text else ""
    return ""


async def _count(request: PageRequest, endpoint: Endpoint) -> ReplayCount | None:
    """Count the selected events; ``None`` if nothing is selected, or the selection is invalid."""
    if "what" not in request.form or request.wrong is not None:
        return None
    try:
        wanted = read_fields(ReplayForm, request.form).wanted(endpoint.id)
        counted, _ = await request.services.replays.start(
            request.actor, request.scope, wanted, only_count=True
        )
    except (InvalidError, RefusedError) as error:
        request.wrong = wrong_of(error)
        return None
    except NotFoundError:
        gone = phrase("this event does not exist")
        missing = InvalidError("invalid_replay", gone, pointer="/event")
        request.wrong = wrong_of(missing)
        return None
    return counted


@act("/endpoints/{id}/replay", back=replay)
async def start_replay(request: PageRequest, form: ReplayForm) -> View:
    """Start it, and show its progress."""
    return await _start(request, form.wanted(request.id("ep")))


async def _start(request: PageRequest, wanted: NewReplay) -> View:
    _, made = await request.services.replays.start(
        request.actor, request.scope, wanted, only_count=False
    )
    if made is None:  # it was asked to begin
        raise NotFoundError("replay")
    return request.go(f"/replays/{show('rpl', made.id)}")


@dataclass(frozen=True, slots=True)
class ReplayEventForm:
    """The endpoint that an event is sent to again."""

    endpoint: str


async def replay_event(request: PageRequest, form: ReplayEventForm) -> View:
    """Send one event to an endpoint of its account."""
    row = await request.services.store.get_event(request.scope, request.id("evt"))
    endpoint_id = read("ep", form.endpoint)
    found = await request.services.store.get_endpoint(request.scope, endpoint_id)
    wanted = NewReplay(endpoint_id=found.id, what=ReplayWhat.EVENT, event_id=row.event.id)
    return await _start(request, wanted)


@page("/replays/{id}")
async def replay_job(request: PageRequest) -> View:
    """Show a replay's progress."""
    found = await request.services.store.get_replay(request.scope, request.id("rpl"))
    endpoint = await request.services.store.get_endpoint(request.scope, found.endpoint_id)
    return request.show(
        "replay_job.html",
        job=job_of(found),
        results=await _results(request, found),
        endpoint=show("ep", endpoint.id),
        called=endpoint_name(endpoint),
    )


MAX_RESULTS = 1000
"""Deliveries of a replay's endpoint, from its start on, that are looked through for its results."""
RESULTS = {
    DeliveryState.DELIVERED: "{count} delivered",
    DeliveryState.FAILED: "{count} failed",
    DeliveryState.PENDING: "{count} waiting",
    DeliveryState.HELD: "{count} held",
    DeliveryState.DISCARDED: "{count} discarded",
}


async def _results(request: PageRequest, found: Replay) -> list[Phrase]:
    """Count what became of the deliveries that a replay has made, in words."""
    counted: Counter[DeliveryState] = Counter()
    before: int | None = None
    for _ in range(MAX_RESULTS // PAGE_SIZE):
        page = await request.services.store.list_deliveries(
            request.scope, before, PAGE_SIZE, endpoint_id=found.endpoint_id, after=found.id
        )
        counted.update(each.state for each in page.items if each.origin is Origin.REPLAY)
        before = page.next_before
        if before is None:
            break
    some = {state: said for state, said in RESULTS.items() if counted[state]}
    return [phrase(said, count=counted[state]) for state, said in some.items()]


@act("/replays/{id}/cancel", back=replay_job)
async def cancel_replay(request: PageRequest) -> View:
    """Cancel it."""
    number = request.id("rpl")
    await request.services.replays.cancel(request.actor, request.scope, number)
    return request.go(f"/replays/{show('rpl', number)}", "replay.cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayJob:
    """A replay as its page shows it. ``share`` is the progress, 0 to 100."""

    id: str
    title: str
    word: str
    tone: str
    running: bool
    made: int
    count: str
    share: int
    span: str
    reason: str
    created_at: str
    ended_at: str


def job_of(replay: Replay) -> ReplayJob:
    """Show a replay."""
    word, tone = STATES[replay.state]
    return ReplayJob(
        id=show("rpl", replay.id),
        title=WHAT[replay.what],
        word=word,
        tone=tone,
        running=replay.state is ReplayState.RUNNING,
        made=replay.made,
        count=count_words(replay.counted, "event", at_least=replay.at_least),
        share=share_of(replay.made, replay.counted, finished=replay.state is ReplayState.DONE),
        span=_span(replay),
        reason=reason_words(replay.reason),
        created_at=show_time(made_at(replay.id)),
        ended_at=show_time(replay.ended_at) if replay.ended_at else "",
    )


def _span(replay: Replay) -> str:
    if replay.event_id is not None:
        return show("evt", replay.event_id)
    since, until = replay.since or 0, replay.until or made_at(replay.id)
    return phrase("{since} to {until} UTC", since=minute(since), until=minute(until))


PAGES = (replay, start_replay, replay_job, cancel_replay)
