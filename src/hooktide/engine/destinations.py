"""Everything needed to send to an endpoint, prepared once and cached until something changes."""

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from hooktide.domain.delivery.compose import Composer, compile_dialect
from hooktide.domain.errors import InvalidError, UnsealError
from hooktide.domain.http.address import Target, UrlPolicy, check_url
from hooktide.domain.http.headers import MASK, header_lines
from hooktide.domain.ids import show
from hooktide.domain.messages.chat import SERVICES, Service
from hooktide.domain.messages.message import Message, Wording, compose_message
from hooktide.domain.model import Account, Endpoint, EndpointKind, Event, Secret
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.project.project import Plan, plan_of
from hooktide.domain.project.schedule import Schedule, default_schedule, type_schedules
from hooktide.domain.throttling.rate import Rates, effective_rate, rates_of
from hooktide.runtime.cache import Cache
from hooktide.store.base import ProjectRow
from hooktide.store.directory import Directory

MAX_CACHED_DESTINATIONS = 50_000
MAX_CACHED_COMPOSERS = 10_000

log = logging.getLogger("hooktide.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An endpoint, ready to be sent to.

    ``target`` is None for a mail address, and when a URL is no longer allowed; ``refused`` says
    why. ``prefix`` begins every request head. ``shown_headers`` is what is logged of the customer's
    own headers: their names. ``by_type`` has the schedules of event types that
    differ. ``rates``: None if nothing limits them. ``chat``: None for a webhook.
    """

    endpoint: Endpoint
    project_name: str
    target: Target | None
    refused: str
    prefix: bytes
    composer: Composer
    secrets: tuple[Secret, ...] = field(repr=False)
    headers: bytes = field(repr=False)
    shown_headers: bytes
    schedule: Schedule
    by_type: Mapping[str, Schedule]
    rates: Rates | None = None
    chat: "Chat | None" = None

    def schedule_of(self, event_type: str) -> Schedule:
        """Return when events of a type are tried again, and how long an attempt may take."""
        return self.by_type.get(event_type, self.schedule) if self.by_type else self.schedule


@dataclass(frozen=True, slots=True)
class Chat:
    """What a chat's endpoint needs in addition: its service and its wordings.

    ``shown_path`` replaces the secret path in the log.
    """

    service: Service
    wordings: Mapping[str, Wording]
    shown_path: bytes

    def message(self, event: Event) -> Message:
        """Summarise an event."""
        return compose_message(event, self.wordings.get(event.type, _OWN))


_OWN = Wording()


class Destinations:
    """Finds destinations, and drops them when their sources change.

    ``sender`` is the header line by which this installation recognises its own deliveries.
    """

    def __init__(self, directory: Directory, policy: UrlPolicy, sender: bytes = b"") -> None:
        self._directory = directory
        self.sender = sender
        self._policy = policy
        self._ready: Cache[int, Destination] = Cache(
            MAX_CACHED_DESTINATIONS, lambda made: made.endpoint.account_id
        )
        self._unsealed: dict[int, str] = {}
        self._composers: Cache[int, tuple[ProjectRow, Composer]] = Cache(MAX_CACHED_COMPOSERS)

    def changed(self, kind: str, number: int) -> None:
        """Drop what a commit changed."""
        if kind == "endpoint":
            self._ready.drop(number)
            self._unsealed.pop(number, None)
        elif kind == "account":
            self._ready.drop_group(number)
        elif kind in {"project", "everything"}:
            self._ready.clear()

    def ready(self, endpoint_id: int) -> Destination | None:
        """Return a destination if it is cached."""
        return self._ready.get(endpoint_id)

    async def find(self, endpoint_id: int, even_disabled: bool = False) -> Destination | None:
        """Return a destination, or None when the endpoint is disabled.

        ``even_disabled``: return it anyway, but do not cache it, as nothing else may be sent there.

        :raises NotFoundError: the endpoint was deleted.
        :raises UnsealError: its secrets cannot be decrypted, or it has none.
        """
        seen = self._ready.changes
        try:
            endpoint = await self._directory.endpoint(endpoint_id)
            if endpoint.enabled or even_disabled:
                _check_secret(endpoint)
        except UnsealError as error:
            self._note_unsealed(endpoint_id, error)
            raise
        self._unsealed.pop(endpoint_id, None)
        if not endpoint.enabled and not even_disabled:
            return None
        account = await self._directory.account(endpoint.account_id)
        row = await self._directory.project(endpoint.project_id)
        made = self._make(endpoint, row, account)
        if endpoint.enabled:
            self._ready.keep(endpoint_id, made, seen)
        return made

    @property
    def unsealed(self) -> Mapping[int, str]:
        """The endpoints that cannot be sent to because a key or a secret is missing, and why."""
        return self._unsealed

    def _note_unsealed(self, endpoint_id: int, error: UnsealError) -> None:
        if endpoint_id not in self._unsealed:
            log.error("endpoint %s waits: %s", show("ep", endpoint_id), error.detail)
        self._unsealed[endpoint_id] = error.detail

    def _make(self, endpoint: Endpoint, row: ProjectRow, account: Account) -> Destination:
        plan = plan_of(row.project, account.plan)
        target, refused = self._check(endpoint, row.project.name)
        ours = row.project.dialect.header_names
        # The dialect may have gained this header after the customer set it: the dialect's wins.
        given = tuple(pair for pair in endpoint.headers if pair[0].lower() not in ours)
        return Destination(
            endpoint=endpoint,
            project_name=row.project.name,
            target=target,
            refused=refused,
            prefix=_prefix(
                target,
                ours | {name.lower() for name, _ in given},
                row.project.dialect.user_agent,
            )
            + self.sender,
            composer=self._composer(row),
            secrets=tuple(active.secret for active in endpoint.secrets),
            headers=header_lines(given),
            shown_headers=header_lines(tuple((name, MASK) for name, _ in given)),
            schedule=default_schedule(row.project, plan, endpoint),
            by_type=type_schedules(row.project, plan, endpoint),
            rates=_rates(endpoint, account, plan),
            chat=_chat(endpoint, row),
        )

    def _check(self, endpoint: Endpoint, project: str) -> tuple[Target | None, str]:
        if endpoint.kind is EndpointKind.MAIL:
            allowed = self._policy.mail and project == BUILT_IN
            return None, "" if allowed else "this server sends no mail there"
        try:
            return check_url(endpoint.address, self._policy), ""
        except InvalidError as error:
            return None, str(error.detail)

    def _composer(self, row: ProjectRow) -> Composer:
        known = self._composers.get(row.id)
        if known is None or known[0] is not row:
            known = (row, compile_dialect(row.project.dialect))
            self._composers.keep(row.id, known)
        return known[1]


def _rates(endpoint: Endpoint, account: Account, plan: Plan) -> Rates | None:
    return rates_of(
        effective_rate(endpoint.rate_limit, endpoint.burst, plan.endpoint_rate_limit),
        effective_rate(account.rate_limit, account.burst, plan.rate_limit),
    )


def _prefix(target: Target | None, replaced: Set[str], user_agent: str) -> bytes:
    """Return the start of a request head, without the headers whose values are added later.

    ``user_agent``: the project's own; empty: Hooktide's.
    """
    if target is None:
        return b""
    first, *lines = target.prefix_of(user_agent).split(b"\r\n")
    kept = (line for line in lines if line.partition(b":")[0].decode("ascii") not in replaced)
    return b"\r\n".join([first, *kept])


def _check_secret(endpoint: Endpoint) -> None:
    """Refuse to send an unsigned webhook: its receiver could not tell it from a forgery."""
    if endpoint.kind is EndpointKind.WEBHOOK and not endpoint.secrets:
        raise UnsealError(
            "it has no signing secret; rotate its secret, or restore the row from a backup"
        )


def _chat(endpoint: Endpoint, row: ProjectRow) -> Chat | None:
    service = SERVICES.get(endpoint.kind)
    if service is None:
        return None
    wordings = {kind.name: kind.message for kind in row.project.event_types}
    path = endpoint.url.partition("://")[2].partition("/")[2]
    return Chat(service, wordings, b"/" + path.encode("ascii", "replace"))
