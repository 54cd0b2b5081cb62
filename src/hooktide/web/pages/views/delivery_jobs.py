"""Jobs on everything that a filter of the log matches: counted first, confirmed, followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from hooktide.actions.deliveries.delivery_jobs import filter_of
from hooktide.actions.deliveries.delivery_log import DeliveryFilter, show_response
from hooktide.domain.ids import made_at, show
from hooktide.domain.model import DeliveryJob, JobAct, JobState
from hooktide.domain.phrase import phrase
from hooktide.domain.stored_reasons import reason_words
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework.formats import moment
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.views.deliveries import PASSING, asked_for
from hooktide.web.pages.views.delivery import (
    ORIGIN_FILTERS,
    STATE_FILTERS,
    Chip,
    answered_words,
    chips_of,
)
from hooktide.web.pages.views.progress import count_words, share_of

SHOWN = 10
ACTS: Mapping[JobAct, tuple[str, str]] = {
    JobAct.RESEND: (
        phrase("Send again"),
        phrase(
            "Deliveries that have ended, whatever their result. Each event is sent to an endpoint "
            "once more, as a new delivery."
        ),
    ),
    JobAct.RETRY: (
        phrase("Retry now"),
        phrase(
            "Deliveries that wait. Their next attempt is made at once, and the schedule continues."
        ),
    ),
    JobAct.STOP: (
        phrase("Stop"),
        phrase("Deliveries that wait or are held. They are discarded, and not sent any more."),
    ),
}
"""What a job can do, and with which deliveries."""
DONE = {
    JobAct.RESEND: phrase("sent again"),
    JobAct.RETRY: phrase("retried"),
    JobAct.STOP: phrase("stopped"),
}
STATES = {
    JobState.COLLECTING: (phrase("Collecting"), "heed"),
    JobState.RUNNING: (phrase("Running"), "heed"),
    JobState.DONE: (phrase("Done"), "good"),
    JobState.CANCELLED: (phrase("Cancelled"), "quiet"),
}


@dataclass(frozen=True, slots=True)
class DeliveryJobForm:
    """What is to be done with everything that matches."""

    do: JobAct


@page("/deliveries/all")
async def all_matching(request: PageRequest) -> View:
    """Show what can be done with everything that the filters match, and how much that is."""
    asked = await asked_for(request)
    kept = [(name, text) for name, text in request.query if name not in _NOT_FILTERS]
    scope = request.scope
    listed = await request.services.store.list_delivery_jobs(scope, None, SHOWN)
    counted = None
    chosen = _chosen(request)
    if chosen is not None and not asked.is_wrong(request) and request.may("member"):
        jobs = request.services.delivery_jobs
        counted = await jobs.count(asked.scope, chosen, asked.given.wanted)
    return request.show(
        "all_matching.html",
        acts=[(each.value, *words) for each, words in ACTS.items()],
        chosen=(chosen or JobAct.RESEND).value,
        words=ACTS[chosen or JobAct.RESEND][0],
        counted=None
        if counted is None
        else count_words(counted.deliveries, "delivery", at_least=counted.at_least),
        nothing=counted is not None and not counted.deliveries,
        wrong_filter=asked.is_wrong(request),
        chips=[*_narrowed(request), *chips_of(asked.given)],
        kept=kept,
        back=request.session.base + "/deliveries" + _query(kept),
        action=request.link(do=None),
        jobs=[job_of(each) for each in listed.items],
    )


_NOT_FILTERS = PASSING | {"do", "before"}


def _chosen(request: PageRequest) -> JobAct | None:
    text = request.query.text("do") or (request.form.text("do") if request.wrong else "")
    return JobAct(text) if text in set(JobAct) else None


def _narrowed(request: PageRequest) -> list[Chip]:
    """Return what the log is narrowed to as chips."""
    found = [
        ("project", phrase("Project")),
        ("account", phrase("Account")),
        ("endpoint", phrase("Endpoint")),
    ]
    pairs = [(name, label, request.query.text(name)) for name, label in found]
    return [Chip(name, label, text) for name, label, text in pairs if text]


def _query(pairs: Sequence[tuple[str, str]]) -> str:
    return f"?{urlencode(pairs)}" if pairs else ""


@act("/deliveries/all", back=all_matching)
async def start_job(request: PageRequest, form: DeliveryJobForm) -> View:
    """Start a job, and show its progress.

    :raises InvalidError: a filter cannot be read.
    """
    asked = await asked_for(request)
    asked.check(request)
    jobs, wanted = request.services.delivery_jobs, asked.given.wanted
    made = await jobs.start(request.actor, asked.scope, form.do, wanted)
    return request.go(f"/jobs/{show('job', made.id)}")


@page("/jobs/{id}")
async def job(request: PageRequest) -> View:
    """Show a job's progress."""
    found = await request.services.store.get_delivery_job(request.scope, request.id("job"))
    wanted = filter_of(found)
    accounts = await request.accounts([found.account_id] if found.account_id else [])
    account = accounts.get(found.account_id or 0)
    return request.show(
        "job.html",
        job=job_of(found),
        chips=_said(wanted, account.reference if account and not request.one_account else ""),
        made=_made(request, found),
    )


def _said(wanted: DeliveryFilter, account: str) -> list[Chip]:
    """Return a job's filter as chips."""
    state = "" if wanted.state is None else wanted.state.value
    if wanted.retrying is not None:
        state = "retrying" if wanted.retrying else "new"
    pairs = [
        (phrase("Account"), account),
        (phrase("Endpoint"), "" if wanted.endpoint_id is None else show("ep", wanted.endpoint_id)),
        (phrase("Search"), wanted.text),
        (phrase("State"), STATE_FILTERS.get(state, "")),
        (phrase("Response"), answered_words(show_response(wanted))),
        (phrase("Event type"), wanted.event_type),
        (phrase("Origin"), "" if wanted.origin is None else ORIGIN_FILTERS[wanted.origin.value]),
        (phrase("Event"), "" if wanted.event_id is None else show("evt", wanted.event_id)),
        (phrase("From"), "" if wanted.since is None else moment(wanted.since)),
        (phrase("Before"), "" if wanted.until is None else moment(wanted.until)),
    ]
    return [Chip("", label, text) for label, text in pairs if text]


def _made(request: PageRequest, found: DeliveryJob) -> str:
    """Return where what a job has sent again is listed; empty: it sends nothing."""
    if found.act is not JobAct.RESEND:
        return ""
    query = {"origin": "resend", "since": show_time(made_at(found.id))[:19]}
    return f"{request.session.base}/deliveries?{urlencode(query)}"


@act("/jobs/{id}/cancel", back=job)
async def cancel_job(request: PageRequest) -> View:
    """Cancel it."""
    number = request.id("job")
    await request.services.delivery_jobs.cancel(request.actor, request.scope, number)
    return request.go(f"/jobs/{show('job', number)}", "job.cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A job as its page shows it. ``share`` is the progress, 0 to 100."""

    id: str
    title: str
    did: str
    word: str
    tone: str
    collecting: bool
    active: bool
    found: int
    done: int
    left_out: int
    count: str
    share: int
    reason: str
    created_at: str
    ended_at: str


def job_of(found: DeliveryJob) -> ShownJob:
    """Show a job."""
    word, tone = STATES[found.state]
    return ShownJob(
        id=show("job", found.id),
        title=ACTS[found.act][0],
        did=DONE[found.act],
        word=word,
        tone=tone,
        collecting=found.state is JobState.COLLECTING,
        active=found.is_active,
        found=found.found,
        done=found.done,
        left_out=found.left_out,
        count=count_words(found.counted, "delivery", at_least=found.at_least),
        share=share_of(
            found.done + found.left_out,
            max(found.found, found.counted),
            finished=found.state is JobState.DONE,
        ),
        reason=reason_words(found.reason),
        created_at=show_time(made_at(found.id)),
        ended_at=show_time(found.ended_at) if found.ended_at else "",
    )


PAGES = (all_matching, start_job, job, cancel_job)
