"""A webhook server that somebody has started: where events go, and what they look like.

A JSON file describes it. ``body`` is the request's body, JSON or a text; in its texts ``{number}``
is replaced by the number that the receiver looks for, and ``{padding}`` by as many letters as make
the whole body ``size`` bytes long. ``pids`` are all of its processes, with those of its databases
and brokers; their descendants count, too.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.generator import PLACE
from bench.processes import BenchError

NUMBER, PADDING = "{number}", "{padding}"


class Target(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A server, as its file describes it.

    Its endpoints, ``fan_out`` of them for each event, are at ``http://127.0.0.1:RECEIVER_PORT/``;
    each has a path of its own. ``version`` and ``settings`` are repeated in the report. Where a
    request holds several ``events``, its body has a ``{number}`` for each of them.
    """

    name: str
    url: str
    body: Any
    receiver_port: int
    pids: list[int]
    headers: dict[str, str] = {}
    size: int = 0
    fan_out: int = 1
    events: int = 1
    version: str = ""
    settings: str = ""

    @property
    def port(self) -> int:
        """Where it listens."""
        port = urlsplit(self.url).port
        if port is None:
            raise BenchError(f"{self.name}: the url needs a port: {self.url}")
        return port

    def request(self) -> bytes:
        """Return the request that publishes, with a place for its number.

        :raises BenchError: the body has no place for a number.
        """
        text = self.body if isinstance(self.body, str) else msgspec.json.encode(self.body).decode()
        places = text.count(NUMBER)
        if not places or (self.events > 1 and places != self.events):
            raise BenchError(f'{self.name}: the body needs a "{NUMBER}" for each event')
        text = text.replace(NUMBER, PLACE.decode())
        missing = self.size - len(text.encode()) + len(PADDING)
        body = text.replace(PADDING, "x" * max(0, missing)).encode()
        url = urlsplit(self.url)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        given = {"host": url.netloc, "content-type": "application/json"}
        given |= {name.lower(): value for name, value in self.headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        head = f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        return head.encode() + body


def read_target(file: Path) -> Target:
    """Read a target's file.

    :raises BenchError: it is not one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Target)
    except (OSError, msgspec.MsgspecError) as error:
        raise BenchError(f"{file}: {error}") from None
