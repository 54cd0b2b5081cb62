"""``hooktide events`` and ``hooktide deliveries``: what happened, and what became of it."""

from collections.abc import Iterable
from typing import Literal

from rich.text import Text

from hooktide.client import Client
from hooktide.client.shapes import Attempt, Delivery, Event
from hooktide.commands.asking import DEFAULTS, Options
from hooktide.commands.showing import (
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


def events(
    id: str | None = None,
    *,
    account: str | None = None,
    type: str | None = None,
    limit: int = 20,
    asking: Options = DEFAULTS,
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
    limit
        How many, at most.
    """
    with asking.client() as client:
        if id is not None:
            _show_event(client, id, asking.json)
            return
        found = client.events.list(account=account, type=type, limit=limit)
        if asking.json:
            _print_all(found)
            return
        rows = [(e.id, time(e.accepted_at), e.type, e.account, str(e.deliveries)) for e in found]
        print_rows(("event", "accepted", "type", "account", "deliveries"), rows)


def _print_all(found: Iterable[object]) -> None:
    for each in found:
        print_json(each)


def _show_event(client: Client, id: str, as_json: bool) -> None:
    event = client.events.get(id)
    if as_json:
        print_json(event)
        return
    _print_facts(_event_facts(event))
    print_line("payload")
    print_line(block(pretty(bytes(event.payload).decode())))
    found = list(client.deliveries.list(event=id))
    if found:
        print_line("deliveries")
        print_rows(DELIVERY_TITLES, map(delivery_row, found))


def _event_facts(event: Event) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = [
        ("event", event.id + (" (test)" if event.test else "")),
        ("type", event.type),
        ("account", event.account),
        ("occurred", time(event.occurred_at)),
        ("accepted", time(event.accepted_at)),
    ]
    return [*facts, ("transition", line_of(event.transition))] if event.transition else facts


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
    limit: int = 20,
    asking: Options = DEFAULTS,
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
    limit
        How many, at most.
    """
    with asking.client() as client:
        if id is not None:
            _show_delivery(client, id, asking.json)
            return
        found = client.deliveries.list(
            account=account, endpoint=endpoint, event=event, state=state, limit=limit
        )
        if asking.json:
            _print_all(found)
        else:
            print_rows(DELIVERY_TITLES, map(delivery_row, found))


DELIVERY_TITLES = ("delivery", "made", "type", "endpoint", "state", "attempts", "why")


def delivery_row(delivery: Delivery) -> tuple[Cell, ...]:
    """Return the cells of a delivery."""
    return (
        delivery.id,
        time(delivery.created_at),
        delivery.event_type,
        delivery.endpoint,
        state(delivery.state),
        str(delivery.attempts),
        line_of(delivery.reason),
    )


def _show_delivery(client: Client, id: str, as_json: bool) -> None:
    delivery, attempts = client.deliveries.get(id), client.deliveries.attempts(id)
    if as_json:
        print_json({"delivery": delivery, "attempts": attempts})
        return
    _print_facts(_delivery_facts(delivery))
    for attempt in attempts:
        _print_attempt(attempt)


def _delivery_facts(delivery: Delivery) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = [
        ("delivery", f"{delivery.id} ({delivery.origin})"),
        ("event", f"{delivery.event}  {delivery.event_type}"),
        ("endpoint", delivery.endpoint),
        ("state", state(delivery.state)),
    ]
    if delivery.reason:
        facts.append(("why", line_of(delivery.reason)))
    if delivery.next_attempt_at is not None:
        facts.append(("next", time(delivery.next_attempt_at)))
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
        print_line("    (the answer goes on)")
