"""An invoicing product that offers its customers webhooks, all in one process.

    uvicorn app:app

FastAPI and SQLAlchemy are the product; Hooktide is mounted at ``/hooktide``. The settings are
``DATABASE`` (SQLAlchemy's URL), ``HOOKTIDE_DATABASE`` and ``PUBLIC_URL``.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import RedirectResponse
from invoices import (
    Base,
    Customer,
    Invoice,
    InvoiceIn,
    InvoiceOut,
    NotAllowedError,
    create,
    delete,
    step,
)
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from hooktide.library import Hooktide

HERE = Path(__file__).parent
DATABASE = os.environ.get("DATABASE", "sqlite:///app.db")

engine = create_engine(DATABASE)
hooktide = Hooktide(
    database=os.environ.get("HOOKTIDE_DATABASE", "hooktide.db"),
    public_url=os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000") + "/hooktide",
    projects=["invoice-ahoy", str(HERE / "defacto.toml")],
    outbox=DATABASE,
    operator_key=os.environ.get("HOOKTIDE_OPERATOR_KEY", ""),
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create the product's tables, then run Hooktide next to it."""
    Base.metadata.create_all(engine)
    async with hooktide.running():
        yield


app = FastAPI(title="Invoicing", lifespan=lifespan)
app.mount("/hooktide", hooktide)


def a_session() -> Iterator[Session]:
    """Give each request a session; what it changed is committed before it is answered."""
    with Session(engine) as session:
        yield session


InSession = Annotated[Session, Depends(a_session)]


class CustomerIn(BaseModel):
    """A new customer."""

    id: str


@app.post("/customers", status_code=201)
async def add_customer(new: CustomerIn, session: InSession) -> dict[str, str]:
    """Add a customer, here and as an account in both formats."""
    accounts = {
        "defacto_account": await hooktide.create_account(new.id, project="defacto"),
        "invoice_ahoy_account": await hooktide.create_account(new.id, project="invoice-ahoy"),
    }
    session.merge(Customer(id=new.id, **accounts))
    session.commit()
    return {"id": new.id, **accounts}


@app.get("/customers/{id}/webhooks/{format}")
async def webhooks(
    id: str, format: Literal["defacto", "invoice-ahoy"], session: InSession
) -> RedirectResponse:
    """Lead a customer to the pages where they set up and debug their webhooks."""
    customer = session.get(Customer, id)
    if customer is None:
        raise HTTPException(404, "there is no such customer")
    defacto = format == "defacto"
    account = customer.defacto_account if defacto else customer.invoice_ahoy_account
    return RedirectResponse(await hooktide.create_portal_link(account))


@app.post("/invoices", status_code=201)
def create_invoice(new: InvoiceIn, session: InSession) -> InvoiceOut:
    """Create a draft."""
    if session.get(Customer, new.customer) is None:
        raise HTTPException(422, "there is no such customer")
    invoice = create(session, new)
    session.commit()
    return InvoiceOut.model_validate(invoice)


@app.get("/invoices/{id}")
def get_invoice(id: str, session: InSession) -> InvoiceOut:
    """Get an invoice: what Defacto's events have as `entity_state`."""
    return InvoiceOut.model_validate(the_invoice(session, id, to_change=False))


@app.post("/invoices/{id}/{name}")
def change_invoice(
    id: str, name: Literal["submit", "verify", "pay"], session: InSession
) -> InvoiceOut:
    """Submit, verify or pay an invoice."""
    invoice = the_invoice(session, id)
    try:
        step(session, invoice, name)
    except NotAllowedError as error:
        raise HTTPException(409, str(error)) from None
    session.commit()
    return InvoiceOut.model_validate(invoice)


@app.delete("/invoices/{id}", status_code=204)
def delete_invoice(id: str, session: InSession) -> None:
    """Delete a draft."""
    try:
        delete(session, the_invoice(session, id))
    except NotAllowedError as error:
        raise HTTPException(409, str(error)) from None
    session.commit()


def the_invoice(session: Session, id: str, *, to_change: bool = True) -> Invoice:
    """Find an invoice, optionally locking it for a change."""
    invoice = session.get(Invoice, id, with_for_update=to_change or None)
    if invoice is None:
        raise HTTPException(404, "there is no such invoice")
    return invoice
