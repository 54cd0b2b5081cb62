"""An endpoint that is imported from another sender keeps its secret."""

import pytest
from standardwebhooks import Webhook
from webkit import RECEIVER, Site
from wire import keeping, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TEXT = "J8bQvBEMVYTRFEGVgzWxCYGEC"


@pytest.mark.both_databases
async def test_an_endpoint_signs_with_the_secret_it_is_given(site: Site) -> None:
    await site.account()
    async with receiving(keeping(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        made = await site.endpoint(url=url, secret=SECRET)
        tested = (await site.operator.post(f"/v1/endpoints/{made['id']}/test")).ok()
    assert made["secret"]["whsec"] == SECRET
    [request] = receiver.requests
    Webhook(SECRET).verify(request.partition(b"\r\n\r\n")[2], dict(tested["request_headers"]))
    listed = (await site.operator.get("/v1/endpoints")).body.decode()
    assert SECRET not in listed


async def test_a_secret_that_is_text_is_the_key_as_it_is(site: Site) -> None:
    await site.account()
    made = await site.endpoint(secret=TEXT)
    assert made["secret"]["text"] == TEXT


@pytest.mark.parametrize("secret", ["", "short", "whsec_x", "with a space in it", "é" * 20])
async def test_what_cannot_be_a_secret_is_refused_and_not_quoted(site: Site, secret: str) -> None:
    await site.account()
    given = {"account": "acme", "url": RECEIVER, "event_types": ["*"], "secret": secret}
    answer = await site.operator.post("/v1/endpoints", given)
    assert (answer.code, answer.pointers) == ("invalid_body", ["/secret"])
    assert not secret or secret not in answer.body.decode()
    assert (await site.operator.get("/v1/endpoints")).ok()["items"] == []


async def test_a_customer_cannot_choose_a_secret(site: Site) -> None:
    await site.account()
    customer = await site.key("account", account="acme")
    given = {"url": RECEIVER, "event_types": ["*"], "secret": TEXT}
    assert (await customer.post("/v1/endpoints", given)).code == "forbidden"
    assert (
        await (await site.key("project", project="invoice-maker")).post(
            "/v1/endpoints", {**given, "account": "acme"}
        )
    ).status == 201
