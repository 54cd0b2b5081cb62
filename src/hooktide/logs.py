"""Logs: one JSON object a line on standard error, with stable field names.

An attempt is one line (``"event":"attempt"``). Those lines are many, so they are written directly,
several at once; everything else goes through structlog. Nothing here ever sees a secret, a payload
or a header.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator
from select import PIPE_BUF
from typing import IO

import structlog

from hooktide.domain.model import SECOND, Attempt, Claim

WRITE_EVERY = 0.1
_BUFFERED = 256


def set_up(level: str = "info") -> None:
    """Send the logs of this process to standard error as JSON lines."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),  # a line is one write
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("uvicorn").setLevel("WARNING")


def into_logging() -> None:
    """Send the logs through Python's own, where an application has not said otherwise."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
            logger_factory=structlog.stdlib.LoggerFactory(),
        )


_SHARED: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(key="at"),
]


_LINE = (
    b'{"event":"attempt","at":%.6f,"project":"%b","account":"acc_%016x","endpoint":"ep_%016x",'
    b'"event_id":"evt_%016x","type":"%b","delivery":"dlv_%016x","attempt":%d,"verdict":"%b",'
    b'"duration_ms":%.3f,"status":%b,"error":"%b"}\n'
)


class AttemptLog:
    """Writes a line for each attempt; off the hot path as far as that goes."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def write(self, project: str, claim: Claim, made: Attempt, verdict: str) -> None:
        """Note one attempt; it is written within a tenth of a second.

        Everything in the line is a number or made of letters that JSON takes as they are.
        """
        event = claim.event
        line = _LINE % (
            made.started_at / SECOND,
            project.encode(),
            event.account_id,
            claim.endpoint_id,
            event.id,
            event.type.encode(),
            claim.delivery_id,
            claim.attempt,
            verdict.encode(),
            made.duration / 1000,
            b"null" if made.status is None else b"%d" % made.status,
            made.error.encode(),
        )
        if not self._lines:
            self._loop.call_later(WRITE_EVERY, self.flush)
        self._lines.append(line)
        if len(self._lines) >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        lines, self._lines = self._lines, []
        for piece in _pieces(lines):
            self._stream.write(piece)
            self._stream.flush()


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines, as many as may go into a pipe without another process's coming between."""
    piece = b""
    for line in lines:
        if len(piece) + len(line) > PIPE_BUF and piece:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
