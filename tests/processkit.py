"""Sends signals to processes that may already have exited."""

import contextlib
import signal

from forkkit import AnyProcess


def send(process: AnyProcess, number: int) -> None:
    """Send a process a signal, unless it has exited."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def kill(process: AnyProcess) -> None:
    """Kill a process if it is still running, and wait until it has exited."""
    send(process, signal.SIGKILL)
    await process.wait()
