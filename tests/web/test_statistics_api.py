"""What waits, why attempts fail, outcomes and times, over the API."""

import pytest
from webkit import Site

from hooktide.domain.histogram import bucket
from hooktide.domain.ids import read
from hooktide.domain.model import HOUR, Scope
from hooktide.domain.stats import EndpointHour

NOTHING = {"count": 0, "p50": None, "p95": None, "p99": None}


async def counted(site: Site) -> str:
    """Add an account with an endpoint, and what was counted of it; return its id."""
    await site.account()
    text = str((await site.endpoint())["id"])
    store = site.app.store
    endpoint = await store.get_endpoint(Scope(), read("ep", text))
    hour = EndpointHour(
        endpoint_id=endpoint.id,
        project_id=endpoint.project_id,
        account_id=endpoint.account_id,
        hour=site.app.clock() // HOUR,
        delivered=3,
        failed=1,
        attempts=7,
        failed_attempts=4,
        causes={"tls_expired": 4},
        latency={bucket(200_000): 7},
        failing_since=site.app.clock(),
        last_failed_at=site.app.clock(),
        last_cause="tls_expired",
    )
    await store.add_stats([], [hour])
    return text


@pytest.mark.both_databases
async def test_statistics_say_what_waits_why_and_how_long_it_takes(site: Site) -> None:
    endpoint = await counted(site)
    for query in (f"?endpoint={endpoint}", "?account=acme", f"?account=acme&endpoint={endpoint}"):
        found = (await site.operator.get(f"/v1/statistics{query}")).ok()
        assert found["waiting"]["waiting"] == found["waiting"]["held"] == 0
        [cause] = found["causes"]
        assert (cause["cause"], cause["title"]) == ("tls_expired", "TLS: expired certificate")
        assert (cause["attempts"], cause["endpoints"]) == (4, 1)
        assert found["response_time"]["count"] == 7
        assert found["response_time"]["p95"] == pytest.approx(200, rel=0.05)
        assert found["delivery_time"] == NOTHING
        assert len(found["steps"]) == 24
        assert sum(step["delivered"] for step in found["steps"]) == 3
    for period, steps in (("7d", 84), ("30d", 30)):
        found = (await site.operator.get(f"/v1/statistics?period={period}")).ok()
        assert len(found["steps"]) == steps
        assert found["response_time"]["count"] == 7


async def test_a_key_counts_what_it_has_access_to(site: Site) -> None:
    endpoint = await counted(site)
    other = {"project": "invoice-maker", "reference": "other"}
    (await site.operator.post("/v1/accounts", other)).ok(201)
    client = await site.key("account", account="other")
    found = (await client.get("/v1/statistics")).ok()
    assert found["causes"] == []
    assert found["response_time"] == NOTHING
    assert (await client.get(f"/v1/statistics?endpoint={endpoint}")).status == 404


async def test_a_period_is_one_of_three(site: Site) -> None:
    answer = await site.operator.get("/v1/statistics?period=1h")
    assert answer.status == 422
