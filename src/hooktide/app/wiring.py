"""Wires the parts of a process together: ``build``."""

import asyncio
import importlib
import random
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from hooktide.actions.accounts import Accounts
from hooktide.actions.publishing.intake import LARGE, SMALL, Intake
from hooktide.actions.publishing.publish import Publisher
from hooktide.actions.rate_limits import RateLimits
from hooktide.app.first_start import OperatorKey
from hooktide.app.metrics_page import AddUp, MetricsPage, alone
from hooktide.app.parts import App, sender_ids
from hooktide.app.periodic_tasks import periodic_tasks
from hooktide.app.readiness import ReadinessCheck
from hooktide.app.reporting import Reporting
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import Micros
from hooktide.engine.deliver import Deliverer
from hooktide.engine.destinations import Destinations
from hooktide.engine.periodic.key_file import KeyFile
from hooktide.engine.periodic.maintenance import Maintenance
from hooktide.engine.periodic.stats_buffer import StatsBuffer
from hooktide.engine.periodic.write_probe import WriteProbe
from hooktide.engine.scheduling.scheduler import Limits
from hooktide.engine.worker import Worker
from hooktide.outbound import Mailer, OwnHost, Resolver, Sender
from hooktide.runtime.clock import StepDetector
from hooktide.runtime.extras import import_tracing
from hooktide.runtime.logs import AttemptLog
from hooktide.runtime.metrics import Metrics
from hooktide.runtime.settings import Settings
from hooktide.runtime.vault import Vault
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.web.auth import Authenticator
from hooktide.web.http.body_memory import BodyMemory
from hooktide.web.http.exchange import Handler
from hooktide.web.http.state import Handlers
from hooktide.web.middleware.loop_guard import LoopGuard, sender_line
from hooktide.web.middleware.mount import mounted, prefix_of
from hooktide.web.publishing.events import PublishApplication
from hooktide.web.publishing.publish_handler import PublishHandler
from hooktide.web.site import Routes, Site, build_health_site


def build(settings: Settings, store: Store, vault: Vault, port: int, add_up: AddUp = alone) -> App:
    """Put the parts of one process together; nothing runs until its ``Lifecycle`` starts.

    ``vault`` seals secrets; the site listens on ``port``; ``add_up`` adds the metrics of the other
    processes behind the same address to this one's.
    """
    clock, public_url = store.clock, settings.url(port)
    policy, resolver = _policy(settings, public_url), Resolver()
    metrics, stats, attempt_log = Metrics(), StatsBuffer(store.add_stats), AttemptLog()
    reporting = Reporting(metrics, stats, attempt_log if settings.log_attempts else None)
    tracing = _tracing(settings, vault, clock)

    directory = Directory(store)
    destinations = Destinations(directory, policy, sender_line(sender_ids(vault)[0]))
    sender = Sender(
        policy,
        resolver=resolver,
        proxy=settings.proxy,
        max_idle=2 * settings.slots,
        max_idle_per_key=settings.slots,
    )
    deliverer = Deliverer(
        store=store,
        sender=sender,
        destinations=destinations,
        clock=clock,
        rand=random.random,
        on_attempt=reporting.attempt,
        mailer=Mailer(relay, settings.mail_from) if (relay := settings.relay) else None,
    )
    deliverer.hook = tracing

    accounts = Accounts(store, directory, clock)
    publisher = Publisher(
        store,
        directory,
        accounts,
        clock,
        warned=reporting.schema_warning,
        on_accepted=stats.accepted if tracing is None else tracing.accepted(stats.accepted),
        unknown=reporting.unknown_account,
        intake=Intake(
            limited=settings.role == "all", portions=SMALL if store.one_writer else LARGE
        ),
    )

    steps = StepDetector(clock)
    stopping, write_probe = asyncio.Event(), WriteProbe(store.check)
    operator_key = OperatorKey(store, clock)
    new_keys = _NewKeys(vault, destinations)
    app = App(
        settings=settings,
        store=store,
        vault=vault,
        clock=clock,
        public_url=public_url,
        policy=policy,
        directory=directory,
        destinations=destinations,
        own_host=OwnHost(policy.own_host, urlsplit(public_url).hostname or "", resolver),
        sender=sender,
        worker=Worker(store, deliverer, clock, _limits(settings), steps.note),
        accounts=accounts,
        publisher=publisher,
        auth=Authenticator(store, directory, clock),
        limits=RateLimits(directory, clock),
        body_memory=BodyMemory(settings.max_body_memory << 20),
        operator_key=operator_key,
        key_file=KeyFile(settings.key_path, vault, store, clock, new_keys.use),
        metrics=metrics,
        metrics_page=MetricsPage(store, clock, metrics, add_up),
        stats=stats,
        attempt_log=attempt_log,
        tracing=tracing,
        write_probe=write_probe,
        readiness=ReadinessCheck(stopping, write_probe, operator_key, destinations),
        stopping=stopping,
    )
    app.maintenance = Maintenance(periodic_tasks(app, steps, reporting.refused_row))
    app.site = _site(app, new_keys)
    app.handlers = _handlers(app)
    _listen(app)
    _watch(app)
    return app


class _NewKeys:
    """Everything derived from the vault's keys, renewed when they are replaced."""

    def __init__(self, vault: Vault, destinations: Destinations) -> None:
        self.loop_guard: LoopGuard | None = None
        self._vault = vault
        self._destinations = destinations

    def use(self) -> None:
        """Identify this installation by the vault's current keys."""
        senders = sender_ids(self._vault)
        if self.loop_guard is not None:
            self.loop_guard.use(senders)
        self._destinations.sender = sender_line(senders[0])
        self._destinations.changed("everything", 0)


def _policy(settings: Settings, public_url: str) -> UrlPolicy:
    return UrlPolicy(
        allow_http=settings.allow_http,
        strict_ports=settings.only_port_443,
        allow_networks=settings.allow_network,
        deny_networks=settings.deny_network,
        chat_hosts=tuple(host.lower() for host in settings.chat_host),
        mail=settings.relay is not None,
        nat64=settings.nat64,
        own_bins=f"{public_url}/bin/",
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        slots=settings.slots,
        per_endpoint=settings.slots_per_endpoint,
        per_account=settings.slots_per_account,
    )


def _tracing(settings: Settings, vault: Vault, clock: Callable[[], Micros]) -> Any:
    if not settings.traces:
        return None
    return import_tracing().Tracing(vault.derived(b"hooktide traces")[0], clock)


def _site(app: App, new_keys: _NewKeys) -> ASGIApp:
    if app.settings.role == "worker":
        return build_health_site(app.readiness.check, app.metrics_page.page)
    publishing = _publishing(app)

    async def load() -> Routes:
        # In a thread: deliveries go on meanwhile. Whatever refers to the event loop is made on it.
        module = await asyncio.to_thread(importlib.import_module, "hooktide.app.routes")
        routes: Routes = module.routes_of(app)
        return routes

    proxies = [ip_network(each) for each in app.settings.trusted_proxy]
    site = Site(load, publishing, app.body_memory, proxies)
    app.load_site = site.routes
    new_keys.loop_guard = LoopGuard(site, app.sender_ids)
    return mounted(new_keys.loop_guard, app.public_url)


def _publishing(app: App) -> ASGIApp:
    publishing = PublishApplication(app.publisher, app.auth, app.metrics, app.body_memory)
    return publishing if app.tracing is None else app.tracing.traced(publishing)


def _handlers(app: App) -> Handlers:
    """Return the handlers that answer without a task; with tracing, the ASGI application
    answers."""
    if app.settings.role == "worker" or app.tracing is not None:
        return {}
    publish = PublishHandler(app.publisher, app.auth, app.metrics, app.body_memory, app.clock)
    handler = Handler(publish.handle, publish.waits_for)
    return {("POST", f"{prefix_of(app.public_url)}/v1/events"): handler}


def _listen(app: App) -> None:
    """Connect each part to the changes it depends on."""
    for part in (app.directory, app.destinations, app.auth, app.operator_key):
        app.store.watch(part.changed)
    if app.delivers:
        app.store.listen(app.worker)
        app.store.watch(app.worker.changed)


def _watch(app: App) -> None:
    """Register the gauges that read the parts' state."""
    watch, worker = app.metrics.watch, app.worker
    watch("in_flight", "Delivery requests in flight.", lambda: worker.in_flight)
    watch(
        "unsealed_endpoints",
        "Endpoints that wait because their secrets are missing or cannot be decrypted.",
        lambda: len(app.destinations.unsealed),
    )
    watch("waiting_in_memory", "Claimed deliveries that wait for a slot.", lambda: worker.waiting)
    watch(
        "wal_bytes",
        "SQLite's write-ahead log, as far as it is not in the database yet. At --max-wal new "
        "events are refused with 507.",
        lambda: app.store.wal_bytes,
    )
    app.metrics.watch_count(
        "released_claims",
        "Claims of dead processes that this server released.",
        lambda: app.store.released_claims,
    )
    watch(
        "body_memory_bytes",
        "Request bodies in memory. At --max-body-memory the server stops reading and answers 503.",
        lambda: app.body_memory.held,
    )
