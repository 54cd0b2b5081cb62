"""Several processes behind one listening socket: starting, watching, replacing, stopping them.

The supervisor holds the socket and serves nothing itself. A child that dies is restarted; on SIGHUP
each is replaced in turn, with the new one serving before the old one leaves; SIGTERM and SIGINT
stop all, and a second one kills them.
"""

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from hooktide.app.processes.channel import (
    Begin,
    Begun,
    Channel,
    FromChild,
    Leave,
    ProcessMetrics,
    Ready,
    ReportMetrics,
    RequestTotal,
    ToChild,
    TotalMetrics,
    open_channel,
)
from hooktide.runtime.background import start, start_in
from hooktide.runtime.metrics import MetricsSnapshot, add_up
from hooktide.runtime.settings import Settings

FIRST_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds before a dead child is restarted: the first time, and at most."""
STEADY_AFTER = 10.0
"""A child that ran for this long did not fail because of its startup."""
START_TIMEOUT = 300.0
"""Seconds that a new child may take until it serves: it may have to wait for a migration."""
KILL_AFTER = 3.0
"""Extra seconds a child gets beyond its own time limit."""
REPORT_TIMEOUT = 1.0
WRONG_CONFIG = 2

log = structlog.get_logger("hooktide")


class Member:
    """A running child. ``ended`` is done when it has ended, with its exit code."""

    def __init__(
        self, process: Process, channel: Channel, asked: Callable[["Member"], None]
    ) -> None:
        self.pid = process.pid
        self.began = time.monotonic()
        self.numbers = MetricsSnapshot()
        self._process = process
        self._channel = channel
        self._asked = asked
        self._ready = asyncio.Event()
        self.begun = asyncio.Event()
        self._reported = asyncio.Event()
        self.ended: asyncio.Task[int] = start(self._until_ended(), "wait for a process to end")

    async def _until_ended(self) -> int:
        while message := await self._channel.hear():
            self._hear(message)
        code = await self._process.wait()
        await self._channel.close()
        return code

    def _hear(self, message: ToChild | FromChild) -> None:
        match message:
            case Ready():
                self._ready.set()
            case Begun():
                self.begun.set()
            case ProcessMetrics(numbers):
                self.numbers = numbers
                self._reported.set()
            case RequestTotal():
                self._asked(self)

    async def up(self, within: float | None = None) -> bool:
        """Wait until it accepts requests, has ended, or took too long; return whether it does."""
        ready = start(self._ready.wait(), "wait for a process to be ready")
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({ready, self.ended}, return_when=first, timeout=within)
        ready.cancel()
        return self._ready.is_set() and not self.ended.done()

    async def report(self) -> None:
        """Return once it has reported its metrics."""
        self._reported.clear()
        self._channel.send(ReportMetrics())
        await self._reported.wait()

    def send(self, message: ToChild) -> None:
        """Send it a message."""
        self._channel.send(message)

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self, within: float) -> None:
        """Wait for its end; kill it if that takes too long."""
        await asyncio.wait({self.ended}, timeout=within)
        if not self.ended.done():
            log.warning("killing a process that does not end", pid=self.pid)
            self.signal(signal.SIGKILL)
        await asyncio.wait({self.ended})


class Start(Protocol):
    """Starts a child; ``replaces``: one that runs serves until the new one can."""

    async def __call__(self, *, replaces: bool = False) -> Member:
        """Return the child, which does not serve yet."""


class Place:
    """The place of one of the processes: a child, or for a moment none because it died.

    ``gave_up`` is called whenever a child ended because its settings, its key or its database are
    wrong.
    """

    def __init__(
        self, member: Member, start: Start, end_within: float, gave_up: Callable[[], None]
    ) -> None:
        self._member = member
        self._start = start
        self._end_within = end_within
        self._gave_up = gave_up
        self._given_up = False
        self._changing = asyncio.Lock()

    @property
    def given_up(self) -> bool:
        """Whether the last child that ended here cannot start at all, and none has started
        since."""
        return self._given_up and not self._member.begun.is_set()

    async def keep(self) -> None:
        """Restart the child whenever it dies."""
        pause = FIRST_PAUSE
        while True:
            member = self._member
            await asyncio.wait({member.ended})
            async with self._changing:
                if member is self._member:
                    pause = await self._replace_ended(member, pause)

    async def _replace_ended(self, member: Member, pause: float) -> float:
        """Restart a child that ended; return how long to wait next time."""
        self._given_up = member.ended.result() == WRONG_CONFIG
        if self._given_up:
            pause = MAX_PAUSE
            self._gave_up()
        pause = await rest(member, pause)
        self._member = await self._start_at_last()
        return pause

    async def _start_at_last(self) -> Member:
        while True:
            try:
                return await self._start()
            except OSError as error:
                log.error("cannot start a process", reason=error.strerror)  # noqa: TRY400 - no bug
                await asyncio.sleep(MAX_PAUSE)

    async def replace(self) -> bool:
        """Replace the old child by a new one, once that accepts requests; return whether it did.

        Returns when the old one has ended.

        :raises OSError: no process could be started.
        """
        async with self._changing:
            new = await self._start(replaces=True)
            if not await new.up(START_TIMEOUT):
                await new.end(0)
                log.error("a new process did not start", pid=new.pid, code=new.ended.result())
                return False
            old, self._member = self._member, new
        old.send(Leave())
        await old.end(self._end_within)
        log.info("a process was replaced", old=old.pid, new=new.pid)
        return True


async def rest(member: Member, pause: float) -> float:
    """Wait before a dead child is restarted; return how long next time."""
    if time.monotonic() - member.began >= STEADY_AFTER:
        pause = FIRST_PAUSE
    log.error(
        "a process ended", pid=member.pid, code=member.ended.result(), another_in=round(pause, 1)
    )
    await asyncio.sleep(pause)
    return min(2 * pause, MAX_PAUSE)


class Supervisor:
    """Runs ``settings.processes`` children on ``listener``.

    ``command`` starts one: the number of its end of the channel is added to it.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Settings,
        listener: socket.socket,
        operator_key: str = "",
    ) -> None:
        self._command = command
        self._settings = settings
        self._listener = listener
        self._operator_key = operator_key
        self._end_within = settings.stop_within + KILL_AFTER
        self._members: set[Member] = set()
        self._gone = MetricsSnapshot()
        self._answering: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._roll = asyncio.Event()

    async def run(self) -> int:
        """Serve until stopped; return the exit code."""
        self._on_signals()
        serving = start(self._serve(), "keep the processes")
        stopping = start(self._stop.wait(), "wait for the stop")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        stopping.cancel()
        [code] = await asyncio.gather(serving, return_exceptions=True)
        if isinstance(code, int):
            await self._stop_all()
            return code
        if not isinstance(code, asyncio.CancelledError):
            log.error("the supervisor failed; stopping", exc_info=code)
        return await self._stop_all()

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._told_to_stop)
        loop.add_signal_handler(signal.SIGINT, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._roll.set)

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            for member in self._members:
                member.signal(signal.SIGKILL)
            os._exit(1)
        self._stop.set()

    async def _stop_all(self) -> int:
        """Stop every child; return 0 if all of them ended normally.

        A child that had only just been started dies of the signal, which also counts as normal.
        """
        # What came in when the last child has closed it would wait here, and then be reset.
        self._listener.close()
        members = list(self._members)
        for member in members:
            member.signal(signal.SIGTERM)
        await asyncio.gather(*(member.end(self._end_within) for member in members))
        return int(any(member.ended.result() not in (0, -signal.SIGTERM) for member in members))

    async def _serve(self) -> int:
        """Start the children and keep them running; return only if the first cannot start at
        all."""
        first = await self._start(make_key=True)
        pause = FIRST_PAUSE
        while not await first.up():
            if first.ended.result() == WRONG_CONFIG:
                return WRONG_CONFIG
            pause = await rest(first, pause)
            first = await self._start(make_key=True)
        # Only now the others: the first one creates the operator key if there is none.
        members = [first, *[await self._start() for _ in range(1, self._settings.processes)]]
        if await self._wrong_after_all(first):
            return WRONG_CONFIG
        none_can_begin = asyncio.Event()

        def gave_up() -> None:
            if all(place.given_up for place in places):
                none_can_begin.set()

        places = [Place(member, self._start, self._end_within, gave_up) for member in members]
        keeping = start(self._keep(places, members), "keep the processes")
        giving_up = start(none_can_begin.wait(), "wait until no process can begin")
        try:
            await asyncio.wait({keeping, giving_up}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping  # it ends only with an error
            log.error("no further process can start; stopping", code=WRONG_CONFIG)
        finally:
            keeping.cancel()
            giving_up.cancel()
        return WRONG_CONFIG

    async def _keep(self, places: Sequence[Place], members: Sequence[Member]) -> None:
        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(place.keep())
            await asyncio.gather(*(member.up(START_TIMEOUT) for member in members))
            self._announce()
            await self._roll_when_told(places)

    async def _wrong_after_all(self, first: Member) -> bool:
        """Wait until the first child's database is open, or the child ends; return whether it never
        will be."""
        begun = start(first.begun.wait(), "wait for a process to begin")
        await asyncio.wait({begun, first.ended}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        return first.ended.done() and first.ended.result() == WRONG_CONFIG

    def _announce(self) -> None:
        log.info(
            "listening",
            url=self._settings.url(self._listener.getsockname()[1]),
            database=self._settings.database_shown,
            processes=self._settings.processes,
        )

    async def _start(self, *, make_key: bool = False, replaces: bool = False) -> Member:
        ours, theirs = socket.socketpair()
        with theirs:
            # Its own session: Ctrl-C at the terminal is for the supervisor alone.
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(), self._listener.fileno()),
                start_new_session=True,
            )
        channel = await open_channel(ours)
        channel.send(
            Begin(
                settings=self._settings,
                listener=self._listener.fileno(),
                operator_key=self._operator_key,
                make_key=make_key,
                replaces=replaces,
            )
        )
        member = Member(process, channel, self._asked)
        self._members.add(member)
        member.ended.add_done_callback(lambda _: self._ended(member))
        return member

    def _ended(self, member: Member) -> None:
        self._members.discard(member)
        self._gone = add_up([self._gone, member.numbers.ended()])

    async def _roll_when_told(self, places: Sequence[Place]) -> None:
        while True:
            await self._roll.wait()
            self._roll.clear()
            log.info("rolling restart: started")
            if await self._replace_all(places):
                log.info("rolling restart: done")
            else:
                log.error("rolling restart: aborted; the running processes stay")

    async def _replace_all(self, places: Sequence[Place]) -> bool:
        try:
            for place in places:
                if not await place.replace():
                    return False
        except OSError as error:
            log.error("cannot start a process", reason=error.strerror)  # noqa: TRY400 - no bug
            return False
        return True

    def _asked(self, member: Member) -> None:
        start_in(self._answering, self._answer(member), "add up what was counted")

    async def _answer(self, asker: Member) -> None:
        """Ask every child; the last known metrics count for those that do not answer in time."""
        reports = [start(each.report(), "ask what was counted") for each in self._members]
        if reports:
            await asyncio.wait(reports, timeout=REPORT_TIMEOUT)
        for report in reports:
            report.cancel()
        total = add_up([self._gone, *(member.numbers for member in self._members)])
        asker.send(TotalMetrics(total))
