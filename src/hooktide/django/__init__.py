"""``emit``, for applications with Django: the event commits with the change, or not at all.

    INSTALLED_APPS = [..., "hooktide.django"]

    with transaction.atomic():
        invoice.save()
        emit("invoice.paid", {"id": invoice.pk}, account=invoice.customer)

The event is a row of the model ``Outbox``, in the application's own database, which ``hooktide
relay`` moves to Hooktide; or of Hooktide's own table, where both share a PostgreSQL (``direct``, or
``HOOKTIDE_DIRECT`` in the settings). ``signals`` emits whenever a model is saved.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.transaction import TransactionManagementError

from hooktide.outbox.row import TABLE, Row, check_direct, given, make_row, missing_table

__all__ = ["check_atomic", "emit"]


def emit(  # noqa: PLR0913  # one for each member of the event
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
    direct: str | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> None:
    """Emit an event within a transaction, after saving the change it describes.

    Parameters
    ----------
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
        If Hooktide uses the same PostgreSQL database: the project. By default the setting
        ``HOOKTIDE_DIRECT``; empty: into the outbox.
    using
        The alias of the database whose transaction it is.

    :raises TransactionManagementError: no transaction is open.
    :raises ConfigError: ``direct``, and the database is not PostgreSQL; or the table of the
        events does not exist.
    :raises InvalidError: the event could never be accepted; the error says why.
    """
    check_atomic(using)
    if direct is None:
        direct = getattr(settings, "HOOKTIDE_DIRECT", "")
    if direct:
        check_direct(connections[using].vendor)
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
    try:
        _write(row, direct, using)
    except DatabaseError as error:
        missing = missing_table(error.__cause__, direct)
        if missing is None:
            raise
        raise missing from error


def _write(row: Row, direct: str, using: str) -> None:
    # Not the model's own INSERT: it names all columns, and an older table has not all of them yet.
    if direct:
        _insert(using, "hooktide.emitted", {"project": direct, **given(row)})
    else:
        _insert(using, TABLE, {**given(row), "refused": ""})


def _insert(using: str, table: str, values: dict[str, Any]) -> None:
    places = ", ".join(["%s"] * len(values))
    columns = ", ".join(connections[using].ops.quote_name(name) for name in values)
    sql = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 - our own names
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [*values.values()])


def check_atomic(using: str) -> None:
    """Refuse to emit where no transaction is open.

    :raises TransactionManagementError: no transaction is open.
    """
    if not connections[using].in_atomic_block:
        raise TransactionManagementError(
            "call emit inside transaction.atomic(): an event must commit with the change it "
            "describes"
        )
