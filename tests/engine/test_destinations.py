"""Cached destinations are used exactly as long as nothing has changed."""

import asyncio
from dataclasses import replace
from pathlib import Path

from enginekit import Engine
from storekit import NOON, Given, Place

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import Account, Scope
from hooktide.engine.destinations import Destination, Destinations
from hooktide.store.directory import Directory


class HeldDirectory(Directory):
    """A directory whose database is slow to return accounts."""

    def __init__(self, given: Given) -> None:
        super().__init__(given.store)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def account(self, account_id: int) -> Account:
        self.asked.set()
        await self.go_on.wait()
        return await super().account(account_id)


async def ready(engine: Engine) -> tuple[Destinations, Destination]:
    directory = Directory(engine.given.store)
    destinations = Destinations(directory, UrlPolicy())
    for remembers in (directory, destinations):
        engine.given.store.watch(remembers.changed)
    found = await destinations.find(engine.given.endpoint.id)
    assert found is not None
    return destinations, found


async def test_an_account_that_is_added_or_changed_costs_no_other_its_destinations(
    engine: Engine,
) -> None:
    destinations, found = await ready(engine)
    given = engine.given
    added = await given.store.create_account(
        given.project_id, "another", "", given.account.plan, NOON
    )
    await given.store.update_account(Scope(), added.id, {"name": "Another"}, NOON)
    assert destinations.ready(given.endpoint.id) is found


async def test_an_account_that_changes_loses_its_own_destinations(engine: Engine) -> None:
    destinations, _ = await ready(engine)
    given = engine.given
    await given.store.update_account(Scope(), given.account.id, {"name": "Renamed"}, NOON)
    assert destinations.ready(given.endpoint.id) is None
    assert await destinations.find(given.endpoint.id) is not None
    destinations.changed("project", given.project_id)
    assert destinations.ready(given.endpoint.id) is None


async def test_what_changes_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    given = Given(Place(str(tmp_path / "test.db")))
    await given.open()
    await given.begin()
    directory = HeldDirectory(given)
    destinations = Destinations(directory, UrlPolicy())
    for remembers in (directory, destinations):
        given.store.watch(remembers.changed)
    finding = asyncio.create_task(destinations.find(given.endpoint.id))
    await directory.asked.wait()
    url = "https://receiver.example.com/moved"
    await given.store.update_endpoint(Scope(), given.endpoint.id, lambda _: {"url": url}, NOON)
    directory.go_on.set()
    await finding
    assert destinations.ready(given.endpoint.id) is None
    found = await destinations.find(given.endpoint.id)
    assert found is not None
    assert found.endpoint.url == url
    await given.close()


async def test_a_projects_and_an_accounts_new_plan_hold_for_the_next_attempt(
    engine: Engine,
) -> None:
    """A change of plans, or of an account's plan, applies to endpoints that are in use."""
    given = engine.given
    engine.receivers.script = [Outcome(status=500, duration=1)]

    async def next_state() -> str:
        await given.publish(now=engine.clock())
        await engine.settled()
        return (await engine.states())[-1]

    assert await next_state() == "pending"
    await given.set_plan(retries=0)
    assert await next_state() == "failed"
    await given.set_plan(retries=3)
    assert await next_state() == "pending"
    row = await given.store.get_project_by_id(given.project_id)
    strict = replace(row.project.plans[0], name="strict", retries=0)
    project = replace(row.project, plans=(*row.project.plans, strict))
    await given.store.put_project(project, NOON)
    assert await next_state() == "pending"
    await given.store.update_account(Scope(), given.account.id, {"plan": "strict"}, NOON)
    assert await next_state() == "failed"
