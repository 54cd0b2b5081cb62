"""How a supervisor and its children talk: messages over a pair of sockets, a JSON line each.

A child whose channel ends has lost its supervisor; a supervisor reads to the end of a child's
channel before it counts it out.
"""

import asyncio
import contextlib
import logging
import socket
from typing import TypeAlias

import msgspec

from hooktide.runtime.metrics import MetricsSnapshot
from hooktide.runtime.settings import Settings

log = logging.getLogger("hooktide")

MAX_MESSAGE_BYTES = 1 << 20


class Begin(msgspec.Struct, tag="begin", frozen=True, kw_only=True):
    """The first message to a child: serve with these settings, on the socket with this number.

    ``make_key``: create the operator key if none exists. ``replaces``: another process serves until
    this one can, so it reports ready only once its database is open.
    """

    settings: Settings
    listener: int
    operator_key: str
    make_key: bool
    replaces: bool = False


class Leave(msgspec.Struct, tag="leave", frozen=True):
    """To a child: another has taken over; accept nothing new, finish, and exit."""


class ReportMetrics(msgspec.Struct, tag="report_metrics", frozen=True):
    """To a child: send your metrics."""


class TotalMetrics(msgspec.Struct, tag="total_metrics", frozen=True):
    """To a child that has asked: the metrics of all processes together."""

    numbers: MetricsSnapshot


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """From a child: it takes requests."""


class Begun(msgspec.Struct, tag="begun", frozen=True):
    """From a child: its database is open, so it delivers and answers everything."""


class ProcessMetrics(msgspec.Struct, tag="process_metrics", frozen=True):
    """From a child: its metrics so far."""

    numbers: MetricsSnapshot


class RequestTotal(msgspec.Struct, tag="request_total", frozen=True):
    """From a child: a request for the metrics of all processes together."""


ToChild: TypeAlias = Begin | Leave | ReportMetrics | TotalMetrics
FromChild: TypeAlias = Ready | Begun | ProcessMetrics | RequestTotal

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ToChild | FromChild).decode


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: ToChild | FromChild) -> None:
        """Send a message; it is dropped if the other side is gone."""
        if not self._writer.is_closing():
            self._writer.write(_encode(message) + b"\n")

    async def hear(self) -> ToChild | FromChild | None:
        """Return the other end's next message, or ``None`` if it is gone."""
        try:
            line = await self._reader.readline()
            return _decode(line) if line else None
        except ConnectionError:
            return None
        except ValueError:  # a line that is too long, or not a valid message
            log.exception("the other process of this server cannot be understood")
            return None

    async def close(self) -> None:
        """Close the channel; return when everything is sent."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


async def open_channel(end: socket.socket) -> Channel:
    """Make a channel of one of two connected sockets."""
    return Channel(*await asyncio.open_connection(sock=end, limit=MAX_MESSAGE_BYTES))
