"""An application that crashes: ``emitting.py DATABASE ACCOUNT FIRST LAST [STEP]``.

Creates invoices and an event for each, in one transaction per invoice. It crashes at a step of the
last.
"""

import os
import signal
import sys

from outboxkit import Invoice, engine_on
from sqlalchemy import event
from sqlalchemy.orm import Session

from hooktide.sqlalchemy import emit

DIRECT = os.environ.get("DIRECT", "")


def die() -> None:
    """Exit immediately, as in a power failure."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, account: str, first: str, last: str, step: str = "") -> None:
    """Create invoices, and skip those that already exist."""
    with engine_on(url) as engine:
        for number in range(int(first), int(last) + 1):
            with Session(engine) as session:
                if session.get(Invoice, number) is None:
                    make(session, account, number, step if number == int(last) else "")


def make(session: Session, account: str, number: int, step: str) -> None:
    """Create an invoice and emit its event."""
    session.add(Invoice(id=number))
    emit(session, "thing.happened", {"id": number}, account=account, direct=DIRECT)
    if step == "emitted":
        session.flush()
        die()
    if step == "written":
        event.listen(session.get_bind(), "commit", lambda _: die())
    session.commit()
    if step == "committed":
        die()


main(*sys.argv[1:])
