"""A process that no longer receives notifications notices that, and recovers.

One process listens through a proxy (``direct``). Its statements and the other process bypass the
proxy.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from chaos import Message, Proxy, Where, proxied
from postgreskit import cluster, database
from standbykit import standby_of
from storekit import NOON, TERMINATE_SESSIONS, Given, Place, until

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Scope
from hooktide.store.postgres import PostgresStore
from hooktide.store.postgres.connection.notifier import DEAF_TIMEOUT

EVERYTHING = ("everything", 0)


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[Proxy]:
    async with proxied(place.url) as proxy:
        yield proxy


@pytest.fixture
async def given(proxy: Proxy, place: Place) -> AsyncIterator[Given]:
    given = Given(Place(place.url, direct=proxy.url))
    await given.open()
    await given.begin()
    yield given
    await given.close()


@pytest.fixture
async def other(given: Given, place: Place) -> AsyncIterator[Given]:
    other = given.another()
    other.place = place
    await other.open()
    yield other
    await other.close()


async def listens_again(given: Given) -> None:
    """Wait until the process listens.

    It also resets its caches before it tries. When this is called, it receives nothing, or is about
    to notice that and to reset its caches.
    """
    assert isinstance(given.store, PostgresStore)
    notifier = given.store._notifier
    await until(lambda: EVERYTHING in given.hand.changes)
    await until(lambda: notifier.listens)


async def check_hears(given: Given, other: Given) -> None:
    """Check that a change in the other process is notified here immediately."""
    await other.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON)
    await given.hand.heard("endpoint", given.endpoint.id)


def listens(message: Message) -> bool:
    return message.sql.startswith("LISTEN") and message.answered


@pytest.mark.parametrize("where", Where)
async def test_a_connection_that_breaks_again_as_it_begins_to_listen_is_made_again(
    given: Given, other: Given, proxy: Proxy, where: Where
) -> None:
    for _ in range(2):
        cut = proxy.cut(listens, where)
        await proxy.cut_all()
        await cut.happened()
    given.hand.changes.clear()
    await listens_again(given)
    await check_hears(given, other)
    await given.store.check()


async def test_a_store_that_cannot_listen_as_it_opens_keeps_no_number(
    given: Given, proxy: Proxy
) -> None:
    proxy.cut(listens, Where.BEFORE)
    with pytest.raises(UnavailableError):
        await given.another().open()
    renewing = [task.get_name() for task in asyncio.all_tasks()]
    assert renewing.count("renew the process's number") == 1


async def test_a_listener_that_is_terminated_again_and_again_hears_in_the_end(
    given: Given, other: Given, place: Place
) -> None:
    operator = await asyncpg.connect(place.url)
    for _ in range(5):
        given.hand.changes.clear()
        assert await operator.fetchval(TERMINATE_SESSIONS)
        await listens_again(given)
    await operator.close()
    await check_hears(given, other)


async def test_an_address_that_leads_to_a_standby_for_a_while_is_asked_again() -> None:
    with cluster() as primary, standby_of(primary) as standby:
        async with database(primary) as url, proxied(url) as proxy:
            given = Given(Place(url, direct=proxy.url))
            await given.open()
            await given.begin()
            other = given.another()
            other.place = Place(url)
            await other.open()
            proxy.lead_to(standby.url(url.rpartition("/")[2]))
            refused = proxy.count_of(listens)
            await proxy.cut_all()
            await until(lambda: proxy.count_of(listens) >= refused + 2)
            proxy.lead_to(url)
            await listens_again(given)
            await check_hears(given, other)
            await given.close()
            await other.close()


async def test_a_connection_that_is_open_and_brings_nothing_is_given_up(
    given: Given, other: Given, proxy: Proxy
) -> None:
    """As a connection to a disconnected primary: only missing its own notification shows it."""
    proxy.deafen()
    given.hand.changes.clear()
    await listens_again(given)
    await check_hears(given, other)


async def test_a_process_that_is_deaf_says_so_and_trusts_nothing_it_remembers(
    given: Given, other: Given, proxy: Proxy
) -> None:
    await given.store.check()
    await proxy.refuse()
    with pytest.raises(UnavailableError, match=r"received no change notifications for \d+ s: .*"):
        await until_it_says_so(given)
    given.hand.changes.clear()
    await until(lambda: given.hand.changes.count(EVERYTHING) >= 2)
    await proxy.resume()
    await listens_again(given)
    await given.store.check()
    await check_hears(given, other)


async def until_it_says_so(given: Given) -> None:
    for _ in range(int(3 * DEAF_TIMEOUT / 0.1)):
        await given.store.check()
        given.hand.changes.clear()
        await until_forgotten(given)


async def until_forgotten(given: Given) -> None:
    await until(lambda: EVERYTHING in given.hand.changes)
