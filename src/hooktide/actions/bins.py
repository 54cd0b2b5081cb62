"""Request bins: URLs on this server that keep what they are sent and answer by a script.

A bin's token is the unguessable part of its URL and all that is needed to look into it; its API
id is ``bin_`` and the token. What a bin keeps is bounded in size, count, rate and time, so a bin
that strangers find costs no more than one that they do not.
"""

import asyncio
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import SECOND, Bin, BinRequest, Micros, Scope
from hooktide.store.base import Page, Store

KEEP_BODY = 64 * 1024
KEEP_REQUESTS = 200
MOST_A_SECOND = 100
MOST_AT_ONCE = 100
MOST_WATCHERS = 20
MOST_BINS = 100

_TOKEN_BYTES = 18  # 144 bits
_TOKEN = re.compile(r"[A-Za-z0-9_-]{24}")
_BINS_REMEMBERED = 10_000


class AnswerHeaders(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"retry_after": "Retry-After"},
):
    """The headers an answer may set.

    There is but one: a ``Location`` would make the bin an open redirector, a content type a place
    for phishing, and proxies obey some ``X-`` headers.
    """

    retry_after: Annotated[str, msgspec.Meta(pattern="^[ -~]{1,200}$")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a bin: a status, after ``delay_ms``, with a plain text body."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)] = 200
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    body: Annotated[str, msgspec.Meta(max_length=4096)] = "ok\n"
    headers: AnswerHeaders = AnswerHeaders()


Script = Annotated[list[Step], msgspec.Meta(max_length=100)]


class NewBin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bin as it is asked for: its answers in turn (none: always 200) and how long it lives."""

    script: Script = []
    ttl_seconds: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = 7 * 86_400


class BinChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New answers for a bin, given from the first one on."""

    script: Script


@dataclass(slots=True)
class _Traffic:
    """What one bin has been up to since this process started."""

    turn: int = 0
    second: int = 0
    within_second: int = 0
    at_once: int = 0
    watchers: set[asyncio.Queue[int]] = field(default_factory=set)


class Bins:
    """Makes bins, keeps what they are sent, and tells those who watch.

    The turn in a script is counted in memory: after a restart a bin begins its script again.
    """

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock
        self._traffic: OrderedDict[str, _Traffic] = OrderedDict()

    # -- for whoever owns the bin --------------------------------------------------------------

    async def add(self, scope: Scope, wanted: NewBin) -> Bin:
        """Make a bin that belongs to the caller.

        :raises RefusedError: the caller's scope has ``MOST_BINS`` already.
        """
        now = self._clock()
        made = Bin(
            id=0,
            token=secrets.token_urlsafe(_TOKEN_BYTES),
            project_id=scope.project_id,
            account_id=scope.account_id,
            script=_script_text(wanted.script),
            created_at=now,
            expires_at=now + wanted.ttl_seconds * SECOND,
        )
        return await self._store.add_bin(made, MOST_BINS)

    async def find(self, scope: Scope, bin_id: str) -> Bin:
        """Find the caller's bin by its API id.

        :raises NotFoundError: there is none, it has expired, or it is somebody else's.
        """
        head, _, token = bin_id.partition("_")
        found = await self.open(token if head == "bin" else "")
        if scope.project_id not in (None, found.project_id):
            raise NotFoundError("bin")
        if scope.account_id not in (None, found.account_id):
            raise NotFoundError("bin")
        return found

    async def change_script(self, scope: Scope, bin_id: str, change: BinChange) -> Bin:
        """Give the bin other answers, and begin with the first of them."""
        return await self.script(await self.find(scope, bin_id), change)

    # -- for whoever knows the URL -------------------------------------------------------------

    async def open(self, token: str) -> Bin:
        """Find a bin by its token.

        :raises NotFoundError: there is none, or it has expired.
        """
        if not _TOKEN.fullmatch(token):
            raise NotFoundError("bin")
        return await self._store.get_bin(token, self._clock())

    async def script(self, found: Bin, change: BinChange) -> Bin:
        """Give the bin other answers, and begin with the first of them."""
        text = _script_text(change.script)
        changed = await self._store.change_bin(found.token, text, self._clock())
        self._of(found.token).turn = 0
        return changed

    async def requests(self, found: Bin, before: int | None = None, limit: int = 50) -> Page:
        """Return what the bin was sent (``BinRequest``), newest first."""
        return await self._store.list_bin_requests(found.id, before, limit)

    async def request(self, found: Bin, request_id: int) -> BinRequest:
        """Find one request of a bin."""
        return await self._store.get_bin_request(found.id, request_id)

    async def remove(self, found: Bin) -> None:
        """Remove the bin, and forget what it was sent."""
        await self._store.remove_bin(found.id)
        self._tell(found.token, 0)

    async def clear(self, found: Bin) -> None:
        """Forget what the bin was sent."""
        await self._store.clear_bin(found.id)
        self._tell(found.token, 0)

    # -- for whoever sends to it ---------------------------------------------------------------

    @contextmanager
    def room(self, found: Bin) -> Iterator[bool]:
        """Say whether the bin takes one request more: so many a second, so many at once."""
        traffic, second = self._of(found.token), self._clock() // SECOND
        if traffic.second != second:
            traffic.second, traffic.within_second = second, 0
        if traffic.within_second >= MOST_A_SECOND or traffic.at_once >= MOST_AT_ONCE:
            yield False
            return
        traffic.within_second += 1
        traffic.at_once += 1
        try:
            yield True
        finally:
            traffic.at_once -= 1

    def next_answer(self, found: Bin) -> Step:
        """Return the answer whose turn it is; the last one of a script repeats."""
        script = read_script(found)
        if not script:
            return Step()
        traffic = self._of(found.token)
        step = script[min(traffic.turn, len(script) - 1)]
        traffic.turn += 1
        return step

    async def keep(self, request: BinRequest, token: str) -> None:
        """Keep a request, the bin's oldest ones making room for it, and tell those who watch."""
        kept = await self._store.add_bin_request(request, KEEP_REQUESTS)
        self._tell(token, kept.id)

    # -- for whoever watches -------------------------------------------------------------------

    @contextmanager
    def watch(self, found: Bin) -> Iterator[asyncio.Queue[int] | None]:
        """Give a queue that hears of each request's id (0: cleared); None: too many watch."""
        watchers = self._of(found.token).watchers
        if len(watchers) >= MOST_WATCHERS:
            yield None
            return
        news: asyncio.Queue[int] = asyncio.Queue(1)
        watchers.add(news)
        try:
            yield news
        finally:
            watchers.discard(news)

    def _tell(self, token: str, request_id: int) -> None:
        for news in self._of(token).watchers:
            if news.full():
                news.get_nowait()  # the newest says it all: a watcher looks at the whole list
            news.put_nowait(request_id)

    def _of(self, token: str) -> _Traffic:
        traffic = self._traffic.setdefault(token, _Traffic())
        self._traffic.move_to_end(token)
        if len(self._traffic) > _BINS_REMEMBERED:
            self._traffic.popitem(last=False)
        return traffic


def read_script(found: Bin) -> list[Step]:
    """Return the answers a bin gives."""
    return msgspec.json.decode(found.script or "[]", type=list[Step])


def _script_text(script: list[Step]) -> str:
    return msgspec.json.encode(script).decode()
