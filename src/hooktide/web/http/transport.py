"""A connection's transport, whose writes of one turn of the event loop go out together.

A response's head and body are two writes. Each would be a system call that wakes the client, which
is the most expensive part of a short response.
"""

import asyncio

from hooktide.runtime.write_coalescer import WriteCoalescer

MAX_COLLECTED = 256 * 1024
"""Bytes that are collected before they are written at once."""


class CoalescingTransport:
    """Writes to a connection at the end of the event loop's turn.

    Writes after the end, or to a broken connection, are dropped. ``written`` counts the bytes that
    were passed to the transport.
    """

    def __init__(self, transport: asyncio.Transport, coalescer: WriteCoalescer) -> None:
        self._transport = transport
        self._coalescer = coalescer
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self.written = 0
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        """Write at the end of the turn."""
        if not self._parts:
            self._coalescer.add(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_COLLECTED:  # so that a stream notices a slow client
            self.flush()

    def close(self) -> None:
        """Write what was collected, then close."""
        self.flush()
        self._ended = True
        self._transport.close()

    def write_eof(self) -> None:
        """Write what was collected, then close the sending side."""
        self.flush()
        self._ended = True
        if not self._transport.is_closing():
            self._transport.write_eof()

    def unsent(self) -> int:
        """Return the bytes that the client has not read yet."""
        return self._transport.get_write_buffer_size()

    def flush(self) -> None:
        """Write what was collected."""
        if self._parts:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            # uvloop raises for a connection that was reset
            if not (self._ended or self._transport.is_closing()):
                self.written += len(data)
                self._transport.write(data)
