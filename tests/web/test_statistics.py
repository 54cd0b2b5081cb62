"""Backlogs, causes of failures, outcomes and response times, in the API and on the pages."""

import pytest
from dashkit import seat
from webkit import Site

from hooktide.domain.histogram import bucket
from hooktide.domain.ids import read
from hooktide.domain.model import HOUR, Role, Scope
from hooktide.domain.stats import EndpointHour

NOTHING = {"count": 0, "p50": None, "p95": None, "p99": None}


async def counted(site: Site) -> str:
    """Create an account with an endpoint and statistics. Return its id."""
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


async def test_a_failing_endpoints_page_says_why_and_what_helps(site: Site) -> None:
    endpoint = await counted(site)
    owner = await seat(site, Role.OWNER)
    page = await owner.page(f"/dashboard/endpoints/{endpoint}?range=week")
    assert "<strong>4 \N{MULTIPLICATION SIGN} TLS: expired certificate</strong>" in page
    assert "Renew it, and have the server load it." in page
    assert f"/dashboard/endpoints/{endpoint}/replay?what=failed&amp;since=" in page
    assert "Response time. Last 7 days: p50" in page


async def test_the_overview_names_the_cause_and_leads_to_its_endpoints(site: Site) -> None:
    endpoint = await counted(site)
    owner = await seat(site, Role.OWNER)
    page = await owner.page("/dashboard")
    assert "<strong>TLS: expired certificate</strong>" in page
    link = "/dashboard/endpoints?only=trouble&amp;cause=tls_expired&amp;project="
    assert link in page
    assert endpoint in await owner.page(link.replace("&amp;", "&"))
    assert endpoint not in await owner.page("/dashboard/endpoints?only=trouble&cause=timeout")


async def test_an_account_may_count_only_its_own_endpoints_in_the_portal(site: Site) -> None:
    endpoint = await counted(site)
    account = (await site.operator.get("/v1/accounts/acme")).ok()["id"]
    made = (await site.operator.post(f"/v1/accounts/{account}/portal-links", {})).ok(201)
    path = str(made["url"]).partition("/portal/")[2]
    page = await site.client("").get(f"/portal/{path}/endpoints/{endpoint}")
    assert page.status == 200
    assert "TLS: expired certificate" in page.body.decode()
