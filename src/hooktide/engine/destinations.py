"""All that is needed to send to an endpoint, made ready once and kept until something changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hooktide.domain.address import Target, UrlPolicy, check_url
from hooktide.domain.backoff import delays
from hooktide.domain.chat import SERVICES, Service
from hooktide.domain.compose import Composer, compile_dialect
from hooktide.domain.errors import InvalidError
from hooktide.domain.headers import header_lines
from hooktide.domain.message import Message, Wording, compose_message
from hooktide.domain.model import SECOND, Endpoint, EndpointKind, Event, Micros, Secret
from hooktide.domain.operations import PROJECT as BUILT_IN
from hooktide.domain.project import plan_of
from hooktide.store.base import ProjectRow
from hooktide.store.directory import Directory

MOST_KEPT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An enabled endpoint, ready to be sent to.

    ``target`` is None for a mail address, and when a URL is no longer allowed; ``refused`` says
    why. ``shown_headers`` is what the log keeps of the customer's own headers: their names.
    ``chat``: None for a webhook.
    """

    endpoint: Endpoint
    project_name: str
    target: Target | None
    refused: str
    composer: Composer
    secrets: tuple[Secret, ...] = field(repr=False)
    headers: bytes = field(repr=False)
    shown_headers: bytes
    delays: tuple[Micros, ...]
    timeout: float
    chat: "Chat | None" = None


@dataclass(frozen=True, slots=True)
class Chat:
    """What a chat's endpoint needs besides: how its service is spoken to, and in what words.

    ``shown_path`` stands in the log where the path was sent that lets one post.
    """

    service: Service
    wordings: Mapping[str, Wording]
    shown_path: bytes

    def message(self, event: Event) -> Message:
        """Sum up an event."""
        return compose_message(event, self.wordings.get(event.type, _OWN))


_OWN = Wording()


class Destinations:
    """Finds destinations; forgets them when told that something changed."""

    def __init__(self, directory: Directory, policy: UrlPolicy) -> None:
        self._directory = directory
        self._policy = policy
        self._ready: dict[int, Destination] = {}
        self._composers: dict[int, tuple[ProjectRow, Composer]] = {}

    def changed(self, kind: str, number: int) -> None:
        """Forget what a commit changed."""
        if kind == "endpoint":
            self._ready.pop(number, None)
        elif kind in {"project", "account", "everything"}:
            self._ready.clear()

    def ready(self, endpoint_id: int) -> Destination | None:
        """Return a destination if it is at hand."""
        return self._ready.get(endpoint_id)

    async def find(self, endpoint_id: int) -> Destination | None:
        """Return a destination, or None when the endpoint is disabled.

        :raises NotFoundError: the endpoint was removed.
        """
        endpoint = await self._directory.endpoint(endpoint_id)
        if not endpoint.enabled:
            return None
        account = await self._directory.account(endpoint.account_id)
        row = await self._directory.project(endpoint.project_id)
        made = self._make(endpoint, row, account.plan)
        if len(self._ready) >= MOST_KEPT:
            self._ready.clear()
        self._ready[endpoint_id] = made
        return made

    def _make(self, endpoint: Endpoint, row: ProjectRow, plan_name: str) -> Destination:
        plan = plan_of(row.project, plan_name)
        target, refused = self._check(endpoint, row.project.name)
        return Destination(
            endpoint=endpoint,
            project_name=row.project.name,
            target=target,
            refused=refused,
            composer=self._composer(row),
            secrets=tuple(active.secret for active in endpoint.secrets),
            headers=header_lines(endpoint.headers),
            shown_headers=header_lines(tuple((name, "****") for name, _ in endpoint.headers)),
            delays=delays(row.project.retry, plan.retries),
            timeout=plan.timeout / SECOND,
            chat=_chat(endpoint, row),
        )

    def _check(self, endpoint: Endpoint, project: str) -> tuple[Target | None, str]:
        if endpoint.kind is EndpointKind.MAIL:
            allowed = self._policy.mail and project == BUILT_IN
            return None, "" if allowed else "this server sends no mail there"
        try:
            return check_url(endpoint.address, self._policy), ""
        except InvalidError as error:
            return None, error.detail

    def _composer(self, row: ProjectRow) -> Composer:
        known = self._composers.get(row.id)
        if known is None or known[0] is not row:
            known = self._composers[row.id] = (row, compile_dialect(row.project.dialect))
        return known[1]


def _chat(endpoint: Endpoint, row: ProjectRow) -> Chat | None:
    service = SERVICES.get(endpoint.kind)
    if service is None:
        return None
    wordings = {kind.name: kind.message for kind in row.project.event_types}
    path = endpoint.url.partition("://")[2].partition("/")[2]
    return Chat(service, wordings, b"/" + path.encode("ascii", "replace"))
