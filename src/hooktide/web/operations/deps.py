"""What the site is built from, and what each operation has at hand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hooktide.actions.access.keys import Keys
from hooktide.actions.access.portal_links import PortalLinks, portal_links
from hooktide.actions.access.stash import Stash
from hooktide.actions.access.users import Users
from hooktide.actions.accounts import Accounts
from hooktide.actions.audit_log import AuditLog
from hooktide.actions.bins.bins import Bins
from hooktide.actions.deliveries.delivery_actions import DeliveryActions
from hooktide.actions.deliveries.delivery_jobs import DeliveryJobs
from hooktide.actions.deliveries.delivery_log import DeliveryLog
from hooktide.actions.deliveries.event_recipients import EventRecipients
from hooktide.actions.deliveries.event_search import EventSearch
from hooktide.actions.deliveries.held_back import WhatHoldsBack
from hooktide.actions.deliveries.queue_counts import QueueCounts
from hooktide.actions.deliveries.replays import Replays
from hooktide.actions.endpoints import Endpoints, TryNow
from hooktide.actions.filters import Filters
from hooktide.actions.projects import Projects
from hooktide.actions.publishing.publish import Publisher
from hooktide.actions.publishing.refused_rows import RefusedRows
from hooktide.actions.rate_limits import RateLimits
from hooktide.actions.statistics import Statistics
from hooktide.actions.storage_usage import StorageUsage
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import Micros
from hooktide.runtime.vault import Vault
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.web.auth import Authenticator
from hooktide.web.health import Readiness
from hooktide.web.operations.pagination import Cursors


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The parts that the composition root puts together.

    ``try_now`` makes the attempt of a claim at once and records it; ``publisher`` accepts events;
    ``ready`` gives the reasons for not being ready; ``metrics_page`` is what Prometheus reads;
    ``stopping`` ends open streams.
    """

    store: Store
    directory: Directory
    auth: Authenticator
    url_policy: UrlPolicy
    clock: Callable[[], Micros]
    public_url: str
    vault: Vault
    try_now: TryNow
    publisher: Publisher
    limits: RateLimits
    ready: Callable[[], Awaitable[Readiness]]
    metrics_page: Callable[[], Awaitable[bytes]]
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class Services:
    """The actions behind the operations, made once."""

    store: Store
    directory: Directory
    clock: Callable[[], Micros]
    public_url: str
    cursors: Cursors
    portal_links: PortalLinks
    accounts: Accounts
    projects: Projects
    endpoints: Endpoints
    filters: Filters
    delivery_actions: DeliveryActions
    event_recipients: EventRecipients
    event_search: EventSearch
    held_back: WhatHoldsBack
    replays: Replays
    delivery_jobs: DeliveryJobs
    keys: Keys
    users: Users
    audit_log: AuditLog
    limits: RateLimits
    publisher: Publisher
    bins: Bins
    delivery_log: DeliveryLog
    statistics: Statistics
    storage_usage: StorageUsage
    refused_rows: RefusedRows
    stash: Stash


def make_services(deps: Deps) -> Services:
    """Put the actions together."""
    accounts = Accounts(deps.store, deps.directory, deps.clock)
    endpoints = Endpoints(
        store=deps.store,
        directory=deps.directory,
        accounts=accounts,
        url_policy=deps.url_policy,
        clock=deps.clock,
        try_now=deps.try_now,
        limits=deps.limits,
    )
    replays = Replays(deps.store, deps.clock)
    delivery_log = DeliveryLog(deps.store)
    return Services(
        store=deps.store,
        directory=deps.directory,
        clock=deps.clock,
        public_url=deps.public_url,
        cursors=Cursors(lambda: deps.vault.derived(b"hooktide cursors")),
        portal_links=portal_links(deps.vault),
        accounts=accounts,
        projects=Projects(deps.store, deps.clock),
        endpoints=endpoints,
        delivery_actions=DeliveryActions(deps.store, deps.clock, endpoints.enable),
        event_recipients=EventRecipients(deps.store, replays),
        event_search=EventSearch(deps.store, deps.clock),
        held_back=WhatHoldsBack(deps.store, deps.directory),
        replays=replays,
        delivery_jobs=DeliveryJobs(deps.store, delivery_log, deps.clock),
        filters=Filters(deps.store, deps.directory, accounts, deps.limits),
        keys=Keys(deps.store, deps.directory, accounts, deps.clock),
        users=Users(deps.store, accounts, deps.clock, deps.public_url),
        audit_log=AuditLog(deps.store, deps.clock),
        limits=deps.limits,
        publisher=deps.publisher,
        bins=Bins(deps.store, deps.clock),
        delivery_log=delivery_log,
        statistics=Statistics(deps.store, QueueCounts(deps.store)),
        storage_usage=StorageUsage(deps.store),
        refused_rows=RefusedRows(deps.store, deps.clock),
        stash=Stash(deps.store, deps.vault, deps.clock),
    )
