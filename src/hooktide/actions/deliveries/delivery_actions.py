"""Actions on deliveries: retry now, stop, send again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import NotFoundError, RefusedError, UnavailableError
from hooktide.domain.ids import show
from hooktide.domain.model import STOPPED_BY_HAND, Delivery, DeliveryState, Micros, Scope
from hooktide.store import refusals
from hooktide.store.contract import Store

Enable: TypeAlias = Callable[[Actor, Scope, int], Awaitable[Any]]
"""Enables an endpoint, by its id."""


class DeliveryActions:
    """Acts on deliveries within a scope."""

    def __init__(self, store: Store, clock: Callable[[], Micros], enable: Enable) -> None:
        self._store = store
        self._clock = clock
        self._enable = enable

    async def retry_now(self, actor: Actor, scope: Scope, delivery_id: int) -> Delivery:
        """Make the next attempt of a pending delivery immediately.

        It counts as an attempt, and the schedule continues after it. A rest that the endpoint's
        receiver asked for is lifted. A delivery with an attempt in progress is left alone.

        :raises RefusedError: the delivery has ended, or is held by its plan's limit.
        """
        [found] = await self._retry(actor, scope, [delivery_id])
        refusals.check_pending(found)
        return found

    async def retry_all(self, actor: Actor, scope: Scope, delivery_ids: Sequence[int]) -> int:
        """Make the next attempt of the pending ones immediately; return how many there are."""
        found = await self._retry(actor, scope, list(dict.fromkeys(delivery_ids)))
        return sum(each.state is DeliveryState.PENDING for each in found)

    async def stop(self, actor: Actor, scope: Scope, delivery_id: int) -> Delivery:
        """Discard a delivery that is pending or held; one that was stopped stays as it is.

        An attempt in progress is not aborted: if it gets a 2xx, the delivery is delivered.

        :raises RefusedError: it has ended in another way.
        """
        [found] = await self._stop(actor, scope, [delivery_id])
        refusals.check_stopped(found, STOPPED_BY_HAND)
        return found

    async def stop_all(self, actor: Actor, scope: Scope, delivery_ids: Sequence[int]) -> int:
        """Discard those of these deliveries that are pending or held; return how many are stopped,
        including those stopped earlier."""
        found = await self._stop(actor, scope, list(dict.fromkeys(delivery_ids)))
        return sum(each.reason == STOPPED_BY_HAND for each in found)

    async def _stop(
        self, actor: Actor, scope: Scope, delivery_ids: Sequence[int]
    ) -> Sequence[Delivery]:
        action = actor.does("delivery.stop")
        return await self._store.stop_deliveries(
            scope, delivery_ids, STOPPED_BY_HAND, self._clock(), action
        )

    async def _retry(
        self, actor: Actor, scope: Scope, delivery_ids: Sequence[int]
    ) -> Sequence[Delivery]:
        action = actor.does("delivery.retry")
        return await self._store.retry_now(scope, delivery_ids, self._clock(), action)

    async def resend(
        self, actor: Actor, scope: Scope, delivery_id: int, *, enable: bool = False
    ) -> Delivery:
        """Create a new delivery of the same event for the same endpoint.

        ``enable``: the endpoint is enabled first, if it is disabled and nothing else is in the way.

        :raises RefusedError: the endpoint is disabled or deleted, only the provider may enable
            it, or the delivery is still held.
        """
        if enable:
            delivery = await self._store.get_delivery(scope, delivery_id)
            if delivery.state is DeliveryState.HELD:
                raise refusals.delivery_held()
            try:
                endpoint = await self._store.get_endpoint(scope, delivery.endpoint_id)
                if not endpoint.enabled:
                    await self._enable(actor, scope, endpoint.id)
            except NotFoundError:
                raise refusals.endpoint_deleted() from None
        action = actor.does("delivery.resend", show("dlv", delivery_id))
        return await self._store.resend(scope, delivery_id, self._clock(), action)

    async def resend_all(self, actor: Actor, scope: Scope, delivery_ids: Sequence[int]) -> int:
        """Send each of these deliveries again that can be, oldest first; return how many were.

        One that is refused does not keep the others from being sent. If the database fails after
        some were sent, the rest is left out: the same call again would send those twice.

        :raises NotFoundError: there is no such delivery; nothing was sent.
        """
        wanted = sorted(set(delivery_ids))
        for each in wanted:
            await self._store.get_delivery(scope, each)
        sent = 0
        for each in wanted:
            try:
                await self.resend(actor, scope, each)
            except (RefusedError, NotFoundError):
                continue
            except UnavailableError:
                if not sent:
                    raise
                break
            sent += 1
        return sent
