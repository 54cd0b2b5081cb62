"""``emit``, for applications with SQLAlchemy 2: the event commits with the change, or not at all.

    with Session(engine) as session, session.begin():
        invoice.status = "paid"
        emit(session, "invoice.paid", {"id": invoice.id}, account=invoice.customer)

The event is a row of the table ``outbox``, in the application's own database, which ``hooktide
relay`` moves to Hooktide; or of Hooktide's own table, where both share a PostgreSQL (``direct``).

Rows of a ``Session`` are written as the last thing before its commit. By then the transaction holds
the locks of all that it changed, so of two that change the same invoice the one that commits first
has its events first.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    false,
    insert,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from hooktide.outbox.row import TABLE, check_direct, given, make_row, missing_table
from hooktide.wire.events import MAX_KEY_LENGTH

__all__ = ["emit", "outbox"]

AnySession: TypeAlias = (
    Session | AsyncSession | scoped_session[Session] | async_scoped_session[AsyncSession]
)

_WAITING = "hooktide: emitted"
_WRITTEN = "hooktide: written"

outbox = Table(
    TABLE,
    MetaData(),
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("key", String(MAX_KEY_LENGTH), nullable=False),
    Column("account", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("occurred_at", String(40), nullable=False),
    Column("transition", String(200), nullable=False, server_default=""),
    Column("test", Boolean, nullable=False, server_default=false()),
    Column("channels", Text, nullable=False, server_default=""),
    Column("tags", Text, nullable=False, server_default=""),
    Column("refused", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,  # ids are never reused
)
"""The outbox. ``outbox.to_metadata(Base.metadata)`` makes it one of the application's tables, for
``create_all`` and for Alembic's autogenerate."""

Index(
    f"{TABLE}_waiting",
    outbox.c.id,
    postgresql_where=outbox.c.refused == "",
    sqlite_where=outbox.c.refused == "",
)

_emitted = Table(
    "emitted",
    MetaData(schema="hooktide"),
    Column("project", Text),
    *(Column(name, Text) for name in ("key", "account", "type", "payload", "occurred_at")),
    Column("transition", Text),
    Column("test", Boolean),
    Column("channels", Text),
    Column("tags", Text),
)


def emit(  # noqa: PLR0913  # one for each member of the event
    session: AnySession | Connection,
    type: str,
    payload: Any,
    *,
    account: str,
    occurred_at: datetime | str | None = None,
    transition: str = "",
    key: str = "",
    test: bool = False,
    channels: Sequence[str] = (),
    tags: Sequence[str] = (),
    direct: str = "",
) -> None:
    """Emit an event within a session's transaction.

    Nothing is awaited, even with an ``AsyncSession``: the row is written on commit. With a
    ``Connection`` it is written now (``await connection.run_sync(emit, ...)`` for an async one).

    Parameters
    ----------
    session
        The session or connection of the transaction. A savepoint that is rolled back takes its
        events with it.
    type
        The event's type, like ``invoice.paid``.
    payload
        A Python value, which is encoded: ``str`` as a JSON string, ``Decimal`` as a number,
        Pydantic models and dataclasses as objects. JSON text is given as ``bytes`` or
        ``hooktide.RawJSON`` and sent byte for byte.
    account
        The account: your own id for this customer.
    occurred_at
        When it happened, with its time zone; by default now.
    transition
        For wire formats with ``{event.transition}``.
    key
        Its idempotency key, if two transactions may emit the same event.
    test
        Whether it is a test event.
    channels
        Its channels, 5 at most: endpoints with channels get only events that share one of theirs.
    tags
        Tags to find it by, 10 at most.
    direct
        If Hooktide uses the same PostgreSQL database: the project. The event then goes straight
        to Hooktide's own tables, and needs no relay.

    :raises TypeError: ``session`` is not a session or connection but, for example, an engine.
    :raises ConfigError: ``direct``, and the database is not PostgreSQL; or the table of the
        events does not exist (a ``Session`` raises it at the commit).
    :raises InvalidError: the event could never be accepted; the error says why.
    """
    owner = session if isinstance(session, Connection) else _session(session)
    if direct:
        check_direct(_dialect(owner, _emitted))
    row = make_row(
        type,
        payload,
        account=account,
        occurred_at=occurred_at,
        transition=transition,
        key=key,
        test=test,
        channels=channels,
        tags=tags,
        keyed=not direct,
    )
    table = _emitted if direct else outbox
    values = {**given(row), "project": direct} if direct else given(row)
    if isinstance(owner, Connection):
        _insert(owner, table, [values])
    else:
        _remember(owner, table, values)


def _session(session: AnySession) -> Session:
    if isinstance(session, scoped_session | async_scoped_session):
        session = session()
    found = session.sync_session if isinstance(session, AsyncSession) else session
    if not isinstance(found, Session):
        raise TypeError(
            f"emit takes a Session or a Connection, not {type(found).__name__}: an event commits "
            "with a transaction. Use emit(session, ...), or with engine.begin() as connection: "
            "emit(connection, ...); for an AsyncConnection, await connection.run_sync(emit, ...)"
        )
    return found


def _dialect(owner: Session | Connection, table: Table) -> str:
    bind = owner if isinstance(owner, Connection) else owner.get_bind(clause=insert(table))
    return str(bind.dialect.name)


def _remember(session: Session, table: Table, values: dict[str, Any]) -> None:
    if session.info.get(_WRITTEN):  # a listener that runs after ours, at the commit
        _insert(session, table, [values])
        return
    session.info.setdefault(_WAITING, []).append((_transactions(session), table, values))


def _transactions(session: Session) -> list[SessionTransaction]:
    """Return the open savepoints, and the transaction around them."""
    if not session.in_transaction():
        session.begin()
    found = session.get_nested_transaction() or session.get_transaction()
    around = []
    while found is not None:
        around.append(found)
        found = found.parent
    return around


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Write what was emitted, after everything else the session writes."""
    if session.in_nested_transaction():
        return
    session.flush()
    session.info[_WRITTEN] = True
    waiting = session.info.pop(_WAITING, ())
    for table in (outbox, _emitted):
        rows = [values for _, into, values in waiting if into is table]
        for _, alike in groupby(rows, key=frozenset):  # a statement has one set of columns
            _insert(session, table, list(alike))


def _insert(owner: Session | Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    try:
        owner.execute(insert(table), rows)
    except DBAPIError as error:
        missing = missing_table(error.orig, "" if table is outbox else rows[0]["project"])
        if missing is None:
            raise
        raise missing from error


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    """Forget what was emitted within a savepoint, or a transaction, that was rolled back."""
    if waiting := session.info.get(_WAITING):
        session.info[_WAITING] = [each for each in waiting if ended not in each[0]]


@event.listens_for(Session, "after_transaction_end")
def _end(session: Session, ended: SessionTransaction) -> None:
    """Start over: the transaction was committed, rolled back or closed."""
    if ended.parent is None:
        session.info.pop(_WAITING, None)
        session.info.pop(_WRITTEN, None)
