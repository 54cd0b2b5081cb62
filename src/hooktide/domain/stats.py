"""Counts for health and charts: per minute, per hour, and totals.

They are for people to look at, never for decisions: a process that is killed loses those of its
last seconds. Manual tests count as attempts, but not as deliveries.
"""

from collections.abc import Sequence

import msgspec

from hooktide.domain.histogram import Histogram
from hooktide.domain.model import Micros


class ProjectMinute(msgspec.Struct, kw_only=True):
    """What happened in a project within a minute (``minute``: since 1970).

    ``accepted`` counts events; ``held``, ``delivered``, ``failed`` and ``discarded`` count
    deliveries when they reach that state; ``failed_attempts`` are those of ``attempts`` that were
    not answered 2xx.
    """

    project_id: int
    minute: int
    accepted: int = 0
    held: int = 0
    delivered: int = 0
    failed: int = 0
    discarded: int = 0
    attempts: int = 0
    failed_attempts: int = 0


COUNTS = ProjectMinute.__struct_fields__[2:]
"""What a minute counts, in the order of its members."""


class EndpointHour(msgspec.Struct, kw_only=True):
    """What happened at an endpoint within an hour (``hour``: since 1970).

    ``duration`` is the total of all attempts, ``slowest`` the longest. ``last_delivered_at`` is
    when an attempt was last answered 2xx; ``failing_since`` is when the first failed attempt after
    it was made (None: there was none); ``last_failed_at`` and ``last_cause`` are of the last failed
    one. Tests count for these as well.

    ``causes`` is how many attempts failed of each cause (``domain.delivery.causes``), ``latency``
    how long attempts took, ``delay`` how long deliveries took from acceptance to being delivered.
    """

    endpoint_id: int
    project_id: int
    account_id: int
    hour: int
    delivered: int = 0
    failed: int = 0
    discarded: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    duration: Micros = 0
    slowest: Micros = 0
    last_delivered_at: Micros | None = None
    failing_since: Micros | None = None
    last_failed_at: Micros | None = None
    last_cause: str = ""
    causes: dict[str, int] = {}
    latency: Histogram = {}
    delay: Histogram = {}


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint is doing. ``mean`` and ``slowest`` are None if there were no attempts."""

    attempts: int
    failed_attempts: int
    delivered: int
    failed: int
    mean: Micros | None
    slowest: Micros | None
    last_delivered_at: Micros | None
    failing_since: Micros | None
    last_failed_at: Micros | None
    last_cause: str

    @property
    def flapping(self) -> bool:
        """Return whether some attempts fail, and yet its deliveries arrive, by a retry at worst."""
        return self.failing_since is not None and self.delivered > self.failed


class CauseCount(msgspec.Struct, frozen=True, gc=False):
    """What a cause of failures does.

    ``endpoints`` are those that failed of it last and fail still, or were disabled automatically;
    ``disabled`` of them are. ``waiting`` deliveries wait for the others. ``attempts`` failed of it.
    """

    cause: str
    endpoints: int
    disabled: int
    waiting: int
    attempts: int


class Percentiles(msgspec.Struct, frozen=True, gc=False):
    """How many were counted, and the spans that half, 95 % and 99 % of them did not exceed.

    5 % off at most, above a millisecond. None where nothing was counted.
    """

    count: int
    p50: Micros | None
    p95: Micros | None
    p99: Micros | None


class Latencies(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How long attempts took, and deliveries from acceptance to being delivered.

    Within the hour that begins at ``at``, or in the step of a chart that does.
    """

    at: Micros
    attempts: Percentiles
    deliveries: Percentiles


class LatencyChart(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took altogether, and in each step, first to last."""

    whole: Latencies
    steps: Sequence[Latencies]


class AccountUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its plan an account has used.

    ``deliveries`` were sent within the hour that the plan limits: 0 if it has no limit.
    """

    endpoints: int
    deliveries: int
    held: int
    pending: int


class EndpointBacklog(msgspec.Struct, frozen=True, gc=False):
    """What waits for an endpoint; ``retries`` of what is ``waiting`` was attempted before."""

    endpoint_id: int
    account_id: int
    project_id: int
    waiting: int
    retries: int
    held: int


class Oldest(msgspec.Struct, frozen=True, gc=False):
    """When the oldest waiting delivery was made, and when one is due first (None: nothing waits).

    What an endpoint's rest delays is due at the end of that.
    """

    made_at: Micros | None
    due_at: Micros | None


class Backlog(msgspec.Struct, frozen=True):
    """What waits, counted exactly: the rows of one instant.

    ``waiting`` deliveries are due or scheduled, ``retries`` of them were attempted before; ``held``
    ones wait for their plan's hour; ``in_flight`` ones are claimed by a worker right now.
    ``endpoints`` is for how many something is waiting, ``largest`` what waits for those with most.
    """

    waiting: int
    retries: int
    held: int
    endpoints: int
    in_flight: int
    largest: Sequence[EndpointBacklog] = ()

    @property
    def pending(self) -> int:
        """How many deliveries are pending: waiting or in flight."""
        return self.waiting + self.in_flight


class ChartPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the step of a chart that begins at ``at``."""

    at: Micros
    accepted: int = 0
    held: int = 0
    delivered: int = 0
    failed: int = 0
    discarded: int = 0
    attempts: int = 0
    failed_attempts: int = 0

    @property
    def finished(self) -> int:
        """Return how many deliveries finished, however they did."""
        return self.delivered + self.failed + self.discarded


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """How busy an account is."""

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
