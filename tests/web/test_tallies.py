"""The statistics on the pages include everything that a running server does."""

import asyncio

import pytest
from webkit import Site

from hooktide.domain.ids import read
from hooktide.domain.model import MINUTE, Scope


@pytest.mark.both_databases
async def test_what_is_accepted_and_attempted_is_counted(site: Site) -> None:
    store, began = site.app.store, site.app.clock()
    await site.account()
    endpoint_id = read("ep", (await site.endpoint())["id"])
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    (await site.operator.post("/v1/events", event)).ok(202)
    (await site.operator.post("/v1/events", [event, event | {"type": "nothing"}])).ok(207)
    async with asyncio.timeout(30):
        while (
            seen := (await store.health(Scope(), [endpoint_id], began)).get(endpoint_id)
        ) is None:
            await asyncio.sleep(0.05)
    assert seen.failed_attempts == seen.attempts > 0
    assert seen.last_delivered_at is None
    assert seen.failing_since is not None
    assert seen.failing_since > began
    project = Scope(project_id=(await store.get_project(Scope(), "invoice-maker")).id)
    points = await store.chart(project, began, site.app.clock() + MINUTE, 1)
    assert sum(point.accepted for point in points) == 2
    [endpoint] = await store.troubled(project, 10)
    assert endpoint.id == endpoint_id
