"""How long a payload is kept where that is shorter than its project's log."""

from hooktide.domain.errors import InvalidError
from hooktide.domain.model import DAY, Micros
from hooktide.domain.time.spans import show_span

MIN_DAYS = 5
MAX_DAYS = 90


def check_retention_days(days: int, retention: Micros) -> None:
    """Check the days after which a payload is erased; ``retention`` is the project's.

    :raises InvalidError: ``invalid_retention``.
    """
    if reason := why_not(days, retention):
        raise InvalidError("invalid_retention", reason, pointer="/retention_days")


def why_not(days: int, retention: Micros) -> str:
    """Return why a payload cannot be kept for so many days; empty if it can."""
    if not MIN_DAYS <= days <= MAX_DAYS:
        return f"{days} is not between {MIN_DAYS} and {MAX_DAYS} days"
    if days * DAY > retention:
        return f"{days} days are longer than the project's retention, {show_span(retention)}"
    return ""
