"""The parts of one process, by name."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from hooktide.actions.accounts import Accounts
from hooktide.actions.publishing.publish import Publisher
from hooktide.actions.rate_limits import RateLimits
from hooktide.app.first_start import OperatorKey
from hooktide.app.metrics_page import MetricsPage
from hooktide.app.readiness import ReadinessCheck
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import Micros
from hooktide.engine.destinations import Destinations
from hooktide.engine.periodic.key_file import KeyFile
from hooktide.engine.periodic.maintenance import Maintenance
from hooktide.engine.periodic.stats_buffer import StatsBuffer
from hooktide.engine.periodic.write_probe import WriteProbe
from hooktide.engine.worker import Worker
from hooktide.outbound import OwnHost, Sender
from hooktide.runtime.logs import AttemptLog
from hooktide.runtime.metrics import Metrics
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import Vault
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.web.auth import Authenticator
from hooktide.web.http.body_memory import BodyMemory
from hooktide.web.http.state import Handlers


async def _nothing() -> None:
    pass


@dataclass(slots=True, kw_only=True)
class App:
    """What one process is made of, put together by ``build``; ``Lifecycle`` starts and stops it.

    ``site`` answers the requests that none of ``handlers`` takes; ``load_site`` loads
    what the first request for a page would. ``stopping`` is set once the
    process begins to stop. ``tracing`` is None if tracing is off.
    """

    settings: Settings
    store: Store
    vault: Vault
    clock: Callable[[], Micros]
    public_url: str
    policy: UrlPolicy
    directory: Directory
    destinations: Destinations
    own_host: OwnHost
    sender: Sender
    worker: Worker
    accounts: Accounts
    publisher: Publisher
    auth: Authenticator
    limits: RateLimits
    body_memory: BodyMemory
    operator_key: OperatorKey
    key_file: KeyFile
    metrics: Metrics
    metrics_page: MetricsPage
    stats: StatsBuffer
    attempt_log: AttemptLog
    tracing: Any
    write_probe: WriteProbe
    readiness: ReadinessCheck
    stopping: asyncio.Event
    maintenance: Maintenance = field(init=False)
    site: ASGIApp = field(init=False)
    load_site: Callable[[], Awaitable[object]] = field(default=_nothing)
    handlers: Handlers = field(default_factory=dict)

    @property
    def delivers(self) -> bool:
        """Whether this process makes attempts."""
        return self.settings.role != "api"

    @property
    def sender_ids(self) -> list[str]:
        """How deliveries identify this installation: all of its processes have the same keys."""
        return sender_ids(self.vault)


def sender_ids(vault: Vault) -> list[str]:
    """Return how deliveries identify the installation with these keys; the first is in use."""
    return [key.hex()[:16] for key in vault.derived(b"hooktide sender")]
