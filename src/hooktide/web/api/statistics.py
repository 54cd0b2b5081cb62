"""``/v1/statistics``: how deliveries go, by project, account or endpoint."""

from hooktide.actions.statistics import Figures, Period
from hooktide.domain import stats
from hooktide.domain.delivery.causes import cause
from hooktide.domain.ids import read
from hooktide.domain.model import DAY, MINUTE, Micros
from hooktide.web.operations.operation import ANYONE, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import statistics as wire

_PERIODS = {"24h": (DAY, 60), "7d": (7 * DAY, 120), "30d": (30 * DAY, 1440)}


@operation("GET", "/v1/statistics", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def get_statistics(call: Call, query: wire.StatisticsQuery) -> wire.Statistics:
    """Get what waits, why attempts fail, outcomes and times: of an account, an endpoint or all."""
    services, now = call.services, call.services.clock()
    scope = await services.accounts.narrowed(call.scope, query.account)
    period = _period(query.period, now)
    if query.endpoint is not None:
        endpoint_id = read("ep", query.endpoint)
        return _shown(await services.statistics.of_endpoint(scope, endpoint_id, period, now))
    return _shown(await services.statistics.of(scope, period, now))


def _period(name: str, now: Micros) -> Period:
    length, step_minutes = _PERIODS[name]
    step = step_minutes * MINUTE
    until = (now // step + 1) * step
    return Period(until - length, until, step_minutes)


def _shown(figures: Figures) -> wire.Statistics:
    backlog, whole = figures.waiting.backlog, figures.latencies.whole
    return wire.Statistics(
        as_of=instant(figures.as_of),
        waiting=wire.Waiting(
            waiting=backlog.waiting,
            retries=backlog.retries,
            in_flight=backlog.in_flight,
            held=backlog.held,
            endpoints=backlog.endpoints,
            oldest_at=instant(figures.waiting.oldest.made_at),
        ),
        causes=[_cause(each) for each in figures.causes],
        response_time=_percentiles(whole.attempts),
        delivery_time=_percentiles(whole.deliveries),
        steps=[
            wire.StatisticsStep(
                at=instant(point.at),
                delivered=point.delivered,
                failed=point.failed,
                discarded=point.discarded,
                attempts=point.attempts,
                failed_attempts=point.failed_attempts,
                response_time=_percentiles(times.attempts),
                delivery_time=_percentiles(times.deliveries),
            )
            for point, times in zip(figures.points, figures.latencies.steps, strict=True)
        ],
    )


def _cause(counts: stats.CauseCount) -> wire.FailureCause:
    found = cause(counts.cause)
    return wire.FailureCause(
        cause=found.name,
        title=str(found.title),
        remedy=str(found.remedy),
        endpoints=counts.endpoints,
        disabled=counts.disabled,
        waiting=counts.waiting,
        attempts=counts.attempts,
    )


def _percentiles(found: stats.Percentiles) -> wire.Percentiles:
    return wire.Percentiles(
        count=found.count,
        p50=_milliseconds(found.p50),
        p95=_milliseconds(found.p95),
        p99=_milliseconds(found.p99),
    )


def _milliseconds(span: Micros | None) -> float | None:
    return None if span is None else span / 1000


OPERATIONS = (get_statistics,)
