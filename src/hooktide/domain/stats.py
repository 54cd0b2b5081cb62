"""What is counted as it happens, for health and for charts: by minute, by hour, and added up.

Numbers are for people to look at, not for deciding: a process that is killed takes those of its
last seconds with it. Manual tests count as attempts, but not as deliveries.
"""

import msgspec

from hooktide.domain.model import Micros


class ProjectMinute(msgspec.Struct, kw_only=True):
    """What happened in a project within a minute (``minute``: since 1970).

    ``accepted`` counts events; ``held``, ``delivered`` and ``failed`` deliveries, when they became
    that; ``failed_attempts`` are those of ``attempts`` that were not answered 2xx.
    """

    project_id: int
    minute: int
    accepted: int = 0
    held: int = 0
    delivered: int = 0
    failed: int = 0
    attempts: int = 0
    failed_attempts: int = 0


class EndpointHour(msgspec.Struct, kw_only=True):
    """What happened at an endpoint within an hour (``hour``: since 1970).

    ``duration`` is that of all attempts together, ``slowest`` that of one. ``last_delivered_at`` is
    when an attempt was last answered 2xx; ``failing_since`` when the first of those after it that
    were not was made (None: there was none). A test counts for these two like any other.
    """

    endpoint_id: int
    project_id: int
    account_id: int
    hour: int
    delivered: int = 0
    failed: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    duration: Micros = 0
    slowest: Micros = 0
    last_delivered_at: Micros | None = None
    failing_since: Micros | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint does. ``mean`` and ``slowest`` are None where nothing was attempted."""

    attempts: int
    failed_attempts: int
    delivered: int
    failed: int
    mean: Micros | None
    slowest: Micros | None
    last_delivered_at: Micros | None
    failing_since: Micros | None


class AccountUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has of its plan.

    ``deliveries`` left within the hour that the plan limits: 0 where it limits none. ``held`` and
    ``pending`` are counted up to ``MAX_COUNTED``.
    """

    endpoints: int
    deliveries: int
    held: int
    pending: int


MAX_COUNTED = 10_000


class ChartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the step of a chart that begins at ``at``."""

    at: Micros
    accepted: int = 0
    held: int = 0
    delivered: int = 0
    failed: int = 0
    attempts: int = 0
    failed_attempts: int = 0


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """How much was sent for an account."""

    account_id: int
    project_id: int
    attempts: int
    failed_attempts: int
    delivered: int
    failed: int


class Slow(msgspec.Struct, frozen=True, kw_only=True):
    """How long an endpoint takes to answer."""

    endpoint_id: int
    account_id: int
    project_id: int
    attempts: int
    mean: Micros
    slowest: Micros
