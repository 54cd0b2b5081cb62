"""What the command line has for applications' outboxes: relay, outbox."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
import structlog
from cyclopts import Parameter

from hooktide.demo.api import Api, ApiError, operator_api
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.logs import set_up
from hooktide.outbox.opening import open_outbox
from hooktide.outbox.relay import POLL, Answer, Outbox, Relay
from hooktide.outbox.row import TABLE

log = structlog.get_logger("hooktide")

TOO_MUCH = (400, 413, 422)
"""Answers to a whole request that may be the fault of one event in it."""
LATER = (0, 408, 425, 429)


def relay(
    from_: Annotated[str, Parameter(name="--from")],
    *,
    to: str | None = None,
    key: Annotated[str | None, Parameter(show=True)] = None,
    table: str = TABLE,
    poll: float = POLL,
    once: bool = False,
) -> None:
    """Move events from an application's outbox to Hooktide, in order, each accepted exactly once.

    Runs until it is stopped; as many as you like may run, one of them moves.

    Parameters
    ----------
    from_
        The application's database: postgresql://user:password@host/name, or a SQLite file.
    to
        The Hooktide server. [http://127.0.0.1:8080]
    key
        A project's key, or the operator's. [HOOKTIDE_OPERATOR_KEY]
    table
        The outbox's name.
    poll
        Seconds between two looks into an empty outbox.
    once
        End when nothing waits any more.
    """
    set_up()
    api = operator_api(to or os.environ.get("HOOKTIDE_URL"), key)
    moved = asyncio.run(_relay(from_, table, api, poll, once))
    log.info("stopped", moved=moved.moved, refused=moved.refused)


async def _relay(url: str, table: str, api: Api, poll: float, once: bool) -> Relay:
    found = open_outbox(url, table)
    moving = Relay(found, over_http(api), poll=poll)
    working = asyncio.ensure_future(moving.drain() if once else moving.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    log.info("moving events", table=table, to=api.server)
    try:
        await working
    except asyncio.CancelledError:
        pass  # it was told to stop
    except UnavailableError as error:
        raise ConfigError(f"{error}; what waits goes on waiting") from error
    finally:
        await found.close()
    return moving


def outbox(
    from_: Annotated[str, Parameter(name="--from")],
    *,
    table: str = TABLE,
    retry: bool = False,
) -> None:
    """Show how many events wait in an application's outbox, and which were refused, and why.

    Exits with 1 when some were refused.

    Parameters
    ----------
    from_
        The application's database: postgresql://user:password@host/name, or a SQLite file. For
        events emitted straight into Hooktide's own PostgreSQL: that, with --table hooktide.emitted.
    table
        The outbox's name.
    retry
        Let those that were refused wait again, in their old places.
    """
    sys.exit(asyncio.run(_show(open_outbox(from_, table), retry)))


async def _show(found: Outbox, retry: bool) -> int:
    try:
        if retry:
            print(f"{await found.wait_again():,} wait again")
        refused = await found.refused()
        print(f"{await found.waiting():,} waiting, {len(refused):,} refused")
    except UnavailableError as error:
        raise ConfigError(str(error), key="--from") from error
    finally:
        await found.close()
    for each in refused:
        print(f"{each.id:>8}  {each.event}: {each.reason}")
    return 1 if refused else 0


class _Result(msgspec.Struct):
    status: int
    problem: dict[str, Any] = {}


class _Results(msgspec.Struct):
    results: list[_Result]


def over_http(api: Api) -> Callable[[Sequence[bytes]], Awaitable[list[Answer]]]:
    """Return how a relay sends events to a server."""

    async def send(bodies: Sequence[bytes]) -> list[Answer]:
        wrong = [_why_not_one(body) for body in bodies]
        good = [body for body, why in zip(bodies, wrong, strict=True) if not why]
        answers = iter(await send_good(good) if good else ())
        return [why or next(answers) for why in wrong]

    async def send_good(bodies: Sequence[bytes]) -> list[Answer]:
        try:
            answer = await api.post("/v1/events", [msgspec.Raw(body) for body in bodies])
        except ApiError as error:
            if error.status in TOO_MUCH:
                return await _one_by_one(send_good, bodies, error)
            raise _trouble(error) from error
        return [_answer(each) for each in msgspec.convert(answer, _Results).results]

    return send


def _why_not_one(body: bytes) -> str:
    """Say why a body is not one event: in a request of many it would be another's, or several."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"invalid_json: {error}"
    return ""


async def _one_by_one(
    send: Callable[[Sequence[bytes]], Awaitable[list[Answer]]],
    bodies: Sequence[bytes],
    error: ApiError,
) -> list[Answer]:
    """Find the event for which a whole request was refused."""
    if len(bodies) == 1:
        return [str(error)]
    return [answer for body in bodies for answer in await send([body])]


def _trouble(error: ApiError) -> Exception:
    if error.status in LATER or error.status >= 500:
        return UnavailableError(str(error))
    return ConfigError(f"the server does not take events: {error}", key="--to, --key")


def _answer(result: _Result) -> Answer:
    """Say what became of an event.

    :raises UnavailableError: nothing yet.
    """
    if result.status == 202:
        return None
    detail = result.problem.get("detail", "")
    if result.status in LATER or result.status >= 500:
        raise UnavailableError(detail)
    return f"{str(result.problem.get('type', '')).rpartition('/')[2]}: {detail}"
