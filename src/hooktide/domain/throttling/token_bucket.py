"""A token bucket: a rate per second, and a burst of twice that after a pause."""

from dataclasses import dataclass

from hooktide.domain.model import SECOND, Micros

BURST_SECONDS = 2


@dataclass(slots=True)
class TokenBucket:
    """A bucket with ``tokens`` in it at the time ``at``."""

    tokens: float
    at: Micros

    @classmethod
    def full(cls, rate: int, now: Micros) -> "TokenBucket":
        """Return a full bucket, for ``rate`` tokens a second."""
        return cls(float(rate * BURST_SECONDS), now)

    def take(self, rate: int, now: Micros) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        passed = max(0, now - self.at) / SECOND
        self.tokens = min(float(rate * BURST_SECONDS), self.tokens + passed * rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / rate

    def owe(self, count: int) -> None:
        """Take this many tokens, although there may be fewer: what is asked for next waits."""
        self.tokens -= count
