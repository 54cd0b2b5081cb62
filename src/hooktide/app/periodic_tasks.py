"""A process's periodic tasks and their intervals."""

from collections.abc import Awaitable, Callable

from hooktide.actions.deliveries.delivery_jobs import DeliveryJobs
from hooktide.actions.deliveries.delivery_log import DeliveryLog
from hooktide.actions.publishing.outbox_ingest import OutboxIngest
from hooktide.app.parts import App
from hooktide.domain.model import SECOND, Micros
from hooktide.engine.periodic.clock_skew import ClockSkew
from hooktide.engine.periodic.indexing import Indexing
from hooktide.engine.periodic.maintenance import BATCH, REPLAYED, PeriodicTask, store_tasks
from hooktide.engine.periodic.operational_events import OperationalEventPublisher
from hooktide.engine.periodic.redating import Redating
from hooktide.engine.periodic.retention import Retention
from hooktide.runtime.clock import StepDetector
from hooktide.runtime.metrics import CLOCK_SKEW, RETENTION_PAUSED
from hooktide.runtime.vault import KEY_FILE_INTERVAL
from hooktide.store.base import Emitted
from hooktide.store.contract import Store

INDEX_INTERVAL = 0.5
"""Seconds until new events are in the search index; a search reads the newest itself."""
TAKE_OVER_INTERVAL = 0.1
"""Seconds between two polls for emitted events: polling an empty table costs next to nothing,
whereas NOTIFY would make the application's commits wait for each other."""


def _jobs(store: Store, clock: Callable[[], Micros]) -> Callable[[], Awaitable[int]]:
    """Return what continues jobs on deliveries; it returns a full batch while there is more."""
    jobs = DeliveryJobs(store, DeliveryLog(store), clock)

    async def go_on() -> int:
        collecting = await jobs.collect()
        acted = await store.run_delivery_jobs(clock(), BATCH, REPLAYED)
        return BATCH if collecting else acted

    return go_on


def periodic_tasks(
    app: App, steps: StepDetector, refused: Callable[[Emitted, str], None]
) -> list[PeriodicTask]:
    """Return a role's periodic tasks; ``refused`` is called with refused events and reasons.

    ``steps`` detects that the clock was set.
    """
    tasks = _of_every_process(app)
    if app.delivers:
        tasks = [*_of_workers(app, steps, refused), *tasks]
    return tasks


def _of_every_process(app: App) -> list[PeriodicTask]:
    skew = ClockSkew(app.clock)
    app.metrics.watch(
        CLOCK_SKEW,
        "Seconds by which this machine's clock is ahead of the database's; of several processes, "
        "the largest.",
        lambda: skew.skew / SECOND,
    )

    async def add_up() -> int:
        await app.stats.flush()
        return 0  # counts made meanwhile are added next time

    return [
        PeriodicTask("compare the clocks", 10.0, skew.check),
        PeriodicTask("read the key file again", KEY_FILE_INTERVAL, app.key_file.check),
        PeriodicTask("record when keys were used", 60.0, app.auth.flush),
        PeriodicTask("add up what was counted", 2.0, add_up),
        PeriodicTask("read this machine's own addresses", 30.0, app.own_host.refresh),
    ]


def _of_workers(
    app: App, steps: StepDetector, refused: Callable[[Emitted, str], None]
) -> list[PeriodicTask]:
    store, clock, metrics = app.store, app.clock, app.metrics
    outbox_ingest = OutboxIngest(
        store, app.directory, app.publisher, clock, accepted=metrics.accepted.add, refused=refused
    )
    retention = Retention(store, clock)
    metrics.watch(
        RETENTION_PAUSED,
        "1 while nothing is deleted because the clock is not trusted, else 0.",
        lambda: retention.paused,
    )
    operational_events = OperationalEventPublisher(store, app.directory, clock)
    indexing = Indexing(store, clock)
    redating = Redating(store, app.directory, clock, on_redated=metrics.redated.add, steps=steps)
    return [
        *store_tasks(store, clock, retention),
        PeriodicTask("accept what applications emitted", TAKE_OVER_INTERVAL, outbox_ingest.run),
        PeriodicTask("continue jobs on deliveries", 0.5, _jobs(store, clock)),
        PeriodicTask("correct due times too far ahead", 1.0, redating.run),
        PeriodicTask("publish operational events", 1.0, operational_events.publish),
        PeriodicTask("index events for search", INDEX_INTERVAL, indexing.run),
    ]
