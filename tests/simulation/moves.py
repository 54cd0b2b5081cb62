"""What a commit changed, row by row and in order, as recorded by triggers in the database."""

from collections.abc import Iterator
from typing import NamedTuple

import apsw

_WIDTH = 8
_NOTED = (
    ("event", "INSERT ON main.events", "new.id, new.account_id, new.type, new.test, new.payload"),
    (
        "delivery",
        "INSERT ON main.deliveries",
        "new.id, new.event_id, new.endpoint_id, new.account_id, new.origin, new.state, new.claim, "
        "new.due_at",
    ),
    (
        "change",
        "UPDATE ON main.deliveries",
        "new.id, old.state, new.state, old.claim, new.claim, old.due_at, new.due_at, new.attempts",
    ),
    (
        "attempt",
        "INSERT ON main.attempts",
        "new.id >> 11 << 11, new.id & 2047, new.status, new.error, new.started_at, new.duration",
    ),
    *[
        (
            "endpoint",
            f"{event} ON main.endpoints",
            "new.id, new.account_id, new.event_types, new.disabled_reason, new.removed_at, "
            "new.failing, new.rests_until, new.rest_lifted_at",
        )
        for event in ("INSERT", "UPDATE")
    ],
    ("secret", "INSERT ON main.secrets", "new.endpoint_id"),
    ("secret", "DELETE ON main.secrets", "old.endpoint_id"),
    ("account", "INSERT ON main.accounts", "new.id, new.plan"),
    ("account", "UPDATE OF plan ON main.accounts", "new.id, new.plan"),
)


class DeliveryAdded(NamedTuple):
    id: int
    event_id: int
    endpoint_id: int
    account_id: int
    origin: str
    state: str
    claim: int
    due_at: int | None


class DeliveryChanged(NamedTuple):
    id: int
    old_state: str
    state: str
    old_claim: int
    claim: int
    old_due_at: int | None
    due_at: int | None
    attempts: int


class AttemptAdded(NamedTuple):
    delivery_id: int
    number: int
    status: int | None
    error: str
    started_at: int
    duration: int


class EventAdded(NamedTuple):
    id: int
    account_id: int
    type: str
    test: bool
    payload: bytes


class EndpointNow(NamedTuple):
    id: int
    account_id: int
    event_types: str
    disabled_reason: str
    removed_at: int | None
    consecutive_failures: int
    rests_until: int
    rest_lifted_at: int


class SecretsChanged(NamedTuple):
    endpoint_id: int


class AccountNow(NamedTuple):
    id: int
    plan: str


Move = (
    DeliveryAdded
    | DeliveryChanged
    | AttemptAdded
    | EventAdded
    | EndpointNow
    | SecretsChanged
    | AccountNow
)
_KINDS: dict[str, type[Move]] = {
    "event": EventAdded,
    "delivery": DeliveryAdded,
    "change": DeliveryChanged,
    "attempt": AttemptAdded,
    "endpoint": EndpointNow,
    "secret": SecretsChanged,
    "account": AccountNow,
}


def note_moves(db: apsw.Connection) -> None:
    """Record every change from now on."""
    columns = ", ".join(f"c{number}" for number in range(_WIDTH))
    db.execute(f"CREATE TEMP TABLE moves (place INTEGER PRIMARY KEY, what TEXT, {columns})")
    for number, (what, event, values) in enumerate(_NOTED):
        empty = ", NULL" * (_WIDTH - len(values.split(", ")))
        db.execute(
            f"CREATE TEMP TRIGGER noted_{number} AFTER {event} BEGIN "
            f"INSERT INTO moves VALUES (NULL, '{what}', {values}{empty}); END"
        )


def take_moves(db: apsw.Connection) -> Iterator[Move]:
    """Yield what was recorded since the last call, except what was rolled back."""
    found = list(db.execute("SELECT * FROM moves ORDER BY place"))
    if found:
        db.execute("DELETE FROM moves")
    for _, what, *values in found:
        kind = _KINDS[what]
        yield kind(*values[: len(kind._fields)])
