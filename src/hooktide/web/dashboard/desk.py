"""What the dashboard is made of, put together once."""

from collections.abc import Callable
from dataclasses import dataclass

from hooktide.actions.changes import Chronicle
from hooktide.actions.people import People
from hooktide.actions.publish import Publisher
from hooktide.domain.model import Micros
from hooktide.web.dashboard.patience import Patience
from hooktide.web.dashboard.queue import Queue
from hooktide.web.dashboard.sizes import Sizes
from hooktide.web.deps import Services
from hooktide.web.live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The actions that pages call, and what they share between them."""

    services: Services
    people: People
    chronicle: Chronicle
    publisher: Publisher
    live: Live
    queue: Queue
    sizes: Sizes
    patience: Patience

    @property
    def public_url(self) -> str:
        """How the world reaches this server."""
        return self.services.public_url

    @property
    def clock(self) -> Callable[[], Micros]:
        """The time, as the database has it."""
        return self.services.clock
