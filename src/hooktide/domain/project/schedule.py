"""When an endpoint's deliveries are tried again, and how long an attempt may take.

An endpoint's own settings come first, then those of the event type, then those of project and plan.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain.delivery.backoff import delays
from hooktide.domain.errors import InvalidError
from hooktide.domain.model import SECOND, Endpoint, Micros
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.project import MAX_TIMEOUT, Plan, Project
from hooktide.domain.time.spans import show_span


@dataclass(frozen=True, slots=True)
class Schedule:
    """The delay before each retry, and the longest time for an attempt."""

    delays: tuple[Micros, ...]
    timeout: Micros


def schedule_of(
    project: Project, plan: Plan, endpoint: Endpoint | None, event_type: str
) -> Schedule:
    """Return the schedule of an endpoint's events of a type."""
    by_type = type_schedules(project, plan, endpoint)
    return by_type.get(event_type) or default_schedule(project, plan, endpoint)


def default_schedule(project: Project, plan: Plan, endpoint: Endpoint | None) -> Schedule:
    """Return the schedule of an endpoint's events whose type has none of its own."""
    own = endpoint.retry_delays if endpoint else None
    return Schedule(
        delays=delays(project.retry, plan.retries) if own is None else own[: plan.retries],
        timeout=(endpoint.timeout if endpoint else None) or plan.timeout,
    )


def type_schedules(
    project: Project, plan: Plan, endpoint: Endpoint | None
) -> Mapping[str, Schedule]:
    """Return the schedules of the event types that differ for an endpoint."""
    default = default_schedule(project, plan, endpoint)
    own_delays = endpoint is not None and endpoint.retry_delays is not None
    own_timeout = endpoint is not None and endpoint.timeout is not None
    found: dict[str, Schedule] = {}
    for kind in project.event_types:
        if kind.retry_delays is None and kind.timeout is None:
            continue
        timeout = None if own_timeout else kind.timeout
        given = None if own_delays else kind.retry_delays
        found[kind.name] = Schedule(
            delays=default.delays if given is None else given[: plan.retries],
            timeout=timeout or default.timeout,
        )
    return {name: schedule for name, schedule in found.items() if schedule != default}


def longest_delays(project: Project, count: int) -> tuple[Micros, ...]:
    """Return the longest delay that project or event types have before each retry."""
    return tuple(max(each) for each in _by_turn(project, count))


def shortest_delays(project: Project, count: int) -> tuple[Micros, ...]:
    """Return the shortest delay that project or event types have before each retry."""
    return tuple(min(each) for each in _by_turn(project, count))


def _by_turn(project: Project, count: int) -> Iterator[list[Micros]]:
    """Yield the delays before each retry."""
    known = [delays(project.retry, count)]
    known += [kind.retry_delays for kind in project.event_types if kind.retry_delays]
    for turn in range(count):
        yield [each[turn] for each in known if turn < len(each)]


def check_delays(given: Sequence[int], project: Project, plan: Plan) -> tuple[Micros, ...]:
    """Return the delays of an endpoint, which are given in seconds.

    :raises InvalidError: ``invalid_schedule``: there are more than the plan's retries, one is not a
    second or longer, or together they are longer than the plan's.
    """
    if len(given) > plan.retries:
        allowed = counted(plan.retries, "retry")
        why = phrase("this account's plan allows {allowed}", allowed=allowed)
        raise _invalid("/retry_delays", why)
    for index, seconds in enumerate(given):
        if seconds < 1:
            raise _invalid(f"/retry_delays/{index}", phrase("a delay is 1 second or longer"))
    most = sum(delays(project.retry, plan.retries))
    if sum(given) * SECOND > most:
        words = phrase(
            "together the delays are {seconds} seconds ({span}) at most",
            seconds=str(most // SECOND),
            span=show_span(most),
        )
        raise _invalid("/retry_delays", words)
    return tuple(seconds * SECOND for seconds in given)


def why_too_long(project: Project, given: tuple[Micros, ...] | None) -> str:
    """Return why an event type cannot have these delays; empty if it can.

    Each plan uses as many of them as it has retries, and together those may be at most as long as
    the plan's own.
    """
    for plan in project.plans:
        span = sum((given or ())[: plan.retries])
        most = sum(delays(project.retry, plan.retries))
        if span > most:
            return (
                f"on the plan {plan.name} the delays are together {show_span(span)}; "
                f"at most {show_span(most)}, as long as the project's"
            )
    return ""


def check_timeout(seconds: float, plan: Plan) -> Micros:
    """Return the timeout of an endpoint, which is given in seconds.

    :raises InvalidError: ``invalid_schedule``: it is not within the plan's bounds.
    """
    most = min(plan.max_timeout, MAX_TIMEOUT)
    if not SECOND <= seconds * SECOND <= most:
        longest = f"{most / SECOND:g}"
        raise _invalid("/timeout_seconds", phrase("use 1 to {seconds} seconds", seconds=longest))
    return round(seconds * SECOND)


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError("invalid_schedule", detail, pointer=pointer)
