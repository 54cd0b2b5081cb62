"""``emit``, for applications with Django: the event commits with the change, or not at all.

    INSTALLED_APPS = [..., "hooktide.django"]

    with transaction.atomic():
        invoice.save()
        emit("invoice.paid", {"id": invoice.pk}, account=invoice.customer)

The event is a row of the model ``Outbox``, in the application's own database, which ``hooktide
relay`` moves to Hooktide; or of Hooktide's own table, where both share a PostgreSQL (``direct``, or
``HOOKTIDE_DIRECT`` in the settings). ``signals`` emits whenever a model is saved.
"""

from datetime import datetime
from typing import Any

from django.apps import apps as registry
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.transaction import TransactionManagementError

from hooktide.outbox.row import Row, check_direct, make_row, missing_table

__all__ = ["check_atomic", "emit"]

_DIRECT = """INSERT INTO hooktide.emitted
(project, key, account, type, payload, occurred_at, transition, test)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""


def emit(
    type: str,
    payload: Any,
    *,
    account: str,
    occurred_at: datetime | str | None = None,
    transition: str = "",
    key: str = "",
    test: bool = False,
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
    if not direct:
        registry.get_model("hooktide", "Outbox")._default_manager.using(using).create(**row)
        return
    with connections[using].cursor() as cursor:
        cursor.execute(_DIRECT, [direct, *row.values()])


def check_atomic(using: str) -> None:
    """Refuse to emit where no transaction is open.

    :raises TransactionManagementError: no transaction is open.
    """
    if not connections[using].in_atomic_block:
        raise TransactionManagementError(
            "call emit inside transaction.atomic(): an event must commit with the change it "
            "describes"
        )
