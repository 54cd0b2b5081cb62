"""Signals to processes that may have ended by themselves meanwhile."""

import contextlib
import signal

from forkkit import AnyProcess


def send(process: AnyProcess, number: int) -> None:
    """Send a process a signal, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def kill(process: AnyProcess) -> None:
    """Kill a process, unless it has ended; return once it has."""
    send(process, signal.SIGKILL)
    await process.wait()
