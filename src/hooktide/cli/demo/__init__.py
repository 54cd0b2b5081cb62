"""``hooktide demo``: five providers' events, delivered to consumers written from their guides.

The server is the real one, on an empty database in a temporary folder; ``story`` has the steps,
``consumers`` the receivers, ``screen`` what is shown. Nothing is left behind at the end.
"""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from hooktide.cli.demo.consumers import GUIDES, Consumer
from hooktide.cli.demo.screen import Screen
from hooktide.cli.demo.server import DemoServer
from hooktide.cli.demo.story import Report, Story
from hooktide.client import ClientError

INTERRUPTED = 130


def run(*, once: bool, port: int = 8080) -> int:
    """Tell the story, then keep serving until interrupted; with ``once``, end after it.

    Returns the process's exit code: 0, or 1 if anything was not as promised. ``port`` 0 means any
    free one; so does a port that is taken.
    """
    screen = Screen()
    try:
        return asyncio.run(_demo(screen, once=once, port=port))
    except (ClientError, TimeoutError, ConnectionError) as error:
        reason = str(error) or "something did not answer in time"
        screen.say(f"The demo failed: {reason}")
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        return INTERRUPTED


async def _demo(screen: Screen, *, once: bool, port: int) -> int:
    _end_on_signals()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hooktide-demo-")))
        with screen.working("starting the server"):
            server = await stack.enter_async_context(DemoServer(folder, port))
        screen.say(f"Hooktide serves at {server.url}, on an empty database.\n")
        report = [await _run_story(screen, server, stack, name) for name in GUIDES]
        broken = _sum_up(screen, report)
        if not once:
            await _keep_serving(screen, server, report)
        return 1 if broken else 0


def _end_on_signals() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)


async def _run_story(
    screen: Screen, server: DemoServer, stack: AsyncExitStack, name: str
) -> Report:
    story = Story(server.client, stack, name)
    with screen.working(f"{name}: applying its project, adding endpoints, publishing"):
        report = await story.run()
    good = sum(line.kept for line in report.lines)
    screen.say(f"{report.title}: {good} of {len(report.lines)} deliveries arrived and verified")
    for promise in report.promises:
        screen.promise(promise)
    return report


def _sum_up(screen: Screen, report: Sequence[Report]) -> int:
    lines = [line for each in report for line in each.lines]
    promises = [promise for each in report for promise in each.promises]
    screen.table(lines)
    kept = sum(line.kept for line in lines) + sum(promise.kept for promise in promises)
    broken = len(lines) + len(promises) - kept
    screen.verdict(kept, broken)
    return broken


async def _keep_serving(screen: Screen, server: DemoServer, report: Sequence[Report]) -> None:
    """Print where to look and what to try, then show what the consumers get, until Ctrl-C."""
    dashboard, portal = await _ways_in(server, report[0].account)
    screen.say(f"\nThe operator's dashboard (the link works once):\n  {dashboard}")
    screen.say(f"\nThe portal of {report[0].title}'s customer, for an hour:\n {portal}")
    screen.say("\nThe request bins, live in a browser:")
    for each in report:
        screen.say(f"  {each.title:18} {each.page_url}")
    screen.say(f"\nThe operator's key, for this demo only:\n  {server.key}")
    screen.say("\nPublish an event (its answer is 202, and the bin's page shows it at once):")
    screen.say(_curl(server, report[0]))
    screen.say("\nCtrl-C ends the demo and leaves nothing behind.\n")
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            for each in report:
                group.create_task(_follow(screen, each.title, each.consumer))


async def _ways_in(server: DemoServer, account: str) -> tuple[str, str]:
    """Return a link into the dashboard, and one into an account's portal."""
    [owner] = await server.client.users.list()
    dashboard = await server.client.users.create_login_link(owner.id)
    portal = await server.client.accounts.create_portal_link(account)
    return dashboard.url, portal.url


async def _follow(screen: Screen, title: str, consumer: Consumer) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            with contextlib.suppress(TimeoutError):
                line = await consumer.next_line()
                word = "verified" if line["verified"] else "refused"
                screen.say(f"{title}'s consumer: {line['type'] or 'a webhook'} {word}")


def _curl(server: DemoServer, report: Report) -> str:
    body = f'{{"account": "{report.account}", "type": "invoice.created", "payload": {{"id": "1"}}}}'
    return (
        f"  curl {server.url}/v1/events \\\n"
        f"    -H 'authorization: Bearer {server.key}' \\\n"
        f"    -H 'content-type: application/json' \\\n"
        f"    -d '{body}'"
    )
