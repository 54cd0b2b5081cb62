"""The product: invoices, what may become of them, and the events that tell of it."""

import enum
import uuid
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hooktide.sqlalchemy import emit, outbox


class Base(DeclarativeBase):
    """The product's tables; the outbox is one of them."""


outbox.to_metadata(Base.metadata)


class Customer(Base):
    """Customers, and their Hooktide accounts in each of the two formats."""

    __tablename__ = "customers"
    id: Mapped[str] = mapped_column(primary_key=True)
    defacto_account: Mapped[str]
    invoice_ahoy_account: Mapped[str]


class Status(enum.StrEnum):
    """How far an invoice is."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    VERIFIED = "VERIFIED"
    PAID = "PAID"


class Invoice(Base):
    """An invoice."""

    __tablename__ = "invoices"
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: str(uuid.uuid4()))
    customer: Mapped[str]
    number: Mapped[str]
    currency: Mapped[str]
    total: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    status: Mapped[str] = mapped_column(default=Status.DRAFT)


class InvoiceIn(BaseModel):
    """What it takes to make one."""

    customer: str
    number: str
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    total: Decimal


class InvoiceOut(BaseModel):
    """An invoice as ``GET /invoices/{id}`` answers it, and as events tell it."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    customer: str
    number: str
    currency: str
    total: Decimal
    status: Status


class NotAllowedError(Exception):
    """The invoice is not far enough for that, or too far."""


STEPS = {
    "submit": (Status.DRAFT, Status.SUBMITTED),
    "verify": (Status.SUBMITTED, Status.VERIFIED),
    "pay": (Status.VERIFIED, Status.PAID),
}


def create(session: Session, new: InvoiceIn) -> Invoice:
    """Make an invoice."""
    invoice = Invoice(**new.model_dump())
    session.add(invoice)
    session.flush()
    tell(session, invoice, "CREATE", "invoice.created")
    return invoice


def step(session: Session, invoice: Invoice, name: str) -> None:
    """Take an invoice a step further.

    :raises NotAllowedError: it is not its turn.
    """
    before, after = STEPS[name]
    if invoice.status != before:
        raise NotAllowedError(f"to {name} it, it must be {before}; it is {invoice.status}")
    invoice.status = after
    tell(session, invoice, name.upper(), "invoice.updated")


def delete(session: Session, invoice: Invoice) -> None:
    """Remove a draft.

    :raises NotAllowedError: it is not a draft any more.
    """
    if invoice.status != Status.DRAFT:
        raise NotAllowedError(f"only a draft can be deleted; it is {invoice.status}")
    session.delete(invoice)
    account = customer_of(session, invoice).invoice_ahoy_account
    emit(session, "invoice.deleted", {"id": invoice.id, "number": invoice.number}, account=account)


def tell(session: Session, invoice: Invoice, transition: str, ahoy_type: str) -> None:
    """Emit what happened to an invoice, in both formats, within its transaction."""
    customer = customer_of(session, invoice)
    state = InvoiceOut.model_validate(invoice)
    emit(
        session,
        f"Invoice.{invoice.status}",
        state,
        account=customer.defacto_account,
        transition=transition,
    )
    emit(session, ahoy_type, state, account=customer.invoice_ahoy_account)


def customer_of(session: Session, invoice: Invoice) -> Customer:
    """Return whose invoice it is."""
    return session.get_one(Customer, invoice.customer)
