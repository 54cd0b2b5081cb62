"""The relay sends every row once, in order, whatever fails between two steps."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from outboxkit import Hooktide, engine_on, kept
from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.outbox import relay
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import Answer, NotYet, Relay
from hooktide.sqlalchemy import emit, outbox


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    with engine_on(url) as engine:
        yield engine


def emit_all(engine: Engine, numbers: Sequence[int]) -> None:
    with Session(engine) as session:
        for number in numbers:
            emit(session, "invoice.paid", {"id": number}, account="acme")
        session.commit()


async def test_rows_move_in_order_and_are_gone_once_they_were_accepted(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(relay.BATCH + 5))
    hooktide, found = Hooktide(), open_outbox(url)
    moving = Relay(found, hooktide.send)
    await moving.drain()
    await found.close()
    assert hooktide.ids == list(range(relay.BATCH + 5))
    assert hooktide.asked == [relay.BATCH, 5]
    assert (moving.moved, kept(engine)) == (relay.BATCH + 5, [])


async def test_a_row_whose_answer_was_lost_is_sent_again_and_not_doubled(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(3))
    hooktide, found = Hooktide(), open_outbox(url)
    lost = [UnavailableError("the answer was lost")]

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        answers = await hooktide.send(bodies)
        if lost:
            raise lost.pop()
        return answers

    moving = Relay(found, send)
    with pytest.raises(UnavailableError):
        await moving.step()
    assert len(kept(engine)) == 3
    await moving.drain()
    await found.close()
    assert (hooktide.ids, hooktide.asked) == ([0, 1, 2], [3, 3])


async def test_a_refused_row_is_set_aside_with_its_reason_and_blocks_nothing(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(4))
    hooktide = Hooktide(refuse={1: "unknown_event_type: there is no such type"})
    found = open_outbox(url)
    await Relay(found, hooktide.send).drain()
    assert hooktide.ids == [0, 2, 3]
    [aside] = await found.refused()
    assert aside.reason == "unknown_event_type: there is no such type"
    assert aside.event.startswith("invoice.paid of acme (")
    hooktide.refuse.clear()
    assert await found.retry() == 1
    await Relay(found, hooktide.send).drain()
    await found.close()
    assert hooktide.ids == [0, 2, 3, 1]
    assert kept(engine) == []


async def test_a_row_that_is_not_taken_for_now_waits_and_blocks_nothing(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(4))
    hooktide = Hooktide(refuse={1: NotYet("a bug")})
    found = open_outbox(url)
    moving = Relay(found, hooktide.send)
    assert await moving.step() == 3
    with pytest.raises(UnavailableError, match="a bug"):  # so run() waits before it tries again
        await moving.step()
    emit_all(engine, [4])
    assert await moving.step() == 1
    assert (hooktide.ids, await found.refused()) == ([0, 2, 3, 4], [])
    hooktide.refuse.clear()
    await moving.drain()
    await found.close()
    assert hooktide.ids == [0, 2, 3, 4, 1]
    assert kept(engine) == []


async def test_a_reason_that_no_text_of_postgresql_holds_is_kept_all_the_same(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(2))
    found = open_outbox(url)
    await Relay(found, Hooktide(refuse={0: "no type a\0b"}).send).drain()
    [aside] = await found.refused()
    await found.close()
    assert aside.reason == "no type a\\0b"


@pytest.mark.parametrize("column", ["account", "type", "payload"])
async def test_a_row_that_cannot_be_read_is_set_aside_and_blocks_nothing(
    tmp_path: Path, column: str
) -> None:
    """SQLite stores any type in a column, and any bytes as text."""
    url = str(tmp_path / "app.db")
    with engine_on(url) as engine:
        emit_all(engine, range(4))
        with engine.begin() as connection:
            for id_, value in {2: "X'00'", 3: "CAST(X'61FF' AS TEXT)"}.items():
                connection.execute(
                    text(f"UPDATE hooktide_outbox SET {column} = {value} WHERE id = {id_}")
                )
    hooktide, found = Hooktide(), open_outbox(url)

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        answers: list[Answer] = []
        for body in bodies:
            try:
                answers += await hooktide.send([body])
            except msgspec.DecodeError as error:
                answers.append(str(error))
        return answers

    await Relay(found, send).drain()
    aside = await found.refused()
    await found.close()
    assert [each.id for each in aside] == [2, 3]
    assert all(each.reason.isprintable() and each.event.isprintable() for each in aside)
    assert hooktide.ids == [0, 3]


async def test_refused_rows_are_tried_again_or_discarded_by_id_and_no_others(
    engine: Engine, url: str
) -> None:
    emit_all(engine, range(5))
    hooktide = Hooktide(refuse=dict.fromkeys(range(4), "why"))
    found = open_outbox(url)
    await Relay(found, hooktide.send).drain()
    emit_all(engine, [5])
    *aside, waiting = [row["id"] for row in kept(engine)]
    assert await found.discard([aside[1], waiting, 999]) == 1
    assert await found.retry([aside[2], waiting, 999]) == 1
    assert [each.id for each in await found.refused()] == [aside[0], aside[3]]
    hooktide.refuse.clear()
    await Relay(found, hooktide.send).drain()
    assert hooktide.ids == [4, 2, 5]
    assert await found.discard() == 2
    await found.close()
    assert kept(engine) == []


async def test_of_two_relays_one_moves_and_the_other_takes_over(engine: Engine, url: str) -> None:
    emit_all(engine, range(2))
    hooktide = Hooktide()
    first, second = open_outbox(url), open_outbox(url)
    async with first.take(10, 1000) as taken:
        assert len(taken.rows) == 2
        assert await Relay(second, hooktide.send).step() == 0
    await first.close()
    await Relay(second, hooktide.send).drain()
    await second.close()
    assert hooktide.ids == [0, 1]


async def test_a_relay_goes_on_when_hooktide_is_back_and_says_so(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hooktide.outbox")
    monkeypatch.setattr(relay, "MAX_WAIT", 0.01)
    emit_all(engine, [1])
    hooktide, found = Hooktide(), open_outbox(url)
    away = [UnavailableError("away")] * 3

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        if away:
            raise away.pop()
        return await hooktide.send(bodies)

    running = asyncio.create_task(Relay(found, send, poll=0.01).run())
    async with asyncio.timeout(60):
        while kept(engine):
            await asyncio.sleep(0.01)
        emit_all(engine, [2])
        while kept(engine):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await found.close()
    assert hooktide.ids == [1, 2]
    assert [each.getMessage() for each in caplog.records][3:] == ["events can be moved again"]


async def test_a_batch_is_no_larger_than_a_request_may_be(engine: Engine, url: str) -> None:
    with Session(engine) as session:
        for number in range(8):
            emit(session, "invoice.paid", {"id": number, "x": "x" * 250_000}, account="acme")
        session.commit()
    hooktide, found = Hooktide(), open_outbox(url)
    await Relay(found, hooktide.send).drain()
    await found.close()
    assert hooktide.ids == list(range(8))
    assert max(hooktide.asked) == 3


async def test_a_database_without_an_outbox_is_said_to_have_none(url: str) -> None:
    with engine_on(url):
        found = open_outbox(url, "nowhere")
        with pytest.raises(ConfigError, match="no outbox table nowhere"):
            await found.waiting()
        await found.close()


async def test_what_is_in_no_transaction_of_the_relays_is_not_touched(
    engine: Engine, url: str
) -> None:
    """Rows that are emitted during a request wait for the next batch."""
    emit_all(engine, [1])
    hooktide, found = Hooktide(), open_outbox(url)

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        emit_all(engine, [2])
        return await hooktide.send(bodies)

    assert await Relay(found, send).step() == 1
    assert [row["payload"] for row in kept(engine)] == ['{"id":2}']
    await found.close()


@pytest.mark.parametrize("name", ["outbox; DROP TABLE x", "a b", "", "ä"])
def test_a_tables_name_is_no_way_into_the_database(name: str) -> None:
    with pytest.raises(ConfigError):
        open_outbox("app.db", name)


async def test_a_row_that_somebody_else_wrote_wrongly_is_sent_as_it_is(
    engine: Engine, url: str
) -> None:
    """Hooktide reports that the payload is not JSON; see the test over HTTP."""
    with engine.begin() as connection:
        values = {"key": "k", "account": "a", "type": "t", "payload": "{", "occurred_at": ""}
        connection.execute(insert(outbox), [values])
    bodies: list[bytes] = []

    async def send(asked: Sequence[bytes]) -> list[Answer]:
        bodies.extend(asked)
        return ["invalid_json"]

    found = open_outbox(url)
    await Relay(found, send).drain()
    [aside] = await found.refused()
    await found.close()
    assert bodies[0].endswith(b',"payload":{}')
    assert aside.reason == "invalid_json"


async def test_channels_and_tags_go_along(engine: Engine, url: str) -> None:
    with engine.begin() as connection:
        for name in ("channels", "tags"):
            connection.execute(text(f"ALTER TABLE hooktide_outbox DROP COLUMN {name}"))
        emit(connection, "invoice.paid", {"id": 0}, account="acme")
    sent: list[dict[str, Any]] = []

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        sent.extend(msgspec.json.decode(body) for body in bodies)
        return [None] * len(bodies)

    found = open_outbox(url)
    await Relay(found, send).drain()
    with engine.begin() as connection:
        for name in ("channels", "tags"):
            connection.execute(
                text(f"ALTER TABLE hooktide_outbox ADD COLUMN {name} text NOT NULL DEFAULT ''")
            )
        emit(connection, "invoice.paid", {}, account="acme", channels=["a", "b"], tags=["t:1"])
        emit(connection, "invoice.paid", {}, account="acme")
        connection.execute(insert(outbox), {**WRONG, "channels": '["a",5]'})
        connection.execute(insert(outbox), {**WRONG, "tags": "a"})
    await Relay(found, send).drain()
    aside = await found.refused()
    await found.close()
    assert [(each.get("channels"), each.get("tags")) for each in sent] == [
        (None, None),
        (["a", "b"], ["t:1"]),
        (None, None),
    ]
    for each, name in zip(aside, ("channels", "tags"), strict=True):
        assert f"its {name} is not a JSON array of strings" in each.reason


WRONG = {"key": "k", "account": "a", "type": "t", "payload": "{}", "occurred_at": ""}
