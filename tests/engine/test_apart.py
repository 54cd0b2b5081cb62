"""Chat batches: an event that fails does not stop the others in its message."""

from dataclasses import replace

import msgspec
import pytest
from enginekit import Engine, running
from storekit import NOON, Given, until

from hooktide.domain.model import MINUTE, Endpoint, EndpointKind, Scope, Secret
from hooktide.engine.scheduling.scheduler import Limits
from hooktide.store.base import AttemptRecord, NewEvent

SLACK_URL = "https://hooks.slack.com/services/T0/B0/s3cr3tpart"
UNWRITABLE = "\ud800"
"""A text that is no Unicode: the database refuses it."""


@pytest.fixture
def limits() -> Limits:
    return Limits(chat_pace=0.01)


@pytest.fixture
async def chat(engine: Engine) -> Endpoint:
    """The only endpoint is a Slack channel."""
    given = engine.given
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON)
    shown = "https://hooks.slack.com/services/T0/B0/****"
    new = replace(given.endpoint, url=shown, kind=EndpointKind.SLACK, secret_url=SLACK_URL)
    given.endpoint = await given.store.create_endpoint(
        new, Secret("ab" * 32, b"\xab" * 32), None, NOON
    )
    return given.endpoint


async def publish_together(engine: Engine, *payloads: bytes) -> None:
    """Publish events while a message is in flight, so that all of them go into the next one."""
    engine.receivers.hanging.add(SLACK_URL)
    await engine.given.publish()
    await engine.receivers.until(1)
    events: list[NewEvent] = [engine.given.event(payload=payload) for payload in payloads]
    await engine.given.publish(*events)
    await until(lambda: engine.worker.waiting == len(payloads))
    engine.receivers.hold.set()
    await engine.receivers.until(2)
    await engine.settled()


async def test_an_event_that_cannot_be_summed_up_keeps_no_other_from_its_message(
    engine: Engine, chat: Endpoint
) -> None:
    await publish_together(engine, b'{"n":"n1n"}', b"no JSON", b'{"n":"n2n"}')
    text = msgspec.json.decode(engine.receivers.sent[1][2])["text"]
    assert ("n1n" in text, "n2n" in text) == (True, True)
    assert await engine.states() == ["delivered", "delivered", "pending", "delivered"]
    assert engine.receivers.count() == 2
    page = await engine.given.store.list_deliveries(Scope(), None, 10)
    [left] = [each for each in page.items if each.state.value == "pending"]
    assert (left.attempts, left.due_at) == (0, engine.clock() + MINUTE)


async def test_one_event_alone_that_cannot_be_summed_up_sends_nothing(
    engine: Engine, chat: Endpoint
) -> None:
    await engine.given.publish(engine.given.event(payload=b"no JSON"))
    await engine.settled()
    assert (engine.receivers.count(), await engine.states()) == (0, ["pending"])
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    assert await engine.states() == ["pending", "delivered"]


async def test_an_attempt_that_cannot_be_recorded_keeps_no_other_of_its_message_from_it(
    engine: Engine, chat: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_record, seen = engine.given.store.record, []

    def spoil_third(record: AttemptRecord) -> None:
        seen.append(record)
        if len(seen) == 3:
            made = msgspec.structs.replace(record.attempt, detail=UNWRITABLE)
            record = msgspec.structs.replace(record, attempt=made)
        store_record(record)

    monkeypatch.setattr(engine.given.store, "record", spoil_third)
    await publish_together(engine, *[b"{}"] * 4)
    assert len(seen) == 5
    assert await engine.states() == ["delivered", "delivered", "pending", "delivered", "delivered"]


@pytest.mark.parametrize("kind", [EndpointKind.SLACK, EndpointKind.WEBHOOK])
async def test_attempts_are_recorded_although_a_listener_fails(
    given: Given, limits: Limits, kind: EndpointKind
) -> None:
    """Errors in the log, metrics or traces must not cause an event to be sent again."""
    heard: list[AttemptRecord] = []

    def fail(record: AttemptRecord) -> None:
        heard.append(record)
        raise LookupError

    async with running(given, limits, told=fail) as engine:
        if kind is EndpointKind.SLACK:
            change = {"url": SLACK_URL, "kind": kind, "secret_url": SLACK_URL}
            await given.store.update_endpoint(Scope(), given.endpoint.id, lambda _: change, NOON)
        await given.publish(*[given.event() for _ in range(4)])
        await until(lambda: len(heard) == 4)
        await engine.settled()
        assert await engine.states() == ["delivered"] * 4
        page = await given.store.list_deliveries(Scope(), None, 10)
        assert [each.attempts for each in page.items] == [1] * 4
