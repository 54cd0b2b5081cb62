"""Reads an outbox's rows, and converts them to events for the API."""

from collections.abc import Iterable
from typing import Any

import msgspec

from hooktide.domain.errors import ConfigError
from hooktide.outbox.relay import Refused, Waiting
from hooktide.outbox.row import LABELS

COLUMNS = "id, key, account, type, payload, occurred_at, transition, test"
ALL_COLUMNS = ", ".join((COLUMNS, *LABELS))
SHOWN = "id, key, account, type, refused"
_encode = msgspec.json.encode


def columns(there: Iterable[str]) -> str:
    """Return the columns to read of a table with these; older tables have none for channels."""
    return ALL_COLUMNS if set(LABELS) <= set(there) else COLUMNS


def check_name(table: str) -> str:
    """Return the name of a table, which is inserted into statements verbatim.

    :raises ConfigError: it is not a plain one.
    """
    if not all(part.isidentifier() and part.isascii() for part in table.split(".")):
        raise ConfigError("write a table's name like hooktide_outbox or app.outbox", key="--table")
    return table


def read_rows(rows: Iterable[Any], most_bytes: int) -> list[Waiting]:
    """Return as many of these rows as fit, but at least one."""
    found: list[Waiting] = []
    size = 0
    for id_, *values in rows:
        body, unreadable = b"", ""
        try:
            body = event_body(*values)
        except (TypeError, UnicodeError) as error:
            unreadable = f"invalid_event: this row is not an event: {error}"
        size += len(body)
        if found and size > most_bytes:
            break
        found.append(Waiting(id_, body, unreadable))
    return found


def event_body(
    key: str,
    account: str,
    type: str,
    payload: object,
    occurred_at: str,
    transition: str,
    test: object,
    channels: str = "",
    tags: str = "",
) -> bytes:
    """Write an event for the API; the payload's text is inserted verbatim.

    :raises TypeError: a column does not hold a text (SQLite checks no types), or its channels or
    tags are no array of strings.
    :raises UnicodeError: a text is not UTF-8.
    """
    fields: dict[str, Any] = {
        "account": account,
        "type": type,
        "idempotency_key": key,
        "occurred_at": occurred_at,
        "transition": transition,
        "test": bool(test),
    }
    for name, value in fields.items():
        if not isinstance(value, str | bool):
            raise TypeError(f"its {name} is not text")
    for name, text in (("channels", channels), ("tags", tags)):
        if text:
            fields[name] = _labels(name, text)
    content = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    if not isinstance(content, bytes):
        raise TypeError("its payload is not text")
    return _encode(fields)[:-1] + b',"payload":' + content + b"}"


def _labels(name: str, text: object) -> tuple[str, ...]:
    if not isinstance(text, str):
        raise TypeError(f"its {name} is not text")
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        raise TypeError(f"its {name} is not a JSON array of strings: {error}") from None


def _shown(text: object) -> str:
    """Return a row's text in printable form."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def read_refused(row: Any) -> Refused:
    """Read a row that was set aside."""
    id_, *texts = row
    key, account, type_, reason = (_shown(text) for text in texts)
    named = f" ({key})" if key else ""  # a row written directly to Hooktide's table may have none
    return Refused(id_, f"{type_} of {account}{named}", reason)
