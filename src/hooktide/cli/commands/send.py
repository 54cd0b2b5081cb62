"""``hooktide send``: publish an example event, with your changes."""

import re
import sys
import time
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import Parameter

from hooktide.cli.commands.log import delivery_row
from hooktide.cli.names import Names
from hooktide.cli.options import DEFAULTS, Flag, Options, optional_instant
from hooktide.cli.output import print_json, print_line
from hooktide.client import Client, NewEvent, NotFoundError
from hooktide.client.publishing import payload_json
from hooktide.domain.counting import count_of
from hooktide.domain.errors import ConfigError
from hooktide.domain.project.project import wants
from hooktide.domain.toml_table import nearest
from hooktide.wire.accounts import Account
from hooktide.wire.events import Delivery, EventAccepted
from hooktide.wire.projects import EventType

WAIT_TIMEOUT = 60.0


def send(  # noqa: PLR0913  # a parameter an option
    type: str,
    *,
    account: str,
    data: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    change: Annotated[list[str], Parameter(name=["--set"], negative=(), show_default=False)] = [],  # noqa: B006
    transition: str | None = None,
    occurred_at: str | None = None,
    idempotency_key: str | None = None,
    channel: Annotated[list[str], Parameter(negative=(), show_default=False)] = [],  # noqa: B006
    tag: Annotated[list[str], Parameter(negative=(), show_default=False)] = [],  # noqa: B006
    retention_days: int | None = None,
    test: Flag = False,
    wait: Flag = False,
    options: Options = DEFAULTS,
) -> None:
    """Publish an event: its type's example, or your own payload.

    Parameters
    ----------
    type
        An event type of the account's project, like invoice.paid.
    account
        The account: an acc_ id, or your own reference.
    data
        The payload as JSON; @FILE reads a file, - standard input. Default: the example.
    change
        A member that the payload has, and its new value: total=99.50, lines.0.price=1.10. May be
        repeated.
        A value that is not JSON is used as text.
    transition
        The transition, if the project's envelope includes it. Default: the example's.
    occurred_at
        When it happened: a time, or how long ago, like 2h. Default: now.
    idempotency_key
        Repeating the key creates no second event.
    channel
        A channel. Endpoints with channels get only events that share one. May be repeated.
    tag
        A tag, to find the event by. May be repeated.
    retention_days
        After so many days the payload is erased; 5 to 90. Default: as the event type says.
    test
        Mark it as a test: a project in test mode accepts only test events.
    wait
        Wait up to a minute for what becomes of it. Exits with 0 once every endpoint that it went
        to has it, else with 1: also where it went to none.
    """
    with options.client() as client:
        owner = client.accounts.get(account)
        kind = _kind(client, owner, type)
        event = NewEvent(
            account=owner.id,
            type=type,
            payload=changed(_payload(data, kind), change),
            occurred_at=optional_instant(occurred_at, "--occurred-at"),
            transition=kind.transition if transition is None else transition,
            test=test,
            channels=channel,
            tags=tag,
            retention_days=retention_days,
            **({} if idempotency_key is None else {"idempotency_key": idempotency_key}),
        )
        accepted = client.events.publish(event)
        _print_accepted(client, accepted, event, options.json)
        if wait:
            _wait(client, accepted, options.json)


def _kind(client: Client, owner: Account, name: str) -> EventType:
    try:
        return client.event_types.get(name, project=owner.project)
    except NotFoundError:
        known = [each.name for each in client.event_types.list(project=owner.project)]
        raise ConfigError(
            f"{owner.project} has no event type {name!r}{nearest(name, known)}; its types: "
            f"{', '.join(known) or 'none'}",
            key="type",
        ) from None


def _payload(data: str | None, kind: EventType) -> bytes:
    if data is None:
        return bytes(kind.example)
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {data[1:]} ({error.strerror})", key="--data") from None


def changed(payload: bytes, changes: list[str]) -> bytes:
    """Return a payload with some fields changed; without changes, the same bytes.

    Numbers keep their spelling: 1210.00 does not become 1210.0.

    :raises ConfigError: it is not JSON, or a change does not fit it.
    """
    try:
        value = _read(payload)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the payload is not JSON: {error}", key="--data") from None
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise ConfigError(f"{change!r} is not a change like total=99.50", key="--set")
        value = _put(value, path.split("."), _value(text), change)
    return payload_json(value) if changes else payload


def _read(text: str | bytes) -> Any:
    return loads(text, parse_float=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _value(text: str) -> Any:
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return text


def _put(inside: Any, path: list[str], value: Any, change: str) -> Any:
    if not path:
        return value
    name, rest = path[0], path[1:]
    if isinstance(inside, list) and _INDEX.fullmatch(name) and int(name) < len(inside):
        inside[int(name)] = _put(inside[int(name)], rest, value, change)
    elif isinstance(inside, dict) and name in inside:
        inside[name] = _put(inside[name], rest, value, change)
    else:
        known = nearest(name, list(inside)) if isinstance(inside, dict) else ""
        raise ConfigError(
            f"the payload has no member {name!r}, so {change!r} cannot change it{known}; "
            "give a whole payload with --data to add one",
            key="--set",
        )
    return inside


_INDEX = re.compile(r"[0-9]{1,6}")


def _print_accepted(
    client: Client, accepted: EventAccepted, event: NewEvent, as_json: bool
) -> None:
    if as_json:
        print_json(accepted)
        return
    goes = f"to {count_of(accepted.deliveries, 'endpoint')}"
    if not accepted.deliveries:
        goes = f"to no endpoint: {_why_none(client, accepted, event)}"
    print_line(accepted.id, f"accepted, {goes}")


def _why_none(client: Client, accepted: EventAccepted, event: NewEvent) -> str:
    endpoints = client.endpoints.list(account=event.account)
    subscribed = [each for each in endpoints if wants(tuple(each.event_types), event.type)]
    if not subscribed:
        return f"none of the account's is subscribed to {event.type}"
    enabled = [each.id for each in subscribed if each.enabled]
    kept_away = {each.endpoint: each.reason for each in client.events.not_matched(accepted.id)}
    if enabled and all(id in kept_away for id in enabled):
        why = [_WHY_KEPT_AWAY[kept_away[id]] for id in enabled]
        return f"of {', '.join(enabled)}, {' and '.join(dict.fromkeys(why))}"
    if len(subscribed) == 1:
        return f"the one that is subscribed to {event.type}, {subscribed[0].id}, is disabled"
    return f"the {len(subscribed)} that are subscribed to {event.type} are disabled"


_WHY_KEPT_AWAY = {
    "channels": "the channels share none with the event",
    "filter": "the filter does not match",
}


def _wait(client: Client, accepted: EventAccepted, as_json: bool) -> None:
    left = time.monotonic() + WAIT_TIMEOUT
    found = _deliveries(client, accepted)
    while any(each.state == "pending" for each in found) and time.monotonic() < left:
        time.sleep(0.2)
        found = _deliveries(client, accepted)
    names = Names(client)
    for each in found:
        print_json(each) if as_json else print_line(*delivery_row(each, names))
    if not found or any(each.state != "delivered" for each in found):
        sys.exit(1)


def _deliveries(client: Client, accepted: EventAccepted) -> list[Delivery]:
    return list(client.deliveries.list(event=accepted.id))
