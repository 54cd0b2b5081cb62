"""Endpoints over the API: secrets once, values masked, limits exact, tests through the real way."""

import asyncio
import hashlib
import hmac
import json

from storekit import until
from webkit import RECEIVER, Site
from wire import Peer, keeping, receiving

from hooktide.actions.endpoints import MOST_TESTS
from hooktide.clock import wall_clock
from hooktide.dialects import read_shipped
from hooktide.domain.model import DAY, MINUTE
from hooktide.domain.times import show_time

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


async def test_an_endpoint_comes_back_as_it_was_made(site: Site) -> None:
    account = await site.account()
    made = await site.endpoint(name="Büro", description="a\nb", event_types=["invoice.*"])
    del made["secret"]
    assert (await site.operator.get(f"/v1/endpoints/{made['id']}")).ok() == made
    assert made["account"] == account["id"]
    assert made["url"] == RECEIVER
    assert (made["enabled"], made["failing"]) == (True, 0)
    assert (await site.operator.get("/v1/endpoints?account=acme")).ok()["items"] == [made]


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


async def test_switching_off_and_on_and_removing(site: Site) -> None:
    await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}"
    off = (await site.operator.post(f"{path}/disable")).ok()
    assert (off["enabled"], off["disabled_reason"]) == (False, "disabled by hand")
    assert off["disabled_at"]
    assert (await site.operator.post(f"{path}/test")).code == "endpoint_disabled"
    on = (await site.operator.post(f"{path}/enable")).ok()
    assert (on["enabled"], on["disabled_at"]) == (True, None)
    (await site.operator.delete(path)).ok(204)
    assert (await site.operator.get(path)).code == "not_found"
    assert (await site.operator.post(f"{path}/enable")).code == "not_found"


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


async def test_an_account_has_so_many_tests_out_at_most(site: Site) -> None:
    await site.account()

    async with receiving(Peer.hang) as receiver:
        made = await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/")
        path = f"/v1/endpoints/{made['id']}/test"
        out = [asyncio.create_task(site.operator.post(path)) for _ in range(MOST_TESTS)]
        await until(lambda: receiver.connections == MOST_TESTS)
        refused = await site.operator.post(path)
        assert (refused.status, refused.code) == (429, "too_many_tests")
        assert refused.headers["retry-after"] == "5"
    assert [(await each).ok()["status"] for each in out] == ["failed"] * MOST_TESTS
    assert (await site.operator.post(path)).ok()["status"] == "failed"


async def test_a_test_of_a_type_that_is_not_there_is_refused(site: Site) -> None:
    await site.account()
    path = f"/v1/endpoints/{(await site.endpoint())['id']}/test"
    answer = await site.operator.post(path, {"event_type": "no.such"})
    assert (answer.code, answer.pointers) == ("unknown_event_type", ["/event_type"])


async def test_rotating_shows_the_new_secret_and_when_the_old_one_stops(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    path = f"/v1/endpoints/{made['id']}/rotate"
    told = (await site.operator.post(path)).ok()
    assert told["secret"]["text"] != made["secret"]["text"]
    assert made["created_at"] < told["old_secret_stops_at"] <= show_time(wall_clock())

    text = read_shipped("invoice-maker")
    text = text.replace('rotation_overlap = "0s"', 'rotation_overlap = "1d"')
    (await site.operator.apply("invoice-maker", text)).ok()
    told = (await site.operator.post(path)).ok()
    assert told["old_secret_stops_at"] > show_time(wall_clock() + DAY - MINUTE)
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
