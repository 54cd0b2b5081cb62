"""The whole API for asyncio: ``AsyncClient``. ``blocking`` is made from this file, never by hand.

    async with AsyncClient("https://hooks.example.com", "htk_...") as hooktide:
        await hooktide.publish("customer-1", "invoice.paid", {"id": "inv_1"})

(``python tests/blocking.py`` makes the other one; a test compares.)
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, MutableSequence, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from msgspec import UNSET, UnsetType

from hooktide.client import shapes
from hooktide.client.calls import (
    PAGE,
    Answer,
    Ask,
    Batch,
    Items,
    Page,
    Patience,
    Result,
    Results,
    Server,
    ask,
    batch_ask,
    batches,
    error_of,
    event_body,
    find_server,
    given,
    instant,
    read,
    removed_before,
    silence,
)
from hooktide.client.errors import UnexpectedAnswerError

T = TypeVar("T")


class AsyncClient:
    """A server, and the key that it is asked with.

    Without them: HOOKTIDE_URL (else http://127.0.0.1:8080) and HOOKTIDE_KEY. ``timeout`` is in
    seconds, for each try; ``patience`` says how often a call is repeated that may be: all but those
    that make something new, and publishing, which carries idempotency keys. The areas of the API
    are attributes: ``accounts``, ``endpoints``, ``events``, ``deliveries`` and so on.

    May be used by many tasks at once. Close it, or use ``async with``.

    :raises ConfigError: there is no key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        patience: Patience = Patience(),  # noqa: B008  # it never changes
    ) -> None:
        server = find_server(url, key)
        self.url = server.url
        wire = AsyncWire(server, timeout, patience)
        self._wire = wire
        self.accounts = Accounts(wire)
        self.bins = Bins(wire)
        self.deliveries = Deliveries(wire)
        self.endpoints = Endpoints(wire)
        self.event_types = EventTypes(wire)
        self.events = Events(wire)
        self.keys = Keys(wire)
        self.people = People(wire)
        self.projects = Projects(wire)
        self.replays = Replays(wire)
        self.webhooks = Webhooks(wire)

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
        await self._wire.close()

    async def publish(
        self,
        account: str,
        type: str,
        payload: Any,
        *,
        occurred_at: datetime | None = None,
        transition: str = "",
        test: bool = False,
        idempotency_key: str | None = None,
    ) -> shapes.Accepted:
        """Publish an event; it is durable when this returns.

        See ``NewEvent`` for what these are. Repeated until it is answered, under one idempotency
        key, so it never becomes two events. Should it end in UnreachableError all the same, the
        error has that key: publish it again with it.
        """
        given_key = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
        return await self.events.publish(
            shapes.NewEvent(
                account=account,
                type=type,
                payload=payload,
                occurred_at=occurred_at,
                transition=transition,
                test=test,
                **given_key,
            )
        )

    def changes(
        self, *, subject: str | None = None, limit: int | None = None
    ) -> AsyncIterator[shapes.Change]:
        """List who changed what, newest first; ``subject``: only of this id or name."""
        query = {"subject": subject}
        return self._wire.items(shapes.Change, "/v1/changes", query=query, limit=limit)

    async def sizes(self) -> list[shapes.Size]:
        """Say how much is kept of each project, for an operator; this may take a while."""
        return (await self._wire.call(Items[shapes.Size], ask("GET", "/v1/sizes"))).items


class AsyncWire:
    """Sends calls, and repeats them where that is safe."""

    def __init__(self, server: Server, timeout: float, patience: Patience) -> None:
        self._server = server
        self._patience = patience
        self._http = httpx.AsyncClient(headers=server.headers, timeout=timeout, mounts=HERE)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, kind: type[T], asked: Ask) -> T:
        """Return what is answered.

        :raises ClientError: nothing is, or the server refuses.
        """
        return read(asked, await self._exchange(asked), kind)

    async def tell(self, asked: Ask) -> None:
        """Make a call that is answered by nothing."""
        answer = await self._exchange(asked)
        if not 200 <= answer.status < 300:
            raise error_of(asked, answer)

    async def items(
        self,
        kind: type[T],
        path: str,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[T]:
        """Give the items of a list, a page at a time, newest first, ``limit`` of them at most."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            more = {**(query or {}), "limit": size, "cursor": cursor}
            page: Page[T] = await self.call(Page[kind], ask("GET", path, names, more))  # type: ignore[valid-type]
            for item in page.items:
                yield item
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def rest(self, made: int) -> bool:
        """Wait before something is tried again; False: so many tries were enough."""
        wait = self._patience.wait(made)
        if wait is not None:
            await asyncio.sleep(wait)
        return wait is not None

    async def _exchange(self, asked: Ask) -> Answer:
        made = 0
        while True:
            made += 1
            try:
                answer = await self._once(asked)
                wait = self._patience.after_answer(asked, answer, made)
                if wait is None:
                    return Answer(204, {}, b"") if removed_before(asked, answer, made) else answer
            except httpx.HTTPError as error:
                sent = not isinstance(error, NOT_SENT)
                wait = self._patience.after_silence(asked, made, sent=sent)
                if wait is None:
                    raise silence(self._server, asked, str(error), sent=sent) from error
            await asyncio.sleep(wait)

    async def _once(self, asked: Ask) -> Answer:
        url = self._server.url + asked.path
        headers, content = asked.headers, asked.body or None
        got = await self._http.request(asked.method, url, headers=headers, content=content)
        return Answer(got.status_code, got.headers, got.content)


HERE: Mapping[str, None] = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"))
"""No proxy of the environment is asked for this machine."""

NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Area:
    """A part of the API."""

    def __init__(self, wire: AsyncWire) -> None:
        self._wire = wire


class Projects(Area):
    """Projects: a project is what its file says."""

    async def apply(self, name: str, file: str) -> shapes.Applied:
        """Make a project as its file (its text, TOML) says; the same again changes nothing."""
        asked = ask("PUT", "/v1/projects/{name}", {"name": name}, body=file)
        return await self._wire.call(shapes.Applied, asked)

    async def list(self) -> Sequence[shapes.Project]:
        """List the projects."""
        return (await self._wire.call(Items[shapes.Project], ask("GET", "/v1/projects"))).items

    async def get(self, name: str) -> shapes.Project:
        """Get a project."""
        asked = ask("GET", "/v1/projects/{name}", {"name": name})
        return await self._wire.call(shapes.Project, asked)

    async def remove(self, name: str) -> None:
        """Remove a project that has no accounts."""
        await self._wire.tell(ask("DELETE", "/v1/projects/{name}", {"name": name}))


class EventTypes(Area):
    """What a project's events may be. ``project`` is needed with an operator's key."""

    async def list(self, *, project: str | None = None) -> Sequence[shapes.EventType]:
        """List the event types; an account's key sees those that are offered to the account."""
        asked = ask("GET", "/v1/event-types", query={"project": project})
        return (await self._wire.call(Items[shapes.EventType], asked)).items

    async def get(self, name: str, *, project: str | None = None) -> shapes.EventType:
        """Get an event type."""
        asked = ask("GET", "/v1/event-types/{name}", {"name": name}, {"project": project})
        return await self._wire.call(shapes.EventType, asked)

    async def put(
        self,
        name: str,
        *,
        project: str | None = None,
        description: str = "",
        example: Any = UNSET,
        schema: Any = UNSET,
        transition: str = "",
        accounts: Sequence[str] = (),
        message: shapes.Wording | UnsetType = UNSET,
    ) -> shapes.EventType:
        """Add an event type, or replace it. ``message`` is what a chat is told, in your words."""
        body = given(
            description=description,
            example=example,
            schema=schema,
            transition=transition,
            accounts=accounts,
            message=message,
        )
        path = "/v1/event-types/{name}"
        asked = ask("PUT", path, {"name": name}, {"project": project}, body)
        return await self._wire.call(shapes.EventType, asked)

    async def remove(self, name: str, *, project: str | None = None) -> None:
        """Remove an event type; what was published stays."""
        path = "/v1/event-types/{name}"
        await self._wire.tell(ask("DELETE", path, {"name": name}, {"project": project}))


class Accounts(Area):
    """The customers of a project, by ``acc_`` id or by the product's own reference."""

    async def add(
        self, reference: str, *, project: str | None = None, name: str = "", plan: str | None = None
    ) -> shapes.Account:
        """Add an account. ``project`` is needed with an operator's key."""
        body = {"reference": reference, "project": project, "name": name, "plan": plan}
        return await self._wire.call(shapes.Account, ask("POST", "/v1/accounts", body=body))

    def list(
        self, *, project: str | None = None, limit: int | None = None
    ) -> AsyncIterator[shapes.Account]:
        """List the accounts, newest first."""
        query = {"project": project}
        return self._wire.items(shapes.Account, "/v1/accounts", query=query, limit=limit)

    async def get(self, account: str) -> shapes.Account:
        """Get an account."""
        asked = ask("GET", "/v1/accounts/{account}", {"account": account})
        return await self._wire.call(shapes.Account, asked)

    async def change(
        self, account: str, *, name: str | UnsetType = UNSET, plan: str | UnsetType = UNSET
    ) -> shapes.Account:
        """Change what is given of an account."""
        body = given(name=name, plan=plan)
        asked = ask("PATCH", "/v1/accounts/{account}", {"account": account}, body=body)
        return await self._wire.call(shapes.Account, asked)

    async def remove(self, account: str) -> None:
        """Remove an account with its endpoints and keys."""
        await self._wire.tell(ask("DELETE", "/v1/accounts/{account}", {"account": account}))

    async def portal_link(
        self, account: str, *, expires_in: int = 3600, read_only: bool = False
    ) -> shapes.PortalLink:
        """Make a link into an account's portal, good for ``expires_in`` seconds."""
        path, body = {"account": account}, {"expires_in": expires_in, "read_only": read_only}
        asked = ask("POST", "/v1/accounts/{account}/portal-links", path, body=body)
        return await self._wire.call(shapes.PortalLink, asked)


class Keys(Area):
    """What opens the API."""

    async def add(
        self,
        scope: Literal["operator", "project", "account"],
        name: str,
        *,
        project: str | None = None,
        account: str | None = None,
    ) -> shapes.NewKey:
        """Make a key; its text is in the answer, this once."""
        body = {"scope": scope, "name": name, "project": project, "account": account}
        return await self._wire.call(shapes.NewKey, ask("POST", "/v1/keys", body=body))

    def list(self, *, limit: int | None = None) -> AsyncIterator[shapes.Key]:
        """List the keys, newest first, revoked ones included."""
        return self._wire.items(shapes.Key, "/v1/keys", limit=limit)

    async def revoke(self, id: str) -> None:
        """Revoke a key, at once and for good."""
        await self._wire.tell(ask("DELETE", "/v1/keys/{id}", {"id": id}))


class People(Area):
    """Who may log in to the dashboard, for an operator."""

    async def add(
        self, name: str, role: Literal["owner", "member", "viewer"], *, project: str | None = None
    ) -> shapes.Person:
        """Add somebody; a login link lets them in. Without a project, all of them are theirs."""
        body = {"name": name, "role": role, "project": project}
        return await self._wire.call(shapes.Person, ask("POST", "/v1/people", body=body))

    async def list(self) -> Sequence[shapes.Person]:
        """List everybody, by name."""
        return (await self._wire.call(Items[shapes.Person], ask("GET", "/v1/people"))).items

    async def get(self, id: str) -> shapes.Person:
        """Get somebody."""
        return await self._wire.call(shapes.Person, ask("GET", "/v1/people/{id}", {"id": id}))

    async def change(
        self,
        id: str,
        *,
        name: str | UnsetType = UNSET,
        role: Literal["owner", "member", "viewer"] | UnsetType = UNSET,
        project: str | UnsetType | None = UNSET,
    ) -> shapes.Person:
        """Change what is given of somebody; ``project`` None: all projects."""
        body = given(name=name, role=role, project=project)
        asked = ask("PATCH", "/v1/people/{id}", {"id": id}, body=body)
        return await self._wire.call(shapes.Person, asked)

    async def remove(self, id: str) -> None:
        """Remove somebody; they are logged out at once."""
        await self._wire.tell(ask("DELETE", "/v1/people/{id}", {"id": id}))

    async def login_link(self, id: str) -> shapes.LoginLink:
        """Make a link that logs somebody in, once and within a day."""
        asked = ask("POST", "/v1/people/{id}/login-links", {"id": id})
        return await self._wire.call(shapes.LoginLink, asked)


class Endpoints(Area):
    """Where an account's events go."""

    async def add(
        self,
        url: str,
        event_types: Sequence[str],
        *,
        account: str | None = None,
        kind: str | UnsetType = UNSET,
        name: str = "",
        description: str = "",
        headers: Mapping[str, str] | None = None,
        secret: str | UnsetType = UNSET,
    ) -> shapes.NewEndpoint:
        """Add an endpoint; its secret is in the answer, this once.

        ``account`` is needed, but with an account's key. ``kind`` is webhook, slack, discord or
        teams (by default what the URL looks like). ``secret`` is the one that its receiver has
        already, when it comes from another sender; not with an account's key.
        """
        body = {
            "url": url,
            "event_types": event_types,
            "account": account,
            "name": name,
            "description": description,
            "headers": headers or {},
            **given(kind=kind, secret=secret),
        }
        return await self._wire.call(shapes.NewEndpoint, ask("POST", "/v1/endpoints", body=body))

    def list(
        self, *, account: str | None = None, limit: int | None = None
    ) -> AsyncIterator[shapes.Endpoint]:
        """List the endpoints, newest first."""
        query = {"account": account}
        return self._wire.items(shapes.Endpoint, "/v1/endpoints", query=query, limit=limit)

    async def get(self, id: str) -> shapes.Endpoint:
        """Get an endpoint."""
        return await self._wire.call(shapes.Endpoint, ask("GET", "/v1/endpoints/{id}", {"id": id}))

    async def change(
        self,
        id: str,
        *,
        url: str | UnsetType = UNSET,
        event_types: Sequence[str] | UnsetType = UNSET,
        kind: str | UnsetType = UNSET,
        name: str | UnsetType = UNSET,
        description: str | UnsetType = UNSET,
        headers: Mapping[str, str] | UnsetType = UNSET,
    ) -> shapes.Endpoint:
        """Change what is given of an endpoint; ``headers`` are replaced as a whole."""
        body = given(
            url=url,
            event_types=event_types,
            kind=kind,
            name=name,
            description=description,
            headers=headers,
        )
        asked = ask("PATCH", "/v1/endpoints/{id}", {"id": id}, body=body)
        return await self._wire.call(shapes.Endpoint, asked)

    async def remove(self, id: str) -> None:
        """Remove an endpoint; what is pending for it is discarded."""
        await self._wire.tell(ask("DELETE", "/v1/endpoints/{id}", {"id": id}))

    async def enable(self, id: str) -> shapes.Endpoint:
        """Send to an endpoint again."""
        asked = ask("POST", "/v1/endpoints/{id}/enable", {"id": id}, again=True)
        return await self._wire.call(shapes.Endpoint, asked)

    async def disable(self, id: str) -> shapes.Endpoint:
        """Send nothing more to an endpoint; what is pending is discarded."""
        asked = ask("POST", "/v1/endpoints/{id}/disable", {"id": id}, again=True)
        return await self._wire.call(shapes.Endpoint, asked)

    async def rotate(self, id: str) -> shapes.Rotated:
        """Give an endpoint a new secret; it is in the answer, this once."""
        asked = ask("POST", "/v1/endpoints/{id}/rotate", {"id": id})
        return await self._wire.call(shapes.Rotated, asked)

    async def test(self, id: str, *, event_type: str | None = None) -> shapes.Tested:
        """Send a test event at once, and return what came back."""
        body = {"event_type": event_type}
        asked = ask("POST", "/v1/endpoints/{id}/test", {"id": id}, body=body)
        return await self._wire.call(shapes.Tested, asked)

    def deliveries(self, id: str, *, limit: int | None = None) -> AsyncIterator[shapes.Delivery]:
        """List the deliveries to an endpoint, newest first."""
        path = "/v1/endpoints/{id}/deliveries"
        return self._wire.items(shapes.Delivery, path, {"id": id}, limit=limit)


class Events(Area):
    """What happened, and publishing it."""

    async def publish(self, event: shapes.NewEvent) -> shapes.Accepted:
        """Publish an event; it is durable when this returns. The same again is the same event."""
        body, key = event_body(event), event.idempotency_key
        asked = Ask("POST", "/v1/events", body, again=bool(key), idempotency_key=key)
        return await self._wire.call(shapes.Accepted, asked)

    async def publish_many(
        self, events: Iterable[shapes.NewEvent]
    ) -> AsyncIterator[shapes.Published]:
        """Publish events, up to 1,000 at once, and say what became of each, in their order.

        Those that the server could not take just now are sent again, some times. A call that fails
        as a whole raises: what was given before is durable, and the rest may be published again.
        """
        for batch in batches(events):
            results = await self._publish(batch)
            for (event, _), result in zip(batch, results, strict=True):
                yield published(event, result)

    async def _publish(self, batch: Batch) -> Sequence[Result]:
        """Publish a batch, and those of it that were not taken for now again."""
        results = await self._told(batch)
        made = 1
        while open_ := [n for n, result in enumerate(results) if result.unavailable]:
            if not await self._wire.rest(made):
                break
            made += 1
            told = await self._told([batch[n] for n in open_])
            for number, result in zip(open_, told, strict=True):
                results[number] = result
        return results

    async def _told(self, batch: Batch) -> MutableSequence[Result]:
        results = (await self._wire.call(Results, batch_ask(batch))).results
        if len(results) != len(batch):
            raise UnexpectedAnswerError("a batch was answered with another number of events")
        return results

    def list(
        self, *, account: str | None = None, type: str | None = None, limit: int | None = None
    ) -> AsyncIterator[shapes.Event]:
        """List the events, newest first, without their payloads."""
        query = {"account": account, "type": type}
        return self._wire.items(shapes.Event, "/v1/events", query=query, limit=limit)

    async def get(self, id: str) -> shapes.WholeEvent:
        """Get an event with its payload."""
        return await self._wire.call(shapes.WholeEvent, ask("GET", "/v1/events/{id}", {"id": id}))


def published(event: shapes.NewEvent, result: Result) -> shapes.Published:
    """Join an event and what became of it."""
    return shapes.Published(
        event=event, id=result.id, deliveries=result.deliveries, problem=result.problem
    )


class Deliveries(Area):
    """What became of each event at each endpoint."""

    def list(
        self,
        *,
        account: str | None = None,
        endpoint: str | None = None,
        event: str | None = None,
        state: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[shapes.Delivery]:
        """List the deliveries, newest first."""
        query = {"account": account, "endpoint": endpoint, "event": event, "state": state}
        return self._wire.items(shapes.Delivery, "/v1/deliveries", query=query, limit=limit)

    async def get(self, id: str) -> shapes.Delivery:
        """Get a delivery."""
        return await self._wire.call(shapes.Delivery, ask("GET", "/v1/deliveries/{id}", {"id": id}))

    async def attempts(self, id: str) -> Sequence[shapes.Attempt]:
        """List the attempts of a delivery, first to last."""
        asked = ask("GET", "/v1/deliveries/{id}/attempts", {"id": id})
        return (await self._wire.call(Items[shapes.Attempt], asked)).items

    async def resend(self, id: str) -> shapes.Delivery:
        """Send the same event to the same endpoint again, as a new delivery."""
        asked = ask("POST", "/v1/deliveries/{id}/resend", {"id": id})
        return await self._wire.call(shapes.Delivery, asked)


class Replays(Area):
    """An endpoint is sent old events again."""

    async def count(
        self,
        endpoint: str,
        what: Literal["failed", "missed", "event"],
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        event: str | None = None,
    ) -> shapes.Count:
        """Only count what a replay would send; see ``start``."""
        body = {"what": what, "since": instant(since), "until": instant(until), "event": event}
        path = "/v1/endpoints/{id}/replays"
        asked = ask("POST", path, {"id": endpoint}, body={**body, "dry_run": True}, again=True)
        return (await self._wire.call(shapes.ReplayStarted, asked)).count

    async def start(
        self,
        endpoint: str,
        what: Literal["failed", "missed", "event"],
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        event: str | None = None,
    ) -> shapes.Replay:
        """Send an endpoint old events again: those that failed or were missed since, or one.

        The server goes on with it by itself; ``get`` says how far it is.
        """
        body = {"what": what, "since": instant(since), "until": instant(until), "event": event}
        asked = ask("POST", "/v1/endpoints/{id}/replays", {"id": endpoint}, body=body)
        started = (await self._wire.call(shapes.ReplayStarted, asked)).replay
        if started is None:
            raise UnexpectedAnswerError("the server only counted; it was asked to start a replay")
        return started

    def list(self, endpoint: str, *, limit: int | None = None) -> AsyncIterator[shapes.Replay]:
        """List the replays of an endpoint, newest first."""
        path = "/v1/endpoints/{id}/replays"
        return self._wire.items(shapes.Replay, path, {"id": endpoint}, limit=limit)

    async def get(self, id: str) -> shapes.Replay:
        """Get a replay, and how far it is."""
        return await self._wire.call(shapes.Replay, ask("GET", "/v1/replays/{id}", {"id": id}))

    async def cancel(self, id: str) -> shapes.Replay:
        """Have a replay make no more deliveries; those that it made stay."""
        asked = ask("POST", "/v1/replays/{id}/cancel", {"id": id}, again=True)
        return await self._wire.call(shapes.Replay, asked)


class Bins(Area):
    """Request bins: URLs on the server that keep what they are sent."""

    async def add(
        self, script: Sequence[shapes.Step] = (), *, ttl_seconds: int | UnsetType = UNSET
    ) -> shapes.Bin:
        """Make a bin; without a script it answers 200."""
        body = given(script=script, ttl_seconds=ttl_seconds)
        return await self._wire.call(shapes.Bin, ask("POST", "/v1/bins", body=body))

    async def get(self, id: str) -> shapes.Bin:
        """Get a bin."""
        return await self._wire.call(shapes.Bin, ask("GET", "/v1/bins/{id}", {"id": id}))

    async def change(self, id: str, script: Sequence[shapes.Step]) -> shapes.Bin:
        """Give a bin another script, from its first answer on."""
        asked = ask("PATCH", "/v1/bins/{id}", {"id": id}, body={"script": script})
        return await self._wire.call(shapes.Bin, asked)

    async def remove(self, id: str) -> None:
        """Remove a bin and its requests."""
        await self._wire.tell(ask("DELETE", "/v1/bins/{id}", {"id": id}))

    def requests(self, id: str, *, limit: int | None = None) -> AsyncIterator[shapes.BinRequest]:
        """List what a bin was sent, newest first."""
        return self._wire.items(
            shapes.BinRequest, "/v1/bins/{id}/requests", {"id": id}, limit=limit
        )

    async def request(self, id: str, request: str) -> shapes.BinRequest:
        """Get one request that a bin was sent."""
        names = {"id": id, "request_id": request}
        asked = ask("GET", "/v1/bins/{id}/requests/{request_id}", names)
        return await self._wire.call(shapes.BinRequest, asked)

    async def body(self, id: str, request: str) -> bytes:
        """Get a request's body, up to its first 64 KB."""
        names = {"id": id, "request_id": request}
        return await self._wire.call(
            bytes, ask("GET", "/v1/bins/{id}/requests/{request_id}/raw", names)
        )

    async def clear(self, id: str) -> None:
        """Forget what a bin was sent."""
        await self._wire.tell(ask("DELETE", "/v1/bins/{id}/requests", {"id": id}))


class Webhooks(Area):
    """The customers' API, for an account's key: endpoints in the words of the project's guide.

    What the fields are called is the project's own, so they are dictionaries.
    """

    async def add(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Add a webhook; the secret is in the answer, this once."""
        return await self._wire.call(dict[str, Any], ask("POST", "/webhooks", body=fields))

    def list(self, *, limit: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """List the webhooks, newest first."""
        return self._wire.items(dict[str, Any], "/webhooks", limit=limit)

    async def get(self, id: str) -> dict[str, Any]:
        """Get a webhook."""
        return await self._wire.call(dict[str, Any], ask("GET", "/webhooks/{id}", {"id": id}))

    async def change(self, id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Change a webhook; what is absent stays."""
        asked = ask("PATCH", "/webhooks/{id}", {"id": id}, body=fields)
        return await self._wire.call(dict[str, Any], asked)

    async def remove(self, id: str) -> None:
        """Remove a webhook; what is pending for it is discarded."""
        await self._wire.tell(ask("DELETE", "/webhooks/{id}", {"id": id}))
