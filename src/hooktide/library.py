"""Hooktide inside an ASGI application: FastAPI, Starlette, Django or any other.

    hooktide = Hooktide(
        database="hooktide.db",
        public_url="https://app.example.com/hooktide",
        projects=["invoicing.toml"],
    )
    app = FastAPI(lifespan=hooktide.lifespan)
    app.mount("/hooktide", hooktide)

    await hooktide.publish("invoice.paid", {"id": 1}, account="customer-1")

It does what ``hooktide serve`` does, in the application's process and on its event loop: it
accepts, delivers, retries, and serves the API and the pages below the path of ``public_url``.
"""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from hooktide.actions.access.portal_links import create_portal_link, portal_links
from hooktide.actions.audit_log import AuditLog
from hooktide.actions.projects import Projects
from hooktide.actions.publishing.publish import Unknown
from hooktide.app import App, Lifecycle, begin_app, begin_when_possible
from hooktide.dialects import load
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import ConfigError, HooktideError, UnavailableError
from hooktide.domain.ids import show
from hooktide.domain.model import SECOND
from hooktide.domain.model import Scope as Reach
from hooktide.domain.texts import check_is_text
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import Answer, NotYet, Relay
from hooktide.outbox.row import TABLE, make_row
from hooktide.runtime.background import cancel, keep, start
from hooktide.runtime.logs import into_logging
from hooktide.runtime.settings import Settings, check
from hooktide.store.base import Accepted
from hooktide.store.contract import Store
from hooktide.web.middleware.mount import FORWARDED_PREFIX, prefix_of, without
from hooktide.web.publishing.events import read_event
from hooktide.web.starting import StartingSite
from hooktide.wire.events import EventIn

log = logging.getLogger("hooktide")

ACTOR = Actor(name="application", source=Source.LIBRARY)

RELAY_RETRY_DELAY = 10.0
"""Seconds before retrying an outbox that is unusable: it may have been repaired."""
_ASKED = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path"),
    *("query_string", "headers", "client", "server"),
)


class Hooktide:
    """One Hooktide in this process. An ASGI application, to be mounted.

    Parameters
    ----------
    public_url
        Its public URL, including the path that it is mounted at.
    projects
        Project files, or names of shipped ones, applied at the start.
    remove_event_types
        Also remove event types missing from a project file that endpoints subscribe to by name;
        otherwise such a file is refused at the start.
    outbox
        A database of the application with an outbox to relay.
    outbox_table
        That outbox's name.
    operator_key
        The operator key; by default the first start creates one and logs it.
    options
        Any of ``hooktide serve``: ``database``, ``key_file``, ``allow_network``, ``slots``...

    :raises ConfigError: an option is wrong; the error says which and why.
    """

    def __init__(
        self,
        *,
        public_url: str,
        projects: Sequence[str] = (),
        remove_event_types: bool = False,
        outbox: str = "",
        outbox_table: str = TABLE,
        operator_key: str = "",
        **options: Any,
    ) -> None:
        try:
            self.settings = Settings(**{"log_attempts": False, **options, "public_url": public_url})
        except TypeError as error:
            raise ConfigError(f"{error}; hooktide serve --help lists the options") from None
        check(self.settings)
        if self.settings.processes > 1:
            raise ConfigError("this option is for hooktide serve only", key="processes")
        self._projects = [load(each) for each in projects]
        self._remove_event_types = remove_event_types
        self._outbox = outbox
        self._outbox_table = outbox_table
        self._operator_key = operator_key
        self._life: Lifecycle | None = None
        self._starting: StartingSite | None = None
        self._mount_warned = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Hooktide"]:
        """Run Hooktide within this context.

        If the database is unreachable, the application starts anyway, and Hooktide as soon as it
        can: until then its methods raise ``UnavailableError``, requests get 503 with Retry-After,
        and ``/health/ready`` below its path says what it waits for.

        :raises ConfigError: the database or the key is unusable.
        """
        into_logging()
        beginning: asyncio.Task[None] | None = None
        try:
            await self._open()
        except UnavailableError as error:
            self._starting = StartingSite(error.reason)
            beginning = start(self._open_when_possible(self._starting), "open the database")
        try:
            with _told_to_stop(self._begin_to_stop):
                async with self._relaying():
                    yield self
        finally:
            await cancel(beginning)
            life, self._life, self._starting = self._life, None, None
            if life is not None:
                await life.stop()

    async def _open_when_possible(self, site: StartingSite) -> None:
        await begin_when_possible(self._open, site, keep_trying=True)
        log.info("the database is available; Hooktide is running")

    def _begin_to_stop(self) -> None:
        if self._life is not None:
            self._life.app.stopping.set()

    @contextlib.asynccontextmanager
    async def lifespan(self, application: Any = None) -> AsyncIterator[None]:
        """Run it for the application's lifetime: ``FastAPI(lifespan=hooktide.lifespan)``."""
        async with self.running():
            yield

    async def _open(self) -> None:
        settings = self.settings
        self._life, made = await begin_app(
            settings, settings.port, self._operator_key, prepare=self._apply_projects
        )
        for line in made.lines():
            log.warning(line)

    async def _apply_projects(self, store: Store) -> None:
        projects, remove = Projects(store, store.clock), self._remove_event_types
        for project in self._projects:
            await projects.put(ACTOR, Reach(), project, remove_event_types=remove)

    @contextlib.asynccontextmanager
    async def _relaying(self) -> AsyncIterator[None]:
        if not self._outbox:
            yield
            return
        found = open_outbox(self._outbox, self._outbox_table)
        relay = Relay(found, self._take)
        task = keep(relay.run, "move events from the outbox", retry_delay=RELAY_RETRY_DELAY)
        try:
            yield
        finally:
            await cancel(task)
            await found.close()

    @property
    def app(self) -> App:
        """The running app.

        :raises UnavailableError: it has not started yet, or has stopped.
        """
        if self._life is not None:
            return self._life.app
        if self._starting is not None:
            raise UnavailableError(f"Hooktide waits for its database: {self._starting.reason}")
        raise UnavailableError("Hooktide is not running: pass its lifespan to the application")

    async def publish(  # noqa: PLR0913  # one for each member of the event
        self,
        type: str,
        payload: Any,
        *,
        account: str,
        project: str = "",
        occurred_at: datetime | str | None = None,
        transition: str = "",
        key: str = "",
        test: bool = False,
        channels: Sequence[str] = (),
        tags: Sequence[str] = (),
        retention_days: int | None = None,
    ) -> str | None:
        """Publish an event and return its id (``evt_...``) once it and its deliveries are durable.

        None: the account does not exist and the project does not create it on publish; nothing was
        stored.

        ``project``: required if several projects have an account with this reference. ``key``: its
        idempotency key. ``retention_days``: after so many the payload is erased; None: as the event
        type says. Otherwise like ``hooktide.sqlalchemy.emit``, which is for events that must
        commit with a change.

        :raises InvalidError: the event is invalid.
        :raises NotFoundError: there is no such project.
        :raises RefusedError: the project is not live, or the key was used for another event.
        :raises UnavailableError: the database did not store it.
        """
        row = make_row(
            type,
            payload,
            account=account,
            occurred_at=occurred_at,
            transition=transition,
            key=key,
            test=test,
            channels=channels,
            tags=tags,
            keyed=False,
        )
        event = EventIn(
            account=row["account"],
            type=row["type"],
            payload=msgspec.Raw(row["payload"].encode()),
            occurred_at=None if occurred_at is None else row["occurred_at"],
            transition=row["transition"],
            idempotency_key=row["key"],
            test=row["test"],
            channels=tuple(channels),
            tags=tuple(tags),
            retention_days=retention_days,
        )
        accepted = await self.app.publisher.publish(await self._reach(project), event)
        if isinstance(accepted, Unknown):
            return None
        self.app.metrics.accepted.add()
        return show("evt", accepted.event_id)

    async def create_account(
        self, reference: str, *, project: str = "", name: str = "", plan: str | None = None
    ) -> str:
        """Create an account for a customer, unless there is one; return its id (``acc_...``).

        ``project`` is optional if there is only one.

        :raises InvalidError: the reference, the name or the plan cannot be used.
        """
        check_is_text(reference=reference)
        accounts = self.app.accounts
        reach = await self._reach(project or await self._only_project())
        found, _ = await accounts.ensure(ACTOR, reach, None, reference, name, plan)
        return show("acc", found.id)

    async def create_portal_link(
        self, account: str, *, project: str = "", expires_in: int = 3600, read_only: bool = False
    ) -> str:
        """Create a link into a customer's portal, for a redirect or a frame.

        ``expires_in``: seconds that it is valid for. ``read_only``: the portal can only be viewed.

        :raises InvalidError: the account is not given as text.
        :raises NotFoundError: there is no such account.
        """
        check_is_text(account=account)
        found = await self.app.accounts.find(await self._reach(project), account)
        expires_at = self.app.clock() + expires_in * SECOND
        links, audit_log = portal_links(self.app.vault), AuditLog(self.app.store, self.app.clock)
        link = await create_portal_link(links, audit_log, ACTOR, found, expires_at, read_only)
        return link.url(self.app.public_url)

    async def _reach(self, project: str) -> Reach:
        if not project:
            return Reach()
        return Reach(project_id=(await self.app.directory.project_by_name(Reach(), project)).id)

    async def _only_project(self) -> str:
        found = await self.app.store.list_projects(Reach())
        if len(found) != 1:
            raise ConfigError("give the project", key="project")
        return found[0].project.name

    async def _take(self, bodies: Sequence[bytes]) -> list[Answer]:
        """Accept events from the relay."""
        answers: list[Answer] = [None] * len(bodies)
        events: dict[int, EventIn] = {}
        for place, body in enumerate(bodies):
            try:
                events[place] = read_event(body)
            except HooktideError as error:
                answers[place] = str(error)
        results = await self.app.publisher.publish_batch(Reach(), list(events.values()))
        for place, result in zip(events, results, strict=True):
            if isinstance(result, UnavailableError):
                answers[place] = NotYet(str(result))
            elif isinstance(result, HooktideError):
                answers[place] = str(result)
        self.app.metrics.accepted.add(sum(isinstance(each, Accepted) for each in results))
        return answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer requests below the path that this is mounted at."""
        if scope["type"] == "lifespan":
            await _live(self, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = self._starting if self._life is None else self._life.app.site
        if site is None:
            await _say_unavailable(send)
            return
        # The application's own routing results must not reach our router.
        asked = {name: scope[name] for name in _ASKED if name in scope}
        root = scope.get("root_path", "")
        self._check_mount(root)
        asked |= {"path": self._asked(root, scope["path"]), "root_path": ""}
        if root:  # the path includes it again, whatever prefix a proxy says it removed
            asked["headers"] = [each for each in scope["headers"] if each[0] != FORWARDED_PREFIX]
        asked["raw_path"] = self._asked(root, (scope.get("raw_path") or b"").decode()).encode()
        await site(asked, receive, send)

    def _check_mount(self, root: str) -> None:
        """Warn once if links made with ``public_url`` would not lead to this application.

        Without a mount this is unknown: a proxy may have stripped the path.
        """
        expected = prefix_of(self.settings.public_url)
        if root and root != expected and not self._mount_warned:
            self._mount_warned = True
            log.warning(
                "Hooktide is mounted at %s, and the path of public_url is %s: links to the portal, "
                "the dashboard and request bins do not lead here. Mount it at the path of "
                "public_url, or change public_url, unless a proxy maps the one to the other",
                root,
                expected or "/",
            )

    def _asked(self, root: str, path: str) -> str:
        """Return a path as clients see it: the site strips its own prefix, once."""
        inner = without(root, path)
        return path if inner == path else prefix_of(self.settings.public_url) + inner

    def wrap(self, application: ASGIApp) -> ASGIApp:
        """Return an application that routes ``public_url``'s path here, and the rest to another.

        For Django, whose applications have no mounts and no lifespan:
        ``application = hooktide.wrap(get_asgi_application())``.
        """
        prefix = prefix_of(self.settings.public_url)

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if scope["type"] == "lifespan" or path == prefix or path.startswith(f"{prefix}/"):
                await self(scope, receive, send)
            else:
                await application(scope, receive, send)

        return both


async def _live(hooktide: Hooktide, receive: Receive, send: Send) -> None:
    await receive()
    try:
        async with hooktide.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except HooktideError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})


async def _say_unavailable(send: Send) -> None:
    body = b'{"status":503,"title":"Hooktide is not running"}'
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"2")]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def _told_to_stop(stop: Callable[[], None]) -> Any:
    """End streams as soon as the process receives a stop signal.

    A server waits for its connections before it ends an application's lifespan, and a live page
    would block it forever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[..., Any]] = {}

    def on_signal(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(stop)
        before[number](number, frame)

    for which in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(which)
        if callable(handler):
            before[which] = handler
            signal.signal(which, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is on_signal:
                signal.signal(number, handler)
