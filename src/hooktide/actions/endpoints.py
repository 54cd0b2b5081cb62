"""Endpoints: created, updated, disabled, rotated, tested, within the limits of project and plan."""

import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from hooktide.actions.accounts import (
    Accounts,
    check_reference,
    is_like_an_id,
)
from hooktide.actions.rate_limits import RateLimits
from hooktide.actions.texts import check_text
from hooktide.domain.audit_log import Actor
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.errors import (
    BusyError,
    Fault,
    InvalidError,
    LimitError,
    NotFoundError,
)
from hooktide.domain.filtering.filter import read_filter
from hooktide.domain.http.address import Target, UrlPolicy, check_url
from hooktide.domain.http.headers import MASK, header_lines, refused_header
from hooktide.domain.labels import check_channels, check_metadata
from hooktide.domain.messages.chat import kind_of, shown_url
from hooktide.domain.messages.mail import check_mailto, is_mailto
from hooktide.domain.model import (
    BY_HAND,
    BY_PROVIDER,
    MINUTE,
    SECOND,
    Account,
    Attempt,
    Claim,
    Endpoint,
    EndpointKind,
    Micros,
    Scope,
    Secret,
)
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.operational_events import limit_reached
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.project import (
    EventType,
    Plan,
    Project,
    check_offered,
    check_patterns,
    check_plan,
    offered,
    plan_of,
    wants,
)
from hooktide.domain.project.schedule import check_delays, check_timeout
from hooktide.domain.throttling.rate import check_rate
from hooktide.store.base import NewEvent
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.refusals import check_enable, check_endpoints, endpoint_deleted
from hooktide.wire.endpoints import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_REFERENCE_LENGTH,
)

TryNow: TypeAlias = Callable[[Claim], Awaitable[Attempt | None]]

MAX_PATTERNS = 100
"""Maximum event types or patterns of an endpoint."""
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
        checked = self._check(_given(wanted), project, account.reference, plan)
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
        checked = self._check(_given(wanted), project, owner, rules)
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

    def _check(
        self,
        given: Mapping[str, Any],
        project: Project,
        reference: str,
        plan: Plan,
        old: Endpoint | None = None,
    ) -> dict[str, Any]:
        """Check the given fields and return them as they are stored."""
        checked: dict[str, Any] = dict(given)
        kind = checked.pop("kind", None)
        if "url" in given or kind is not None:
            checked |= self._check_url(given.get("url"), kind, project, old)
        if "event_types" in given:
            checked["event_types"] = _check_types(given["event_types"], project, reference)
        if "name" in given:
            checked["name"] = check_text(given["name"], "/name", MAX_NAME_LENGTH)
        if "description" in given:
            checked["description"] = check_text(
                given["description"], "/description", MAX_DESCRIPTION_LENGTH, lines=True
            )
        checked |= dict(_check_labels(given, plan, old))
        checked.pop("timeout_seconds", None)
        checked |= _check_pace(given, project, plan, old)
        url = checked.get("secret_url") or checked.get("url")
        moved = old is not None and url is not None and not _same_origin(old, url)
        if "headers" in given:
            checked["headers"] = _check_headers(given["headers"], old, moved, project)
        elif moved:
            checked["headers"] = ()
        return checked

    def _check_url(
        self, text: str | None, kind: EndpointKind | None, project: Project, old: Endpoint | None
    ) -> dict[str, Any]:
        """Check a URL (None: the stored one) and the kind of endpoint.

        The shown form of an endpoint's URL stands for the stored URL. A chat's URL is stored as a
        secret, so changing the kind, which could expose it, requires the URL to be given again.
        """
        if old is not None and text in (None, old.url):
            if old.secret_url and kind not in (None, old.kind):
                raise InvalidError(
                    "invalid_url",
                    phrase(
                        "the stored URL is a secret of kind {kind}; to change the kind, give "
                        "the whole URL",
                        kind=old.kind,
                    ),
                    pointer="/url",
                )
            text, kind = old.address, kind or old.kind
        mail = text is not None and is_mailto(text) and project.name == BUILT_IN
        if mail or kind is EndpointKind.MAIL:
            return self._check_mail(text or "", kind, project)
        target = self._read_url(text or "")
        kind = kind_of(target, kind, self._policy)
        shown = shown_url(target.url, kind)
        return {"url": shown, "kind": kind, "secret_url": "" if shown == target.url else target.url}

    def _check_mail(self, text: str, kind: EndpointKind | None, project: Project) -> dict[str, Any]:
        """Check a mail address: mail is for operational events only, never for customers."""
        if project.name != BUILT_IN:
            why = (
                "mail endpoints are for operational events only: use an account of the project "
                f"{BUILT_IN}"
            )
        elif not self._policy.mail:
            why = "this server has no mail relay; its operator can set one with --smtp-url"
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
                "invalid_url",
                phrase("the secret is missing from this URL; give the whole URL"),
                pointer="/url",
            )
        return target

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
            return self._check(given, project, account.reference, plan, old)

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


def _check_types(patterns: tuple[str, ...], project: Project, reference: str) -> tuple[str, ...]:
    if len(patterns) > MAX_PATTERNS:
        raise too_many_types()
    check_patterns(project, patterns, reference)
    return tuple(dict.fromkeys(patterns))


def _same_origin(old: Endpoint, url: str) -> bool:
    """Whether a canonical URL, as ``Target`` writes it, has the old scheme, host and port."""
    return urlsplit(url)[:2] == urlsplit(old.address)[:2]


def too_many_types() -> InvalidError:
    """Return the error for an endpoint that names more than ``MAX_PATTERNS``."""
    return InvalidError(
        "too_many_event_types",
        phrase(
            "{count} event types at most; use patterns like invoice.*",
            count=MAX_PATTERNS,
        ),
        pointer="/event_types",
    )


def _check_labels(
    given: Mapping[str, Any], plan: Plan, old: Endpoint | None
) -> Iterator[tuple[str, Any]]:
    """Check what decides which events it gets, and what the account attaches to it."""
    if "filter" in given:
        yield "filter", check_filter(given["filter"], plan, old)
    if "channels" in given:
        yield "channels", check_plan_channels(given["channels"], plan, old)
    if given.get("reference"):
        yield "reference", _check_endpoint_reference(given["reference"])
    if "metadata" in given:
        yield "metadata", _check_metadata(given["metadata"], plan, old)


def _check_endpoint_reference(text: str) -> str:
    if _LIKE_AN_ID.fullmatch(text):
        raise InvalidError(
            "invalid_reference",
            phrase("use characters that do not look like an ep_ id"),
            pointer="/reference",
        )
    return check_text(text, "/reference", MAX_REFERENCE_LENGTH)


_LIKE_AN_ID = re.compile(r"ep_[0-9a-f]{16}")


def check_filter(text: str, plan: Plan, old: Endpoint | None = None) -> str:
    """Check a filter (empty: none), and return it in the form in which it is stored.

    The ``old`` endpoint may keep a filter that its plan no longer allows.

    :raises InvalidError: ``invalid_filter``: it cannot be read, or the plan does not allow it.
    """
    if not text.strip():
        return ""
    found = read_filter(text)
    if found.conditions <= plan.filter_conditions or (old and old.filter == found.text):
        return found.text
    if not plan.filter_conditions:
        why = phrase("this account's plan has no filters; leave the filter out")
    else:
        why = phrase(
            "it has {conditions}; this account's plan allows {count}",
            conditions=counted(found.conditions, "condition"),
            count=plan.filter_conditions,
        )
    raise InvalidError("invalid_filter", why, pointer="/filter")


def check_plan_channels(
    channels: Sequence[str], plan: Plan, old: Endpoint | None = None
) -> tuple[str, ...]:
    """Check an endpoint's channels.

    The ``old`` endpoint may keep channels that its plan no longer allows.

    :raises InvalidError: ``invalid_channels``: one is malformed, or the plan does not allow them.
    """
    found = check_channels(channels)
    if len(found) <= plan.channels or (old and set(found) <= set(old.channels)):
        return found
    if not plan.channels:
        why = phrase("this account's plan has no channels; leave them out")
    else:
        why = phrase(
            "there are {count}; this account's plan allows {channels}",
            count=len(found),
            channels=counted(plan.channels, "channel"),
        )
    raise InvalidError("invalid_channels", why, pointer="/channels")


def _check_metadata(
    metadata: Mapping[str, str], plan: Plan, old: Endpoint | None
) -> tuple[tuple[str, str], ...]:
    """Check an endpoint's metadata; the ``old`` endpoint may keep what it has.

    :raises InvalidError: ``invalid_metadata``: it is malformed, or the plan does not allow it.
    """
    if old and dict(old.metadata) == metadata:
        return old.metadata
    if metadata and not plan.metadata_bytes:
        raise InvalidError(
            "invalid_metadata",
            phrase("this account's plan has no metadata; leave it out"),
            pointer="/metadata",
        )
    return check_metadata(metadata, plan.metadata_bytes)


def _check_pace(
    given: Mapping[str, Any], project: Project, plan: Plan, old: Endpoint | None
) -> dict[str, Any]:
    """Check how often and how fast an endpoint is sent to, and return it as it is stored."""
    checked: dict[str, Any] = {}
    if "rate_limit" in given or "burst" in given:
        checked |= _check_rate(given, old, plan.endpoint_rate_limit)
    if "retry_delays" in given:
        checked["retry_delays"] = _check_delays(given["retry_delays"], project, plan, old)
    if "timeout_seconds" in given:
        checked["timeout"] = _check_timeout(given["timeout_seconds"], plan, old)
    return checked


def _check_delays(
    given: Sequence[int] | None, project: Project, plan: Plan, old: Endpoint | None
) -> tuple[Micros, ...] | None:
    """Check an endpoint's delays; the ``old`` one may keep what its plan no longer allows."""
    if given is None:
        return None
    same = old is not None and old.retry_delays == tuple(each * SECOND for each in given)
    return old.retry_delays if old and same else check_delays(given, project, plan)


def _check_timeout(given: float | None, plan: Plan, old: Endpoint | None) -> Micros | None:
    if given is None:
        return None
    same = old is not None and old.timeout is not None and old.timeout / SECOND == given
    return old.timeout if old and same else check_timeout(given, plan)


def _check_rate(
    given: Mapping[str, Any], old: Endpoint | None, allowed: int | None
) -> dict[str, int | None]:
    """Check an endpoint's rate; the ``old`` one may keep what its plan no longer allows.

    Without a rate there is no burst.
    """
    before = (old.rate_limit, old.burst) if old else (None, None)
    rate = given.get("rate_limit", before[0])
    kept = before[1] if rate is not None and "rate_limit" not in given else None
    burst = given.get("burst", kept)
    if (rate, burst) != before:
        check_rate(rate, burst, allowed)
    return {"rate_limit": rate, "burst": burst}


def _check_headers(
    headers: Mapping[str, str], old: Endpoint | None, moved: bool, project: Project
) -> tuple[tuple[str, str], ...]:
    stored = {} if old is None else {name.lower(): value for name, value in old.headers}
    try:
        pairs = tuple(
            (name, _unmask(name, value, stored, moved)) for name, value in headers.items()
        )
        header_lines(pairs, project.dialect.header_names)
    except InvalidError as error:
        raise _under("invalid_headers", error, "/headers") from None
    return pairs


def _unmask(name: str, value: str, stored: Mapping[str, str], moved: bool) -> str:
    if value != MASK:
        return value
    if name.lower() not in stored:
        why = phrase(
            "{mask} keeps a stored value, but there is none for {name}; send the value itself",
            mask=MASK,
            name=name[:64],
        )
    elif moved:
        why = phrase(
            "the stored value of {name} was given for another scheme, host or port and is not "
            "sent to a new one; give the value, or leave the header out",
            name=name,
        )
    else:
        return stored[name.lower()]
    raise refused_header(name, "masked_header", why)


def _under(code: str, error: InvalidError, pointer: str) -> InvalidError:
    """Report a rule's own code inside a problem with another code."""
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
        phrase("this event type does not exist or is not offered to this account")
        if name is not None
        else phrase("the endpoint subscribes to none of the account's event types; name one"),
        pointer="/event_type",
    )
