"""A process that a supervisor has started: ``python -m hooktide.app.processes.child NUMBER``.

``NUMBER`` is the file descriptor of the socket to the supervisor. The process ends on the
supervisor's request, on SIGTERM, and when the supervisor is gone.
"""

import asyncio
import os
import signal
import socket
import sys
from functools import partial

import structlog
import uvloop

from hooktide.app import App, FirstStart, begin_app
from hooktide.app.processes.channel import (
    Begin,
    Begun,
    Channel,
    Leave,
    ProcessMetrics,
    Ready,
    ReportMetrics,
    RequestTotal,
    TotalMetrics,
    open_channel,
)
from hooktide.app.processes.single import Process, show_made, tune
from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.runtime.background import keep
from hooktide.runtime.logs import set_up
from hooktide.runtime.metrics import MetricsSnapshot

ANSWER_TIMEOUT = 3.0

log = structlog.get_logger("hooktide")


class Child:
    """One of several processes behind a socket."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sums: list[asyncio.Future[MetricsSnapshot]] = []
        self._process: Process | None = None

    async def run(self, begin: Begin) -> None:
        """Serve until stopped.

        :raises ConfigError: the database or the key is unusable.
        :raises UnavailableError: the database did not answer.
        """
        hearing = keep(self._hear, "listen to the supervisor", retry_delay=0)
        listener = socket.socket(fileno=begin.listener)
        process = self._process = Process(
            begin.settings,
            listener,
            partial(
                begin_app,
                begin.settings,
                listener.getsockname()[1],
                begin.operator_key,
                self._add_up,
                make_key=begin.make_key,
            ),
            serving=lambda: self._serving(process),
            begun=self._begun,
            shared=True,
            replaces=begin.replaces,
        )
        await process.run()
        hearing.cancel()
        self._channel.send(ProcessMetrics(self._numbers()))
        await self._channel.close()

    def _serving(self, process: Process) -> None:
        _on_signals(process)
        self._channel.send(Ready())

    def _begun(self, _: App, made: FirstStart) -> None:
        show_made(made)
        self._channel.send(Begun())

    async def _hear(self) -> None:
        while message := await self._channel.hear():
            match message:
                case ReportMetrics():
                    self._report()
                case TotalMetrics(numbers):
                    self._set_total(numbers)
                case Leave():
                    self._leave()
        # The supervisor is gone: nothing would restart or stop this process. The listening socket
        # is needed by the next process.
        log.error("the supervisor is gone; stopping", pid=os.getpid())
        self._leave()

    def _leave(self) -> None:
        if self._process is None or not self._process.serves:
            os._exit(1)
        self._process.stop(leave=True)

    def _report(self) -> None:
        self._channel.send(ProcessMetrics(self._numbers()))

    def _numbers(self) -> MetricsSnapshot:
        app = None if self._process is None else self._process.app
        return MetricsSnapshot() if app is None else app.metrics.snapshot()

    async def _add_up(self, own: MetricsSnapshot) -> MetricsSnapshot:
        """Ask the supervisor for the total of all processes, this one included.

        :raises UnavailableError: it does not answer.
        """
        answer: asyncio.Future[MetricsSnapshot] = asyncio.get_running_loop().create_future()
        self._sums.append(answer)
        self._channel.send(RequestTotal())
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await answer
        except TimeoutError:
            raise UnavailableError("the supervisor does not answer; try again") from None

    def _set_total(self, numbers: MetricsSnapshot) -> None:
        answer = self._sums.pop(0)
        if not answer.done():
            answer.set_result(numbers)


def _on_signals(process: Process) -> None:
    """Stop on a signal. A second one changes nothing: it may be the first one's echo.

    Stopping a process group signals each process, and the supervisor forwards its own signal.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, process.stop)
    loop.add_signal_handler(signal.SIGINT, process.stop)


async def _run(number: int) -> None:
    channel = await open_channel(socket.socket(fileno=number))
    begin = await channel.hear()
    if isinstance(begin, Begin):
        set_up(begin.settings.log_level)
        tune()
        await Child(channel).run(begin)


def main() -> None:
    """Run; an error is printed in one line, and exit code 2 means that a restart would not help."""
    try:
        uvloop.run(_run(int(sys.argv[1])))
    except HooktideError as error:
        print(f"hooktide: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
