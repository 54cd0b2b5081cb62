"""Discord's webhooks: embeds, and what its errors mean.

Limits: https://discord.com/developers/docs/resources/message#embed-object-embed-limits; an embed's
characters are counted together, 6,000 at most.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.domain.messages.message import Message, escaped, length, summary
from hooktide.domain.time.times import show_time

HOSTS = {"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"}

MAX_TITLE_LENGTH = 256
MAX_DESCRIPTION_LENGTH = 4096
MAX_NAME_LENGTH = 100
MAX_VALUE_LENGTH = 300
MAX_FOOTER_LENGTH = 200
MAX_CONTENT_LENGTH = 2000
NO_MENTIONS: dict[str, list[str]] = {"parse": []}
"""A payload cannot mention (ping) anyone."""


def fits(target: Target) -> bool:
    """Whether this is the URL of a webhook (one that ends in /slack or /github is not)."""
    return target.host in HOSTS and _PATH.fullmatch(target.path) is not None


_PATH = re.compile(r"/api/(?:v[0-9]{1,2}/)?webhooks/[0-9]+/[A-Za-z0-9_-]+(?:\?thread_id=[0-9]+)?")


def shown(url: str) -> str:
    """Return a URL without its secret."""
    return f"{url.partition('?')[0].rpartition('/')[0]}/****"


def compose(messages: Sequence[Message]) -> bytes:
    """Write a message: one embed."""
    embed = _one(messages[0]) if len(messages) == 1 else _many(messages)
    return msgspec.json.encode({"embeds": [embed], "allowed_mentions": NO_MENTIONS})


def plain(messages: Sequence[Message]) -> bytes:
    """Write a message that is text and nothing else."""
    room = MAX_CONTENT_LENGTH - 20
    first = [] if len(messages) == 1 else [f"{summary(messages)}:"]
    lines = [_text(each.line, room // len(messages) - 1) for each in messages]
    content = "\n".join([*first, *lines])
    return msgspec.json.encode({"content": content, "allowed_mentions": NO_MENTIONS})


def _one(message: Message) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "footer": {"text": escaped(message.event_type, MAX_FOOTER_LENGTH, {})},
        "timestamp": show_time(message.at),
    }
    if message.own:
        embed["description"] = _text(message.title, 1600) + _link(message, "\n")
    else:
        embed["title"] = _text(message.title, MAX_TITLE_LENGTH)
        if message.link:
            embed["url"] = message.link
    if message.fields:
        embed["fields"] = [
            {
                "name": _text(label, MAX_NAME_LENGTH),
                "value": _text(value, MAX_VALUE_LENGTH),
                "inline": True,
            }
            for label, value in message.fields
        ]
    return embed


def _many(messages: Sequence[Message]) -> dict[str, Any]:
    """Write one line per event; links as far as there is room."""
    lines = [_text(each.line, 140) for each in messages]
    room = MAX_DESCRIPTION_LENGTH - sum(length(line) + 1 for line in lines)
    for index, each in enumerate(messages):
        link = _link(each, " ")
        if length(link) <= room:
            lines[index] += link
            room -= length(link)
    return {"title": summary(messages), "description": "\n".join(lines)}


def _link(message: Message, before: str) -> str:
    if not message.link:
        return ""
    return f"{before}[Open]({message.link.replace('(', '%28').replace(')', '%29')})"


def _text(text: str, limit: int) -> str:
    return escaped(text, limit, _ESCAPES)


_ESCAPES = {char: f"\\{char}" for char in "\\*_~`|>#-+[]()<@:."}


def gone(outcome: Outcome) -> str:
    """Return why the destination is permanently gone; empty if it is not."""
    if outcome.status in (404, 410):
        return "Discord says Unknown Webhook: it was deleted"
    if outcome.status == 401:
        return "Discord says the webhook's token is wrong: it was regenerated"
    return ""


def refused(outcome: Outcome) -> str:
    """Return why the message was rejected as malformed; empty if it was not."""
    return "Discord found the message malformed" if outcome.status == 400 else ""
