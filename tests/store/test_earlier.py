"""A database of any earlier schema is upgraded without losing anything."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from livedkit import ENDED, made
from postgreskit import database
from releases import known
from samples import kept, take_over
from storekit import LEASE, Place

from hooktide.domain.model import DeliveryState, Scope
from hooktide.store.maintenance.invariants import Finding
from hooktide.store.postgres.maintenance.invariants import audit_postgres
from hooktide.store.sqlite.maintenance.invariants import audit_sqlite

SAMPLES = [(kind, schema) for kind in ("sqlite", "postgres") for schema in kept(kind)]


@pytest.fixture(params=SAMPLES, ids=[f"{kind}-{schema}" for kind, schema in SAMPLES])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    kind, schema = request.param
    if kind == "sqlite":
        place = Place(str(tmp_path / "earlier.db"))
        await take_over(place, schema)
        yield place
    else:
        async with database(migrated=False) as url:
            await take_over(Place(url), schema)
            yield Place(url)


async def audit(place: Place) -> list[Finding]:
    if place.is_file:
        return list(audit_sqlite(place.url, ENDED))
    return [finding async for finding in audit_postgres(place.url, ENDED)]


def test_there_is_a_sample_of_the_first_schema() -> None:
    assert kept("sqlite")[0] == kept("postgres")[0] == 1


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_migrations_are_numbered_without_a_gap_or_a_repetition(store: str) -> None:
    numbers = [migration.number for migration in known(store)]
    assert numbers == [*range(1, len(numbers) + 1)]


async def test_an_earlier_database_is_taken_over_and_goes_on(place: Place) -> None:
    store = await place.open()
    assert [finding for finding in await audit(place) if finding.broken] == []
    [size] = await store.storage_usage()
    assert (size.name, size.events) == ("lived", 14)
    assert size.deliveries in (27, 28)  # from schema 2 on one was replayed
    pending = await store.list_deliveries(Scope(), None, 100, state=DeliveryState.PENDING)
    later = ENDED + 2 * LEASE
    await store.release_expired_claims(later, 100)
    endpoints = sorted({delivery.endpoint_id for delivery in pending.items})
    claims = await store.claim_due(endpoints, later, LEASE, 100)
    for claim in claims:
        store.record(made(claim, later, 200))
    await store.recorded()
    delivered = [await store.get_delivery(Scope(), claim.delivery_id) for claim in claims]
    assert len(delivered) == 2
    assert {delivery.state for delivery in delivered} == {DeliveryState.DELIVERED}
    assert [finding for finding in await audit(place) if finding.broken] == []
    await store.close()


async def test_the_payloads_of_an_earlier_database_can_be_searched(place: Place) -> None:
    store = await place.open()
    [row] = await store.list_projects(Scope())
    later = ENDED + 2 * LEASE
    await store.put_project(replace(row.project, index=("total",)), later)
    await store.start_filling_index(row.id, later)
    while await store.run_indexing(later):
        pass
    found = await store.search_events(Scope(), "1.10", None, 100)
    assert len(found.items) == 14
    assert [finding for finding in await audit(place) if finding.broken] == []
    await store.close()
    if not place.is_file:  # the log's days have a partition for what is indexed of them
        connection = await asyncpg.connect(place.url)
        sql = "SELECT count(DISTINCT event_id) FROM hooktide.event_terms_default"
        events = "SELECT count(*) FROM hooktide.events_default"
        assert await connection.fetchval(sql) == await connection.fetchval(events)
        await connection.close()
