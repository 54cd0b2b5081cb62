"""A token bucket: so many a second, and twice that at once after a rest."""

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
        """Take a token; return 0, or how many seconds it takes until there is one."""
        passed = max(0, now - self.at) / SECOND
        self.tokens = min(float(rate * BURST_SECONDS), self.tokens + passed * rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / rate
