"""Publishing: an event is checked, made durable with its deliveries, and only then accepted."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import msgspec

from hooktide.actions.accounts import Accounts, being_replaced, check_reference, is_like_an_id
from hooktide.actions.publishing.intake import Intake
from hooktide.domain import ids
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.envelope import Envelope
from hooktide.domain.errors import (
    HooktideError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    is_lasting,
)
from hooktide.domain.json.payload import UnusableSchemaError, check_size, check_value, read_payload
from hooktide.domain.labels import MAX_EVENT_CHANNELS, check_channels, check_tags
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.project.project import EventType, Project, SchemaPolicy, type_of, types_by_name
from hooktide.domain.project.retention_days import check_retention_days
from hooktide.domain.time.times import read_time
from hooktide.runtime.cache import Cache
from hooktide.runtime.yielding import Yielding
from hooktide.store.base import (
    Accepted,
    AccountGone,
    AddResult,
    KeyReused,
    NewEvent,
    ProjectRow,
    Waiter,
)
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.writing.batch import in_halves
from hooktide.wire.events import MAX_KEY_LENGTH, MAX_TRANSITION_LENGTH, EventIn


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """The account does not exist, and the project does not create it: nothing was stored."""


Result: TypeAlias = Accepted | Unknown | HooktideError
Checked: TypeAlias = NewEvent | Unknown | HooktideError
"""An event of a batch: ready to store, for an unknown account, or refused."""

T = TypeVar("T")
log = logging.getLogger("hooktide.actions")

MAX_BATCH_SIZE = 1000
MAX_CACHED_PROJECTS = 10_000
NOT_OFFERED = 403
"""The status if an account is not offered webhooks, or not this event type."""
LARGE_PAYLOAD = 64 * 1024
"""Payloads of at least this many bytes are checked in a separate turn of the event loop."""


ON_PUBLISH = Actor(name="publish", source=Source.SERVER)
"""The actor for accounts created on publish."""


class _Prepared(msgspec.Struct, frozen=True, gc=False):
    """What each event of a project is checked with."""

    project: Project
    types: Mapping[str, EventType]
    envelope: Envelope


class Publisher:
    """Checks events and stores them.

    ``warned`` is called with each schema warning, ``on_accepted`` with each accepted event, its
    project's id and the time, ``unknown`` with the project's name (empty: unknown) and each event
    for an account that does not exist. ``intake`` says when events may be stored.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        accounts: Accounts,
        clock: Callable[[], Micros],
        *,
        warned: Callable[[str, InvalidError], None],
        on_accepted: Callable[[int, Accepted, Micros], None],
        unknown: Callable[[str, EventIn], None],
        intake: Intake,
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._clock = clock
        self._warned = warned
        self._tell_unknown = unknown
        self._on_accepted = on_accepted
        self.intake = intake
        self._unchecked: set[tuple[str, str, str | None]] = set()
        self._projects: Cache[int, _Prepared] = Cache(MAX_CACHED_PROJECTS)

    def tell(self, project_id: int, accepted: Accepted, now: Micros) -> None:
        """Count an accepted event; a failure to count does not affect the sender."""
        try:
            self._on_accepted(project_id, accepted, now)
        except Exception:
            log.exception("could not count event %016x", accepted.event_id)

    async def publish(self, scope: Scope, event: EventIn) -> Accepted | Unknown:
        """Accept one event: it and its deliveries are durable when this returns.

        An event for an unknown account creates the account or is discarded, depending on the
        project's ``NewAccounts``.

        :raises InvalidError: the event is invalid.
        :raises RefusedError: the project is not live, or the idempotency key was used.
        :raises UnavailableError: the database could not store it.
        """
        for _ in range(2):
            checked = await self.check(scope, event)
            if isinstance(checked, Unknown):
                return checked
            [added], now = await self._add([checked])
            if not isinstance(added, AccountGone):
                accepted = _accepted(added)
                self.tell(checked.project_id, accepted, now)
                return accepted
            self._forget_account(checked)
        raise being_replaced()

    async def _add(self, events: Sequence[NewEvent]) -> tuple[Sequence[AddResult], Micros]:
        """Store events when it is their turn; return what became of them, and when that was."""
        entered = await self.intake.enter_in_turn(len(events))
        added: Sequence[AddResult] = ()
        try:
            now = self._clock()
            added = await self._store.add_events(events, now)
            return added, now
        finally:
            self.intake.leave(entered, added)

    def _forget_account(self, gone: NewEvent) -> None:
        """Drop an event's account from the directory: it was deleted after it was looked up.

        There may be a new one with its reference that the directory does not know yet.
        """
        self._directory.changed("account", gone.account_id)

    async def publish_batch(self, scope: Scope, events: Sequence[EventIn]) -> list[Result]:
        """Accept a batch; each event gets its own result, in order.

        :raises UnavailableError: the database is unavailable, and no event is known to be stored:
        the response to a commit may have been lost.
        """
        return await self.publish_checked(scope, events, await self.check_batch(scope, events))

    async def check_batch(self, scope: Scope, events: Sequence[EventIn]) -> list[Checked]:
        """Check each event of a batch, yielding to other work in between; nothing is stored."""
        checked, yielding = [], Yielding()
        for event in events:
            await yielding.turn()
            checked.append(await _or_error(self.check(scope, event)))
        return checked

    async def publish_checked(
        self, scope: Scope, events: Sequence[EventIn], checked: Sequence[Checked]
    ) -> list[Result]:
        """Accept the valid events of a batch that ``check_batch`` has checked.

        If the database becomes unavailable halfway, each event that was not stored gets that error,
        and each stored one is accepted.

        :raises UnavailableError: as ``publish_batch``.
        """
        good = [each for each in checked if isinstance(each, NewEvent)]
        stored, now = await self._add_apart(good)
        return await self.batch_results(scope, events, checked, stored, now)

    async def batch_results(
        self,
        scope: Scope,
        events: Sequence[EventIn],
        checked: Sequence[Checked],
        added: Sequence[AddResult | HooktideError],
        now: Micros,
    ) -> list[Result]:
        """Return the results of a batch, of which ``added`` says what became of the good events.

        An event whose account was removed meanwhile is published once more.

        :raises UnavailableError: the database went away then, and none of the others was accepted.
        """
        left = iter(added)
        away: HooktideError | None = None
        results: list[Result] = []
        for event, new in zip(events, checked, strict=True):
            if not isinstance(new, NewEvent):
                results.append(new)
                continue
            found = next(left)
            if isinstance(found, AccountGone):
                self._forget_account(new)
                if away is None:
                    try:
                        results.append(await _or_error(self.publish(scope, event)))
                        continue
                    except HooktideError as error:
                        away = error.as_value()
                results.append(away)
                continue
            if isinstance(found, Accepted):
                self.tell(new.project_id, found, now)
            results.append(_result(found))
        if away is not None and not _any_accepted(results):
            raise away
        return results

    async def _add_apart(
        self, events: Sequence[NewEvent]
    ) -> tuple[list[AddResult | HooktideError], Micros]:
        """Store events; if some of them cannot be written, store the others.

        If the database becomes unavailable, the rest is not tried, so that a repeated batch is
        stored in its order.

        :raises UnavailableError: the database is unavailable, and no event is known to be stored:
        the response to a commit may have been lost.
        """
        results: list[AddResult | HooktideError] = []
        now = self._clock()
        try:
            async for _, stored in in_halves(events, self._add):
                if isinstance(stored, Exception):
                    results.append(_own(stored))
                else:
                    added, now = stored
                    results += added
        except HooktideError as error:
            if not _any_accepted(results):
                raise
            results += [error.as_value()] * (len(events) - len(results))
        return results, now

    async def check(self, scope: Scope, event: EventIn) -> NewEvent | Unknown:
        """Return an event ready to be stored; its account exists.

        :raises HooktideError: as ``publish``; nothing was stored.
        """
        account = await self._account(scope, event.account)
        if account is None:
            return await self._check_unknown(scope, event)
        project = (await self._directory.project(account.project_id)).project
        await _yield_before(event)
        return self._checked(account, project, event)

    def check_now(self, scope: Scope, event: EventIn) -> NewEvent | None:
        """Return an event ready to be stored, without waiting, or ``None`` if ``check`` is needed:
        to read something from the database, or because the check takes long.

        :raises HooktideError: as ``publish``; nothing was stored.
        """
        account = self._known_account(scope, event.account)
        if account is None or scope.project_id not in (None, account.project_id):
            return None
        row = self._directory.known_project(account.project_id)
        if row is None or row.project.schema_policy is SchemaPolicy.WARN or _takes_long(event):
            return None  # log a warning once, although the event may be checked twice
        return self._checked(account, row.project, event)

    def submit(
        self, checked: Sequence[NewEvent], now: Micros, waiter: Waiter[list[AddResult]]
    ) -> None:
        """Store events that ``check_now`` returned; ``waiter`` gets the results.

        What follows from them is for ``stored`` to do, or for ``batch_results``.

        :raises UnavailableError: the database accepts no writes now.
        """
        self._store.submit_events(checked, now, waiter)

    def stored(self, checked: NewEvent, result: AddResult, now: Micros) -> Accepted | None:
        """Return how an event was accepted; ``None``: it was not, and ``publish`` reports why."""
        if isinstance(result, Accepted):
            self.tell(checked.project_id, result, now)
            return result
        if isinstance(result, AccountGone):
            self._forget_account(checked)
        return None

    def stored_batch(
        self, checked: Sequence[NewEvent], results: Sequence[AddResult], now: Micros
    ) -> list[Accepted]:
        """Return those of a batch's events that were accepted, and count them."""
        found = zip(checked, results, strict=True)
        accepted = [(new, added) for new, added in found if isinstance(added, Accepted)]
        for new, added in accepted:
            self.tell(new.project_id, added, now)
        return [added for _, added in accepted]

    def _known_account(self, scope: Scope, text: str) -> Account | None:
        found = None
        if text.startswith("acc_"):
            with suppress(NotFoundError):  # a reference may look like an id
                found = self._directory.known_account(ids.read("acc", text))
        else:
            found = self._directory.known_account_by_reference(scope, text)
        return found

    async def _check_unknown(self, scope: Scope, event: EventIn) -> NewEvent | Unknown:
        """Check an event whose account does not exist, and create the account if configured."""
        has_id = is_like_an_id(event.account)
        if not has_id:
            check_reference(event.account, "/account")
        row = await self._project_of_unknown(scope)
        if row is None:
            return self._nobody("", event)
        new = row.project.new_accounts
        try:
            await _yield_before(event)
            payload, days = self._check_event(row.id, row.project, event, event.account)
        except RefusedError as error:
            if error.status == NOT_OFFERED:
                return self._nobody(row.project.name, event)
            raise
        if has_id or not new.create_on_publish:
            return self._nobody(row.project.name, event)
        within = Scope(project_id=row.id)
        account, _ = await self._accounts.ensure(
            ON_PUBLISH, within, None, event.account, "", new.plan or None
        )
        return self._new(account, event, payload, days)

    async def _project_of_unknown(self, scope: Scope) -> ProjectRow | None:
        """Return the project in which to create the account: the scope's, or the only one."""
        if scope.project_id is not None:
            return await self._directory.project(scope.project_id)
        found = await self._store.list_projects(scope)
        rows = [row for row in found if row.project.name != BUILT_IN]
        if len(rows) == 1:
            return rows[0]
        if any(row.project.new_accounts.create_on_publish for row in rows):
            raise InvalidError(
                "project_missing",
                "this account does not exist, and the key has access to several projects that "
                "could create it: name the project in the Hooktide-Project header, or publish with "
                "that project's key",
                pointer="/account",
            )
        return None

    def _nobody(self, project: str, event: EventIn) -> Unknown:
        self._tell_unknown(project, event)
        return Unknown()

    def _checked(self, account: Account, project: Project, event: EventIn) -> NewEvent:
        payload, days = self._check_event(account.project_id, project, event, account.reference)
        return self._new(account, event, payload, days)

    def _check_event(
        self, project_id: int, project: Project, event: EventIn, reference: str
    ) -> tuple[bytes, int]:
        """Check everything that does not depend on the account; return the payload, and after how
        many days it is erased (0: with the event)."""
        prepared = self._prepare(project_id, project)
        kind = type_of(project, prepared.types, event.type, reference)
        payload = bytes(event.payload)
        check_size(payload)
        value = read_payload(payload)
        if kind.schema is not None:
            self._check_schema(project, kind, payload, value)
        if not event.test and project.mode == "test":
            raise RefusedError(
                "project_not_live",
                f"{project.title} is in test mode and accepts only test events: publish with "
                '"test": true, or set mode = "live" in the project',
            )
        prepared.envelope.check(event.transition, payload)
        days = kind.retention_days if event.retention_days is None else event.retention_days
        if event.retention_days is not None:
            check_retention_days(event.retention_days, project.retention)
        return payload, days or 0

    def _prepare(self, project_id: int, project: Project) -> _Prepared:
        known = self._projects.get(project_id)
        if known is None or known.project is not project:
            envelope = compile_dialect(project.dialect).envelope
            known = _Prepared(project, types_by_name(project), envelope)
            self._projects.keep(project_id, known)
        return known

    async def _account(self, scope: Scope, text: str) -> Account | None:
        try:
            account = await self._find_account(scope, text)
        except NotFoundError:
            return None
        return account if scope.project_id in (None, account.project_id) else None

    async def _find_account(self, scope: Scope, text: str) -> Account:
        if text.startswith("acc_"):
            try:
                return await self._directory.account(ids.read("acc", text))
            except NotFoundError:
                pass  # a reference may look like an id
        return await self._directory.account_by_reference(scope, text)

    def _check_schema(self, project: Project, kind: EventType, payload: bytes, value: Any) -> None:
        if project.schema_policy == "off":
            return
        try:
            check_value(kind, payload, value)
        except UnusableSchemaError as error:
            self._warn_unchecked(project, kind, error.reason)
        except InvalidError as error:
            if project.schema_policy == "reject":
                raise
            self._warned(kind.name, error)

    def _warn_unchecked(self, project: Project, kind: EventType, reason: str) -> None:
        """Warn once that payloads are accepted unchecked: a newer limit must not lose events."""
        unchecked = (project.name, kind.name, kind.schema)
        if unchecked in self._unchecked:
            return
        self._unchecked.add(unchecked)
        log.warning(
            "payloads of %s in the project %s are accepted unchecked because the stored schema "
            "cannot be used (%s); store another",
            kind.name,
            project.name,
            reason,
        )

    def _new(self, account: Account, event: EventIn, payload: bytes, days: int) -> NewEvent:
        occurred_at = None if event.occurred_at is None else read_time(event.occurred_at)
        if len(event.transition) > MAX_TRANSITION_LENGTH:
            raise InvalidError(
                "transition_too_long",
                f"{MAX_TRANSITION_LENGTH} characters at most",
                pointer="/transition",
            )
        if "\0" in event.transition:
            raise InvalidError(
                "invalid_text", "U+0000 is not allowed in a text", pointer="/transition"
            )
        channels, tags = event.channels, event.tags
        if channels or tags:
            channels, tags = check_channels(channels, MAX_EVENT_CHANNELS), check_tags(tags)
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
            channels=channels,
            tags=tags,
            retention_days=days,
        )


def _takes_long(event: EventIn) -> bool:
    return len(memoryview(event.payload)) > LARGE_PAYLOAD


async def _yield_before(event: EventIn) -> None:
    """Yield to other work if an event takes long to check."""
    if _takes_long(event):
        await asyncio.sleep(0)


async def _or_error(call: Awaitable[T]) -> T | HooktideError:
    """Return a call's result, or its error, as one result of many.

    :raises UnavailableError: the database is unavailable, for all of them.
    """
    try:
        return await call
    except Exception as error:
        if not is_lasting(error):
            raise
        return _own(error)


def _any_accepted(results: Sequence[object]) -> bool:
    return any(isinstance(each, Accepted) for each in results)


def _own(error: Exception) -> HooktideError:
    """Return the error for one event of a batch; a bug of ours is explained in the log."""
    if isinstance(error, HooktideError):
        return error.as_value()
    log.error("a bug stopped an event of a batch", exc_info=error)
    return UnavailableError(
        "an internal error prevented this event from being accepted; see the server's log"
    ).as_value()


def _digest(event: EventIn, account: Account, payload: bytes) -> bytes:
    if len(event.idempotency_key) > MAX_KEY_LENGTH:
        raise InvalidError(
            "invalid_idempotency_key",
            f"it has {len(event.idempotency_key)} characters; {MAX_KEY_LENGTH} at most",
            pointer="/idempotency_key",
        )
    if "\0" in event.idempotency_key:
        raise InvalidError(
            "invalid_idempotency_key",
            "U+0000 is not allowed in it",
            pointer="/idempotency_key",
        )
    rest: tuple[Any, ...] = (
        account.id,
        event.type,
        event.occurred_at,
        event.transition,
        event.test,
    )
    if event.channels or event.tags:
        rest = (*rest, event.channels, event.tags)
    if event.retention_days is not None:
        rest = (*rest, event.retention_days)
    return hashlib.sha256(msgspec.json.encode(rest) + payload).digest()


def why_refused(added: AddResult) -> str:
    """Return why an event was refused; empty: it was not."""
    result = _result(added) if isinstance(added, KeyReused) else None
    return "" if result is None else str(result)


def _result(added: Accepted | KeyReused | HooktideError) -> Result:
    if isinstance(added, HooktideError):
        return added
    try:
        return _accepted(added)
    except HooktideError as error:
        return error.as_value()


def _accepted(added: Accepted | KeyReused) -> Accepted:
    match added:
        case Accepted():
            return added
        case KeyReused(event_id=event_id):
            raise RefusedError(
                "idempotency_key_reuse",
                f"this idempotency key was used for {ids.show('evt', event_id)}, a different "
                f"event; use a new key for a new event",
                status=422,
            )
