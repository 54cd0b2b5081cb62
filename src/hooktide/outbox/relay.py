"""Moves events from an application's outbox to Hooktide: in order, each accepted exactly once.

A row is deleted only after its event was accepted. If anything fails in between, the row is sent
again with the same idempotency key, and is answered as before. A row that is permanently refused is
set aside with the reason, and does not block the rows behind it. Neither does a row that cannot be
accepted for now: it stays in the outbox, and later rows overtake it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hooktide.domain.errors import ConfigError, UnavailableError

log = logging.getLogger("hooktide.outbox")

BATCH = 200
BATCH_BYTES = 900_000
"""Maximum bytes of a request: nginx, for one, allows 1 MB by default."""
POLL = 0.2
"""Seconds between two polls of an empty outbox."""
MAX_WAIT = 30.0
"""Maximum seconds between two attempts while Hooktide or the database is unavailable."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of an outbox; ``body`` is its event as ``POST /v1/events`` takes it.

    ``unreadable``: why the row's content is not an event.
    """

    id: int
    body: bytes
    unreadable: str = ""


@dataclass(slots=True)
class Taken:
    """The first waiting rows, in order, and their outcomes.

    ``accepted`` are ids, ``refused`` reasons by id; rows in neither stay in the outbox.
    """

    rows: Sequence[Waiting]
    accepted: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was set aside. ``event`` identifies it, ``reason`` explains why."""

    id: int
    event: str
    reason: str


class Outbox(Protocol):
    """A database with an outbox. Its failures raise ``UnavailableError``."""

    def take(self, most: int, most_bytes: int) -> AbstractAsyncContextManager[Taken]:
        """Lock the first rows for one relay at a time; other relays get none.

        On exit, accepted rows are deleted and refused ones are set aside.
        """

    async def waiting(self) -> int:
        """Count the rows that wait."""

    async def refused(self) -> Sequence[Refused]:
        """Return the rows that were set aside."""

    async def retry(self, ids: Sequence[int] | None = None) -> int:
        """Retry refused rows, in their old positions; None: all. Return how many."""

    async def discard(self, ids: Sequence[int] | None = None) -> int:
        """Delete refused rows, whose events are then never sent; None: all. Return how many."""

    async def close(self) -> None:
        """Close the database."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """A row was neither accepted nor refused, for this reason, and stays in the outbox."""

    reason: str


Answer: TypeAlias = str | NotYet | None
"""The outcome of a row: None (accepted), ``NotYet``, or the reason for a permanent refusal."""
Send: TypeAlias = Callable[[Sequence[bytes]], Awaitable[Sequence[Answer]]]
"""Publishes events. Raises ``UnavailableError`` if Hooktide cannot accept them now, and
``ConfigError`` if it never will with this configuration."""


class Relay:
    """Moves events from ``outbox`` to ``send``, until it is cancelled."""

    def __init__(self, outbox: Outbox, send: Send, *, poll: float = POLL) -> None:
        self._outbox = outbox
        self._send = send
        self._poll = poll
        self.moved = 0
        self.refused = 0

    async def run(self) -> None:
        """Move events forever; cancelling it at any moment loses and duplicates nothing.

        :raises ConfigError: Hooktide does not accept events from this relay, or the outbox table is
        missing.
        """
        wait = 0.0
        while True:
            try:
                moved = await self.step()
            except UnavailableError as error:
                wait = min(MAX_WAIT, 2 * wait + 0.5)
                log.warning("cannot move events: %s; trying again in %.1f s", error, wait)
                await asyncio.sleep(wait)
            else:
                if wait:
                    log.info("events can be moved again")
                wait = 0.0
                if not moved:
                    await asyncio.sleep(self._poll)

    async def drain(self) -> None:
        """Move until nothing waits.

        :raises UnavailableError: Hooktide or the database is unavailable.
        :raises ConfigError: as ``run``.
        """
        while await self.step() or await self._outbox.waiting():
            pass

    async def step(self) -> int:
        """Move a batch; return how many rows were accepted or set aside.

        :raises UnavailableError: Hooktide or the database is unavailable, or none of these rows was
            accepted.
        :raises ConfigError: as ``run``.
        """
        not_yet: dict[int, str] = {}
        async with self._outbox.take(BATCH, BATCH_BYTES) as taken:
            if taken.rows:
                not_yet = await self._move(taken)
        if len(not_yet) == len(taken.rows) > 0:
            raise UnavailableError(next(iter(not_yet.values())))
        for id_, reason in not_yet.items():
            log.warning("row %d of the outbox was not accepted and stays there: %s", id_, reason)
        for id_, reason in taken.refused.items():
            log.error("row %d of the outbox was refused and set aside: %s", id_, reason)
        self.moved += len(taken.accepted)
        self.refused += len(taken.refused)
        return len(taken.accepted) + len(taken.refused)

    async def _move(self, taken: Taken) -> dict[int, str]:
        """Send rows and record the outcomes; return why some stay in the outbox."""
        not_yet: dict[int, str] = {}
        rows = [row for row in taken.rows if not row.unreadable]
        taken.refused |= {row.id: row.unreadable for row in taken.rows if row.unreadable}
        answers = await self._send([row.body for row in rows]) if rows else ()
        for row, answer in zip(rows, answers, strict=True):
            if answer is None:
                taken.accepted.append(row.id)
            elif isinstance(answer, NotYet):
                not_yet[row.id] = answer.reason
            else:
                taken.refused[row.id] = answer.replace("\0", "\\0")  # PostgreSQL refuses U+0000
        return not_yet


def no_outbox(table: str) -> ConfigError:
    """Report that the table does not exist, or is not an outbox."""
    return ConfigError(
        f"this database has no outbox table {table}; your application's migrations create it, see "
        "docs/outbox.md",
        key="--from",
    )
