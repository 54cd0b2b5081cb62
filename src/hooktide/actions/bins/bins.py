"""Request bins: URLs on this server that store requests and answer by a script.

Two unguessable tokens belong to a bin. ``token`` is in the receiving URL and, prefixed with
``bin_``, is the bin's API id: it only lets a client send to the bin. ``page_token`` is in the URL
of its page: it lets a browser read and script the bin. What a bin stores is bounded in size, count,
rate and time, so even a bin whose URL becomes public costs little.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from hooktide.actions.texts import check_text
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import SECOND, Bin, BinRequest, Micros, Scope
from hooktide.runtime.cache import Cache
from hooktide.store.base import Page
from hooktide.store.contract import Store
from hooktide.wire.bins import MAX_NOTE_LENGTH, BinUpdate, NewBin, Step

MAX_KEPT_BODY = 64 * 1024
MAX_KEPT_REQUESTS = 200
MAX_KEPT_BYTES = 1_000_000
"""Per bin. With ``MAX_BINS`` it bounds the storage of an account or a project: 100 MB."""
MAX_REQUESTS_PER_SECOND = 100
MAX_CONCURRENT_REQUESTS = 100
MAX_WATCHERS = 20
MAX_BINS = 100

_TOKEN_BYTES = 18  # 144 bits
_TOKEN = re.compile(r"[A-Za-z0-9_-]{24}")
_MAX_CACHED_TRAFFIC = 10_000


@dataclass(slots=True)
class _Traffic:
    """The requests to one bin since this process started."""

    second: int = 0
    within_second: int = 0
    at_once: int = 0
    watchers: set[asyncio.Queue[int]] = field(default_factory=set)


class Bins:
    """Creates bins, stores their requests, and notifies watchers.

    The position in a script is stored, so it continues in another process and after a restart.
    """

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock
        self._traffic: Cache[str, _Traffic] = Cache(_MAX_CACHED_TRAFFIC)

    async def create(self, actor: Actor, scope: Scope, wanted: NewBin) -> Bin:
        """Create a bin that belongs to the caller.

        :raises RefusedError: the caller's scope has ``MAX_BINS`` already.
        """
        now = self._clock()
        made = Bin(
            id=0,
            token=secrets.token_urlsafe(_TOKEN_BYTES),
            page_token=secrets.token_urlsafe(_TOKEN_BYTES),
            project_id=scope.project_id,
            account_id=scope.account_id,
            script=_script_text(wanted.script),
            created_at=now,
            expires_at=now + wanted.ttl_seconds * SECOND,
        )
        return await self._store.create_bin(made, MAX_BINS, actor.does("bin.create"))

    async def find(self, scope: Scope, bin_id: str) -> Bin:
        """Find the caller's bin by its API id.

        :raises NotFoundError: it does not exist, has expired, or belongs to another scope.
        """
        head, _, token = bin_id.partition("_")
        found = await self.open(token if head == "bin" else "")
        if scope.project_id not in (None, found.project_id):
            raise NotFoundError("bin")
        if scope.account_id not in (None, found.account_id):
            raise NotFoundError("bin")
        return found

    async def change_script(
        self, actor: Actor, scope: Scope, bin_id: str, change: BinUpdate
    ) -> Bin:
        """Replace the bin's answers, and start with the first."""
        return await self.script(actor, await self.find(scope, bin_id), change)

    async def open(self, token: str) -> Bin:
        """Find a bin by the token of its receiving URL.

        :raises NotFoundError: it does not exist or has expired.
        """
        if not _TOKEN.fullmatch(token):
            raise NotFoundError("bin")
        return await self._store.get_bin(token, self._clock())

    async def open_page(self, page_token: str) -> Bin:
        """Find a bin by the token of its page.

        :raises NotFoundError: it does not exist or has expired.
        """
        if not _TOKEN.fullmatch(page_token):
            raise NotFoundError("bin")
        return await self._store.get_bin_by_page(page_token, self._clock())

    async def script(self, actor: Actor, found: Bin, change: BinUpdate) -> Bin:
        """Replace the bin's answers, and start with the first."""
        text = _script_text(change.script)
        return await self._store.update_bin(
            found.token, text, self._clock(), actor.does("bin.update")
        )

    async def requests(
        self, found: Bin, before: int | None = None, limit: int = 50, *, after: int | None = None
    ) -> Page:
        """Return the bin's requests (``BinRequest``), newest first, with ids between these two."""
        return await self._store.list_bin_requests(found.id, before, limit, after=after)

    async def request(self, found: Bin, request_id: int) -> BinRequest:
        """Find one request of a bin."""
        return await self._store.get_bin_request(found.id, request_id)

    async def note(self, actor: Actor, found: Bin, request_id: int, note: str) -> BinRequest:
        """Replace the note on one of the bin's requests; empty removes it.

        :raises InvalidError: the note is too long, or has characters that hide.
        """
        text = check_text(note, "/note", MAX_NOTE_LENGTH, lines=True)
        action = actor.does("bin.note", detail=show("req", request_id))
        noted = await self._store.note_bin_request(found, request_id, text, action)
        self._tell(found.token, request_id)
        return noted

    async def delete(self, actor: Actor, found: Bin) -> None:
        """Delete the bin and its requests."""
        await self._store.delete_bin(found.id, actor.does("bin.delete"))
        self._tell(found.token, 0)

    async def clear(self, actor: Actor, found: Bin) -> None:
        """Delete the bin's requests."""
        await self._store.clear_bin(found.id, actor.does("bin.clear"))
        self._tell(found.token, 0)

    @contextmanager
    def room(self, found: Bin) -> Iterator[bool]:
        """Yield whether the bin accepts another request: rate and concurrency are limited."""
        traffic, second = self._of(found.token), self._clock() // SECOND
        if traffic.second != second:
            traffic.second, traffic.within_second = second, 0
        if (
            traffic.within_second >= MAX_REQUESTS_PER_SECOND
            or traffic.at_once >= MAX_CONCURRENT_REQUESTS
        ):
            yield False
            return
        traffic.within_second += 1
        traffic.at_once += 1
        try:
            yield True
        finally:
            traffic.at_once -= 1

    async def next_answer(self, found: Bin) -> Step:
        """Return the next answer; the last one of a script repeats."""
        script, turn = read_script(found.script), 0
        if (
            len(script) > 1
        ):  # the script may have been replaced since: the turn belongs to the current one
            turn, text = await self._store.take_bin_turn(found.id)
            script = read_script(text)
        return script[min(turn, len(script) - 1)] if script else Step()

    async def keep(self, request: BinRequest, token: str) -> None:
        """Store a request, deleting the bin's oldest ones if needed, and notify watchers."""
        kept = await self._store.add_bin_request(request, MAX_KEPT_REQUESTS, MAX_KEPT_BYTES)
        self._tell(token, kept.id)

    @contextmanager
    def watch(self, found: Bin) -> Iterator[asyncio.Queue[int] | None]:
        """Return a queue that receives each request's id (0: cleared), or ``None`` if too many
        watch."""
        watchers = self._of(found.token).watchers
        if len(watchers) >= MAX_WATCHERS:
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
                news.get_nowait()  # the newest is enough: a watcher reads the whole list
            news.put_nowait(request_id)

    def _of(self, token: str) -> _Traffic:
        traffic = self._traffic.get(token)
        if traffic is None:
            traffic = _Traffic()
            self._traffic.keep(token, traffic)
        return traffic


def read_script(text: str) -> list[Step]:
    """Read a bin's stored answers."""
    return msgspec.json.decode(text or "[]", type=list[Step])


def _script_text(script: list[Step]) -> str:
    return msgspec.json.encode(script).decode()
