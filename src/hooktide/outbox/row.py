"""The row that an application writes into its outbox, checked when it is built."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec

from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.json.encoding import encode_payload
from hooktide.domain.json.payload import check_payload
from hooktide.domain.labels import MAX_EVENT_CHANNELS, check_channels, check_tags
from hooktide.domain.texts import check_is_text
from hooktide.domain.time.times import read_time, show_time
from hooktide.runtime.clock import wall_clock
from hooktide.wire.events import MAX_KEY_LENGTH, MAX_TRANSITION_LENGTH

TABLE = "hooktide_outbox"
_UNDEFINED_TABLE = "42P01"
"""PostgreSQL's SQLSTATE."""
LABELS = ("channels", "tags")
"""Columns that older tables do not have."""


def check_direct(dialect: str) -> None:
    """Check that an event can be written directly to Hooktide's tables in a database of this
    dialect.

    :raises ConfigError: Hooktide's tables for it are in PostgreSQL.
    """
    if dialect != "postgresql":
        raise ConfigError(
            f"direct needs a PostgreSQL database that Hooktide shares, and this one is {dialect}; "
            "leave direct out, and move the outbox's rows with hooktide relay",
            key="direct",
        )


def missing_table(error: BaseException | None, direct: str) -> ConfigError | None:
    """Return what to do if a driver's error means that the table of the events does not exist.

    ``None`` for any other error.
    """
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state != _UNDEFINED_TABLE and "no such table" not in str(error):
        return None
    if direct:
        return ConfigError(
            "this database has no table hooktide.emitted; run hooktide migrate on it, or start "
            "hooktide serve with it",
            key="direct",
        )
    return ConfigError(
        f"this database has no table {TABLE}; create it with your application's migrations: "
        "manage.py migrate with Django, alembic upgrade head or metadata.create_all(engine) with "
        "SQLAlchemy, see docs/outbox.md"
    )


class Row(TypedDict):
    """An event's columns: ``key`` is its idempotency key, ``payload`` the JSON that is sent.

    ``channels`` and ``tags`` are JSON arrays; empty: none.
    """

    key: str
    account: str
    type: str
    payload: str
    occurred_at: str
    transition: str
    test: bool
    channels: str
    tags: str


def make_row(  # noqa: PLR0913  # one for each member of the event
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
    keyed: bool = True,
) -> Row:
    """Build the row of an event.

    ``payload`` as ``domain.json.encoding`` takes it. ``keyed``: it gets a key if none was given.

    :raises InvalidError: the event could never be accepted; the error says why.
    """
    check_is_text(account=account, type=type, transition=transition, key=key)
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
        channels=_labels("channels", channels, lambda own: check_channels(own, MAX_EVENT_CHANNELS)),
        tags=_labels("tags", tags, check_tags),
    )
    _check_texts(row)
    return row


def _labels(
    name: str, labels: Sequence[str], check: Callable[[Sequence[str]], tuple[str, ...]]
) -> str:
    if isinstance(labels, str):
        raise InvalidError(f"invalid_{name}", f"give a list of {name}", pointer=f"/{name}")
    check_is_text(**{f"{name}/{number}": each for number, each in enumerate(labels)})
    found = check(labels)
    return msgspec.json.encode(found).decode() if found else ""


def _payload(payload: Any) -> str:
    text = encode_payload(payload)
    check_payload(text)
    return str(text, "utf-8")


def _instant(at: datetime | str | None) -> str:
    """Return when the event happened: by default now, not when it will be accepted."""
    if at is None:
        return show_time(wall_clock())
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidError(
                "invalid_time",
                "occurred_at has no time zone; use datetime.now(UTC)",
                pointer="/occurred_at",
            )
        at = at.astimezone(UTC).isoformat()
    read_time(at)
    return at


def given(row: Row) -> dict[str, Any]:
    """Return a row's columns, without those that are empty and may be missing from the table.

    A table that was made before there were channels and tags has no columns for them.
    """
    return {name: value for name, value in row.items() if value or name not in LABELS}


def _check_texts(row: Row) -> None:
    if len(row["key"]) > MAX_KEY_LENGTH:
        raise InvalidError("invalid_idempotency_key", f"{MAX_KEY_LENGTH} characters at most")
    if len(row["transition"]) > MAX_TRANSITION_LENGTH:
        raise InvalidError("transition_too_long", f"{MAX_TRANSITION_LENGTH} characters at most")
    for name in ("key", "account", "type", "transition"):
        if "\0" in row[name]:
            raise InvalidError(
                "invalid_text", "U+0000 is not allowed in a text", pointer=f"/{name}"
            )
