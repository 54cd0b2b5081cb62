# pyright: strict
"""Uses the public API as a user's program does: ``test_typed`` runs type checkers on this file.

It is never executed. A name that is ``Any`` to a type checker fails its ``assert_type``.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

import hooktide
from hooktide import AsyncClient, Client, RawJSON
from hooktide.client import ClientError, NewEvent, ProblemError, Published, RetryPolicy
from hooktide.django import emit as django_emit
from hooktide.django.signals import emit_on
from hooktide.library import Hooktide
from hooktide.sqlalchemy import emit as sqlalchemy_emit
from hooktide.verify import Verification, VerificationError, Verified, Verifier
from hooktide.wire.accounts import Account
from hooktide.wire.endpoints import EndpointCreated
from hooktide.wire.events import Delivery, EventAccepted


def client() -> None:
    assert_type(hooktide.__version__, str)
    with Client("https://hooks.example.com", "htk_", retry_policy=RetryPolicy()) as api:
        assert_type(api, Client)
        assert_type(api.within("shop"), Client)
        accepted = api.publish("customer-1", "invoice.paid", RawJSON(b"{}"))
        assert_type(accepted, EventAccepted)
        assert_type(accepted.id, str)
        event = NewEvent(account="customer-1", type="invoice.paid", payload={"id": 1})
        assert_type(api.events.publish_many([event]), Iterator[Published])
        assert_type(api.accounts.put("customer-1"), Account)
        made = api.endpoints.create("customer-1", "https://example.com/hook")
        assert_type(made, EndpointCreated)
        assert_type(made.secret.whsec, str)
        assert_type(api.accounts.list(), Iterator[Account])
        assert_type(api.endpoints.delete(made.id), None)
        assert_type(api.webhooks.list(), Iterator[dict[str, Any]])


async def async_client() -> None:
    async with AsyncClient() as api:
        assert_type(api, AsyncClient)
        assert_type(await api.publish("customer-1", "invoice.paid", {}), EventAccepted)
        assert_type(api.deliveries.list(state=None), AsyncIterator[Delivery])
        async for account in api.accounts.list():
            assert_type(account, Account)
            assert_type(account.reference, str)


def errors(error: ClientError) -> None:
    if isinstance(error, ProblemError):
        assert_type(error.status, int)


def verify(body: bytes, headers: dict[str, str]) -> None:
    verifier = Verifier("invoice-ahoy", ["whsec_", "whsec_"])
    try:
        verified = verifier.verify(body, headers)
    except VerificationError as error:
        assert_type(error.reason, str)
    else:
        assert_type(verified, Verified)
        assert_type(verified.event_id, str)
    assert_type(verifier.check(body, [(b"webhook-id", b"1")]), Verification)


def emit(session: Session, asyncio_session: AsyncSession) -> None:
    sqlalchemy_emit(session, "invoice.paid", {"id": 1}, account="customer-1")
    sqlalchemy_emit(asyncio_session, "invoice.paid", {"id": 1}, account="customer-1")
    django_emit("invoice.paid", {"id": 1}, account="customer-1", using="default")
    assert_type(emit_on.__name__, str)


async def library() -> None:
    application = Hooktide(public_url="https://app.example.com/hooktide", projects=["shop.toml"])
    async with application.running() as running:
        assert_type(running, Hooktide)
    published = await application.publish("invoice.paid", {"id": 1}, account="customer-1")
    assert_type(published, str | None)
    assert_type(await application.create_account("customer-1"), str)
    assert_type(await application.create_portal_link("customer-1", read_only=True), str)
