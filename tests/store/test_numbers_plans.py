"""For pages that users keep open, PostgreSQL reads only the partitions of the days shown."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from storekit import NOON, Given

from hooktide.domain.ids import first_at
from hooktide.domain.model import DAY, Scope
from hooktide.store.postgres import PostgresStore
from hooktide.store.postgres.connection.connection import PgConnection

DAYS = 30


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, ids: store.events_of(Scope(), ids),
        lambda store, ids: store.last_attempts(Scope(project_id=1), ids),
        lambda store, ids: store.list_events(Scope(), None, 10, after=ids[0]),
        lambda store, ids: store.list_deliveries(Scope(), None, 10, after=ids[0]),
        lambda store, ids: store.list_deliveries(Scope(account_id=1), None, 10, after=ids[0]),
    ],
    ids=["events", "attempts", "list of events", "list of deliveries", "an account's deliveries"],
)
async def test_only_the_days_that_it_is_about_are_read(
    given: Given, ask: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = given.store
    assert isinstance(store, PostgresStore)
    for day in range(DAYS):
        await store._partitions.make(NOON + day * DAY)
    plans: list[str] = []
    rows = PgConnection.rows

    async def explained(conn: PgConnection, sql: str, values: object = None) -> list[object]:
        found = await rows(conn, "EXPLAIN (ANALYZE, FORMAT JSON) " + sql, values)  # type: ignore[arg-type]
        plans.append(found[0][0])
        return []

    monkeypatch.setattr(PgConnection, "rows", explained)
    newest = first_at(NOON + (DAYS - 1) * DAY)
    await ask(store, [newest, newest + 1])  # type: ignore[misc]
    [plan] = plans
    read = {
        str(step["Relation Name"])
        for step in steps(json.loads(plan)[0]["Plan"])
        if step["Actual Loops"] and "Relation Name" in step
    }
    assert read
    for log in ("events", "ended", "attempts"):
        assert len([name for name in read if name.startswith(f"{log}_")]) <= 6, read


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)
