"""A relay that crashes at a step of its first batch: ``relaying.py DATABASE SERVER KEY STEP``."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from hooktide.cli.commands.outbox import over_http, relay_transport
from hooktide.client.server import Server
from hooktide.outbox import sqlite
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import Answer, Relay


def die() -> None:
    """Exit immediately, as in a power failure."""
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, server: str, key: str, step: str) -> None:
    """Relay a batch, up to the step."""
    found: Any = open_outbox(url)
    publish = over_http(relay_transport(Server(server, key)))

    async def send(bodies: Sequence[bytes]) -> Sequence[Answer]:
        if step == "taken":
            die()
        answers = await publish(bodies)
        if step == "accepted":
            die()
        return answers

    if step == "settled":
        die_before_the_commit(found)
    await Relay(found, send).step()
    die()


def die_before_the_commit(found: Any) -> None:
    """Crash after the rows are deleted and before the commit."""
    if isinstance(found, sqlite.SqliteOutbox):
        begin = sqlite._transaction

        @contextlib.contextmanager
        def transaction(database: Any) -> Iterator[None]:
            with begin(database):
                yield
                die()

        sqlite._transaction = transaction
        return
    settle = found._settle

    async def settle_and_die(connection: Any, taken: Any) -> None:
        await settle(connection, taken)
        die()

    found._settle = settle_and_die


asyncio.run(main(*sys.argv[1:]))
