"""What the site is built from, and what each operation has at hand."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.routing import Route
from starlette.types import ASGIApp

from hooktide.actions.accounts import Accounts
from hooktide.actions.changes import Chronicle
from hooktide.actions.endpoints import Endpoints, TryNow
from hooktide.actions.keys import Keys
from hooktide.actions.people import People
from hooktide.actions.projects import Projects
from hooktide.actions.publish import Publisher
from hooktide.actions.replays import Replays
from hooktide.domain.address import UrlPolicy
from hooktide.domain.model import Micros
from hooktide.store.base import Store
from hooktide.store.directory import Directory
from hooktide.web.auth import Authenticator
from hooktide.web.pages import Cursors
from hooktide.web.portal.links import PortalLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The parts that the composition root puts together.

    ``try_now`` makes the attempt of a claim at once and records it; ``publisher`` accepts events,
    ``publish_door`` those of ``POST /v1/events``; ``ready`` gives the reasons for not being ready;
    ``metrics_page`` is what Prometheus reads; ``stopping`` ends open streams.
    """

    store: Store
    directory: Directory
    auth: Authenticator
    url_policy: UrlPolicy
    clock: Callable[[], Micros]
    public_url: str
    cursor_key: bytes = field(repr=False)
    portal_key: bytes = field(repr=False)
    try_now: TryNow
    publisher: Publisher
    publish_door: ASGIApp
    bin_routes: Sequence[Route]
    ready: Callable[[], Awaitable[list[str]]]
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
    replays: Replays
    keys: Keys
    people: People
    chronicle: Chronicle


def make_services(deps: Deps) -> Services:
    """Put the actions together."""
    accounts = Accounts(deps.store, deps.directory, deps.clock)
    return Services(
        store=deps.store,
        directory=deps.directory,
        clock=deps.clock,
        public_url=deps.public_url,
        cursors=Cursors(deps.cursor_key),
        portal_links=PortalLinks(deps.portal_key),
        accounts=accounts,
        projects=Projects(deps.store, deps.clock),
        endpoints=Endpoints(
            store=deps.store,
            directory=deps.directory,
            accounts=accounts,
            url_policy=deps.url_policy,
            clock=deps.clock,
            try_now=deps.try_now,
        ),
        replays=Replays(deps.store, deps.clock),
        keys=Keys(deps.store, deps.directory, accounts, deps.clock),
        people=People(deps.store, accounts, deps.clock, deps.public_url),
        chronicle=Chronicle(deps.store, deps.clock),
    )
