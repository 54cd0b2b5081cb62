"""Replays: what is to be sent again, how many that is, how far it has come, and an end to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError, RefusedError
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import DAY, Endpoint, Replay, ReplayState, ReplayWhat
from hooktide.domain.times import show_time
from hooktide.store.base import NewReplay, ReplayCount
from hooktide.web.delivery_view import endpoint_name, read_moment
from hooktide.web.docs import words
from hooktide.web.docs.render import shown
from hooktide.web.forms import Form, faults_of, read_form
from hooktide.web.portal.door import Guest, to
from hooktide.web.portal.tools import Tools, endpoint_id

SHOWN = 10
WHAT = {
    ReplayWhat.FAILED: "What failed",
    ReplayWhat.MISSED: "What was missed",
    ReplayWhat.EVENT: "One event",
}
STATES = {
    ReplayState.RUNNING: ("Running", "heed"),
    ReplayState.DONE: ("Done", "good"),
    ReplayState.CANCELLED: ("Cancelled", "quiet"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A replay as its page shows it. ``share`` is how far it is, 0 to 100."""

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


class Replaying:
    """``/portal/{token}/endpoints/{id}/replay`` and ``/portal/{token}/replays/{id}``."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def page(self, guest: Guest, request: Request) -> Response:
        """Ask what is to be sent again; once that is said, say how many events it is."""
        pairs = list(request.query_params.multi_items())
        return await self._form(guest, endpoint_id(request), Form(pairs))

    async def _form(
        self, guest: Guest, number: int, form: Form, refused: RefusedError | None = None
    ) -> Response:
        tools = self._tools
        endpoint = await tools.store.get_endpoint(guest.scope, number)
        counted: ReplayCount | None = None
        faults: Mapping[str, str] = faults_of(refused) if refused else {}
        if form.text("what") and not refused:
            try:
                wanted = _wanted(number, form)
                counted, _ = await tools.replays.start(guest.scope, wanted, only_count=True)
            except (InvalidError, RefusedError) as error:
                faults = faults_of(error)
            except NotFoundError:
                faults = {"event": "There is no such event."}
        status = 200 if not faults else 422 if refused is None else refused.status
        return tools.door.show(
            guest,
            "replay.html",
            status=status,
            stream=f"{guest.base}/events",
            endpoint=show("ep", number),
            called=endpoint_name(endpoint),
            enabled=endpoint.enabled,
            typed=self._typed(form),
            faults=faults,
            counted=None if counted is None else count_words(counted),
            nothing=counted is not None and not counted.events,
            jobs=await self._jobs(guest, endpoint),
        )

    def _typed(self, form: Form) -> Mapping[str, str]:
        yesterday = show_time(self._tools.clock() - DAY)[:16].replace("T", " ")
        return {
            "what": form.text("what") or ReplayWhat.FAILED.value,
            "since": form.text("since") or yesterday,
            "until": form.text("until"),
            "event": form.text("event"),
        }

    async def _jobs(self, guest: Guest, endpoint: Endpoint) -> list[Job]:
        page = await self._tools.store.list_replays(guest.scope, endpoint.id, None, SHOWN)
        return [job_of(each) for each in page.items]

    async def start(self, guest: Guest, request: Request) -> Response:
        """Begin it, and show how far it is."""
        number, form = endpoint_id(request), await read_form(request)
        try:
            wanted = _wanted(number, form)
            _, made = await self._tools.replays.start(guest.scope, wanted, only_count=False)
        except InvalidError:
            return await self._form(guest, number, form)
        except RefusedError as error:
            return await self._form(guest, number, form, error)
        if made is None:  # it was asked to begin
            raise NotFoundError("replay")
        await self._tools.tell(guest, "replay.start", show("rpl", made.id), wanted.what.value)
        return to(guest, f"/replays/{show('rpl', made.id)}")

    async def job(self, guest: Guest, request: Request) -> Response:
        """Show how far a replay is."""
        found = await self._tools.store.get_replay(guest.scope, _replay_id(request))
        endpoint = await self._tools.store.get_endpoint(guest.scope, found.endpoint_id)
        return self._tools.door.show(
            guest,
            "replay_job.html",
            stream=f"{guest.base}/events?replay={show('rpl', found.id)}",
            job=job_of(found),
            endpoint=show("ep", endpoint.id),
            called=endpoint_name(endpoint),
        )

    async def cancel(self, guest: Guest, request: Request) -> Response:
        """Have it send nothing more."""
        number = _replay_id(request)
        await self._tools.replays.cancel(guest.scope, number)
        await self._tools.tell(guest, "replay.cancel", show("rpl", number))
        return to(guest, f"/replays/{show('rpl', number)}")


def _replay_id(request: Request) -> int:
    return read("rpl", request.path_params["id"])


def _wanted(number: int, form: Form) -> NewReplay:
    """Read what is to be sent again.

    :raises InvalidError: it does not say.
    """
    try:
        what = ReplayWhat(form.text("what"))
    except ValueError:
        raise InvalidError("invalid_replay", "say what to send", pointer="/what") from None
    if what is ReplayWhat.EVENT:
        return NewReplay(endpoint_id=number, what=what, event_id=_event(form.text("event")))
    return NewReplay(
        endpoint_id=number,
        what=what,
        since=_moment(form, "since"),
        until=_moment(form, "until") if form.text("until") else None,
    )


def _event(text: str) -> int:
    try:
        return read("evt", text)
    except NotFoundError:
        raise InvalidError(
            "invalid_replay", "give the event's id, like evt_0c8f1e5a3b2d4800", pointer="/event"
        ) from None


def _moment(form: Form, name: str) -> int:
    try:
        return read_moment(form.text(name))
    except HooktideError:
        raise InvalidError(
            "invalid_time", "write a time in UTC, like 2026-01-31 12:00", pointer=f"/{name}"
        ) from None


def count_words(counted: ReplayCount) -> str:
    """Say how many events a replay sends."""
    more = "at least " if counted.at_least else ""
    return more + words.several(counted.events, "event")


def job_of(replay: Replay) -> Job:
    """Show a replay."""
    word, tone = STATES[replay.state]
    done = replay.state is ReplayState.DONE
    return Job(
        id=show("rpl", replay.id),
        title=WHAT[replay.what],
        word=word,
        tone=tone,
        running=replay.state is ReplayState.RUNNING,
        made=replay.made,
        count=count_words(ReplayCount(replay.counted, replay.at_least)),
        share=100 if done else min(99, 100 * replay.made // max(1, replay.counted)),
        span=_span(replay),
        reason=shown(replay.reason),
        created_at=show_time(made_at(replay.id)),
        ended_at=show_time(replay.ended_at) if replay.ended_at else "",
    )


def _span(replay: Replay) -> str:
    if replay.event_id is not None:
        return show("evt", replay.event_id)
    since = show_time(replay.since or 0)[:16].replace("T", " ")
    until = show_time(replay.until or made_at(replay.id))[:16].replace("T", " ")
    return f"{since} to {until} UTC"
