"""Replays: an endpoint is sent again what failed, what it missed, one event, or one delivery."""

from collections.abc import Callable

from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import show
from hooktide.domain.model import Delivery, Micros, Replay, ReplayWhat, Scope
from hooktide.store import refusals
from hooktide.store.base import NewReplay, ReplayCount
from hooktide.store.contract import Store

BY_HAND = "cancelled by hand"


class Replays:
    """Does what is asked with replays, within a scope."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def start(
        self, actor: Actor, scope: Scope, wanted: NewReplay, *, only_count: bool
    ) -> tuple[ReplayCount, Replay | None]:
        """Count what a replay would send and, but with ``only_count``, begin it.

        :raises InvalidError: it does not say which events to send.
        :raises RefusedError: the endpoint is disabled, or a replay of it is running.
        """
        now = self._clock()
        endpoint = await self._store.get_endpoint(scope, wanted.endpoint_id)
        _check(wanted)
        if not only_count:
            refusals.check_enabled(endpoint)
        counted = await self._store.count_replay(scope, wanted, now)
        if only_count:
            return counted, None
        made = await self._store.create_replay(
            scope, wanted, counted, self._clock(), actor.does("replay.start")
        )
        return counted, made

    async def cancel(self, actor: Actor, scope: Scope, replay_id: int) -> Replay:
        """Have a replay make nothing more; one that has ended stays as it is."""
        return await self._store.cancel_replay(
            scope, replay_id, BY_HAND, self._clock(), actor.does("replay.cancel")
        )

    async def resend(self, actor: Actor, scope: Scope, delivery_id: int) -> Delivery:
        """Make a new delivery of the same event for the same endpoint.

        :raises RefusedError: the endpoint is disabled, or the delivery is held and still to come.
        """
        action = actor.does("delivery.resend", show("dlv", delivery_id))
        return await self._store.resend(scope, delivery_id, self._clock(), action)


def _check(wanted: NewReplay) -> None:
    of_one = wanted.what is ReplayWhat.EVENT
    if of_one != (wanted.event_id is not None):
        raise _wrong('"event" names an event, and nothing else does', "/event")
    if of_one == (wanted.since is not None):
        raise _wrong('since is for "failed" and "missed", and they need it', "/since")
    if wanted.until is not None and (wanted.since is None or wanted.until <= wanted.since):
        raise _wrong("until comes after since", "/until")


def _wrong(detail: str, pointer: str) -> InvalidError:
    return InvalidError("invalid_replay", detail, pointer=pointer)
