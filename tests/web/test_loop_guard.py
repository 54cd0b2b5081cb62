"""A delivery that loops back to its sender is refused on every interface."""

from pathlib import Path

import pytest
from webkit import running

SENDER = "hooktide-sender"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v1/events", {"account": "acme", "type": "invoice.paid", "payload": {"total": 1}}),
        ("/v1/endpoints/{endpoint}/test", {}),
        ("/v1/bins", {}),
        ("/webhooks", {}),
        ("/portal/nothing/endpoints", {}),
        ("/dashboard/login", {}),
    ],
)
async def test_an_own_delivery_is_refused_and_changes_nothing(
    tmp_path: Path, path: str, value: object
) -> None:
    async with running(tmp_path) as site:
        await site.account()
        made = await site.endpoint()
        path = path.format(endpoint=made["id"])
        own = {SENDER: site.app.sender_ids[0]}
        answer = await site.operator.call("POST", path, value, headers=own)
        assert (answer.status, answer.code) == (508, "loop_detected")
        assert (await site.operator.get("/v1/events")).ok()["items"] == []


async def test_a_delivery_of_another_installation_may_be_an_event(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        await site.account()
        event = {"account": "acme", "type": "invoice.paid", "payload": {"total": 1}}
        for sender in ("0123456789abcdef", ""):
            headers = {SENDER: sender}
            answer = await site.operator.call("POST", "/v1/events", event, headers=headers)
            assert answer.status == 202


async def test_a_bin_takes_own_deliveries(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        bin_ = (await site.operator.post("/v1/bins", {})).ok(201)
        path = "/bin/" + bin_["url"].rpartition("/")[2]
        own = {SENDER: site.app.sender_ids[0]}
        assert (await site.operator.call("POST", path, {}, headers=own)).status < 300


async def test_each_delivery_names_its_sender(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        account = await site.account()
        assert account
        made = await site.endpoint()
        answer = await site.operator.post(f"/v1/endpoints/{made['id']}/test", {})
        sent = dict(answer.ok()["request_headers"])
        assert sent[SENDER] == site.app.sender_ids[0]


async def test_a_customer_cannot_name_a_sender(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        await site.account()
        given = {"account": "acme", "url": "http://127.0.0.1:9000/", "event_types": ["*"]}
        answer = await site.operator.post("/v1/endpoints", {**given, "headers": {SENDER: "x"}})
        assert answer.status == 422
        assert answer.pointers == [f"/headers/{SENDER}"]
