"""Errors say what is wrong, and equivalent spellings are treated alike."""

import pytest
from webkit import Site

from hooktide.client.server import find_server
from hooktide.domain.errors import ConfigError

EVENT = {"account": "acme", "type": "invoice.created", "payload": {}}


async def test_half_a_surrogate_pair_is_called_so(site: Site) -> None:
    await site.account()
    for path, body in (
        ("/v1/events", b'{"account":"\\ud800","type":"a","payload":{}}'),
        ("/v1/events", b'{"account":"x\\ud83dy","type":"a","payload":{}}'),
        ("/v1/accounts", b'{"project":"\\ud800"}'),
    ):
        answer = await site.operator.call("POST", path, body=body)
        assert (answer.status, answer.code) == (400, "invalid_json")
        assert "surrogate" in answer.json["detail"]
    cut = await site.operator.call("POST", "/v1/events", body=b'{"account":"\\ud83d\\ude00')
    assert "truncated" in cut.json["detail"]


@pytest.mark.parametrize(
    ("key", "says"), [("a\0b", "U+0000"), ("k" * 256, "256 characters; 255 at most")]
)
async def test_an_idempotency_key_that_cannot_be_used_says_why(
    site: Site, key: str, says: str
) -> None:
    await site.account()
    answer = await site.operator.post("/v1/events", EVENT | {"idempotency_key": key})
    assert (answer.status, answer.code) == (422, "invalid_idempotency_key")
    assert says in answer.json["detail"]
    (await site.operator.post("/v1/events", EVENT | {"idempotency_key": "k" * 255})).ok(202)


@pytest.mark.both_databases
async def test_a_key_is_the_same_by_header_and_by_body(site: Site) -> None:
    await site.account()
    by_body = await site.operator.post("/v1/events", EVENT | {"idempotency_key": "Zahlung-ü-7"})
    header = "Zahlung-ü-7".encode().decode("latin-1")  # sent as UTF-8
    by_header = await site.operator.call(
        "POST", "/v1/events", EVENT, headers={"idempotency-key": header}
    )
    assert by_header.ok(202)["id"] == by_body.ok(202)["id"]
    wrong = await site.operator.call("POST", "/v1/events", EVENT, headers={"idempotency-key": "ü"})
    assert (wrong.status, wrong.code) == (422, "invalid_idempotency_key")


async def test_publishing_reads_a_request_as_the_other_operations_do(site: Site) -> None:
    await site.account()
    keys = [("idempotency-key", "one"), ("idempotency-key", "two")]
    twice = await site.operator.call("POST", "/v1/events", EVENT, more=keys)
    assert (twice.status, twice.code) == (422, "invalid_idempotency_key")
    quoted = {"content-type": 'application/json; charset="UTF-8"'}
    (await site.operator.call("POST", "/v1/events", EVENT, headers=quoted)).ok(202)
    in_url = await site.operator.call("POST", "/v1/events?key=htk_secret", EVENT)
    assert in_url.status == 401
    for path, body in (
        ("/v1/events", EVENT),
        ("/v1/accounts", {"reference": "other", "project": "invoice-maker"}),
    ):
        long = {"content-length": "0" * 5000 + "9"}
        made = await site.operator.call("POST", path, body, headers=long)
        assert made.status in {201, 202}, made


async def test_answers_to_publishing_are_not_to_be_stored(site: Site) -> None:
    await site.account()
    for event, status in ((EVENT, 202), (EVENT | {"type": "no.such"}, 422), ([EVENT], 202)):
        answer = await site.operator.post("/v1/events", event)
        assert (answer.status, answer.headers["cache-control"]) == (status, "no-store")
    assert (await site.operator.get("/v1/nothing")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("key", ["htk_secret ", " htk_secret", "htk_se cret", "htk_secret\n"])
def test_a_clients_key_with_a_space_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        find_server("http://127.0.0.1:8080", key)
    assert "secret" not in str(refused.value)
    assert find_server("http://127.0.0.1:8080", "htk_secret").key == "htk_secret"


@pytest.mark.parametrize(
    ("path", "body", "pointer", "says"),
    [
        ("/v1/events", EVENT | {"channel": ["north"]}, "/channel", "did you mean 'channels'?"),
        ("/v1/events", [EVENT | {"tag": ["a"]}], "/tag", "did you mean 'tags'?"),
        (
            "/v1/accounts",
            {"reference": "b", "colour": "red"},
            "/colour",
            "use reference, project, name",
        ),
        (
            "/v1/delivery-jobs",
            {"act": "resend", "filter": {"state": "lost"}},
            "/filter/state",
            "use delivered, discarded, failed, held, pending",
        ),
        (
            "/v1/delivery-jobs",
            {"act": "resend", "filter": {"events": "evt_1"}},
            "/filter/events",
            "did you mean 'event'?",
        ),
    ],
)
async def test_an_unknown_member_or_value_is_answered_with_what_would_be_right(
    site: Site, path: str, body: object, pointer: str, says: str
) -> None:
    await site.account()
    answer = await site.operator.post(path, body)
    problem = answer.json["results"][0]["problem"] if isinstance(body, list) else answer.json
    assert says in problem["detail"]
    assert problem["errors"][0]["pointer"] == pointer


async def test_a_query_parameter_is_answered_with_what_would_be_right(site: Site) -> None:
    for query, says in (
        ("deliveries?state=lost", "use delivered, discarded, failed, held, pending"),
        ("events?tags=a", "did you mean 'tag'?"),
        ("events?colour=red", "use account, type, search, tag, channel, limit"),
    ):
        answer = await site.operator.get(f"/v1/{query}")
        assert (answer.status, answer.code) == (422, "invalid_query")
        assert says in answer.json["detail"]
