"""What an application writes into its outbox, checked as it is written."""

import uuid
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec

from hooktide.clock import wall_clock
from hooktide.domain.errors import InvalidError
from hooktide.domain.payload import check_payload
from hooktide.domain.times import read_time, show_time

TABLE = "hooktide_outbox"
LONGEST_KEY = 255
LONGEST_TRANSITION = 200


class Row(TypedDict):
    """An event's columns: ``key`` is its idempotency key, ``payload`` the JSON that is sent."""

    key: str
    account: str
    type: str
    payload: str
    occurred_at: str
    transition: str
    test: bool


def make_row(
    type: str,
    payload: Any,
    *,
    account: str,
    occurred_at: datetime | str | None = None,
    transition: str = "",
    key: str = "",
    test: bool = False,
    keyed: bool = True,
) -> Row:
    """Make the row of an event.

    ``payload`` as JSON text (``str``, ``bytes``: kept byte for byte), a Pydantic model, or whatever
    msgspec encodes: dicts, dataclasses, dates, UUIDs; a ``Decimal`` becomes a string. ``keyed``: it
    gets a key where none was given.

    :raises InvalidError: it could never be accepted; says why.
    """
    for name, text in {"account": account, "type": type}.items():
        if not text:
            raise InvalidError("invalid_event", f"an event needs its {name}", pointer=f"/{name}")
    row = Row(
        key=key or (uuid.uuid4().hex if keyed else ""),
        account=account,
        type=type,
        payload=_payload(payload),
        occurred_at=_instant(occurred_at),
        transition=transition,
        test=test,
    )
    _check_texts(row)
    return row


def _payload(payload: Any) -> str:
    if hasattr(payload, "model_dump_json"):
        payload = payload.model_dump_json()
    if isinstance(payload, str):
        payload = payload.encode("utf-8", "surrogatepass")
    elif not isinstance(payload, bytes):
        payload = _encoded(payload)
    check_payload(payload)
    return str(payload, "utf-8")


def _encoded(payload: Any) -> bytes:
    try:
        return msgspec.json.encode(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError("invalid_json", f"the payload: {error}", pointer="/payload") from error


def _instant(at: datetime | str | None) -> str:
    """Say when it happened: by default now, and not when it will be accepted."""
    if at is None:
        return show_time(wall_clock())
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidError(
                "invalid_time",
                "occurred_at says no time zone; use datetime.now(UTC)",
                pointer="/occurred_at",
            )
        at = at.astimezone(UTC).isoformat()
    read_time(at)
    return at


def _check_texts(row: Row) -> None:
    if len(row["key"]) > LONGEST_KEY:
        raise InvalidError("invalid_idempotency_key", f"{LONGEST_KEY} characters at most")
    if len(row["transition"]) > LONGEST_TRANSITION:
        raise InvalidError("transition_too_long", f"{LONGEST_TRANSITION} characters at most")
    for name in ("key", "account", "type", "transition"):
        if "\0" in row[name]:
            raise InvalidError(
                "invalid_text", "U+0000 is not allowed in a text", pointer=f"/{name}"
            )
