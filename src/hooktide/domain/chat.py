"""Endpoints that are a chat's: which service a URL belongs to, what it is sent, what it answers.

Each service is a module (``slack``, ``discord``, ``teams``) with the same few functions; here is
what they have in common, and which is whose. A chat's URL is a secret: whoever has it can post.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain import discord, mail, slack, teams
from hooktide.domain.address import Target, UrlPolicy
from hooktide.domain.errors import InvalidError
from hooktide.domain.message import Message
from hooktide.domain.model import SECOND, EndpointKind, Micros
from hooktide.domain.verdict import Outcome

MOST_TOGETHER = 25
"""Events in one message at most: as many as every service's limits have room for."""
MOST_BYTES = 256 * 1024
"""Payload bytes that go into one message at most: each is read to be summed up."""
PACE: Micros = SECOND
"""What lies between two messages to one endpoint at least: Slack takes one a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How one chat service is spoken to.

    ``fits`` says of a URL whether it is the service's; ``compose`` writes a message of one or more
    events, ``plain`` the same without anything that could be refused. ``gone`` says why an answer
    means that nothing will ever be taken there again (empty: it does not); ``refused`` why it means
    that the message was not understood.
    """

    name: str
    like: str
    fits: Callable[[Target], bool]
    shown: Callable[[str], str]
    compose: Callable[[Sequence[Message]], bytes]
    plain: Callable[[Sequence[Message]], bytes]
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
        gone=mail.gone,
        refused=lambda outcome: "",
    ),
}


def kind_of(target: Target, wanted: EndpointKind | None, policy: UrlPolicy) -> EndpointKind:
    """Say what kind of endpoint a URL is; ``wanted`` (None: as recognised) has to fit it.

    Any URL may be taken as a plain webhook's. A host that the operator names as a chat's own may be
    any service's, but has to be said to be.

    :raises InvalidError: ``invalid_kind``: the URL is not of that kind.
    """
    if wanted is None:
        found = (kind for kind, service in SERVICES.items() if service.fits(target))
        return next(found, EndpointKind.WEBHOOK)
    service = SERVICES.get(wanted)
    named = wanted is not EndpointKind.MAIL and _is_named(target, policy)
    if service is None or service.fits(target) or named:
        return wanted
    raise InvalidError(
        "invalid_kind",
        f"this is no URL of {service.name}'s; one is like {service.like}",
        pointer="/kind",
    )


def _is_named(target: Target, policy: UrlPolicy) -> bool:
    return f"{target.host}:{target.port}" in policy.chat_hosts or target.host in policy.chat_hosts


def shown_url(url: str, kind: EndpointKind) -> str:
    """Return what may be shown of an endpoint's URL: of a chat's, not what lets one post."""
    service = SERVICES.get(kind)
    return url if service is None else service.shown(url)
