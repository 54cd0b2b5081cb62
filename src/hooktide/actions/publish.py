"""Publishing: an event is checked, made durable with its deliveries, and only then accepted."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from hooktide.domain import ids
from hooktide.domain.compose import compile_dialect
from hooktide.domain.envelope import Envelope
from hooktide.domain.errors import (
    HooktideError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.payload import check_payload, check_schema
from hooktide.domain.project import EventType, Project, type_of
from hooktide.domain.times import read_time
from hooktide.store.base import Accepted, AccountGone, AddResult, KeyReused, NewEvent, Store
from hooktide.store.directory import Directory


class EventIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An event as it is published. ``account`` is an ``acc_`` id or the product's own reference."""

    account: str
    type: str
    payload: msgspec.Raw
    occurred_at: str | None = None
    transition: str = ""
    idempotency_key: str = ""
    test: bool = False


Result: TypeAlias = Accepted | HooktideError

MOST_IN_BATCH = 1000
LONGEST_KEY = 255
LONGEST_TRANSITION = 200


class Publisher:
    """Checks events and stores them.

    ``warned`` hears of what a schema only warns about, ``told`` of each event of a project (by id)
    that was accepted, and when.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Callable[[], Micros],
        warned: Callable[[str, InvalidError], None],
        told: Callable[[int, Accepted, Micros], None],
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._warned = warned
        self.told = told
        self._envelopes: dict[int, tuple[Project, Envelope]] = {}

    async def publish(self, scope: Scope, event: EventIn) -> Accepted:
        """Accept one event: it and its deliveries are durable when this returns.

        :raises InvalidError: something is wrong with the event.
        :raises NotFoundError: there is no such account.
        :raises RefusedError: the project is not live, or the idempotency key was used.
        :raises UnavailableError: the database did not take it.
        """
        checked = await self.check(scope, event)
        now = self._clock()
        [added] = await self._store.add_events([checked], now)
        accepted = _accepted(added)
        self.told(checked.project_id, accepted, now)
        return accepted

    async def publish_batch(self, scope: Scope, events: Sequence[EventIn]) -> list[Result]:
        """Accept a batch; each event has its own answer, in order.

        :raises UnavailableError: the database is away; who sends all of it again keeps its order.
        """
        results: list[Result | None] = []
        good: list[NewEvent] = []
        for event in events:
            try:
                good.append(await self.check(scope, event))
                results.append(None)
            except UnavailableError:
                raise
            except HooktideError as error:
                results.append(error)
        now = self._clock()
        stored = await self._store.add_events(good, now) if good else ()
        for new, result in zip(good, stored, strict=True):
            if isinstance(result, Accepted):
                self.told(new.project_id, result, now)
        added = iter(stored)
        return [_result(next(added)) if found is None else found for found in results]

    async def check(self, scope: Scope, event: EventIn) -> NewEvent:
        """Return an event as it is stored.

        :raises HooktideError: as ``publish``; nothing was stored.
        """
        account = await self._account(scope, event.account)
        project = (await self._directory.project(account.project_id)).project
        kind = type_of(project, event.type, account.reference)
        payload = bytes(event.payload)
        check_payload(payload)
        if kind.schema is not None:
            self._check_schema(project, kind, payload)
        if not event.test and project.mode == "test":
            raise RefusedError(
                "project_not_live",
                f"{project.title} is in test mode and takes only test events: publish with "
                '"test": true, or set mode = "live" in the project',
            )
        self._envelope(account.project_id, project).check(event.transition, payload)
        return self._new(account, event, payload)

    def _envelope(self, project_id: int, project: Project) -> Envelope:
        known = self._envelopes.get(project_id)
        if known is None or known[0] is not project:
            known = (project, compile_dialect(project.dialect).envelope)
            self._envelopes[project_id] = known
        return known[1]

    async def _account(self, scope: Scope, text: str) -> Account:
        account = await self._find_account(scope, text)
        if scope.project_id not in (None, account.project_id):
            raise NotFoundError("account")
        return account

    async def _find_account(self, scope: Scope, text: str) -> Account:
        if text.startswith("acc_"):
            try:
                return await self._directory.account(ids.read("acc", text))
            except NotFoundError:
                pass  # a reference may look like an id
        if scope.project_id is None:
            return await self._store.find_account(scope, text)
        return await self._directory.account_by_reference(scope.project_id, text)

    def _check_schema(self, project: Project, kind: EventType, payload: bytes) -> None:
        if project.schema_policy == "off":
            return
        try:
            check_schema(kind, payload)
        except InvalidError as error:
            if project.schema_policy == "reject":
                raise
            self._warned(kind.name, error)

    def _new(self, account: Account, event: EventIn, payload: bytes) -> NewEvent:
        occurred_at = None if event.occurred_at is None else read_time(event.occurred_at)
        if len(event.transition) > LONGEST_TRANSITION:
            raise InvalidError(
                "transition_too_long", "200 characters at most", pointer="/transition"
            )
        if "\0" in event.transition:
            raise InvalidError(
                "invalid_text", "U+0000 is not allowed in a text", pointer="/transition"
            )
        return NewEvent(
            project_id=account.project_id,
            account_id=account.id,
            type=event.type,
            payload=payload,
            occurred_at=occurred_at,
            transition=event.transition,
            test=event.test,
            idempotency_key=event.idempotency_key,
            digest=_digest(event, account, payload) if event.idempotency_key else b"",
        )


def _digest(event: EventIn, account: Account, payload: bytes) -> bytes:
    if len(event.idempotency_key) > LONGEST_KEY or "\0" in event.idempotency_key:
        raise InvalidError(
            "invalid_idempotency_key",
            "255 characters at most, and none of them U+0000",
            pointer="/idempotency_key",
        )
    rest = (account.id, event.type, event.occurred_at, event.transition, event.test)
    return hashlib.sha256(msgspec.json.encode(rest) + payload).digest()


def why_refused(added: AddResult) -> str:
    """Say why an event was not stored; empty: it was."""
    result = _result(added)
    return "" if isinstance(result, Accepted) else str(result)


def _result(added: AddResult) -> Result:
    try:
        return _accepted(added)
    except HooktideError as error:
        return error


def _accepted(added: AddResult) -> Accepted:
    match added:
        case Accepted():
            return added
        case KeyReused(event_id=event_id):
            raise RefusedError(
                "idempotency_key_reuse",
                f"this idempotency key was used for {ids.show('evt', event_id)}, which was "
                "another event; use a new key for a new event",
                status=422,
            )
        case AccountGone():
            raise NotFoundError("account")
