"""A claim reads one or two pages in PostgreSQL, whatever the backlog and the history."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest
from storekit import LEASE, NOON, Given, Place

from hooktide.store.postgres import PostgresStore
from hooktide.store.postgres.connection.connection import PgConnection, compiled

PENDING = 100_000
MAX_PAGES = 500
"""A hundred deliveries and their events touch some three hundred; the queue here has thousands."""


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
async def crowded(given: Given, place: Place) -> Given:
    """One endpoint with very many deliveries pending, and one due delivery of another."""
    await given.publish()
    connection = await asyncpg.connect(place.url)
    for fill in (
        f"""INSERT INTO hooktide.events
            SELECT ({NOON} / 1000 << 22) + n * 2048, e.project_id, e.account_id, e.type,
                e.transition, e.test, e.occurred_at, e.deliveries, e.payload
            FROM hooktide.events AS e, generate_series(1, {PENDING}) AS n""",
        f"""INSERT INTO hooktide.queue
            SELECT q.id + n * 2048, ({NOON} / 1000 << 22) + n * 2048, q.endpoint_id + 1,
                q.account_id, q.project_id, q.origin, 'pending', 0, {NOON} - 1000000 + n, 0, ''
            FROM hooktide.queue AS q, generate_series(1, {PENDING}) AS n""",
        f"""INSERT INTO hooktide.endpoints (id, project_id, account_id, url, event_types, name,
                description, headers, created_at, changed_at)
            SELECT id + 1, project_id, account_id, url, event_types, name, description, headers,
                created_at, changed_at FROM hooktide.endpoints WHERE id = {given.endpoint.id}""",
        "ANALYZE hooktide.queue",
    ):
        await connection.execute(fill)
    await connection.close()
    return given


def steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


async def plan_of(given: Given, name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    assert isinstance(given.store, PostgresStore)
    sql = given.store._sql[name]
    explained = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql
    [(text,)] = await given.store._write(lambda link: link.rows(explained, values))
    plan: Mapping[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def pages(plan: Mapping[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_a_claim_is_led_by_the_index_past_all_that_waits(crowded: Given) -> None:
    id_ = crowded.endpoint.id
    values = {"endpoints": [id_, id_ + 1], "stale_before": [0, 0], "now": NOON, "each": 100}
    values["resting"] = [False, False]
    plan = await plan_of(crowded, "claimable", values)
    read = [
        step
        for step in steps(plan)
        if step.get("Relation Name") == "queue" and step["Actual Loops"]
    ]
    assert [step["Index Name"] for step in read] == ["queue_due"]
    assert plan["Actual Rows"] == 101
    assert pages(plan) < MAX_PAGES
    assert not [step for step in steps(plan) if step["Node Type"] == "Sort"]


async def test_a_claim_for_a_resting_endpoint_reads_only_what_ignores_rests(crowded: Given) -> None:
    values = {
        "endpoints": [crowded.endpoint.id + 1],
        "stale_before": [0],
        "resting": [True],
        "now": NOON,
        "each": 100,
    }
    plan = await plan_of(crowded, "claimable", values)
    assert plan["Actual Rows"] == 0
    assert pages(plan) < 20


async def test_endpoints_with_due_deliveries_are_found_without_reading_a_backlog(
    crowded: Given,
) -> None:
    plan = await plan_of(crowded, "due_heads", {})
    assert plan["Actual Rows"] == 2
    assert pages(plan) < MAX_PAGES


async def test_an_endpoint_is_claimed_for_despite_anothers_backlog(crowded: Given) -> None:
    ids = [crowded.endpoint.id + 1, crowded.endpoint.id]
    claims = await crowded.store.claim_due(ids, NOON, LEASE, 10)
    assert sorted(claim.endpoint_id for claim in claims) == [ids[1]] + [ids[0]] * 10


async def test_recording_a_batch_joins_no_attempt_with_all_deliveries(given: Given) -> None:
    batch = 200
    await given.publish(*[given.event() for _ in range(batch)])
    claims = await given.store.claim_due([given.endpoint.id], NOON, LEASE, batch)
    rows = [
        (
            *(claim.delivery_id, claim.token, "delivered", 1, None, NOON, "", claim.endpoint_id),
            *(NOON, 1, NOON, 1, 200, "", "", b"", b"", b"", False),
        )
        for claim in claims
    ]
    columns: list[Any] = [*map(list, zip(*rows, strict=True)), []]
    plan = await shared_plan_of(given, "settle", columns)
    assert len(rows) == plan["Actual Rows"] == batch
    [made] = [step for step in steps(plan) if step.get("Subplan Name") == "CTE made"]
    assert [step for step in steps(made) if step["Node Type"].endswith(("Join", "Loop"))] == []


async def shared_plan_of(
    given: Given, name: str, columns: Sequence[Sequence[Any]]
) -> Mapping[str, Any]:
    """Return the generic plan, which does not depend on the number of rows."""
    assert isinstance(given.store, PostgresStore)
    text, _ = compiled(given.store._sql[name])
    arrays = ", ".join("'{" + ",".join(map(literal, column)) + "}'" for column in columns)
    ask = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE shared ({arrays})"

    async def explain(link: PgConnection) -> str:
        await link.script(f"PREPARE shared AS {text}")
        explained: str = await link.value(ask)
        return explained

    plan: Mapping[str, Any] = json.loads(await given.store._write(explain))[0]["Plan"]
    return plan


def literal(value: object) -> str:
    return "NULL" if value is None else f'"{value.decode() if isinstance(value, bytes) else value}"'


@pytest.mark.parametrize("whose", ["project", "account"])
async def test_a_search_hops_from_term_to_term_and_reads_the_newest_of_each(
    given: Given, place: Place, whose: str
) -> None:
    connection = await asyncpg.connect(place.url)
    owner = (given.project_id, given.account.id)
    for term in ("'inv-' || n", "'ltd'"):
        await connection.execute(
            f"""INSERT INTO hooktide.event_terms
                SELECT ({NOON} << 11) + n * 2048, 0, {len(term)}, {owner[0]}, {owner[1]}, {term}, ''
                FROM generate_series(1, {PENDING}) AS n"""
        )
    await connection.execute("ANALYZE hooktide.event_terms")
    await connection.close()
    id_ = {"owner": owner[whose == "account"]}
    begins = {"low": "inv-1", "high": "inv-1\U0010ffff", "limit": 101}
    plan = await plan_of(given, f"terms_of_{whose}", id_ | begins)
    assert plan["Actual Rows"] == 101
    assert pages(plan) < MAX_PAGES * 4
    window = {"after": -1, "before": (1 << 63) - 1, "limit": 51}
    terms = {"terms": ["ltd", *(f"inv-{n}" for n in range(99))]}
    plan = await plan_of(given, f"events_of_terms_of_{whose}", id_ | window | terms)
    assert plan["Actual Rows"] == 51
    assert pages(plan) < MAX_PAGES * 4
