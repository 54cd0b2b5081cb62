"""Replays: sending an endpoint what failed, what it missed, or one event again."""

from collections.abc import Callable

from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError
from hooktide.domain.model import CANCELLED_BY_HAND, Micros, Replay, ReplayWhat, Scope
from hooktide.store import refusals
from hooktide.store.base import NewReplay, ReplayCount
from hooktide.store.contract import Store


class Replays:
    """Starts, cancels and resends within a scope."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def start(
        self, actor: Actor, scope: Scope, wanted: NewReplay, *, only_count: bool
    ) -> tuple[ReplayCount, Replay | None]:
        """Count what a replay would send and, unless ``only_count``, start it.

        :raises InvalidError: it is not clear which events to send.
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
        """Stop a replay; one that has ended is left as it is."""
        return await self._store.cancel_replay(
            scope, replay_id, CANCELLED_BY_HAND, self._clock(), actor.does("replay.cancel")
        )


def _check(wanted: NewReplay) -> None:
    of_one = wanted.what is ReplayWhat.EVENT
    if of_one != (wanted.event_id is not None):
        raise _wrong('give event if, and only if, what is "event"', "/event")
    if of_one == (wanted.since is not None):
        raise _wrong('give since if, and only if, what is "failed" or "missed"', "/since")
    if wanted.until is not None and (wanted.since is None or wanted.until <= wanted.since):
        raise _wrong("until must be later than since", "/until")


def _wrong(detail: str, pointer: str) -> InvalidError:
    return InvalidError("invalid_replay", detail, pointer=pointer)
