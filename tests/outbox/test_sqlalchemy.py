"""``emit`` with SQLAlchemy: the event commits together with its change, or not at all."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import requires
from typing import Any

import pytest
from outboxkit import Base, Invoice, async_url, engine_on, kept, sync_url
from pydantic import BaseModel
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from hooktide import RawJSON
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.sqlalchemy import emit


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    with engine_on(url) as engine:
        yield engine


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[AsyncSession]:
    engine = create_async_engine(async_url(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            yield session
    finally:
        await engine.dispose()


def emit_number(session: Any, number: int, **more: Any) -> None:
    emit(session, "invoice.paid", {"id": number}, account="acme", **more)


def numbers(engine: Engine) -> list[str]:
    return [row["payload"].removeprefix('{"id":').removesuffix("}") for row in kept(engine)]


def test_without_the_outbox_table_the_error_says_how_to_create_it(url: str) -> None:
    engine = create_engine(sync_url(url))
    try:
        with Session(engine) as session:
            emit_number(session, 1)
            with pytest.raises(ConfigError, match="alembic upgrade head"):
                session.commit()
        with engine.connect() as connection, pytest.raises(ConfigError, match="hooktide_outbox"):
            emit_number(connection, 1)
        if "://" in url:  # direct needs PostgreSQL
            with engine.connect() as connection, pytest.raises(ConfigError, match="migrate on it"):
                emit_number(connection, 1, direct="invoicing")
    finally:
        engine.dispose()


def test_an_event_is_there_once_its_change_is_committed_and_not_before(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Invoice(id=1))
        emit_number(session, 1, transition="PAY", test=True)
        session.flush()
        assert kept(engine) == []
        session.commit()
    [row] = kept(engine)
    assert (row["account"], row["type"], len(row["key"])) == ("acme", "invoice.paid", 32)
    assert (row["payload"], row["transition"], row["test"]) == ('{"id":1}', "PAY", True)
    assert row["occurred_at"].endswith("Z")
    assert row["refused"] == ""


def test_an_event_of_a_transaction_that_fails_is_nowhere(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Invoice(id=1))
        session.commit()
        emit_number(session, 1)
        session.rollback()
        emit_number(session, 2)
        session.add(Invoice(id=1))
        with pytest.raises(DBAPIError):
            session.commit()
        session.rollback()
        session.commit()
    with Session(engine) as session:
        emit_number(session, 3)
    assert kept(engine) == []


def test_a_session_goes_on_to_emit_after_a_failure_and_after_a_commit(engine: Engine) -> None:
    with Session(engine) as session:
        emit_number(session, 1)
        session.rollback()
        for number in (2, 3):
            emit_number(session, number)
            session.commit()
        session.commit()
    assert numbers(engine) == ["2", "3"]


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_events_with_it(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        emit_number(session, 1)
        with session.begin_nested():
            emit_number(session, 2)
        with session.begin_nested() as savepoint:
            emit_number(session, 3)
            with session.begin_nested():
                emit_number(session, 4)
            savepoint.rollback()
        emit_number(session, 5)
    assert numbers(engine) == ["1", "2", "5"]


@pytest.mark.parametrize("autoflush", [True, False])
def test_events_are_written_after_all_else_that_the_commit_writes(
    engine: Engine, autoflush: bool
) -> None:
    seen: list[str] = []
    with Session(engine, autoflush=autoflush) as session:
        emit_number(session, 1)
        session.add(Invoice(id=1))
        event.listen(
            engine,
            "before_cursor_execute",
            lambda connection, cursor, statement, *_: seen.append(statement),
        )
        session.commit()
    assert [each.split()[:3] for each in seen] == [
        ["INSERT", "INTO", "invoices"],
        ["INSERT", "INTO", "hooktide_outbox"],
    ]


def test_listeners_may_emit_whenever_they_are_called(engine: Engine) -> None:
    with Session(engine) as session:
        event.listen(session, "after_flush", lambda session, _: emit_number(session, 1))
        event.listen(session, "before_commit", lambda session: emit_number(session, 2))
        session.add(Invoice(id=1))
        session.commit()
    assert numbers(engine) == ["1", "2"]


def test_a_connection_emits_within_its_transaction(engine: Engine) -> None:
    with engine.begin() as connection:
        emit_number(connection, 1)
        connection.rollback()
    with engine.begin() as connection:
        emit_number(connection, 2)
    assert numbers(engine) == ["2"]


def test_a_scoped_session_emits(engine: Engine) -> None:
    session = scoped_session(sessionmaker(engine))
    emit_number(session, 1)
    session.commit()
    session.remove()
    assert numbers(engine) == ["1"]


async def test_an_async_session_emits_without_an_await(url: str) -> None:
    async with async_session(url) as session:
        async with session.begin():
            session.add(Invoice(id=1))
            emit_number(session, 1)
        emit_number(session, 2)
        await session.rollback()
        async with session.begin_nested() as savepoint:
            emit_number(session, 3)
            await savepoint.rollback()
        async with session.begin_nested():
            emit_number(session, 4)
        emit_number(session, 5)
        await session.commit()
        found = await session.execute(text("SELECT payload FROM hooktide_outbox ORDER BY id"))
        assert [each for (each,) in found] == ['{"id":1}', '{"id":4}', '{"id":5}']


async def test_an_async_connection_emits_through_run_sync(url: str) -> None:
    async with async_session(url) as session:
        connection = await session.connection()
        await connection.run_sync(emit, "invoice.paid", b'{"id": 1.10}', account="acme")
        await session.commit()
        [(payload,)] = await session.execute(text("SELECT payload FROM hooktide_outbox"))
        assert payload == '{"id": 1.10}'


class Total(BaseModel):
    total: Decimal


@pytest.mark.parametrize(
    ("payload", "kept_as"),
    [
        (RawJSON('{"total": 1.10, "total": 1e5}'), '{"total": 1.10, "total": 1e5}'),
        ('{"total": 1.10}', '"{\\"total\\": 1.10}"'),
        ("text, and not JSON", '"text, and not JSON"'),
        (b'{ "a":"\xc3\xa9" }', '{ "a":"é" }'),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC), "total": Decimal("12.10")},
         '{"at":"2026-01-02T00:00:00Z","total":12.10}'),
        (Total(total=Decimal("1.10")), '{"total":1.10}'),
    ],
)  # fmt: skip
def test_a_payload_is_kept_byte_for_byte_or_encoded(payload: Any, kept_as: str) -> None:
    with engine_on(":memory:") as engine:
        with Session(engine) as session:
            emit(session, "invoice.paid", payload, account="acme")
            session.commit()
        assert kept(engine)[0]["payload"] == kept_as


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"payload": b"{"}, "invalid_json"),
        ({"payload": RawJSON("{")}, "invalid_json"),
        ({"payload": {"total": float("nan")}}, "invalid_json"),
        ({"payload": {"x": "y" * 300_000}}, "payload_too_large"),
        ({"payload": object()}, "invalid_json"),
        ({"account": ""}, "invalid_event"),
        ({"account": "a\0"}, "invalid_text"),
        ({"account": 5}, "invalid_text"),
        ({"key": 5}, "invalid_text"),
        ({"key": "k" * 256}, "invalid_idempotency_key"),
        ({"transition": "t" * 201}, "transition_too_long"),
        ({"channels": ["a b"]}, "invalid_channels"),
        ({"channels": "north"}, "invalid_channels"),
        ({"channels": list("abcdef")}, "invalid_channels"),
        ({"tags": [5]}, "invalid_text"),
        ({"tags": [""]}, "invalid_tags"),
        ({"occurred_at": "yesterday"}, "invalid_time"),
        ({"occurred_at": datetime(2026, 1, 1)}, "invalid_time"),  # noqa: DTZ001 - that is the point
    ],
)
def test_what_could_never_be_accepted_is_refused_at_once(given: dict[str, Any], code: str) -> None:
    with Session() as session, pytest.raises(InvalidError) as refused:
        emit(session, "invoice.paid", **{"payload": {}, "account": "acme", **given})
    assert refused.value.code == code


def test_its_extra_brings_greenlet_which_sqlalchemys_asyncio_cannot_be_imported_without() -> None:
    [brought] = [each for each in requires("hooktide") or () if each.endswith("== 'sqlalchemy'")]
    assert brought.startswith("sqlalchemy[asyncio]>=")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_straight_to_hooktide_needs_postgresql(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(ConfigError, match="this one is sqlite; leave"):
        emit_number(session, 1, direct="invoicing")
    with engine.begin() as connection, pytest.raises(ConfigError, match="hooktide relay"):
        emit_number(connection, 1, direct="invoicing")
    assert kept(engine) == []


def test_what_has_no_transaction_of_its_own_is_refused(engine: Engine) -> None:
    for wrong in (engine, sessionmaker(engine), None):
        with pytest.raises(TypeError, match="emit takes a Session or a Connection, not"):
            emit_number(wrong, 1)


def test_channels_and_tags_are_kept_and_the_order_of_the_rows_with_them(engine: Engine) -> None:
    with Session(engine) as session:
        emit_number(session, 1)
        emit_number(session, 2, channels=["north", "west", "north"], tags=("order:1",))
        emit_number(session, 3, tags=["vip"])
        emit_number(session, 4)
        session.commit()
    assert numbers(engine) == ["1", "2", "3", "4"]
    assert [(row["channels"], row["tags"]) for row in kept(engine)] == [
        ("", ""),
        ('["north","west"]', '["order:1"]'),
        ("", '["vip"]'),
        ("", ""),
    ]


def test_a_table_without_their_columns_takes_events_that_have_none(engine: Engine) -> None:
    with engine.begin() as connection:
        for name in ("channels", "tags"):
            connection.execute(text(f"ALTER TABLE hooktide_outbox DROP COLUMN {name}"))
        emit_number(connection, 1)
    with Session(engine) as session:
        emit_number(session, 2)
        session.commit()
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM hooktide_outbox")) == 2
