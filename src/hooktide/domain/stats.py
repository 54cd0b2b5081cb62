"""Counts for health and charts: per minute, per hour, and totals.

They are for people to look at, never for decisions: a process that is killed loses those of its
last seconds. Manual tests count as attempts, but not as deliveries.
"""

import msgspec

from hooktide.domain.model import Micros


class ProjectMinute(msgspec.Struct, kw_only=True):
    """What happened in a project within a minute (``minute``: since 1970).

    ``accepted`` counts events; ``held``, ``delivered`` and ``failed`` count deliveries when they
    reach that state; ``failed_attempts`` are those of ``attempts`` that were not answered 2xx.
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

    ``duration`` is the total of all attempts, ``slowest`` the longest. ``last_delivered_at`` is
    when an attempt was last answered 2xx; ``failing_since`` is when the first failed attempt after
    it was made (None: there was none). Tests count for these two as well.
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
    """How an endpoint is doing. ``mean`` and ``slowest`` are None if there were no attempts."""

    attempts: int
    failed_attempts: int
    delivered: int
    failed: int
    mean: Micros | None
    slowest: Micros | None
    last_delivered_at: Micros | None
    failing_since: Micros | None


class AccountUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its plan an account has used.

    ``deliveries`` were sent within the hour that the plan limits: 0 if it has no limit. ``held``
    and ``pending`` are counted up to ``MAX_COUNTED``.
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
