"""``/v1/delivery-jobs``: jobs on every delivery that matches a filter."""

from hooktide.actions.deliveries.delivery_jobs import filter_of
from hooktide.actions.deliveries.delivery_log import (
    DeliveryFilter,
    read_response,
    show_response,
)
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import DeliveryJob, DeliveryState, JobAct, Origin, Scope
from hooktide.domain.time.times import show_time
from hooktide.web.operations.operation import ANYONE, Call, operation
from hooktide.web.operations.pagination import read_period
from hooktide.web.operations.response_values import instant, optional_id
from hooktide.wire import events as wire
from hooktide.wire.fields import Listed, PageQuery


@operation(
    "POST",
    "/v1/delivery-jobs",
    who=ANYONE,
    status=202,
    problems=("not_found", "ambiguous_account", "invalid_time", "invalid_filter", "job_running"),
)
async def start_delivery_job(call: Call, body: wire.DeliveryJobIn) -> wire.DeliveryJobStarted:
    """Send again, retry or stop all deliveries that match a filter.

    `resend`: those that ended, each event once for an endpoint. `retry`: the pending ones make
    their next attempt at once. `stop`: pending and held ones are discarded. Only deliveries that
    match when the job is started; later ones, and those that end meanwhile, are not sent again. It
    proceeds in the background, and no faster than the endpoints receive.
    """
    jobs, scope, wanted = call.services.delivery_jobs, *await _wanted(call, body.filter)
    act = JobAct(body.act)
    if body.dry_run:
        counted = await jobs.count(scope, act, wanted)
        count = wire.DeliveryCount(counted.deliveries, counted.at_least)
        return wire.DeliveryJobStarted(count, None)
    made = await jobs.start(call.actor, scope, act, wanted)
    return wire.DeliveryJobStarted(_count(made), job_shown(made))


@operation("GET", "/v1/delivery-jobs", who=ANYONE)
async def list_delivery_jobs(call: Call, query: PageQuery) -> Listed[wire.DeliveryJob]:
    """List the jobs on deliveries, newest first."""
    store = call.services.store
    page = await store.list_delivery_jobs(call.scope, call.before(query), query.limit)
    return call.listed(page, [job_shown(each) for each in page.items])


@operation("GET", "/v1/delivery-jobs/{id}", who=ANYONE)
async def get_delivery_job(call: Call, id: str) -> wire.DeliveryJob:
    """Get a job on deliveries and its progress."""
    return job_shown(await call.services.store.get_delivery_job(call.scope, read("job", id)))


@operation("POST", "/v1/delivery-jobs/{id}/cancel", who=ANYONE)
async def cancel_delivery_job(call: Call, id: str) -> wire.DeliveryJob:
    """Cancel a job on deliveries; what it has done stays.

    A job that has ended stays as it is.
    """
    jobs = call.services.delivery_jobs
    return job_shown(await jobs.cancel(call.actor, call.scope, read("job", id)))


async def _wanted(call: Call, given: wire.DeliveryFilter) -> tuple[Scope, DeliveryFilter]:
    """Read a filter: the scope that it is narrowed to, and the rest of it."""
    scope = await call.services.accounts.narrowed(call.scope, given.account)
    answered, cause = read_response(given.response or "", "/filter/response")
    since, until = read_period(given.since, given.until, "/filter")
    if given.retrying is not None and given.state not in (None, "pending"):
        detail = 'retrying is about pending deliveries: give no state, or "pending"'
        raise InvalidError("invalid_filter", detail, pointer="/filter/retrying")
    return scope, DeliveryFilter(
        state=_state(given),
        answered=answered,
        cause=cause,
        retrying=given.retrying,
        origin=None if given.origin is None else Origin(given.origin),
        event_type=given.type or "",
        since=since,
        until=until,
        text=given.text or "",
        endpoint_id=None if given.endpoint is None else read("ep", given.endpoint),
        event_id=None if given.event is None else read("evt", given.event),
    )


def _state(given: wire.DeliveryFilter) -> DeliveryState | None:
    if given.retrying is not None:
        return DeliveryState.PENDING
    return None if given.state is None else DeliveryState(given.state)


def job_shown(job: DeliveryJob) -> wire.DeliveryJob:
    """Show a job."""
    account = optional_id("acc", job.account_id)
    return wire.DeliveryJob(
        id=show("job", job.id),
        account=account,
        act=job.act,
        filter=_filter_shown(filter_of(job), account),
        state=job.state,
        reason=job.reason,
        count=_count(job),
        found=job.found,
        done=job.done,
        left_out=job.left_out,
        created_at=instant(made_at(job.id)),
        ended_at=instant(job.ended_at),
    )


def _count(job: DeliveryJob) -> wire.DeliveryCount:
    return wire.DeliveryCount(job.counted, job.at_least)


def _filter_shown(wanted: DeliveryFilter, account: str | None) -> dict[str, str | bool]:
    shown: dict[str, str | bool | None] = {
        "account": account,
        "endpoint": optional_id("ep", wanted.endpoint_id),
        "event": optional_id("evt", wanted.event_id),
        "state": wanted.state,
        "retrying": wanted.retrying,
        "response": show_response(wanted),
        "type": wanted.event_type,
        "origin": wanted.origin,
        "since": None if wanted.since is None else show_time(wanted.since),
        "until": None if wanted.until is None else show_time(wanted.until),
        "text": wanted.text,
    }
    return {name: value for name, value in shown.items() if value not in (None, "")}


OPERATIONS = (start_delivery_job, list_delivery_jobs, get_delivery_job, cancel_delivery_job)
