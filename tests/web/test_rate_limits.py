"""Requests with an account's key and from portals are rate limited; others are not."""

from urllib.parse import urlencode

import pytest
from storekit import NOON
from webkit import Answer, Client, Site

from hooktide.domain.model import SECOND

PROJECT = """
name = "limited"
title = "Limited"

[plans.slow]
changes_per_second = 2
tests_per_second = 1

[event_types."thing.happened"]
"""


async def limited(site: Site) -> tuple[Client, str]:
    """An account on the plan, with its own key and an endpoint.

    The rate limiter's clock is stopped.
    """
    site.app.limits.clock = lambda: NOON
    (await site.operator.apply("limited", PROJECT)).ok()
    for reference in ("acme", "globex"):
        given = {"project": "limited", "reference": reference}
        (await site.operator.post("/v1/accounts", given)).ok(201)
    endpoint = await site.endpoint("acme")
    return await site.key("account", account="acme"), endpoint["id"]


def refused(answer: Answer, code: str) -> None:
    assert (answer.status, answer.code) == (429, code)
    assert 1 <= int(answer.headers["retry-after"]) <= 2


@pytest.mark.both_databases
async def test_an_accounts_key_makes_as_many_changes_as_its_plan_allows(site: Site) -> None:
    own, endpoint = await limited(site)
    path = f"/v1/endpoints/{endpoint}"
    for number in range(4):
        (await own.patch(path, {"name": f"n{number}"})).ok()
    refused(await own.patch(path, {"name": "one more"}), "too_many_changes")
    refused(await own.post("/v1/bins", {}), "too_many_changes")
    refused(await own.delete(path), "too_many_changes")
    assert (await own.get(path)).ok()["name"] == "n3"
    changes = (await site.operator.get("/v1/audit-log")).ok()["items"]
    assert sum(each["action"] == "endpoint.update" for each in changes) == 4


async def test_the_limit_is_an_accounts_own_and_not_for_wider_keys(site: Site) -> None:
    own, endpoint = await limited(site)
    other = await site.key("account", account="globex")
    project = await site.key("project", project="limited")
    for _ in range(4):
        (await own.post("/v1/bins", {})).ok(201)
    refused(await own.post("/v1/bins", {}), "too_many_changes")
    (await other.post("/v1/bins", {})).ok(201)
    for number in range(10):
        (await project.patch(f"/v1/endpoints/{endpoint}", {"name": f"n{number}"})).ok()


async def test_an_accounts_key_makes_as_many_tests_as_its_plan_allows(site: Site) -> None:
    own, endpoint = await limited(site)
    path = f"/v1/endpoints/{endpoint}/test"
    for _ in range(2):
        (await own.post(path, {})).ok()
    refused(await own.post(path, {}), "too_many_tests")
    (await site.operator.post(path, {})).ok()
    site.app.limits.clock = lambda: NOON + SECOND
    (await own.post(path, {})).ok()
    refused(await own.post(path, {}), "too_many_tests")


@pytest.mark.both_databases
async def test_a_portal_shares_the_limit_of_its_account(site: Site) -> None:
    own, endpoint = await limited(site)
    link = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)["url"]
    path = f"/portal/{link.rpartition('/')[2]}/endpoints/{endpoint}/disable"
    form = {
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-site": "same-origin",
    }
    for _ in range(4):
        assert (await site.client("").call("POST", path, body=b"", headers=form)).status == 303
    answer = await site.client("").call("POST", path, body=b"", headers=form)
    assert answer.status == 429
    assert b"2 changes per second" in answer.body
    refused(await own.post("/v1/bins", {}), "too_many_changes")


async def test_sending_many_again_counts_as_many_changes(site: Site) -> None:
    own, _ = await limited(site)
    event = {"account": "acme", "type": "thing.happened", "payload": {"id": "inv_1"}}
    for _ in range(3):
        (await site.operator.post("/v1/events", event)).ok(202)
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    body = urlencode({"do": "resend", "delivery": [each["id"] for each in listed]}, doseq=True)
    link = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)["url"]
    path = f"/portal/{link.rpartition('/')[2]}/deliveries/chosen"
    form = {
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        "sec-fetch-site": "same-origin",
    }
    statuses = [
        (await site.client("").call("POST", path, body=body.encode(), headers=form)).status
        for _ in range(3)
    ]
    assert statuses == [303, 303, 429]
    made = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert sum(each["origin"] == "resend" for each in made) == 6
    site.app.limits.clock = lambda: NOON + SECOND  # of six changes two were beyond the rate
    refused(await own.post("/v1/bins", {}), "too_many_changes")
    site.app.limits.clock = lambda: NOON + 2 * SECOND
    (await own.post("/v1/bins", {})).ok(201)
