"""Jobs on deliveries over the API: counted first, started, followed and cancelled."""

import asyncio
from typing import Any

import pytest
from webkit import Site
from wire import keeping, receiving

NO = b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno"
JOBS = "/v1/delivery-jobs"


async def failed(site: Site, count: int) -> list[str]:
    """Publish events to an account whose receiver refuses each; return the deliveries."""
    event = {"account": "acme", "type": "invoice.created", "payload": {"id": 1}}
    (await site.operator.post("/v1/events", [event] * count)).ok(202)
    async with asyncio.timeout(30):
        while True:
            listed = (await site.operator.get("/v1/deliveries?limit=100")).ok()["items"]
            if len(listed) == count and all(each["attempts"] for each in listed):
                return [each["id"] for each in listed]
            await asyncio.sleep(0.02)


async def ended(site: Site, job: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            found = (await site.operator.get(f"{JOBS}/{job}")).ok()
            if found["state"] not in ("collecting", "running"):
                return found
            await asyncio.sleep(0.02)


@pytest.mark.both_databases
async def test_all_that_match_are_stopped_and_then_sent_again(site: Site) -> None:
    await site.account()
    async with receiving(keeping(NO)) as receiver:
        await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/hook")
        await failed(site, 3)
        filter = {"account": "acme", "response": "401", "retrying": True}
        wanted = {"act": "stop", "filter": filter}
        counted = (await site.operator.post(JOBS, {**wanted, "dry_run": True})).ok(202)
        assert counted == {"count": {"deliveries": 3, "at_least": False}, "job": None}
        started = (await site.operator.post(JOBS, wanted)).ok(202)["job"]
        assert started["filter"] == {
            "account": started["account"],
            "state": "pending",
            "retrying": True,
            "response": "401",
        }
        stopped = await ended(site, started["id"])
        assert (stopped["state"], stopped["done"], stopped["left_out"]) == ("done", 3, 0)
        again = {"act": "resend", "filter": {"account": "acme", "state": "discarded"}}
        started = (await site.operator.post(JOBS, again)).ok(202)["job"]
        assert (await ended(site, started["id"]))["done"] == 3
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert [each["origin"] for each in listed] == ["resend"] * 3 + ["event"] * 3
    jobs = (await site.operator.get(JOBS)).ok()["items"]
    assert [each["act"] for each in jobs] == ["resend", "stop"]
    cancelled = (await site.operator.post(f"{JOBS}/{stopped['id']}/cancel")).ok()
    assert cancelled == stopped


@pytest.mark.both_databases
async def test_an_accounts_key_acts_on_its_own_deliveries_only(site: Site) -> None:
    await site.account()
    await site.account(reference="other")
    async with receiving(keeping(NO)) as receiver:
        await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/hook")
        await failed(site, 1)
    own, other = (
        await site.key("account", account="acme"),
        await site.key("account", account="other"),
    )
    wanted = {"act": "stop", "filter": {}, "dry_run": True}
    assert (await own.post(JOBS, wanted)).ok(202)["count"]["deliveries"] == 1
    assert (await other.post(JOBS, wanted)).ok(202)["count"]["deliveries"] == 0
    named = {"act": "stop", "filter": {"account": "acme"}}
    assert (await other.post(JOBS, named)).status == 404


@pytest.mark.parametrize(
    ("given", "code", "pointer"),
    [
        ({"response": "6xx"}, "invalid_filter", "/filter/response"),
        ({"retrying": True, "state": "failed"}, "invalid_filter", "/filter/retrying"),
        ({"since": "yesterday"}, "invalid_time", "/filter/since"),
        (
            {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
            "invalid_time",
            "/filter/until",
        ),
        ({"state": "gone"}, "invalid_body", "/filter/state"),
        ({"status": 401}, "invalid_body", "/filter/status"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(
    site: Site, given: dict[str, Any], code: str, pointer: str
) -> None:
    refused = await site.operator.post(JOBS, {"act": "stop", "filter": given})
    assert (refused.status, refused.code) == (422, code)
    assert refused.pointers == [pointer]
