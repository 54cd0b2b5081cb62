"""Endpoints: created, updated, disabled, rotated, tested, within the limits of project and plan."""

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hooktide.actions.accounts import Accounts, check_reference, is_like_an_id
from hooktide.actions.endpoint_fields import check_fields
from hooktide.actions.rate_limits import RateLimits
from hooktide.domain.audit_log import Actor
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.errors import BusyError, InvalidError, LimitError, NotFoundError
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import (
    BY_HAND,
    BY_PROVIDER,
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
from hooktide.domain.operational_events import limit_reached
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import (
    EventType,
    Project,
    check_offered,
    check_plan,
    offered,
    plan_of,
    wants,
)
from hooktide.store.base import NewEvent
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.refusals import check_enable, check_endpoints, endpoint_deleted

TryNow: TypeAlias = Callable[[Claim], Awaitable[Attempt | None]]

MAX_CONCURRENT_TESTS = 5
TEST_RETRY_DELAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """An endpoint as requested; without a kind, its URL decides.

    ``filter`` is JSON text; empty: it gets all events of its types, as it does without
    ``channels``. ``reference`` is an own id for it, empty: none. ``rate_limit``: requests a second,
    ``burst``: how many of them at once. ``retry_delays`` and ``timeout_seconds`` are in seconds;
    None: those of the event type or the plan. One that is not ``enabled`` is sent nothing until it
    is enabled.
    """

    url: str
    event_types: tuple[str, ...]
    kind: EndpointKind | None = None
    name: str = ""
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    filter: str = ""
    channels: tuple[str, ...] = ()
    reference: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int | None = None
    burst: int | None = None
    retry_delays: tuple[int, ...] | None = None
    timeout_seconds: float | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """An endpoint that could be created.

    ``account`` is None if the account would have to be created first; ``left`` is how many more
    endpoints its plan allows now (None: unlimited).
    """

    account: Account | None
    url: str
    kind: EndpointKind
    left: int | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """An endpoint's new secret, and when the old one expires (or expired)."""

    endpoint: Endpoint
    secret: Secret
    previous_secret_expires_at: Micros


@dataclass(frozen=True, slots=True)
class Tested:
    """A completed test: its event, its project, and the outcome."""

    claim: Claim
    attempt: Attempt
    project: Project


class Endpoints:
    """Manages endpoints within a scope."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        accounts: Accounts,
        url_policy: UrlPolicy,
        clock: Callable[[], Micros],
        try_now: TryNow,
        limits: RateLimits,
    ) -> None:
        self._store = store
        self._directory = directory
        self._accounts = accounts
        self._policy = url_policy
        self._clock = clock
        self._try_now = try_now
        self._limits = limits
        self._testing: Counter[int] = Counter()

    async def create(
        self,
        actor: Actor,
        scope: Scope,
        account_text: str | None,
        wanted: EndpointSpec,
        given: Secret | None = None,
    ) -> tuple[Endpoint, Secret]:
        """Create an endpoint for an account (the key's own if none is named).

        ``given`` is the secret that its receiver already has; None: it gets a new one.

        :raises InvalidError: a field is invalid.
        :raises RefusedError: the account is not offered webhooks.
        :raises LimitError: its plan allows no more endpoints.
        """
        account = await self._accounts.named(scope, account_text)
        project = await self._project(account.project_id)
        check_offered(project, account.reference)
        plan = plan_of(project, account.plan)
        checked = check_fields(_given(wanted), project, account.reference, plan, self._policy)
        now = self._clock()
        new = Endpoint(
            id=0,
            project_id=account.project_id,
            account_id=account.id,
            disabled_reason="" if wanted.enabled else BY_HAND,
            disabled_at=None if wanted.enabled else now,
            created_at=now,
            updated_at=now,
            **checked,
        )
        secret, limit = given or _make_secret(), plan.endpoints
        try:
            made = await self._store.create_endpoint(
                new, secret, limit, now, actor.does("endpoint.create")
            )
        except LimitError as error:
            event = limit_reached(account.id, "endpoints", error.limit, now)
            await self._store.add_operational_event(event)
            raise
        return made, secret

    async def check(
        self,
        scope: Scope,
        project_name: str | None,
        reference: str,
        wanted: EndpointSpec,
        plan: str | None = None,
    ) -> Checked:
        """Check by the rules of ``create`` whether an endpoint could be created; nothing is
        changed.

        ``reference`` may be that of an account that does not exist yet and would be on ``plan``.

        :raises InvalidError: a field, or the account, is invalid.
        :raises NotFoundError: there is no such project.
        :raises RefusedError: the account is not offered webhooks.
        :raises LimitError: its plan allows no more endpoints.
        """
        row = await self._accounts.project(scope, project_name)
        within = Scope(project_id=row.id)
        account, count = None, 0
        try:
            account = await self._accounts.find(within, reference)
            plan = account.plan
            count = await self._count(Scope(project_id=row.id, account_id=account.id))
        except NotFoundError:
            if is_like_an_id(reference):
                raise
            reference = check_reference(reference, "/account")
            plan = check_plan(row.project, plan or row.project.default_plan)
        project = row.project
        owner = account.reference if account else reference
        check_offered(project, owner)
        rules = plan_of(project, plan)
        checked = check_fields(_given(wanted), project, owner, rules, self._policy)
        limit = rules.endpoints
        check_endpoints(count, limit)
        left = None if limit is None else limit - count
        return Checked(account, checked["url"], checked["kind"], left)

    async def _count(self, within: Scope) -> int:
        count, before = 0, None
        while True:
            page = await self._store.list_endpoints(within, before, 100)
            count, before = count + len(page.items), page.next_before
            if before is None:
                return count

    async def _project(self, project_id: int) -> Project:
        return (await self._directory.project(project_id)).project

    async def update(
        self, actor: Actor, scope: Scope, endpoint_id: int, given: Mapping[str, Any]
    ) -> Endpoint:
        """Update the given fields, any of those of ``EndpointSpec``.

        ``MASK`` as a header's value keeps the stored value. Stored values were given for one
        origin: if the URL's scheme, host or port changes and no headers are given, the endpoint's
        headers are removed.

        :raises InvalidError: a field is invalid.
        """
        found = await self._store.get_endpoint(scope, endpoint_id)
        if not given:
            return found
        account = await self._directory.account(found.account_id)
        project = await self._project(found.project_id)

        def edit(old: Endpoint) -> Mapping[str, Any]:
            plan = plan_of(project, account.plan)
            return check_fields(given, project, account.reference, plan, self._policy, old)

        return await self._store.update_endpoint(
            scope, endpoint_id, edit, self._clock(), actor.does("endpoint.update")
        )

    async def disable(
        self,
        actor: Actor,
        scope: Scope,
        endpoint_id: int,
        *,
        account_may_enable: bool = False,
    ) -> Endpoint:
        """Stop sending to an endpoint.

        The account cannot enable what the operator or the product disabled, unless
        ``account_may_enable`` is set, for callers that act on the account's behalf.
        """
        by_account = account_may_enable or scope.account_id is not None
        reason = BY_HAND if by_account else BY_PROVIDER
        return await self._store.disable_endpoint(
            scope, endpoint_id, reason, self._clock(), actor.does("endpoint.disable")
        )

    async def check_enable(self, scope: Scope, endpoint_id: int) -> None:
        """Refuse what ``enable`` would refuse, before other changes are made.

        :raises RefusedError: ``disabled_by_provider``: only the provider may.
        """
        check_enable(await self._store.get_endpoint(scope, endpoint_id), scope)

    async def enable(self, actor: Actor, scope: Scope, endpoint_id: int) -> Endpoint:
        """Send to an endpoint again, even if its receiver asked for rest.

        :raises RefusedError: ``disabled_by_provider``: only the provider may.
        """
        return await self._store.enable_endpoint(
            scope, endpoint_id, self._clock(), actor.does("endpoint.enable")
        )

    async def resume(self, actor: Actor, scope: Scope, endpoint_id: int) -> Endpoint:
        """End an endpoint's rest early."""
        return await self._store.resume_endpoint(
            scope, endpoint_id, self._clock(), actor.does("endpoint.resume")
        )

    async def delete(self, actor: Actor, scope: Scope, endpoint_id: int) -> None:
        """Delete an endpoint; its pending deliveries are discarded."""
        await self._store.delete_endpoint(
            scope, endpoint_id, self._clock(), actor.does("endpoint.delete")
        )

    async def rotate(self, actor: Actor, scope: Scope, endpoint_id: int) -> Rotated:
        """Sign with a new secret; the old one remains valid for the project's overlap.

        :raises RefusedError: too many secrets are active.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        overlap = (await self._project(endpoint.project_id)).rotation_overlap
        secret, now = _make_secret(), self._clock()
        rotated = await self._store.rotate_secret(
            scope, endpoint_id, secret, overlap, now, actor.does("secret.rotate")
        )
        return Rotated(rotated, secret, now + overlap)

    @property
    def allows_http(self) -> bool:
        """Whether a webhook's URL may begin with ``http://``."""
        return self._policy.allow_http

    async def test(self, scope: Scope, endpoint_id: int, type_name: str | None) -> Tested:
        """Send a test event immediately, exactly as real ones are sent, and wait for the outcome.

        Without a type, the first one that the endpoint subscribes to is used. A disabled endpoint
        gets the test and nothing else.

        :raises InvalidError: the project has no such type.
        :raises RefusedError: the provider disabled the endpoint, and an account asks; or it was
        deleted meanwhile.
        :raises BusyError: its account has ``MAX_CONCURRENT_TESTS`` in progress, or exceeds its
        rate.
        :raises LimitError: the plan's hourly limit is reached.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        await self._limits.test(scope)
        with self._one_test(endpoint.account_id):
            return await self._test(scope, endpoint, type_name)

    @contextmanager
    def _one_test(self, account_id: int) -> Iterator[None]:
        """Limit the concurrent tests of an account: they use no delivery slots."""
        if self._testing[account_id] >= MAX_CONCURRENT_TESTS:
            raise BusyError(
                "too_many_tests",
                phrase(
                    "{count} tests of this account are already running; wait for one to end",
                    count=MAX_CONCURRENT_TESTS,
                ),
                retry_after=TEST_RETRY_DELAY,
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
            raise endpoint_deleted()
        return Tested(claim, attempt, project)


def _given(wanted: EndpointSpec) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in EndpointSpec.__slots__ if name != "enabled"}


def _make_secret() -> Secret:
    return new_secret(secrets.token_bytes(32))


def _test_type(
    project: Project, account: Account, endpoint: Endpoint, name: str | None
) -> EventType:
    for kind in offered(project, account.reference):
        if kind.name == name or (name is None and wants(endpoint.event_types, kind.name)):
            return kind
    raise InvalidError(
        "unknown_event_type",
        phrase("this event type does not exist or is not offered to this account")
        if name is not None
        else phrase("the endpoint subscribes to none of the account's event types; name one"),
        pointer="/event_type",
    )
