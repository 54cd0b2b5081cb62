"""Endpoints in the API: secrets are shown once, values masked, limits exact, tests really sent."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest
from storekit import until
from webkit import RECEIVER, Site
from wire import Peer, keeping, receiving

from hooktide.actions.endpoints import MAX_CONCURRENT_TESTS
from hooktide.dialects import read_shipped
from hooktide.domain.ids import read
from hooktide.domain.model import DAY, HOUR, MINUTE, Scope
from hooktide.domain.time.times import show_time
from hooktide.runtime.clock import wall_clock

ANSWER = b"HTTP/1.1 200 OK\r\nx-seen: yes\r\ncontent-length: 4\r\n\r\n\xff\xfeok"


async def test_a_secret_is_shown_in_both_forms_and_only_once(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    text, whsec = made["secret"]["text"], made["secret"]["whsec"]
    assert len(bytes.fromhex(text)) == 32
    assert whsec.startswith("whsec_")
    for path in ("", f"/{made['id']}", f"/{made['id']}/deliveries"):
        body = (await site.operator.get(f"/v1/endpoints{path}")).body.decode()
        assert text not in body
        assert whsec not in body
        assert "secret" not in body
    changed = await site.operator.patch(f"/v1/endpoints/{made['id']}", {"name": "x"})
    assert "secret" not in changed.ok()


async def test_the_values_of_an_endpoints_own_headers_are_not_shown(site: Site) -> None:
    await site.account()
    made = await site.endpoint(headers={"X-Token": "very-secret"})
    assert made["headers"] == {"X-Token": "****"}
    for path in ("/v1/endpoints", f"/v1/endpoints/{made['id']}"):
        assert b"very-secret" not in (await site.operator.get(path)).body


@pytest.mark.both_databases
async def test_an_endpoint_comes_back_as_it_was_made(site: Site) -> None:
    account = await site.account()
    made = await site.endpoint(name="Büro", description="a\nb", event_types=["invoice.*"])
    del made["secret"]
    assert (await site.operator.get(f"/v1/endpoints/{made['id']}")).ok() == made
    assert made["account"] == account["id"]
    assert made["url"] == RECEIVER
    assert (made["enabled"], made["consecutive_failures"]) == (True, 0)
    assert (await site.operator.get("/v1/endpoints?account=acme")).ok()["items"] == [made]


@pytest.mark.both_databases
async def test_a_resting_endpoint_says_until_when_and_why_and_is_resumed(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    assert (made["resting_until"], made["resting_reason"]) == (None, "")
    path = f"/v1/endpoints/{made['id']}"
    before = site.app.clock()
    await site.rest(made["id"])
    shown = (await site.operator.get(path)).ok()
    after = site.app.clock()
    assert show_time(before + HOUR) <= shown["resting_until"] <= show_time(after + HOUR)
    assert shown["resting_reason"] == "the receiver answered 429 with Retry-After"
    assert (await site.operator.get("/v1/endpoints")).ok()["items"] == [shown]
    customer = await site.key("account", account="acme")
    [hook] = (await customer.get("/webhooks")).ok()["items"]
    assert [hook["resting_until"], hook["resting_reason"]] == [
        shown["resting_until"],
        shown["resting_reason"],
    ]
    resumed = (await site.operator.post(f"{path}/resume")).ok()
    assert (resumed["resting_until"], resumed["resting_reason"]) == (None, "")
    assert (await site.operator.get(path)).ok() == resumed
    assert (await site.operator.post(f"{path}/resume")).ok() == resumed


@pytest.mark.parametrize("how", ["url", "enable", "enabled", "test"])
@pytest.mark.both_databases
async def test_every_way_in_ends_a_rest(site: Site, how: str) -> None:
    await site.account()
    async with receiving(keeping(ANSWER)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        made = await site.endpoint(url=url)
        await site.rest(made["id"])
        path = f"/v1/endpoints/{made['id']}"
        assert (await site.operator.get(path)).ok()["resting_until"] is not None
        if how == "url":
            (await site.operator.patch(path, {"url": url + "/new"})).ok()
        elif how == "enabled":
            customer = await site.key("account", account="acme")
            (await customer.patch(f"/webhooks/{made['id']}", {"enabled": True})).ok()
        else:
            (await site.operator.post(f"{path}/{how}", {} if how == "test" else None)).ok()
        assert (await site.operator.get(path)).ok()["resting_until"] is None


@pytest.mark.both_databases
async def test_a_patch_changes_what_it_names_and_nothing_else(site: Site) -> None:
    await site.account()
    made = await site.endpoint(headers={"X-A": "1"})
    path = f"/v1/endpoints/{made['id']}"
    changed = (await site.operator.patch(path, {"event_types": ["invoice.paid"]})).ok()
    assert changed["event_types"] == ["invoice.paid"]
    assert changed["headers"] == {"X-A": "****"}
    assert (await site.operator.patch(path, {"headers": {}})).ok()["headers"] == {}
    assert (await site.operator.patch(path, {"url": "https://10.0.0.1/"})).code == "invalid_url"
    assert (await site.operator.patch(path, {"headers": None})).status == 422
    assert (await site.operator.patch(path, {"event_types": ["x.*"]})).code == "unknown_event_type"


@pytest.mark.both_databases
async def test_a_masked_value_keeps_the_stored_one(site: Site) -> None:
    account = await site.account()
    made = await site.endpoint(headers={"Authorization": "Bearer 1", "X-Old": "o"})
    path = f"/v1/endpoints/{made['id']}"
    given = {"authorization": "****", "X-New": "n"}
    assert (await site.operator.patch(path, {"headers": given})).ok()["headers"] == {
        "authorization": "****",
        "X-New": "****",
    }
    assert await stored_headers(site, made) == {"authorization": "Bearer 1", "X-New": "n"}
    customer = await site.key("account", account=account["id"])
    shown = (await customer.get(f"/webhooks/{made['id']}")).ok()["headers"]
    (await customer.patch(f"/webhooks/{made['id']}", {"headers": shown})).ok()
    assert await stored_headers(site, made) == {"authorization": "Bearer 1", "X-New": "n"}


async def test_a_mask_that_stands_for_no_value_is_refused(site: Site) -> None:
    account = await site.account()
    new = {"account": "acme", "url": RECEIVER, "event_types": ["*"], "headers": {"X-A": "****"}}
    made = await site.endpoint(headers={"X-A": "1"})
    customer = await site.key("account", account=account["id"])
    for refused in (
        await site.operator.post("/v1/endpoints", new),
        await customer.post("/webhooks", {k: v for k, v in new.items() if k != "account"}),
        await site.operator.patch(f"/v1/endpoints/{made['id']}", {"headers": {"X-B": "****"}}),
    ):
        assert refused.code == "invalid_headers"
        [fault] = refused.json["errors"]
        assert fault["code"] == "masked_header"
        assert "send the value itself" in fault["detail"]
    assert await stored_headers(site, made) == {"X-A": "1"}


async def test_header_values_are_not_carried_to_another_origin(site: Site) -> None:
    account = await site.account()
    customer = await site.key("account", account=account["id"])
    for change, path in ((site.operator, "/v1/endpoints"), (customer, "/webhooks")):
        for url in ("https://example.com:8443/", "https://other.example.com/hook"):
            made = await site.endpoint(headers={"X-A": "1"}, url="https://example.com/hook")
            whole = f"{path}/{made['id']}"
            same = await change.patch(whole, {"url": "https://EXAMPLE.com:443/other"})
            assert same.ok()["headers"] == {"X-A": "****"}
            masked = await change.patch(whole, {"url": url, "headers": {"X-A": "****"}})
            assert masked.json["errors"][0]["code"] == "masked_header"
            assert await stored_headers(site, made) == {"X-A": "1"}
            assert (await change.patch(whole, {"url": url})).ok()["headers"] == {}
            assert await stored_headers(site, made) == {}
            given = {"url": "https://example.com/", "headers": {"X-A": "2"}}
            assert (await change.patch(whole, given)).ok()["headers"] == {"X-A": "****"}
            assert await stored_headers(site, made) == {"X-A": "2"}
            (await change.delete(whole)).ok(204)


async def stored_headers(site: Site, made: Any) -> dict[str, str]:
    found = await site.app.store.get_endpoint(Scope(), read("ep", made["id"]))
    return dict(found.headers)


@pytest.mark.both_databases
async def test_what_the_provider_disabled_its_account_cannot_enable(site: Site) -> None:
    account = await site.account()
    customer = await site.key("account", account=account["id"])
    made = await site.endpoint()
    path, theirs = f"/v1/endpoints/{made['id']}", f"/webhooks/{made['id']}"
    assert (await customer.post(f"{path}/disable")).ok()["disabled_reason"] == "disabled by hand"
    assert (await customer.post(f"{path}/enable")).ok()["enabled"]
    (await customer.post(f"{path}/disable")).ok()
    (await site.operator.post(f"{path}/disable")).ok()
    for refused in (
        await customer.post(f"{path}/enable"),
        await customer.patch(theirs, {"enabled": True}),
    ):
        assert (refused.status, refused.code) == (403, "disabled_by_provider")
    (await customer.patch(theirs, {"url": "https://example.com/other"})).ok()
    (await customer.post(f"{path}/disable")).ok()
    assert not (await customer.get(theirs)).ok()["enabled"]
    project = await site.key("project", project="invoice-maker")
    assert (await project.post(f"{path}/enable")).ok()["enabled"]
    (await project.post(f"{path}/disable")).ok()
    assert (await customer.post(f"{path}/enable")).code == "disabled_by_provider"


@pytest.mark.both_databases
async def test_who_disables_in_the_accounts_place_leaves_it_to_enable_it(site: Site) -> None:
    account = await site.account()
    customer = await site.key("account", account=account["id"])
    path = f"/v1/endpoints/{(await site.endpoint())['id']}"
    disable = f"{path}/disable?account_may_enable="
    off = (await site.operator.post(disable + "true")).ok()
    assert (off["enabled"], off["disabled_reason"]) == (False, "disabled by hand")
    assert (await customer.post(f"{path}/enable")).ok()["enabled"]
    (await site.operator.post(disable + "false")).ok()
    (await site.operator.post(disable + "true")).ok()  # it does not revert the other setting
    (await customer.post(disable + "true")).ok()
    assert (await customer.post(f"{path}/enable")).code == "disabled_by_provider"


@pytest.mark.both_databases
async def test_switching_off_and_on_and_removing(site: Site) -> None:
    account = await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}"
    off = (await site.operator.post(f"{path}/disable")).ok()
    assert (off["enabled"], off["disabled_reason"]) == (False, "disabled by the provider")
    assert off["disabled_at"]
    assert (await site.operator.post(f"{path}/test")).ok()["status"] == "failed"
    customer = await site.key("account", account=account["id"])
    assert (await customer.post(f"{path}/test")).code == "disabled_by_provider"
    on = (await site.operator.post(f"{path}/enable")).ok()
    assert (on["enabled"], on["disabled_at"]) == (True, None)
    (await site.operator.delete(path)).ok(204)
    assert (await site.operator.get(path)).code == "not_found"
    assert (await site.operator.post(f"{path}/enable")).code == "not_found"


@pytest.mark.both_databases
async def test_the_plans_limit_holds_for_requests_at_the_same_time(site: Site) -> None:
    await site.account()
    given = {"account": "acme", "url": RECEIVER, "event_types": ["*"]}
    answers = await asyncio.gather(*[site.operator.post("/v1/endpoints", given) for _ in range(20)])
    assert [answer.status for answer in answers].count(201) == 2
    refused = next(answer for answer in answers if answer.status != 201)
    assert (refused.status, refused.code) == (403, "plan_limit_reached")
    assert refused.json["limit"] == 2


async def test_a_closed_beta_is_open_to_chosen_accounts_only(site: Site) -> None:
    text = read_shipped("offerte-adviseur")
    (await site.operator.apply("offerte-adviseur")).ok()
    given = {"project": "offerte-adviseur", "reference": "nobody"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    hook = {"account": "nobody", "url": RECEIVER, "event_types": ["*"]}
    assert "accounts" in text
    assert (await site.operator.post("/v1/endpoints", hook)).code == "webhooks_not_offered"


@pytest.mark.both_databases
async def test_a_test_goes_the_real_way_and_says_all_that_happened(site: Site) -> None:
    await site.account()
    async with receiving(keeping(ANSWER)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        made = await site.endpoint(url=url, headers={"X-Token": "t0p"})
        path = f"/v1/endpoints/{made['id']}"
        told = (await site.operator.post(f"{path}/test", {"event_type": "invoice.paid"})).ok()
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert told["status"] == "delivered"
    assert told["response_status"] == 200
    assert ["x-seen", "yes"] in told["response_headers"]
    assert (told["response_body"], told["response_body_encoding"]) == ("//5vaw==", "base64")
    expected = hmac.digest(made["secret"]["text"].encode(), body, hashlib.sha256).hex()
    assert told["signature"] == expected
    assert f"webhook-signature: {told['webhook_signature']}".encode() in head
    assert b"x-token: t0p" in head.lower()
    assert ["x-token", "****"] in told["request_headers"]
    assert json.loads(body)["id"] == told["event"]

    [delivery] = (await site.operator.get(f"{path}/deliveries")).ok()["items"]
    assert (delivery["id"], delivery["origin"]) == (told["delivery"], "test")
    shown = (await site.operator.get(f"/v1/deliveries/{told['delivery']}/attempts")).ok()
    [attempt] = shown["items"]
    assert attempt["request_headers"] == told["request_headers"]
    assert attempt["duration_ms"] == told["duration_ms"] > 0


async def test_a_test_that_fails_is_an_answer_and_no_error(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    told = (await site.operator.post(f"/v1/endpoints/{made['id']}/test")).ok()
    assert (told["status"], told["error"]) == ("failed", "connect_error")
    assert told["response_status"] is None
    assert told["event_type"] == "invoice.created"


@pytest.mark.both_databases
async def test_an_account_has_so_many_tests_out_at_most(site: Site) -> None:
    await site.account()

    async with receiving(Peer.hang) as receiver:
        made = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        path = f"/v1/endpoints/{made['id']}/test"
        out = [asyncio.create_task(site.operator.post(path)) for _ in range(MAX_CONCURRENT_TESTS)]
        await until(lambda: receiver.connections == MAX_CONCURRENT_TESTS)
        refused = await site.operator.post(path)
        assert (refused.status, refused.code) == (429, "too_many_tests")
        assert refused.headers["retry-after"] == "5"
    assert [(await each).ok()["status"] for each in out] == ["failed"] * MAX_CONCURRENT_TESTS
    assert (await site.operator.post(path)).ok()["status"] == "failed"


async def test_a_test_of_an_unknown_type_is_refused(site: Site) -> None:
    await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}/test"
    answer = await site.operator.post(path, {"event_type": "no.such"})
    assert (answer.code, answer.pointers) == ("unknown_event_type", ["/event_type"])


@pytest.mark.both_databases
async def test_rotating_shows_the_new_secret_and_when_the_old_one_stops(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    path = f"/v1/endpoints/{made['id']}/rotate"
    told = (await site.operator.post(path)).ok()
    assert told["secret"]["text"] != made["secret"]["text"]
    assert made["created_at"] < told["previous_secret_expires_at"] <= show_time(wall_clock())

    text = read_shipped("invoice-maker")
    text = text.replace('rotation_overlap = "0s"', 'rotation_overlap = "1d"')
    (await site.operator.apply("invoice-maker", text)).ok()
    told = (await site.operator.post(path)).ok()
    assert told["previous_secret_expires_at"] > show_time(wall_clock() + DAY - MINUTE)
    for _ in range(3):
        (await site.operator.post(path)).ok()
    assert (await site.operator.post(path)).code == "too_many_secrets"


async def test_a_rotation_that_asks_for_more_than_it_gets_is_refused(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    path = f"/v1/endpoints/{made['id']}/rotate"
    refused = await site.operator.post(path, {"overlap": "1h"})
    assert refused.status == 422
    assert "takes no body" in refused.body.decode()
    assert (await site.operator.post(path, {})).status == 200
