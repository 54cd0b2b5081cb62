"""A standby takes over or disconnects: accepted events are lost only with asynchronous commits.

``HOOKTIDE_AWAY`` is for how many seconds the primary or the standby is away: 1.5 by default, 30 in
``make faults``.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from accounting import Ledger
from apikit import ApiError
from ports import free_port
from postgreskit import cluster, database
from serverkit import Server, event, receiving, serving, set_up
from standbykit import NAME, ask, standby_of, until_in_step, until_nothing_is_behind, wait_for
from storekit import Given, Place
from watchkit import (
    check_all,
    check_answers,
    longest,
    publishing,
    statuses,
    until_accepted,
    until_refused,
    watching,
)

from hooktide.domain.errors import UnavailableError

AWAY = float(os.environ.get("HOOKTIDE_AWAY", "1.5"))
OPTIONS = ("--no-log-attempts", "--slots-per-endpoint", "50")
ASKED = ("/health/ready", "/v1/accounts")
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hooktide'"
MAX_BACKENDS = 21
"""Ten connections, ten more that are being ended, and the one that listens."""


def url_of(*ports: int, name: str = "postgres") -> str:
    """Return the URL of a database that is on one of several hosts."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://hooktide@{hosts}/{name}?target_session_attrs=read-write"


async def test_while_the_synchronous_standby_is_away_nothing_is_accepted_and_nothing_hangs(
    tmp_path: Path,
) -> None:
    loop, ledger = asyncio.get_running_loop(), Ledger()
    with cluster() as primary, standby_of(primary) as standby:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=primary.url()) as server,
        ):
            account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
            await wait_for(NAME, primary)
            await until_in_step(primary)
            async with (
                publishing(server, account, ledger),
                watching(server.port, *ASKED) as answers,
            ):
                await until_accepted(ledger, 100)
                await asyncio.to_thread(standby.stop)
                away_at = loop.time()
                await asyncio.sleep(AWAY)
                await until_refused(lambda: answers + ledger.answers, "/v1/events", "/health/ready")
                back_at = loop.time()
                backends = await ask(primary, BACKENDS)
                await asyncio.to_thread(standby.start)
                took = await until_accepted(ledger, 1)
                await until_accepted(ledger, 100)
            answers += ledger.answers
            check_answers(answers)
            assert statuses(answers, "/v1/accounts").keys() == {200}
            for path in ("/v1/events", "/health/ready"):
                assert statuses(answers, path, away_at, back_at).keys() <= {503}
            assert backends <= MAX_BACKENDS
            await check_all(server, ledger, secrets)
    print(
        f"standby away: longest answer {longest(answers):.2f} s, {backends} connections; "
        f"accepting {took:.2f} s after it was back"
    )


async def test_a_repeated_key_is_not_answered_before_the_event_is_safe() -> None:
    with cluster() as primary:
        async with database(primary) as url:
            given = Given(Place(url))
            await given.open()
            await given.begin()
            event = given.event(idempotency_key="k", digest=b"d")
            await wait_for("nobody", primary)
            try:
                for _ in range(3):
                    with pytest.raises(UnavailableError):
                        await given.publish(event)
            finally:
                await wait_for("", primary)
            assert len(await given.publish(event)) == 1
            assert (await given.store.counts()).pending == 1
            await given.close()


async def test_when_a_synchronous_standby_takes_over_nothing_that_was_accepted_is_lost(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    with cluster() as primary, standby_of(primary) as standby:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url_of(primary.port, standby.port)) as server,
        ):
            account, secrets = await set_up(server.api, receiver, ("/ok", "/slow"))
            await wait_for(NAME, primary)
            await until_in_step(primary)
            async with (
                publishing(server, account, ledger),
                watching(server.port, *ASKED) as answers,
            ):
                await until_accepted(ledger, 200)
                await asyncio.to_thread(primary.stop, signal.SIGKILL)
                await asyncio.sleep(AWAY)
                await standby.promote()
                took = await until_accepted(ledger, 1)
                await until_accepted(ledger, 100)
            answers += ledger.answers
            check_answers(answers)
            await check_all(server, ledger, secrets)
    print(
        f"synchronous: {len(ledger.acked)} accepted, 0 lost, {ledger.duplicates} sent again; "
        f"longest answer {longest(answers):.2f} s; accepting {took:.2f} s after the promotion"
    )


async def test_when_an_asynchronous_standby_takes_over_what_had_not_reached_it_is_lost(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    with cluster() as primary, standby_of(primary) as standby:
        async with (
            receiving(ledger) as receiver,
            serving(tmp_path, *OPTIONS, database=url_of(primary.port, standby.port)) as server,
        ):
            account, _ = await set_up(server.api, receiver, ("/ok",))
            before = [await publish(server, account) for _ in range(20)]
            await until_nothing_is_behind(primary)
            await asyncio.to_thread(standby.stop)
            behind = [await publish(server, account) for _ in range(20)]
            await asyncio.to_thread(primary.stop, signal.SIGKILL)
            await asyncio.to_thread(standby.start)
            await standby.promote()
            after = [await publish(server, account) for _ in range(20)]
            lost = [id_ for id_ in (*before, *behind, *after) if await is_lost(server, id_)]
    assert lost == behind
    print(f"asynchronous: {len(lost)} lost, which is what the standby was behind")


async def publish(server: Server, account: str) -> str:
    """Publish an event, with as many retries as it takes. Return its id."""
    async with asyncio.timeout(60):
        while True:
            try:
                return str((await server.api.post("/v1/events", event(account)))["id"])
            except ApiError as error:
                if error.status != 503:
                    raise


async def is_lost(server: Server, event_id: str) -> bool:
    try:
        await server.api.get(f"/v1/events/{event_id}")
    except ApiError as error:
        if error.status != 404:
            raise
        return True
    return False


@contextmanager
def silent() -> Iterator[int]:
    """Listen as a host that accepts connections and sends nothing. Return the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        yield int(listener.getsockname()[1])


async def test_a_silent_or_missing_host_is_skipped() -> None:
    async with database() as url:
        name, port = url.rpartition("/")[2], int(url.rpartition(":")[2].partition("/")[0])
        with silent() as first:
            given = Given(Place(url_of(first, free_port(), port, name=name)))
            await given.open()
            await given.begin()
            assert len(await given.publish()) == 1
            await given.close()
