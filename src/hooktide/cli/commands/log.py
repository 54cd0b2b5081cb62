"""``hooktide events`` and ``hooktide deliveries``: what happened, and what became of it."""

from collections.abc import Iterable
from typing import Literal

from rich.text import Text

from hooktide.cli.names import Names
from hooktide.cli.options import DEFAULTS, Options, optional_instant
from hooktide.cli.output import (
    Cell,
    block,
    line_of,
    pretty,
    print_json,
    print_line,
    print_rows,
    state,
    time,
)
from hooktide.client import Client
from hooktide.wire.events import Attempt, Delivery, Event, EventItem


def events(  # noqa: PLR0913  # a parameter an option
    id: str | None = None,
    *,
    account: str | None = None,
    type: str | None = None,
    search: str | None = None,
    tag: str | None = None,
    channel: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    options: Options = DEFAULTS,
) -> None:
    """List events, newest first, or show one with its payload and its deliveries.

    Parameters
    ----------
    id
        An evt_ id: show this one.
    account
        Only this account's.
    type
        Only of this type.
    search
        Only with an indexed value that begins with this, or has a word that does.
    tag
        Only with this tag.
    channel
        Only of this channel.
    since
        Accepted from when on: how long ago, like 1h or 7d, or an instant.
    until
        Accepted before when.
    limit
        The maximum number of items.
    """
    with options.client() as client:
        if id is not None:
            _show_event(client, id, options.json)
            return
        found = client.events.list(
            account=account,
            type=type,
            search=search,
            tag=tag,
            channel=channel,
            since=optional_instant(since, "--since"),
            until=optional_instant(until, "--until"),
            limit=limit,
        )
        if options.json:
            _print_all(found)
            return
        names = Names(client)
        rows = [
            (e.id, time(e.accepted_at), e.type, names.account(e.account), str(e.deliveries))
            for e in found
        ]
        print_rows(("event", "accepted", "type", "account", "deliveries"), rows)


def _print_all(found: Iterable[object]) -> None:
    for each in found:
        print_json(each)


def _show_event(client: Client, id: str, as_json: bool) -> None:
    event = client.events.get(id)
    if as_json:
        print_json(event)
        return
    names = Names(client)
    _print_facts(_event_facts(event, names))
    _print_payload(event)
    found = list(client.deliveries.list(event=id))
    if found:
        print_line("deliveries")
        print_rows(DELIVERY_TITLES, (delivery_row(each, names) for each in found))


def _print_payload(event: Event) -> None:
    if event.payload_erased_at:
        _print_facts([("payload", f"erased {time(event.payload_erased_at)}")])
        return
    print_line("payload")
    print_line(block(pretty(bytes(event.payload).decode())))


def _event_facts(event: EventItem, names: Names) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = [
        ("event", event.id + (" (test)" if event.test else "")),
        ("type", event.type),
        ("account", _account(event.account, names)),
        ("occurred", time(event.occurred_at)),
        ("accepted", time(event.accepted_at)),
    ]
    more = {
        "transition": event.transition,
        "channels": ", ".join(event.channels),
        "tags": ", ".join(event.tags),
    }
    return [*facts, *((name, line_of(text)) for name, text in more.items() if text)]


def _account(id: str, names: Names) -> str:
    reference = names.account(id)
    return id if reference == id else f"{reference} ({id})"


def _print_facts(facts: Iterable[tuple[str, Cell]]) -> None:
    for name, value in facts:
        print_line(Text(f"{name:<11}", style="dim"), value)


def deliveries(
    id: str | None = None,
    *,
    account: str | None = None,
    endpoint: str | None = None,
    event: str | None = None,
    state: Literal["pending", "held", "delivered", "failed", "discarded"] | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
    options: Options = DEFAULTS,
) -> None:
    """List deliveries, newest first, or show one with all that went out and came back.

    Parameters
    ----------
    id
        A dlv_ id: show this one, attempt by attempt.
    account
        Only this account's.
    endpoint
        Only to this endpoint.
    event
        Only of this event.
    state
        Only in this state.
    since
        Created from when on: how long ago, like 1h or 7d, or an instant.
    until
        Created before when.
    limit
        The maximum number of items.
    """
    with options.client() as client:
        if id is not None:
            _show_delivery(client, id, options.json)
            return
        found = client.deliveries.list(
            account=account,
            endpoint=endpoint,
            event=event,
            state=state,
            since=optional_instant(since, "--since"),
            until=optional_instant(until, "--until"),
            limit=limit,
        )
        if options.json:
            _print_all(found)
        else:
            names = Names(client)
            print_rows(DELIVERY_TITLES, (delivery_row(each, names) for each in found))


DELIVERY_TITLES = ("delivery", "created", "type", "endpoint", "state", "attempts", "url", "why")


def delivery_row(delivery: Delivery, names: Names) -> tuple[Cell, ...]:
    """Return the cells of a delivery."""
    return (
        delivery.id,
        time(delivery.created_at),
        delivery.event_type,
        delivery.endpoint,
        state(delivery.state),
        str(delivery.attempts),
        names.endpoint(delivery.endpoint),
        line_of(delivery.reason) or names.retry(delivery),
    )


def _show_delivery(client: Client, id: str, as_json: bool) -> None:
    delivery, attempts = client.deliveries.get(id), client.deliveries.attempts(id)
    if as_json:
        print_json({"delivery": delivery, "attempts": attempts})
        return
    _print_facts(_delivery_facts(delivery, Names(client)))
    for attempt in attempts:
        _print_attempt(attempt)


def _delivery_facts(delivery: Delivery, names: Names) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = [
        ("delivery", f"{delivery.id} ({delivery.origin})"),
        ("event", f"{delivery.event}  {delivery.event_type}"),
        ("endpoint", f"{delivery.endpoint}  {names.endpoint(delivery.endpoint)}"),
        ("state", state(delivery.state)),
    ]
    if delivery.reason:
        facts.append(("why", line_of(delivery.reason)))
    if delivery.next_attempt_at is not None:
        facts.append(("next", time(delivery.next_attempt_at)))
    elif delivery.state == "pending":
        facts.append(("next", "being sent now"))
    return facts


def _print_attempt(attempt: Attempt) -> None:
    print_line("")
    came = str(attempt.status) if attempt.status is not None else attempt.error
    style = "green" if attempt.status is not None and 200 <= attempt.status < 300 else "red"
    when = f"attempt {attempt.number}  {time(attempt.started_at)}  {attempt.duration_ms:.0f} ms"
    print_line(when, Text(came, style=style), line_of(attempt.detail))
    for name, value in attempt.request_headers:
        print_line(f"  > {line_of(name)}: {line_of(value)}")
    for name, value in attempt.response_headers:
        print_line(f"  < {line_of(name)}: {line_of(value)}")
    if attempt.response_body:
        print_line(block(attempt.response_body))
    if attempt.response_truncated:
        print_line("    (the answer is longer)")
