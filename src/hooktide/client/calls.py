"""What a call is, how its answer is read, and when it is made again. Nothing waits or sends."""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from hooktide import __version__
from hooktide.client.errors import (
    ClientError,
    Problem,
    UnexpectedAnswerError,
    UnreachableError,
    problem_error,
    read_problem,
)
from hooktide.client.shapes import NewEvent
from hooktide.domain.errors import ConfigError

T = TypeVar("T")

JSON = "application/json"
TOML = "application/toml"
DEFAULT_URL = "http://127.0.0.1:8080"
PAGE = 100
MOST_IN_BATCH = 1000
MOST_BYTES_IN_BATCH = 8_000_000
"""The server takes 1,000 events and 10 MB at once."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to ask, and with which key."""

    url: str
    key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each call."""
        return {
            "authorization": f"Bearer {self.key}",
            "accept": JSON,
            "user-agent": f"hooktide-python/{__version__}",
        }


def find_server(url: str | None, key: str | None) -> Server:
    """Return the server that is given, or that the environment names.

    :raises ConfigError: there is no key, or the URL is none.
    """
    environment = os.environ.get
    url = url or environment("HOOKTIDE_URL") or environment("HOOKTIDE_SERVER") or DEFAULT_URL
    key = key or environment("HOOKTIDE_KEY") or environment("HOOKTIDE_OPERATOR_KEY")
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ConfigError(f"{url!r} is not like {DEFAULT_URL}", key="url")
    if not key:
        raise ConfigError("give a key, or set HOOKTIDE_KEY", key="key")
    if not key.isascii() or not key.isprintable():
        raise ConfigError("a key is printable ASCII, like htk_...; is this one?", key="key")
    return Server(url.rstrip("/"), key)


# -- what is asked ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """One call. ``again``: that it may have been done already is no reason not to repeat it."""

    method: str
    path: str
    body: bytes = b""
    kind: str = JSON
    again: bool = False
    idempotency_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this call adds."""
        return {"content-type": self.kind} if self.body else {}


def ask(
    method: str,
    path: str,
    names: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    *,
    again: bool | None = None,
) -> Ask:
    """Make a call of a path like ``/v1/accounts/{account}`` and what its names stand for.

    ``body`` is sent as JSON; one that is text is a project's file.
    """
    place = path.format_map({name: _segment(each) for name, each in (names or {}).items()})
    given = [f"{k}={quote(str(v), safe='')}" for k, v in (query or {}).items() if v is not None]
    content = b"" if body is None else body.encode() if isinstance(body, str) else encode(body)
    return Ask(
        method,
        place + ("?" + "&".join(given) if given else ""),
        content,
        TOML if isinstance(body, str) else JSON,
        method != "POST" if again is None else again,
    )


def _segment(text: str) -> str:
    quoted = quote(text, safe="")
    return quoted.replace(".", "%2E") if quoted in {"", ".", ".."} else quoted


def encode(value: Any) -> bytes:
    """Write JSON; a Decimal as the number that it is, bytes as the JSON that they are."""
    return _ENCODER.encode(value)


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not UNSET."""
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


def instant(at: datetime | str | None) -> str | None:
    """Write an instant as the API reads it.

    :raises ValueError: it does not say its offset, so nobody knows when it is.
    """
    if at is None or isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise ValueError("give a datetime with a time zone, as datetime.now(UTC) has one")
    return at.astimezone(UTC).isoformat()


# -- what is published -----------------------------------------------------------------------------


def event_body(event: NewEvent) -> bytes:
    """Write an event; a payload that is bytes stays as it is."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    payload = fields["payload"]
    if isinstance(payload, bytes | bytearray | msgspec.Raw):
        fields["payload"] = msgspec.Raw(bytes(payload))
    fields["occurred_at"] = instant(event.occurred_at)
    return encode(
        {
            name: value
            for name, value in fields.items()
            if value not in (None, "", False) or name == "payload"
        }
    )


Batch: TypeAlias = list[tuple[NewEvent, bytes]]


def batches(events: Iterable[NewEvent]) -> Iterator[Batch]:
    """Divide events into as few calls as the server takes them in."""
    batch: Batch = []
    size = 0
    for event in events:
        body = event_body(event)
        if batch and (len(batch) == MOST_IN_BATCH or size + len(body) > MOST_BYTES_IN_BATCH):
            yield batch
            batch, size = [], 0
        batch.append((event, body))
        size += len(body)
    if batch:
        yield batch


def batch_ask(batch: Batch) -> Ask:
    """Make the call that publishes a batch; each event has its key, so it may be repeated."""
    return Ask("POST", "/v1/events", b"[" + b",".join(body for _, body in batch) + b"]", again=True)


class Result(msgspec.Struct):
    """What the server says of one event of a batch."""

    status: int
    id: str = ""
    deliveries: int = 0
    problem: Problem | None = None

    @property
    def unavailable(self) -> bool:
        """Whether the event was not taken for now, and may be asked for again."""
        return self.status == 503


class Results(msgspec.Struct):
    """What the server says of a batch, in its order."""

    results: list[Result]


class Page(msgspec.Struct, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None


class Items(msgspec.Struct, Generic[T]):
    """A list that comes whole."""

    items: list[T]


# -- what is answered ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read(asked: Ask, answer: Answer, kind: type[T]) -> T:
    """Return what was asked for.

    :raises ProblemError: the server refused.
    :raises UnexpectedAnswerError: it is not what a Hooktide server answers.
    """
    if not 200 <= answer.status < 300:
        raise error_of(asked, answer)
    if kind is bytes:
        return answer.body  # type: ignore[return-value]
    try:
        return msgspec.json.decode(answer.body or b"null", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswerError(
            f"{asked.method} {asked.path} was answered {answer.status} with something else than a "
            f"Hooktide server of version {__version__} does ({error}); check the URL",
            answer.status,
        ) from None


def error_of(asked: Ask, answer: Answer) -> ClientError:
    """Return the error that an answer is."""
    problem = read_problem(answer.body, answer.status)
    if problem is not None:
        return problem_error(problem, retry_after(answer))
    where = answer.headers.get("location", "")
    return UnexpectedAnswerError(
        f"{asked.method} {asked.path} was answered {answer.status}, and not by a Hooktide server: "
        + (f"use the URL that it leads to, {where}" if where else "check the URL, and any proxy"),
        answer.status,
    )


def retry_after(answer: Answer) -> float | None:
    """Return how many seconds an answer asks to wait."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo else None


# -- when it is asked again ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is repeated, and how long is waited for that.

    Waits double, from ``first`` to ``longest`` seconds, less up to a half by chance. A Retry-After
    is kept to; one beyond ``longest`` is the caller's to wait for.
    """

    retries: int = 4
    first: float = 0.25
    longest: float = 10.0
    chance: Callable[[], float] = random.random

    def after_answer(self, asked: Ask, answer: Answer, made: int) -> float | None:
        """Return how long to wait before the next try; None: there is none.

        A 429 was not done. Any other call that may not be repeated is not: a 503 and a proxy's 502
        may come after it was.
        """
        if answer.status not in _AGAIN or not (asked.again or answer.status == 429):
            return None
        told = retry_after(answer)
        if told is not None and told > self.longest:
            return None
        wait = self.wait(made)
        return None if wait is None else max(wait, told or 0.0)

    def after_silence(self, asked: Ask, made: int, *, sent: bool) -> float | None:
        """Return the same for a call that no answer came to."""
        return self.wait(made) if asked.again or not sent else None

    def wait(self, made: int) -> float | None:
        """Return how long to wait after so many tries; None: they were enough."""
        if made > self.retries:
            return None
        return float(min(self.longest, self.first * 2 ** (made - 1)) * (1 - self.chance() / 2))


_AGAIN = frozenset({429, 502, 503, 504})


def removed_before(asked: Ask, answer: Answer, made: int) -> bool:
    """Whether a repeated DELETE only finds that the first one was done."""
    return asked.method == "DELETE" and answer.status == 404 and made > 1


def silence(server: Server, asked: Ask, reason: str, *, sent: bool) -> UnreachableError:
    """Return the error of a call that no answer came to."""
    told = reason or "it did not answer in time"
    if sent:
        detail = f"{server.url} was asked, and no answer came ({told}); it may have been done"
    else:
        detail = f"cannot reach {server.url} ({told}); is the server running?"
    return UnreachableError(detail, sent=sent, idempotency_key=asked.idempotency_key)
