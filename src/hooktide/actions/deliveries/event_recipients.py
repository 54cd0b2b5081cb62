"""Who got an event and who did not: one line for each endpoint of its account, with the reason."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from hooktide.actions.deliveries.replays import Replays
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import RefusedError
from hooktide.domain.filtering.filter import Mismatch, read_exactly, stored_filter
from hooktide.domain.ids import made_at, show
from hooktide.domain.labels import is_addressed
from hooktide.domain.model import (
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Micros,
    Origin,
    ReplayWhat,
    Scope,
)
from hooktide.domain.project.project import wants
from hooktide.store.base import NewReplay
from hooktide.store.contract import Store

PAGE = 100
GETS = frozenset({DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.HELD})
"""States of a delivery whose endpoint got the event, or still will."""


class Why(StrEnum):
    """Why an endpoint has a delivery of an event, or has none."""

    SENT = "sent"
    ADDED_LATER = "added_later"
    NOT_SUBSCRIBED = "not_subscribed"
    DISABLED = "disabled"
    TEST = "test"
    NOT_SUBSCRIBED_THEN = "not_subscribed_then"
    NO_SHARED_CHANNEL = "no_shared_channel"
    NOT_MATCHED = "not_matched"


@dataclass(frozen=True, slots=True)
class Recipient:
    """An endpoint of an event's account.

    ``delivery`` is the newest of the event to it (None: there is none). ``since``: since when it
    was disabled at that time (None: it was not, or that is not known). ``mismatch``: what the
    filter that it has now requires and the payload has not, whether or not it is the reason.
    ``apart``: it has channels now, and shares none with the event, whether or not that is.
    """

    endpoint: Endpoint
    delivery: Delivery | None
    why: Why
    since: Micros | None = None
    mismatch: Mismatch | None = None
    apart: bool = False

    def is_rule_younger(self, event: Event) -> bool:
        """Whether the filter, or the channels, that keep an event from it were changed after the
        event was accepted, and may have let it through then."""
        changed_at = self.endpoint.channels_at if self.apart else self.endpoint.filtered_at
        return changed_at > made_at(event.id)

    @property
    def can_be_sent(self) -> bool:
        """Whether it is enabled, wants the event by its channels and filter, and did not get it."""
        return (
            self.mismatch is None
            and not self.apart
            and self.endpoint.enabled
            and (self.delivery is None or self.delivery.state not in GETS)
        )


@dataclass(frozen=True, slots=True)
class Recipients:
    """A page of them; the next page holds endpoints below ``next_before`` (None: the last page)."""

    items: Sequence[Recipient]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """An event, the newest delivery of it to each endpoint that has one, and how it was sent.

    ``payload`` reads its payload, once.
    """

    event: Event
    deliveries: Mapping[int, Delivery]
    of_test: bool
    payload: Callable[[], Any]


class EventRecipients:
    """Says who got an event, and sends it to those that did not."""

    def __init__(self, store: Store, replays: Replays) -> None:
        self._store = store
        self._replays = replays

    async def page(self, event: Event, before: int | None, limit: int) -> Recipients:
        """Return a page of the endpoints of an event's account that are there now, newest first."""
        return await self._page(await self._sent(event), before, limit)

    async def all(self, event: Event) -> AsyncIterator[Recipient]:
        """Yield all endpoints of an event's account that are there now, newest first.

        What was sent is read once, when this begins.
        """
        sent, before = await self._sent(event), None
        while True:
            page = await self._page(sent, before, PAGE)
            for each in page.items:
                yield each
            if page.next_before is None:
                return
            before = page.next_before

    async def send(self, actor: Actor, event: Event) -> int:
        """Send an event to the enabled endpoints that subscribe to it and did not get it.

        Returns how many. One that is being replayed already is left out.
        """
        sent = 0
        async for each in self.all(event):
            if not each.can_be_sent or not wants(each.endpoint.event_types, event.type):
                continue
            if await self._gets_by_now(event, each.endpoint):
                continue
            wanted = NewReplay(
                endpoint_id=each.endpoint.id, what=ReplayWhat.EVENT, event_id=event.id
            )
            try:
                await self._replays.start(actor, _scope(event), wanted, only_count=False)
            except RefusedError:
                continue
            sent += 1
        return sent

    async def _gets_by_now(self, event: Event, endpoint: Endpoint) -> bool:
        """Whether an endpoint's newest delivery of an event, made meanwhile perhaps, reaches it."""
        listed = await self._store.list_deliveries(
            _scope(event), None, 1, event_id=event.id, endpoint_id=endpoint.id
        )
        return any(each.state in GETS for each in listed.items)

    async def _page(self, sent: _Sent, before: int | None, limit: int) -> Recipients:
        listed = await self._store.list_endpoints(_scope(sent.event), before, limit)
        switched = await self._switched(sent, listed.items)
        found = [
            _matched(sent.event, _recipient(sent, each, switched), sent.payload)
            for each in listed.items
        ]
        return Recipients(found, listed.next_before)

    async def _sent(self, event: Event) -> _Sent:
        deliveries = await self._deliveries(event)
        of_test = any(each.origin is Origin.TEST for each in deliveries.values())
        payload = lru_cache(maxsize=1)(lambda: read_exactly(event.payload))
        return _Sent(event, deliveries, of_test, payload)

    async def _deliveries(self, event: Event) -> Mapping[int, Delivery]:
        """Return the newest delivery of an event to each endpoint that has one."""
        found: dict[int, Delivery] = {}
        before: int | None = None
        while True:
            page = await self._store.list_deliveries(_scope(event), before, PAGE, event_id=event.id)
            for each in page.items:
                known = found.setdefault(each.endpoint_id, each)
                if each.state is DeliveryState.DELIVERED and known.state not in GETS:
                    found[each.endpoint_id] = each
            if page.next_before is None:
                return found
            before = page.next_before

    async def _switched(
        self, sent: _Sent, endpoints: Sequence[Endpoint]
    ) -> Mapping[str, tuple[str, Micros]]:
        """Return how and when the endpoints that this depends on were last enabled or disabled."""
        unsure = [
            show("ep", each.id)
            for each in endpoints
            if each.id not in sent.deliveries and each.created_at <= made_at(sent.event.id)
        ]
        event = sent.event
        return await self._store.last_actions(_scope(event), unsure, _SWITCHES, event.id)


_SWITCHES = ("endpoint.create", "endpoint.enable", "endpoint.disable")


def _recipient(
    sent: _Sent, endpoint: Endpoint, switched: Mapping[str, tuple[str, Micros]]
) -> Recipient:
    event, delivery = sent.event, sent.deliveries.get(endpoint.id)
    if delivery is not None:
        return Recipient(endpoint, delivery, Why.SENT)
    if endpoint.created_at > made_at(event.id):
        return Recipient(endpoint, None, Why.ADDED_LATER)
    if sent.of_test:
        return Recipient(endpoint, None, Why.TEST)
    if not wants(endpoint.event_types, event.type):
        return Recipient(endpoint, None, Why.NOT_SUBSCRIBED)
    since = _disabled_since(event, endpoint, switched.get(show("ep", endpoint.id)))
    if since is not None:
        return Recipient(endpoint, None, Why.DISABLED, since)
    return Recipient(endpoint, None, Why.NOT_SUBSCRIBED_THEN)


def _disabled_since(
    event: Event, endpoint: Endpoint, switched: tuple[str, Micros] | None
) -> Micros | None:
    """Return since when an endpoint was disabled when an event came; None: it was enabled."""
    if endpoint.disabled_at is not None and endpoint.disabled_at <= made_at(event.id):
        return endpoint.disabled_at
    if switched is None:
        return None
    action, at = switched
    return at if action == "endpoint.disable" else None


def _matched(event: Event, found: Recipient, payload: Callable[[], Any]) -> Recipient:
    """Say which channels or filter of an endpoint that wants the type keep an event from it.

    They are the reason where there is no other.
    """
    endpoint = found.endpoint
    if found.delivery is not None or not wants(endpoint.event_types, event.type):
        return found
    if not is_addressed(endpoint.channels, event.channels):
        return replace(found, why=_unless_known(found, Why.NO_SHARED_CHANNEL), apart=True)
    if not endpoint.filter:
        return found
    filter_ = stored_filter(endpoint.filter)
    mismatch = None if filter_ is None else filter_.mismatch(payload())
    if mismatch is None:
        return found
    return replace(found, why=_unless_known(found, Why.NOT_MATCHED), mismatch=mismatch)


def _unless_known(found: Recipient, why: Why) -> Why:
    return why if found.why is Why.NOT_SUBSCRIBED_THEN else found.why


def _scope(event: Event) -> Scope:
    return Scope(account_id=event.account_id)
