"""Storage usage over the API: for an operator key only."""

import pytest
from webkit import Site


@pytest.mark.both_databases
async def test_the_operator_sees_what_is_kept_of_each_project(site: Site) -> None:
    await site.account()
    await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    told = (await site.operator.post("/v1/events", [event, event])).ok(202)
    [size] = (await site.operator.get("/v1/storage-usage")).ok()["items"]
    shown = (await site.operator.get(f"/v1/events/{told['results'][0]['id']}")).ok()
    assert (size["project"], size["events"], size["deliveries"]) == ("invoice-maker", 2, 2)
    assert size["payload_bytes"] == 2 * len('{"id":"inv_1"}')
    assert size["oldest_event_at"] == shown["accepted_at"]


async def test_no_other_key_opens_it(site: Site) -> None:
    await site.account()
    for scope, name in (("project", "invoice-maker"), ("account", "acme")):
        client = await site.key(scope, **{scope: name})
        assert (await client.get("/v1/storage-usage")).code == "forbidden"
