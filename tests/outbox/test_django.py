"""``emit`` with Django: the event commits together with its change, or not at all."""

import asyncio
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connections, models, transaction
from outboxkit import Hooktide, engine_on
from sqlalchemy import inspect

if not settings.configured:
    settings.configure(
        INSTALLED_APPS=["hooktide.django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_TZ=True,
    )
    django.setup()

from hooktide.django import emit
from hooktide.django.models import Outbox
from hooktide.django.signals import emit_on
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import Relay

APP = "app"


class Bill(models.Model):
    """The object that events are published for."""

    paid = models.BooleanField(default=False)

    class Meta:
        app_label = "bills"


def django_database(url: str) -> dict[str, Any]:
    if "://" not in url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url}
    user, _, where = url.removeprefix("postgresql://").partition("@")
    address, _, name = where.partition("/")
    host, _, port = address.partition(":")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "HOST": host,
        "PORT": port,
    }


@pytest.fixture
def app(url: str) -> Iterator[str]:
    """Migrate a Django application's database, and yield its alias."""
    connections.settings = connections.configure_settings(
        {"default": django_database(":memory:"), APP: django_database(url)}
    )
    call_command("migrate", database=APP, verbosity=0)
    with connections[APP].schema_editor() as editor:
        editor.create_model(Bill)
    yield APP
    connections[APP].close()
    del connections[APP]


def emit_number(number: int, **more: Any) -> None:
    emit("bill.paid", {"id": number}, account="acme", using=APP, **more)


def kept() -> list[str]:
    rows = Outbox.objects.using(APP).order_by("id")
    return [f"{row.type} {row.payload}" for row in rows]


def test_an_event_commits_with_its_change_or_not_at_all(app: str) -> None:
    with transaction.atomic(using=app):
        Bill(id=1).save(using=app)
        emit_number(1)
    with transaction.atomic(using=app):
        Bill(id=2).save(using=app)
        emit_number(2)
        transaction.set_rollback(True, using=app)
    assert kept() == ['bill.paid {"id":1}']
    assert [bill.id for bill in Bill.objects.using(app).all()] == [1]


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_events_with_it(app: str) -> None:
    with transaction.atomic(using=app):
        emit_number(1)
        with transaction.atomic(using=app):
            emit_number(2)
            transaction.set_rollback(True, using=app)
        emit_number(3)
    assert kept() == ['bill.paid {"id":1}', 'bill.paid {"id":3}']


def test_outside_of_a_transaction_nothing_is_emitted(app: str) -> None:
    with pytest.raises(transaction.TransactionManagementError, match="inside transaction"):
        emit_number(1)
    assert kept() == []


def test_without_the_outbox_table_the_error_says_how_to_create_it(app: str) -> None:
    with connections[app].schema_editor() as editor:
        editor.delete_model(Outbox)
    with (
        pytest.raises(ConfigError, match=r"manage\.py migrate"),
        transaction.atomic(using=app),
    ):
        emit_number(1)


def test_what_could_never_be_accepted_is_refused_at_once(app: str) -> None:
    with pytest.raises(InvalidError), transaction.atomic(using=app):
        emit("bill.paid", {"total": float("inf")}, account="acme", using=app)


def test_a_model_emits_when_it_is_saved_and_deleted(app: str) -> None:
    emit_on(
        Bill,
        created="bill.created",
        updated="bill.updated",
        deleted="bill.deleted",
        account=lambda bill: "acme",
        payload=lambda bill: {"id": bill.id, "paid": bill.paid},
    )
    with pytest.raises(transaction.TransactionManagementError):
        Bill(id=1).save(using=app)
    assert list(Bill.objects.using(app).all()) == []
    with transaction.atomic(using=app):
        bill = Bill(id=1)
        bill.save(using=app)
        bill.paid = True
        bill.save(using=app)
        bill.delete(using=app)
    assert kept() == [
        'bill.created {"id":1,"paid":false}',
        'bill.updated {"id":1,"paid":true}',
        'bill.deleted {"id":1,"paid":true}',
    ]


class Invoice(models.Model):
    """The model in the documentation's programs."""

    customer = models.TextField()
    status = models.TextField()

    class Meta:
        app_label = "bills"


@pytest.fixture
def invoices() -> Iterator[Any]:
    """Create the model's table in the default database."""
    call_command("migrate", verbosity=0)
    with connections["default"].schema_editor() as editor:
        editor.create_model(Invoice)
    yield Invoice.objects
    connections["default"].close()


def test_the_programs_of_the_documentation_emit(invoices: Any) -> None:
    text = (Path(__file__).parents[2] / "docs" / "outbox.md").read_text("utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [paying] = [each for each in programs if "hooktide.django import emit" in each]
    [signals] = [each for each in programs if "emit_on" in each]
    names: dict[str, Any] = {}
    exec(signals, names)
    config = names["InvoicingConfig"]("invoicing", sys.modules[__name__])
    config.apps, config.models = apps, {"invoice": Invoice}
    exec(paying, names)
    invoice = Invoice(customer="customer-1", status="sent")
    with transaction.atomic():
        invoice.save()
    names["pay"](invoice)
    config.ready()
    with transaction.atomic():
        invoice.delete()
    rows = Outbox.objects.order_by("id")
    assert [f"{row.type} of {row.account} {row.payload}" for row in rows] == [
        'invoice.paid of customer-1 {"id":1,"status":"paid"}',
        'invoice.deleted of customer-1 {"id":1,"status":"paid"}',
    ]


async def moved(url: str) -> list[Any]:
    hooktide, found = Hooktide(), open_outbox(url)
    await Relay(found, hooktide.send).drain()
    await found.close()
    return hooktide.ids


def test_the_table_is_like_the_one_that_sqlalchemy_makes(app: str, url: str) -> None:
    def columns() -> dict[str, bool]:
        with engine_on(url) as engine:
            found = inspect(engine).get_columns("hooktide_outbox")
            return {each["name"]: bool(each["nullable"]) for each in found}

    of_django = columns()
    with connections[app].cursor() as cursor:
        cursor.execute("DROP TABLE hooktide_outbox")
    assert of_django == columns()


INSERT = (
    "INSERT INTO hooktide_outbox (key, account, type, payload, occurred_at)"
    " VALUES (%s, 'acme', 'bill.paid', %s, '2026-01-31T12:00:00Z')"
)


def test_sql_may_leave_out_the_columns_that_have_a_default(app: str, url: str) -> None:
    with connections[app].cursor() as cursor:
        cursor.execute(INSERT, ["a", '{"id":1}'])
    [row] = Outbox.objects.using(app).all()
    assert (row.transition, row.test, row.refused) == ("", False, "")
    assert asyncio.run(moved(url)) == [1]


def test_an_outbox_of_an_older_release_keeps_its_rows_and_gets_the_defaults(
    app: str, url: str
) -> None:
    call_command("migrate", "hooktide", "0001", database=app, verbosity=0)
    with connections[app].cursor() as cursor, pytest.raises(IntegrityError):
        cursor.execute(INSERT, ["a", '{"id":0}'])
    with transaction.atomic(using=app):
        emit_number(1)
    call_command("migrate", database=app, verbosity=0)
    with connections[app].cursor() as cursor:
        cursor.execute(INSERT, ["b", '{"id":2}'])
    assert asyncio.run(moved(url)) == [1, 2]


def test_the_migration_makes_the_model(app: str) -> None:
    told = io.StringIO()
    call_command("makemigrations", "hooktide", check=True, dry_run=True, stdout=told)
    assert "No changes detected" in told.getvalue()


def test_the_relay_moves_what_django_wrote(app: str, url: str) -> None:
    with transaction.atomic(using=app):
        for number in range(3):
            emit_number(number, test=number == 1)
    assert asyncio.run(moved(url)) == [0, 1, 2]
    assert kept() == []


@pytest.mark.parametrize("url", ["hooktide"], indirect=True)
def test_where_both_share_a_database_the_event_goes_straight_to_hooktide(
    app: str, url: str
) -> None:
    with transaction.atomic(using=app):
        emit_number(1, direct="invoicing")
    with transaction.atomic(using=app):
        emit_number(2, direct="invoicing")
        transaction.set_rollback(True, using=app)
    with connections[app].cursor() as cursor:
        cursor.execute("SELECT project, key, account, payload, test FROM hooktide.emitted")
        assert cursor.fetchall() == [("invoicing", "", "acme", '{"id":1}', False)]
    assert kept() == []


def test_channels_and_tags_are_kept(app: str) -> None:
    with transaction.atomic(using=app):
        emit_number(1, channels=["north"], tags=["order:1", "vip"])
        emit_number(2)
    rows = [(row.channels, row.tags) for row in Outbox.objects.using(app).order_by("id")]
    assert rows == [('["north"]', '["order:1","vip"]'), ("", "")]


@pytest.mark.parametrize("url", ["hooktide"], indirect=True)
def test_channels_and_tags_go_straight_to_hooktide_too(app: str, url: str) -> None:
    with transaction.atomic(using=app):
        emit_number(1, direct="invoicing", channels=["north"], tags=["vip"])
    with connections[app].cursor() as cursor:
        cursor.execute("SELECT channels, tags FROM hooktide.emitted")
        assert cursor.fetchall() == [('["north"]', '["vip"]')]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_straight_to_hooktide_needs_postgresql(app: str) -> None:
    with transaction.atomic(using=app), pytest.raises(ConfigError, match="this one is sqlite"):
        emit_number(1, direct="invoicing")
    assert kept() == []
