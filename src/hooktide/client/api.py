"""The whole API: the blocking ``Client``, and ``AsyncClient`` for asyncio.

with Client("https://hooks.example.com", "htk_...") as hooktide:
    hooktide.publish("customer-1", "invoice.paid", {"id": "inv_1"})

async with AsyncClient("https://hooks.example.com", "htk_...") as hooktide:
    await hooktide.publish("customer-1", "invoice.paid", {"id": "inv_1"})
"""

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, cast

from hooktide.client import publishing
from hooktide.client.areas.accounts import AccountsArea, KeysArea, UsersArea
from hooktide.client.areas.bins import BinsArea
from hooktide.client.areas.endpoints import EndpointsArea, WebhooksArea
from hooktide.client.areas.events import DeliveriesArea, DeliveryJobsArea, EventsArea, ReplaysArea
from hooktide.client.areas.projects import EventTypesArea, ProjectsArea
from hooktide.client.publishing import NewEvent
from hooktide.client.requests import Request, Steps, call, instant, pages
from hooktide.client.retries import RetryPolicy
from hooktide.client.server import find_server
from hooktide.client.transport import Area, AsyncTransport, Transport, X, listing, operation
from hooktide.wire.access import AuditLogEntry, AuditLogQuery
from hooktide.wire.events import EventAccepted
from hooktide.wire.projects import StorageUsage, StorageUsageList
from hooktide.wire.statistics import Statistics, StatisticsQuery

_DEFAULT_POLICY = RetryPolicy()


class Api(Area[X]):
    """The API of one server. Its areas are attributes: ``accounts``, ``endpoints`` and so on."""

    def __init__(self, transport: X) -> None:
        super().__init__(transport)
        self.url = transport.server.url
        self._connect(transport)

    def _connect(self, transport: X) -> None:
        self._transport = transport
        self.accounts: AccountsArea[X] = AccountsArea(transport)
        self.bins: BinsArea[X] = BinsArea(transport)
        self.deliveries: DeliveriesArea[X] = DeliveriesArea(transport)
        self.delivery_jobs: DeliveryJobsArea[X] = DeliveryJobsArea(transport)
        self.endpoints: EndpointsArea[X] = EndpointsArea(transport)
        self.event_types: EventTypesArea[X] = EventTypesArea(transport)
        self.events: EventsArea[X] = EventsArea(transport)
        self.keys: KeysArea[X] = KeysArea(transport)
        self.users: UsersArea[X] = UsersArea(transport)
        self.projects: ProjectsArea[X] = ProjectsArea(transport)
        self.replays: ReplaysArea[X] = ReplaysArea(transport)
        self.webhooks: WebhooksArea[X] = WebhooksArea(transport)

    def within(self, project: str) -> Self:
        """Return this client restricted to one project; both share their connections."""
        narrowed = copy(self)
        narrowed._connect(cast("X", self._transport.within(project)))
        return narrowed

    @operation
    def publish(  # noqa: PLR0913  # one for each member of the event
        self,
        account: str,
        type: str,
        payload: Any,
        *,
        occurred_at: datetime | None = None,
        transition: str = "",
        test: bool = False,
        channels: Sequence[str] = (),
        tags: Sequence[str] = (),
        retention_days: int | None = None,
        idempotency_key: str | None = None,
    ) -> Request[EventAccepted]:
        """Publish an event; it is durable when this returns.

        See ``NewEvent`` for the parameters. A payload that cannot be written as JSON (NaN, say)
        raises InvalidError before anything is sent. The request is retried under one idempotency
        key, so it never becomes two events. If it raises UnreachableError nevertheless, the error
        has that key: use it to publish the event again.
        """
        key = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
        return publishing.publish(
            NewEvent(
                account=account,
                type=type,
                payload=payload,
                occurred_at=occurred_at,
                transition=transition,
                test=test,
                channels=channels,
                tags=tags,
                retention_days=retention_days,
                **key,
            )
        )

    @listing
    def audit_log(
        self,
        *,
        target: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Steps[AuditLogEntry]:
        """List the audit log, newest first; ``target``: only what was done to this id or name.

        From ``since`` on and before ``until``.
        """
        query = AuditLogQuery(target=target, since=instant(since), until=instant(until))
        return pages("/v1/audit-log", AuditLogEntry, query, limit)

    @operation
    def statistics(
        self,
        *,
        period: Literal["24h", "7d", "30d"] = "24h",
        account: str | None = None,
        endpoint: str | None = None,
    ) -> Request[Statistics]:
        """Return what waits, why attempts fail, outcomes and times: of an endpoint or an account.

        Without either, of everything that the key has access to.
        """
        query = StatisticsQuery(period=period, account=account, endpoint=endpoint)
        return call("GET", "/v1/statistics", Statistics, query=query)

    @operation
    def storage_usage(self) -> Request[list[StorageUsage]]:
        """Return how much each project stores, for an operator; this may take a while."""
        return call("GET", "/v1/storage-usage", StorageUsageList).then(lambda found: found.items)


class Client(Api[Transport]):
    """A client of one server, with one key.

    The defaults are HOOKTIDE_SERVER (else http://127.0.0.1:8080) and HOOKTIDE_KEY. ``timeout`` is
    in seconds, for each attempt; ``retry_policy`` applies to all calls that are safe to repeat: all
    except those that create something (publishing is safe, since it sends idempotency keys). The
    areas of the API are attributes: ``accounts``, ``endpoints``, ``events``, ``deliveries`` and so
    on. ``project`` restricts all calls to one project, which an operator key needs if several
    projects have an account with the same reference.

    It is thread-safe. Close it, or use ``with``.

    :raises ConfigError: there is no key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        project: str | None = None,
        timeout: float = 10.0,
        retry_policy: RetryPolicy = _DEFAULT_POLICY,
    ) -> None:
        super().__init__(Transport(find_server(url, key, project), timeout, retry_policy))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class AsyncClient(Api[AsyncTransport]):
    """The same for asyncio: operations are awaited, lists read with ``async for``.

    It may be shared by many tasks. Close it, or use ``async with``.

    :raises ConfigError: there is no key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        project: str | None = None,
        timeout: float = 10.0,
        retry_policy: RetryPolicy = _DEFAULT_POLICY,
    ) -> None:
        super().__init__(AsyncTransport(find_server(url, key, project), timeout, retry_policy))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()
