"""What the command line has for applications' outboxes: relay, outbox."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, cast

import msgspec
import structlog
from cyclopts import Parameter

from hooktide.client import ClientError
from hooktide.client.publishing import is_temporary, publish_bodies, status_of
from hooktide.client.requests import call
from hooktide.client.retries import RetryPolicy
from hooktide.client.server import Server, find_server
from hooktide.client.transport import AsyncTransport
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import POLL, Answer, NotYet, Outbox, Relay
from hooktide.outbox.row import TABLE
from hooktide.runtime.logs import set_up
from hooktide.wire.events import EventResult

log = structlog.get_logger("hooktide")

TIMEOUT = 30.0


def relay(
    from_: Annotated[str, Parameter(name="--from")],
    *,
    server: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    project: str = "",
    table: str = TABLE,
    poll: float = POLL,
    once: bool = False,
) -> None:
    """Move events from an application's outbox to Hooktide, in order, each accepted exactly once.

    Runs until stopped. Several may run; one of them relays at a time.

    Parameters
    ----------
    from_
        The application's database: postgresql://user:password@host/name, or a SQLite file.
    server
        The Hooktide server to move them to. [HOOKTIDE_SERVER, or http://127.0.0.1:8080]
    key
        A project's key, or the operator's. [HOOKTIDE_OPERATOR_KEY]
    project
        With the operator's key: the project whose events these are.
    table
        The outbox's name.
    poll
        Seconds between two polls of an empty outbox.
    once
        Exit when the outbox is empty.
    """
    set_up()
    to = find_server(server, key, project)
    moved = asyncio.run(_relay(from_, table, to, poll, once))
    log.info("stopped", moved=moved.moved, refused=moved.refused)


async def _relay(url: str, table: str, to: Server, poll: float, once: bool) -> Relay:
    found, transport = open_outbox(url, table), relay_transport(to)
    moving = Relay(found, over_http(transport), poll=poll)
    working = cast("asyncio.Task[Any]", asyncio.current_task())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    try:
        await _check(transport)
        log.info("moving events", table=table, to=to.url)
        await (moving.drain() if once else moving.run())
    except asyncio.CancelledError:
        working.uncancel()  # it was stopped
    except UnavailableError as error:
        raise ConfigError(f"{error}; waiting rows stay in the outbox") from error
    finally:
        await transport.close()
        await found.close()
    return moving


async def _check(transport: AsyncTransport) -> None:
    """Check the key and the project, which an empty outbox would not show.

    :raises ConfigError: the server does not accept events from this relay.
    """
    try:
        await transport.send(call("GET", "/v1/accounts", msgspec.Raw, query={"limit": 1}))
    except ClientError as error:
        trouble = _trouble(error)
        if isinstance(trouble, ConfigError):
            raise trouble from error


def outbox(
    *ids: int,
    from_: Annotated[str, Parameter(name="--from")],
    table: str = TABLE,
    retry: bool = False,
    discard: bool = False,
    all_: Annotated[bool, Parameter(name="--all")] = False,
) -> None:
    """Show how many events wait in an application's outbox, and which were refused, and why.

    Exits with 1 when refused events are left.

    Parameters
    ----------
    ids
        With --retry or --discard: the refused events to change, by the number in the list.
    from_
        The application's database: postgresql://user:password@host/name, or a SQLite file. For
        events emitted straight into Hooktide's own PostgreSQL: that, with --table hooktide.emitted.
    table
        The outbox's name.
    retry
        Try refused events again, in their old places: those given, or all.
    discard
        Delete refused events: those given, or with --all every one. They are never sent; this
        cannot be undone.
    all_
        With --discard: delete every refused event.
    """
    if retry and discard:
        raise ConfigError("use either --retry or --discard", key="--retry, --discard")
    if ids and not (retry or discard):
        raise ConfigError("choose an action: --retry or --discard", key="ids")
    if discard and bool(ids) == all_:
        raise ConfigError("give the events' numbers, or --all for every one", key="--discard")
    found = open_outbox(from_, table)
    change = found.retry if retry else found.discard if discard else None
    sys.exit(asyncio.run(_show(found, change, ids or None)))


async def _show(
    found: Outbox,
    change: Callable[[Sequence[int] | None], Awaitable[int]] | None,
    ids: Sequence[int] | None,
) -> int:
    try:
        if change is not None:
            _check_refused(ids or (), [each.id for each in await found.refused()])
            done = "wait again" if change == found.retry else "discarded"
            print(f"{await change(ids):,} {done}")
        refused = await found.refused()
        print(f"{await found.waiting():,} waiting, {len(refused):,} refused")
    except UnavailableError as error:
        raise ConfigError(str(error), key="--from") from error
    finally:
        await found.close()
    for each in refused:
        print(f"{each.id:>8}  {each.event}: {each.reason}")
    return 1 if refused else 0


def _check_refused(ids: Sequence[int], refused: Sequence[int]) -> None:
    """Check that each of these numbers is a refused event's.

    :raises ConfigError: it is not; nothing was changed.
    """
    missing = [f"{each}" for each in ids if each not in refused]
    if missing:
        which = "no refused event has the number"
        raise ConfigError(
            f"{which} {' or '.join(missing)}; nothing was changed. Without --retry and --discard, "
            "hooktide outbox lists them",
            key="ids",
        )


def relay_transport(to: Server) -> AsyncTransport:
    """Return a relay's transport, without retries: the relay repeats failed requests itself."""
    return AsyncTransport(to, TIMEOUT, RetryPolicy(retries=1, first=0.0, longest=0.0))


def over_http(transport: AsyncTransport) -> Callable[[Sequence[bytes]], Awaitable[list[Answer]]]:
    """Return how a relay sends events to a server."""

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        wrong = [_why_not_one(body) for body in bodies]
        good = [body for body, why in zip(bodies, wrong, strict=True) if not why]
        try:
            results = iter(await publish_bodies(transport.send, good))
        except ClientError as error:
            raise _trouble(error) from error
        return [why or _answer(next(results)) for why in wrong]

    return send


def _why_not_one(body: bytes) -> str:
    """Return why a body is not exactly one event, which would corrupt a batch request."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"invalid_json: {error}"
    return ""


def _trouble(error: ClientError) -> Exception:
    if is_temporary(status_of(error)):
        return UnavailableError(str(error))
    return ConfigError(f"the server does not accept events: {error}", key="--server, --key")


def _answer(result: EventResult | ClientError) -> Answer:
    """Return the outcome of an event."""
    if isinstance(result, ClientError):
        return str(result)
    if result.status == 202:
        return None
    detail = "" if result.problem is None else result.problem.detail
    if is_temporary(result.status):
        return NotYet(detail)
    kind = "" if result.problem is None else result.problem.type
    return f"{kind.rpartition('/')[2]}: {detail}"
