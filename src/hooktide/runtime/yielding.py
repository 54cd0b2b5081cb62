"""Long work on the event loop, done in turns, so that other requests are served in between."""

import asyncio
import time

MAX_TURN = 0.005
"""Seconds of work in one turn; one step of it may take longer."""


class Yielding:
    """Yields the event loop whenever a piece of work has held it for ``MAX_TURN``."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def turn(self) -> None:
        """Call this before each step; most calls return at once."""
        if time.perf_counter() - self._since > MAX_TURN:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
