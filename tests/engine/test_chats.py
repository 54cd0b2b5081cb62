"""Chats: pending deliveries are sent in one message per second, each with its own attempt."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from enginekit import OK, Engine
from storekit import NOON, until

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.model import HOUR, SECOND, Endpoint, EndpointKind, Scope, Secret
from hooktide.engine.scheduling import polling
from hooktide.engine.scheduling.lanes import NotSent
from hooktide.engine.scheduling.scheduler import Limits
from hooktide.store.base import NewEvent

SLACK_URL = "https://hooks.slack.com/services/T0/B0/s3cr3tpart"
PACE = 0.05


@pytest.fixture
def limits() -> Limits:
    return Limits(chat_pace=PACE)


@pytest.fixture
async def chat(engine: Engine) -> Endpoint:
    """The only endpoint is a Slack channel."""
    given = engine.given
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON)
    new = replace(
        given.endpoint,
        url="https://hooks.slack.com/services/T0/B0/****",
        kind=EndpointKind.SLACK,
        secret_url=SLACK_URL,
    )
    made = await given.store.create_endpoint(new, Secret("ab" * 32, b"\xab" * 32), None, NOON)
    given.endpoint = made
    return made


def numbered(engine: Engine, count: int) -> list[NewEvent]:
    payloads = [b'{"number":"n%dn"}' % number for number in range(count)]
    return [engine.given.event(payload=payload) for payload in payloads]


async def test_one_event_is_a_message_that_nothing_signs(engine: Engine, chat: Endpoint) -> None:
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    [(url, head, body)] = engine.receivers.sent
    assert url == SLACK_URL
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:-2]]
    assert sorted(names) == sorted(
        [b"host", b"user-agent", b"accept", b"accept-encoding", b"content-type", b"content-length"]
    )
    assert msgspec.json.decode(body)["text"] == "Invoice paid · 1.10"
    assert await engine.states() == ["delivered"]


async def test_a_burst_is_a_few_messages_and_each_delivery_has_its_own_attempt(
    engine: Engine, chat: Endpoint
) -> None:
    await engine.given.publish(*numbered(engine, 60))
    async with asyncio.timeout(60):
        while set(await engine.states()) != {"delivered"}:
            await asyncio.sleep(0.01)
    await engine.settled()
    assert 3 <= engine.receivers.count() <= 5
    texts = b"".join(body for _, _, body in engine.receivers.sent)
    assert [texts.count(b"n%dn" % number) > 0 for number in range(60)] == [True] * 60
    assert engine.receivers.most_out[SLACK_URL] == 1
    page = await engine.given.store.list_deliveries(Scope(), None, 100)
    for delivery in page.items:
        [made] = await engine.given.store.list_attempts(Scope(), delivery.id)
        assert (made.number, made.status) == (1, 200)


async def test_a_chat_rests_between_two_messages(engine: Engine, chat: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    await engine.given.publish(*numbered(engine, 60))
    await engine.receivers.until(3)
    assert loop.time() - began_at >= 2 * PACE * 0.9


async def test_a_chats_pause_ends_by_itself(
    engine: Engine, chat: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker sets a timer for the end of a pause, and needs no other event."""
    monkeypatch.setattr(polling, "RESCAN_INTERVAL", HOUR)
    await engine.settled()
    engine.worker.scheduler.polling._rescan_at = None  # read once more, then not for an hour
    engine.worker.due({chat.id: NOON})
    await engine.given.publish(*numbered(engine, 60))
    await engine.receivers.until(3)


async def test_a_chat_that_answers_slowly_is_out_once_and_rests_after_its_answer(
    engine: Engine, chat: Endpoint
) -> None:
    engine.receivers.hanging.add(SLACK_URL)
    await engine.given.publish(*numbered(engine, 60))
    await engine.receivers.until(1)
    await asyncio.sleep(3 * PACE)
    assert engine.receivers.count() == 1
    released_at = asyncio.get_running_loop().time()
    engine.receivers.hold.set()
    await engine.receivers.until(2)
    assert asyncio.get_running_loop().time() - released_at >= PACE * 0.9


async def test_a_failed_message_is_a_failed_attempt_of_each_and_all_are_retried(
    engine: Engine, chat: Endpoint
) -> None:
    engine.receivers.script = [Outcome(status=500, body=b"rollup_error", duration=1000), OK]
    await engine.given.publish(*numbered(engine, 3))
    await until(lambda: len(engine.records) >= 3)
    await engine.settled()
    failed = [record for record in engine.records if record.attempt.status == 500]
    assert failed
    await engine.later(HOUR)
    async with asyncio.timeout(60):
        while set(await engine.states()) != {"delivered"}:
            await asyncio.sleep(0.01)
    for record in failed:
        made = await engine.given.store.list_attempts(Scope(), record.claim.delivery_id)
        assert [(each.number, each.status) for each in made] == [(1, 500), (2, 200)]


async def test_what_will_never_be_taken_disables_the_endpoint_with_the_services_reason(
    engine: Engine, chat: Endpoint
) -> None:
    engine.receivers.script = [Outcome(status=404, body=b"no_service", duration=1000)]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    found = await engine.given.store.get_endpoint(Scope(), chat.id)
    assert found.disabled_reason == "Slack says no_service: the webhook was removed"
    page = await engine.given.store.list_deliveries(Scope(), None, 10)
    assert [each.state.value for each in page.items] == ["failed"]


async def test_a_chat_that_asks_for_rest_gets_it(engine: Engine, chat: Endpoint) -> None:
    busy = Outcome(status=429, body=b"rate_limited", retry_after=30 * SECOND, duration=1000)
    engine.receivers.script = [busy, OK]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    [record] = engine.records
    delivery = await engine.given.store.get_delivery(Scope(), record.claim.delivery_id)
    assert delivery.due_at is not None
    assert delivery.due_at >= NOON + 30 * SECOND
    await engine.given.publish()
    await asyncio.sleep(3 * PACE)
    assert engine.receivers.count() == 1


async def test_a_message_that_is_not_understood_is_sent_once_more_as_plain_text(
    engine: Engine, chat: Endpoint
) -> None:
    engine.receivers.script = [Outcome(status=400, body=b"invalid_blocks", duration=1000), OK]
    await engine.given.publish()
    await engine.receivers.until(2)
    await engine.settled()
    first, second = (msgspec.json.decode(body) for _, _, body in engine.receivers.sent)
    assert "blocks" in first
    assert list(second) == ["text"]
    [record] = engine.records
    assert record.attempt.detail == "refused at first (invalid_blocks), then sent as plain text"
    assert await engine.states() == ["delivered"]


async def test_a_2xx_whose_text_is_an_error_is_a_failed_attempt(
    engine: Engine, chat: Endpoint
) -> None:
    body = b'{"ok": false, "error": "no_text"}'
    engine.receivers.script = [Outcome(status=200, body=body, duration=1000)]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    [record] = engine.records
    assert (record.attempt.status, record.attempt.error) == (None, "invalid_response")
    assert record.attempt.detail == "Slack answered 200, but says no_text"
    assert await engine.states() == ["pending"]


async def test_a_message_refused_twice_is_a_failed_attempt(engine: Engine, chat: Endpoint) -> None:
    engine.receivers.script = [Outcome(status=400, body=b"invalid_payload", duration=1000)]
    await engine.given.publish()
    await engine.receivers.until(2)
    await engine.settled()
    await asyncio.sleep(3 * PACE)
    assert engine.receivers.count() == 2
    assert await engine.states() == ["pending"]


async def test_a_chats_secret_is_in_no_log_and_nowhere_in_the_clear(
    engine: Engine, chat: Endpoint, tmp_path: Path
) -> None:
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    [record] = engine.records
    assert record.attempt.request_head.startswith(b"POST /services/T0/B0/**** HTTP/1.1\r\n")
    assert b"s3cr3tpart" in engine.receivers.sent[0][0].encode()
    assert "s3cr3tpart" not in repr(chat)
    for file in tmp_path.iterdir():
        assert b"s3cr3tpart" not in file.read_bytes(), file
    found = await engine.given.store.get_endpoint(Scope(), chat.id)
    assert (found.url, found.address) == (chat.url, SLACK_URL)


async def test_what_was_to_be_told_to_a_chat_goes_back_if_that_has_become_a_webhook(
    engine: Engine,
) -> None:
    await engine.worker.stop(5)
    await engine.given.publish(*numbered(engine, 3))
    claims = await engine.given.claim()
    assert len(claims) == 3
    assert await engine.worker._deliverer.attempt_batch(claims) is NotSent.RELEASED
    assert engine.receivers.sent == []


async def test_a_worker_that_missed_that_a_chat_became_a_webhook_learns_it(engine: Engine) -> None:
    await engine.given.publish()
    await engine.settled()
    scheduler = engine.worker.scheduler
    scheduler._lanes[engine.given.endpoint.id].kind = scheduler._chat  # as if a signal was lost
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.given.publish(*numbered(engine, 3))
    await engine.receivers.until(4)  # all at once, for none of them is answered
    engine.receivers.hold.set()
    await engine.settled()
    assert await engine.states() == ["delivered"] * 4


async def test_a_chat_that_becomes_a_webhook_gets_webhooks_from_then_on(
    engine: Engine, chat: Endpoint
) -> None:
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    changes = {
        "url": "https://receiver.example.com/hook",
        "kind": EndpointKind.WEBHOOK,
        "secret_url": "",
    }
    await engine.given.store.update_endpoint(Scope(), chat.id, lambda _: changes, NOON)
    engine.receivers.hanging.add("https://receiver.example.com/hook")
    await engine.given.publish(*numbered(engine, 3))
    await engine.receivers.until(4)  # all at once, for none of them is answered
    engine.receivers.hold.set()
    await engine.settled()
    heads = [head for url, head, _ in engine.receivers.sent if "receiver.example.com" in url]
    assert len(heads) == 3
    assert all(b"webhook-signature: " in head for head in heads)
