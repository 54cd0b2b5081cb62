"""Endpoints: added, changed, disabled, rotated, tested, within what project and plan allow."""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hooktide.actions.accounts import Accounts
from hooktide.actions.texts import check_text
from hooktide.domain.address import Target, UrlPolicy, check_url
from hooktide.domain.chat import kind_of, shown_url
from hooktide.domain.errors import BusyError, Fault, InvalidError, LimitError, RefusedError
from hooktide.domain.headers import header_lines
from hooktide.domain.mail import check_mailto, is_mailto
from hooktide.domain.model import (
    BY_HAND,
    MINUTE,
    Account,
    Attempt,
    Claim,
    Endpoint,
    EndpointKind,
    Micros,
    Scope,
    Secret,
)
from hooktide.domain.operations import PROJECT as BUILT_IN
from hooktide.domain.operations import limit_reached
from hooktide.domain.project import (
    EventType,
    Project,
    check_offered,
    check_patterns,
    offered,
    plan_of,
    wants,
)
from hooktide.domain.signing import new_secret
from hooktide.store.base import NewEvent, Store
from hooktide.store.directory import Directory

TryNow: TypeAlias = Callable[[Claim], Awaitable[Attempt | None]]

LONGEST_NAME = 100
LONGEST_DESCRIPTION = 1000
MOST_TYPES = 100
MOST_TESTS = 5
TEST_AGAIN_AFTER = 5
MASK = "****"
"""Stands where something is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An endpoint as someone asks for it; without a kind, its URL says which it is."""

    url: str
    event_types: tuple[str, ...]
    kind: EndpointKind | None = None
    name: str = ""
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Rotated:
    """An endpoint's new secret, and when the old one stops (or has stopped)."""

    endpoint: Endpoint
    secret: Secret
    old_stops_at: Micros


@dataclass(frozen=True, slots=True)
class Tested:
    """A test that was made: of which event, for which project, and what came back."""

    claim: Claim
    attempt: Attempt
    project: Project


class Endpoints:
    """Does what is asked with endpoints, within a scope."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        accounts: Accounts,
        url_policy: UrlPolicy,
        clock: Callable[[], Micros],
        try_now: TryNow,
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._policy = url_policy
        self._clock = clock
        self._try_now = try_now
        self._testing: Counter[int] = Counter()

    async def add(
        self,
        scope: Scope,
        account_text: str | None,
        wanted: Wanted,
        given: Secret | None = None,
    ) -> tuple[Endpoint, Secret]:
        """Add an endpoint to an account (the key's own where none is named).

        ``given`` is the secret that its receiver has already; None: it gets a new one.

        :raises InvalidError: something about it cannot be used.
        :raises RefusedError: the account is not offered webhooks.
        :raises LimitError: its plan allows no more endpoints.
        """
        account = await self._account(scope, account_text)
        project = await self._project(account.project_id)
        check_offered(project, account.reference)
        checked = self._check(_given(wanted), project, account)
        now = self._clock()
        new = Endpoint(
            id=0,
            project_id=account.project_id,
            account_id=account.id,
            created_at=now,
            changed_at=now,
            **checked,
        )
        secret, limit = given or _make_secret(), plan_of(project, account.plan).endpoints
        try:
            return await self._store.add_endpoint(new, secret, limit, now), secret
        except LimitError as error:
            happening = limit_reached(account.id, "endpoints", error.limit, now)
            await self._store.add_happening(happening)
            raise

    async def _account(self, scope: Scope, text: str | None) -> Account:
        if text is not None:
            return await self._accounts.find(scope, text)
        if scope.account_id is None:
            raise InvalidError(
                "account_missing", "say which account the endpoint is for", pointer="/account"
            )
        return await self._store.get_account(scope, scope.account_id)

    async def _project(self, project_id: int) -> Project:
        return (await self._directory.project(project_id)).project

    def _check(
        self,
        given: Mapping[str, Any],
        project: Project,
        account: Account,
        old: Endpoint | None = None,
    ) -> dict[str, Any]:
        """Return the fields that are given, checked, as the store keeps them."""
        checked: dict[str, Any] = dict(given)
        kind = checked.pop("kind", None)
        if "url" in given or kind is not None:
            checked |= self._check_url(given.get("url"), kind, project, old)
        if "event_types" in given:
            checked["event_types"] = _check_types(given["event_types"], project, account)
        if "name" in given:
            checked["name"] = check_text(given["name"], "/name", LONGEST_NAME)
        if "description" in given:
            checked["description"] = check_text(
                given["description"], "/description", LONGEST_DESCRIPTION, lines=True
            )
        if "headers" in given:
            checked["headers"] = _check_headers(given["headers"], project)
        return checked

    def _check_url(
        self, text: str | None, kind: EndpointKind | None, project: Project, old: Endpoint | None
    ) -> dict[str, Any]:
        """Check a URL (None: the old one) and what kind of endpoint it makes.

        What is shown of an endpoint's URL means the URL that it has.
        """
        if old is not None and text in (None, old.url):
            text, kind = old.address, kind or old.kind
        mail = text is not None and is_mailto(text) and project.name == BUILT_IN
        if mail or kind is EndpointKind.MAIL:
            return self._check_mail(text or "", kind, project)
        target = self._read_url(text or "")
        kind = kind_of(target, kind, self._policy)
        shown = shown_url(target.url, kind)
        return {"url": shown, "kind": kind, "secret_url": "" if shown == target.url else target.url}

    def _check_mail(self, text: str, kind: EndpointKind | None, project: Project) -> dict[str, Any]:
        """Check a mail address: only who watches over Hooktide gets mail, never a customer."""
        if project.name != BUILT_IN:
            why = f"only operational events go by mail, to accounts of the project {BUILT_IN}"
        elif not self._policy.mail:
            why = "this server has no mail relay; its operator gives one with --smtp-url"
        elif kind not in (None, EndpointKind.MAIL):
            why = "this is a mail address"
        else:
            return {"url": check_mailto(text), "kind": EndpointKind.MAIL, "secret_url": ""}
        raise InvalidError("invalid_kind", why, pointer="/kind")

    def _read_url(self, text: str) -> Target:
        try:
            target = check_url(text, self._policy)
        except InvalidError as error:
            raise _under("invalid_url", error, "/url") from None
        if target.path.endswith(f"/{MASK}"):
            raise InvalidError(
                "invalid_url", "this URL has its secret left out; give the whole", pointer="/url"
            )
        return target

    async def change(self, scope: Scope, endpoint_id: int, given: Mapping[str, Any]) -> Endpoint:
        """Change what is given: any of the fields of ``Wanted``.

        :raises InvalidError: something about it cannot be used.
        """
        old = await self._store.get_endpoint(scope, endpoint_id)
        if not given:
            return old
        account = await self._directory.account(old.account_id)
        checked = self._check(given, await self._project(old.project_id), account, old)
        return await self._store.change_endpoint(scope, endpoint_id, checked, self._clock())

    async def disable(self, scope: Scope, endpoint_id: int) -> Endpoint:
        """Send nothing more to an endpoint."""
        return await self._store.disable_endpoint(scope, endpoint_id, BY_HAND, self._clock())

    async def enable(self, scope: Scope, endpoint_id: int) -> Endpoint:
        """Send to an endpoint again."""
        return await self._store.enable_endpoint(scope, endpoint_id, self._clock())

    async def remove(self, scope: Scope, endpoint_id: int) -> None:
        """Remove an endpoint; what is pending for it is discarded."""
        await self._store.remove_endpoint(scope, endpoint_id, self._clock())

    async def rotate(self, scope: Scope, endpoint_id: int) -> Rotated:
        """Sign with a new secret; the old one signs along for the project's overlap.

        :raises RefusedError: too many secrets sign already.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        overlap = (await self._project(endpoint.project_id)).rotation_overlap
        secret, now = _make_secret(), self._clock()
        rotated = await self._store.rotate_secret(scope, endpoint_id, secret, overlap, now)
        return Rotated(rotated, secret, now + overlap)

    async def test(self, scope: Scope, endpoint_id: int, type_name: str | None) -> Tested:
        """Send a test event at once, through the real way, and wait for what comes back.

        Without a type: the first one that the endpoint wants.

        :raises InvalidError: the project has no such type.
        :raises RefusedError: the endpoint is disabled.
        :raises BusyError: its account has ``MOST_TESTS`` out.
        :raises LimitError: the plan's hour is full.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        with self._one_test(endpoint.account_id):
            return await self._test(scope, endpoint, type_name)

    @contextmanager
    def _one_test(self, account_id: int) -> Iterator[None]:
        """Let so many tests be out for an account: they wait for receivers beside all slots."""
        if self._testing[account_id] >= MOST_TESTS:
            raise BusyError(
                "too_many_tests",
                f"{MOST_TESTS} tests of this account are out already; wait for one to end",
                retry_after=TEST_AGAIN_AFTER,
            )
        self._testing[account_id] += 1
        try:
            yield
        finally:
            self._testing[account_id] -= 1
            if not self._testing[account_id]:
                del self._testing[account_id]

    async def _test(self, scope: Scope, endpoint: Endpoint, type_name: str | None) -> Tested:
        project = await self._project(endpoint.project_id)
        account = await self._directory.account(endpoint.account_id)
        kind = _test_type(project, account, endpoint, type_name)
        event = NewEvent(
            project_id=endpoint.project_id,
            account_id=endpoint.account_id,
            type=kind.name,
            payload=kind.example.encode(),
            transition=kind.transition,
            test=True,
        )
        claim = await self._store.add_test(scope, endpoint.id, event, self._clock(), MINUTE)
        attempt = await self._try_now(claim)
        if attempt is None:
            raise RefusedError("endpoint_disabled", "the endpoint was disabled just now")
        return Tested(claim, attempt, project)


def _given(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in Wanted.__slots__}


def _make_secret() -> Secret:
    return new_secret(secrets.token_bytes(32))


def _check_types(patterns: tuple[str, ...], project: Project, account: Account) -> tuple[str, ...]:
    if len(patterns) > MOST_TYPES:
        raise InvalidError("too_many_event_types", f"{MOST_TYPES} at most", pointer="/event_types")
    check_patterns(project, patterns, account.reference)
    return tuple(dict.fromkeys(patterns))


def _check_headers(headers: Mapping[str, str], project: Project) -> tuple[tuple[str, str], ...]:
    pairs = tuple(headers.items())
    try:
        header_lines(pairs, project.dialect.header_names)
    except InvalidError as error:
        raise _under("invalid_headers", error, "/headers") from None
    return pairs


def _under(code: str, error: InvalidError, pointer: str) -> InvalidError:
    """Tell a rule's own code inside a problem that has a name of its own."""
    found = InvalidError(code, error.detail)
    found.faults = tuple(
        Fault(fault.pointer or pointer, fault.code, fault.detail) for fault in error.faults
    )
    return found


def _test_type(
    project: Project, account: Account, endpoint: Endpoint, name: str | None
) -> EventType:
    for kind in offered(project, account.reference):
        if kind.name == name or (name is None and wants(endpoint.event_types, kind.name)):
            return kind
    raise InvalidError(
        "unknown_event_type",
        "there is no such event type for this account"
        if name is not None
        else "none of the account's event types is one that the endpoint wants; name one",
        pointer="/event_type",
    )
