"""``hooktide replay``: counts and sends old events again, and follows the progress.

Ctrl-C leaves it running.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TextColumn

from hooktide.cli.options import DEFAULTS, Flag, Options, instant, optional_instant
from hooktide.cli.output import (
    console,
    line_of,
    note,
    print_json,
    print_line,
    print_rows,
    state,
)
from hooktide.client import Client, ConflictError
from hooktide.domain.counting import count_of
from hooktide.domain.errors import ConfigError
from hooktide.wire.endpoints import Endpoint
from hooktide.wire.events import Count, Replay

POLL_INTERVAL = 0.5
What: TypeAlias = Literal["failed", "missed", "event"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The events to send again."""

    what: What
    since: datetime | None
    until: datetime | None
    event: str | None


def replay(  # noqa: PLR0913  # a parameter an option
    id: str | None = None,
    *,
    failed: Flag = False,
    missed: Flag = False,
    event: str | None = None,
    since: str | None = None,
    until: str | None = None,
    endpoint: str | None = None,
    account: str | None = None,
    dry_run: Flag = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), show_default=False)] = False,
    wait: bool = True,
    cancel: Flag = False,
    options: Options = DEFAULTS,
) -> None:
    """Send old events to endpoints again: count them, then follow the replay until all are queued.

    A replay creates a new delivery for each event and is done when all are created; the server
    sends them as fast as the endpoint accepts them. Ctrl-C or a lost connection only stops
    following it: "hooktide replay rpl_..." resumes following it, and --cancel ends the replay
    itself.

    Parameters
    ----------
    id
        An existing replay to follow, or to --cancel.
    failed
        Events whose last delivery failed, --since then.
    missed
        Events that were never sent, --since then.
    event
        This one event.
    since
        The start of the period: how long ago, like 24h or 7d, or a time.
    until
        The end of the period. Default: now.
    endpoint
        Send to this endpoint.
    account
        Send to each enabled endpoint of this account. With an account's key: its own.
    dry_run
        Only count.
    yes
        Skip the confirmation.
    wait
        Follow it; --no-wait only starts it.
    cancel
        Cancel the replay: the deliveries it has created stay.
    """
    with options.client() as client:
        if id is not None:
            found = client.replays.cancel(id) if cancel else client.replays.get(id)
            _follow(client, [found], as_json=options.json, wait=wait)
            return
        wanted = _wanted(failed, missed, event, since, until)
        counts = _count(client, _endpoints(client, endpoint, account), wanted)
        _print_counts(counts, options.json and dry_run)
        some = [(each, count) for each, count in counts if count.events]
        if not some:
            retried = "; what is retried has not failed yet: hooktide deliveries --state pending"
            note("There is nothing to send again" + (retried if failed else ""))
        if dry_run or not some:
            return
        if not yes:
            _ask(some)
        started = [_start(client, each, wanted) for each, _ in some]
        _follow(client, started, as_json=options.json, wait=wait)


def _wanted(
    failed: bool, missed: bool, event: str | None, since: str | None, until: str | None
) -> Selection:
    if [failed, missed, event is not None].count(True) != 1:
        raise ConfigError("choose the events: --failed, --missed, or --event evt_...")
    if event is not None:
        if since or until:
            raise ConfigError("--event cannot be combined with --since or --until")
        return Selection("event", None, None, event)
    if since is None:
        raise ConfigError("give the start of the period, like --since 24h", key="--since")
    start, end = instant(since, "--since"), optional_instant(until, "--until")
    return Selection("failed" if failed else "missed", start, end, None)


def _endpoints(client: Client, endpoint: str | None, account: str | None) -> list[Endpoint]:
    if endpoint is not None:
        return [client.endpoints.get(endpoint)]
    found = list(client.endpoints.list(account=account))
    owners = {each.account for each in found}
    if account is None and len(owners) > 1:
        raise ConfigError(
            "choose where to send: --endpoint ep_..., or --account for all of an account's "
            "endpoints"
        )
    for each in found:
        if not each.enabled:
            note(f"{each.id} is left out, because it is disabled: enable it first  {each.url}")
    enabled = [each for each in found if each.enabled]
    if not enabled:
        raise ConfigError("no endpoint to send to is enabled")
    return enabled


def _count(
    client: Client, endpoints: Iterable[Endpoint], wanted: Selection
) -> list[tuple[Endpoint, Count]]:
    return [
        (
            each,
            client.replays.count(
                each.id, wanted.what, since=wanted.since, until=wanted.until, event=wanted.event
            ),
        )
        for each in endpoints
    ]


def _print_counts(counts: list[tuple[Endpoint, Count]], as_json: bool) -> None:
    if as_json:
        for each, count in counts:
            print_json({"endpoint": each.id, "url": each.url, "count": count})
        return
    rows = [(each.id, _number(count), line_of(each.url)) for each, count in counts]
    print_rows(("endpoint", "events", "url"), rows, error=True)


def _number(count: Count) -> str:
    return f"{count.events:,}" + (" or more" if count.at_least else "")


def _ask(some: list[tuple[Endpoint, Count]]) -> None:
    total = sum(count.events for _, count in some)
    if not sys.stdin.isatty():
        raise ConfigError(
            "cannot ask for confirmation without a terminal: give --yes, or --dry-run"
        )
    more = " or more" if any(count.at_least for _, count in some) else ""
    sentence = f"Send {count_of(total, 'event')}{more} again? [y/N] "
    console(error=True).print(sentence, end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        note("Nothing was sent.")
        sys.exit(1)


def _start(client: Client, endpoint: Endpoint, wanted: Selection) -> Replay:
    """Start a replay; if one is already running, follow that one."""
    try:
        return client.replays.start(
            endpoint.id, wanted.what, since=wanted.since, until=wanted.until, event=wanted.event
        )
    except ConflictError as error:
        if error.code != "replay_running":
            raise
        running = next(each for each in client.replays.list(endpoint.id))
        note(f"{endpoint.id} already has a running replay, {running.id}: following that one")
        return running


def _follow(client: Client, replays: list[Replay], *, as_json: bool, wait: bool) -> None:
    if wait:
        try:
            replays = _until_done(client, replays)
        except KeyboardInterrupt:
            _print_left(client, replays)
            sys.exit(130)
    for each in replays:
        _print_replay(each, as_json)
    if any(each.state == "cancelled" for each in replays):
        sys.exit(1)


def _until_done(client: Client, replays: list[Replay]) -> list[Replay]:
    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[made]}")]
    with Progress(*columns, console=console(error=True), transient=True) as progress:
        tasks = [
            progress.add_task(each.endpoint, total=max(1, each.count.events), made=_made(each))
            for each in replays
        ]
        while any(each.state == "running" for each in replays):
            time.sleep(POLL_INTERVAL)
            replays = [_now(client, each) for each in replays]
            for task, each in zip(tasks, replays, strict=True):
                progress.update(task, completed=each.made, made=_made(each))
    return replays


def _now(client: Client, replay: Replay) -> Replay:
    return client.replays.get(replay.id) if replay.state == "running" else replay


def _made(replay: Replay) -> str:
    return f"{replay.made:,} of {_number(replay.count)}"


def _print_left(client: Client, replays: list[Replay]) -> None:
    note("")
    for each in (_now(client, each) for each in replays):
        if each.state == "running":
            note(f"{each.id} continues on the server: {_made(each)}.")
            note(f"  follow it:  hooktide replay {each.id}")
            note(f"  end it:     hooktide replay {each.id} --cancel")


def _print_replay(replay: Replay, as_json: bool) -> None:
    if as_json:
        print_json(replay)
        return
    print_line(replay.id, replay.endpoint, state(replay.state), *_result(replay))


def _result(replay: Replay) -> tuple[str, ...]:
    if replay.state == "running":
        return (_made(replay),)
    queued = f"{count_of(replay.made, 'delivery')} queued"
    return (queued, f"see them: hooktide tail --endpoint {replay.endpoint}", line_of(replay.reason))
