"""Chat endpoints: which service a URL belongs to, what is sent to it, and what its responses mean.

Each service is a module (``slack``, ``discord``, ``teams``) with the same few functions; this
module has what they share. A chat's URL is a secret: anyone who has it can post.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import InvalidError
from hooktide.domain.http.address import Target, UrlPolicy
from hooktide.domain.messages import discord, mail, slack, teams
from hooktide.domain.messages.message import Message
from hooktide.domain.model import SECOND, EndpointKind, Micros

MAX_BATCH = 25
"""Maximum events in one message, so that it fits every service's limits."""
MAX_BATCH_BYTES = 256 * 1024
"""Maximum payload bytes in one message: each payload is parsed for its summary."""
PACE: Micros = SECOND
"""Minimum interval between two messages to one endpoint: Slack accepts one per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How to talk to one chat service.

    ``fits`` returns whether a URL is the service's; ``compose`` writes a message of one or more
    events, ``plain`` the same without anything that could be refused. ``judged`` corrects the
    status of an outcome if the service answers 2xx with an error in the body. ``gone`` returns why
    a response means that the destination is permanently gone (empty: it is not); ``refused`` why
    the message was rejected as malformed.
    """

    name: str
    like: str
    fits: Callable[[Target], bool]
    shown: Callable[[str], str]
    compose: Callable[[Sequence[Message]], bytes]
    plain: Callable[[Sequence[Message]], bytes]
    judged: Callable[[Outcome], Outcome]
    gone: Callable[[Outcome], str]
    refused: Callable[[Outcome], str]


SERVICES: Mapping[EndpointKind, Service] = {
    EndpointKind.SLACK: Service(
        name="Slack",
        like="https://hooks.slack.com/services/T…/B…/…",
        fits=slack.fits,
        shown=slack.shown,
        compose=slack.compose,
        plain=slack.plain,
        judged=slack.judged,
        gone=slack.gone,
        refused=slack.refused,
    ),
    EndpointKind.DISCORD: Service(
        name="Discord",
        like="https://discord.com/api/webhooks/…/…",
        fits=discord.fits,
        shown=discord.shown,
        compose=discord.compose,
        plain=discord.plain,
        judged=lambda outcome: outcome,  # its status says it all
        gone=discord.gone,
        refused=discord.refused,
    ),
    EndpointKind.TEAMS: Service(
        name="Teams",
        like="the URL of a workflow “When a Teams webhook request is received”",
        fits=teams.fits,
        shown=teams.shown,
        compose=teams.compose,
        plain=teams.plain,
        judged=teams.judged,
        gone=teams.gone,
        refused=teams.refused,
    ),
    EndpointKind.MAIL: Service(
        name="Mail",
        like="mailto:ops@example.com",
        fits=lambda target: False,
        shown=lambda url: url,
        compose=mail.write_text,
        plain=mail.write_text,
        judged=lambda outcome: outcome,
        gone=mail.gone,
        refused=lambda outcome: "",
    ),
}


def kind_of(target: Target, wanted: EndpointKind | None, policy: UrlPolicy) -> EndpointKind:
    """Return the kind of endpoint that a URL is; ``wanted`` (None: as recognised) must match it.

    Any URL may be used as a plain webhook. A chat host named by the operator may belong to any
    service, so the kind must be given.

    :raises InvalidError: ``invalid_kind``: the URL is not of that kind. ``invalid_url``: it is,
        but not over https on port 443.
    """
    if wanted is None:
        found = (kind for kind, service in SERVICES.items() if service.fits(target))
        wanted = next(found, EndpointKind.WEBHOOK)
    service = SERVICES.get(wanted)
    if service is None or (wanted is not EndpointKind.MAIL and _is_named(target, policy)):
        return wanted
    if service.fits(target):
        _check_secure(target, service)
        return wanted
    raise InvalidError(
        "invalid_kind",
        f"this is not a {service.name} URL; use one like {service.like}",
        pointer="/kind",
    )


def _check_secure(target: Target, service: Service) -> None:
    """Refuse a URL that would send a chat's secret in plain text, or to another port."""
    if (target.scheme, target.port) != ("https", 443):
        raise InvalidError(
            "invalid_url",
            f"{service.name} accepts messages over https on port 443 only; use a URL like "
            f"{service.like}",
            pointer="/url",
        )


def _is_named(target: Target, policy: UrlPolicy) -> bool:
    return f"{target.host}:{target.port}" in policy.chat_hosts or target.host in policy.chat_hosts


def shown_url(url: str, kind: EndpointKind) -> str:
    """Return the part of an endpoint's URL that may be shown: without the secret of a chat's
    URL."""
    service = SERVICES.get(kind)
    return url if service is None else service.shown(url)
