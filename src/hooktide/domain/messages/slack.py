"""Slack's incoming webhooks: blocks with a fallback text, and the meaning of Slack's errors.

Limits: https://docs.slack.dev/reference/block-kit/blocks; escaping: “Formatting message text”;
errors: “Handling errors” of “Sending messages using incoming webhooks”.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.domain.messages.message import Message, escaped, summary

HOSTS = {"hooks.slack.com", "hooks.slack-gov.com"}

MAX_SECTION_LENGTH = 3000
MAX_FIELD_LENGTH = 2000
MAX_FALLBACK_LENGTH = 3000
MAX_LINK_LENGTH = 1500
"""A truncated link is useless: a longer one is left out."""


def fits(target: Target) -> bool:
    """Whether this is the URL of an incoming webhook (not of a workflow: those differ)."""
    return target.host in HOSTS and _PATH.fullmatch(target.path) is not None


_PATH = re.compile(r"/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+/?")


def shown(url: str) -> str:
    """Return a URL without its secret."""
    return f"{url.rstrip('/').rpartition('/')[0]}/****"


def compose(messages: Sequence[Message]) -> bytes:
    """Write a message: blocks, and a text for notifications and for clients without blocks."""
    blocks = _one(messages[0]) if len(messages) == 1 else _many(messages)
    return msgspec.json.encode({"text": _fallback(messages), "blocks": blocks})


def plain(messages: Sequence[Message]) -> bytes:
    """Write a message that is text and nothing else."""
    return msgspec.json.encode({"text": _fallback(messages)})


def _one(message: Message) -> list[dict[str, Any]]:
    title = _text(message.title, MAX_SECTION_LENGTH - 2)
    blocks: list[dict[str, Any]] = [_section(title if message.own else f"*{title}*")]
    if message.fields:
        fields = [
            _mrkdwn(f"*{_text(label, 300)}*\n{_text(value, MAX_FIELD_LENGTH - 310)}")
            for label, value in message.fields
        ]
        blocks.append({"type": "section", "fields": fields})
    about = _text(message.about, 1000) + _link(message, " · ")
    blocks.append({"type": "context", "elements": [_mrkdwn(about)]})
    return blocks


def _many(messages: Sequence[Message]) -> list[dict[str, Any]]:
    header = {"type": "plain_text", "text": summary(messages), "emoji": False}
    return [
        {"type": "header", "text": header},
        *(_section(_text(each.line, 600) + _link(each, " ")) for each in messages),
    ]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """Return a text in which Slack creates no links and no mentions."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _link(message: Message, before: str) -> str:
    link = "".join(_ESCAPES.get(char, char) for char in message.link)
    return f"{before}<{link}|Open>" if link and len(link) <= MAX_LINK_LENGTH else ""


def _fallback(messages: Sequence[Message]) -> str:
    first = [] if len(messages) == 1 else [f"{summary(messages)}:"]
    room = MAX_FALLBACK_LENGTH - 20
    lines = [_text(each.line, room // len(messages) - 1) for each in messages]
    return "\n".join([*first, *lines])


def _text(text: str, limit: int) -> str:
    return escaped(_EDGE.sub(_keep, text), limit, _ESCAPES)


def _keep(mark: re.Match[str]) -> str:
    """Separate a formatting character from the adjacent word with an invisible character."""
    return f"\u2060{mark[0]}\u2060"


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# Slack has no escape for these; they format only at the edge of a word.
_EDGE = re.compile(r"(?<!\w)[*_~`]+|[*_~`]+(?!\w)")


_GONE = {
    "action_prohibited": "the workspace does not allow this webhook to post there",
    "channel_is_archived": "the channel is archived",
    "channel_not_found": "the channel is gone",
    "invalid_token": "the webhook was revoked",
    "no_active_hooks": "the webhook is disabled",
    "no_service": "the webhook was removed",
    "no_service_id": "the webhook was removed",
    "no_team": "the workspace is gone",
    "team_disabled": "the workspace is disabled",
    "posting_to_general_channel_denied": "the workspace does not allow posts to #general",
}


def judged(outcome: Outcome) -> Outcome:
    """Return the outcome; a 2xx that says ``"ok": false`` is an error, as in Slack's Web API."""
    if outcome.status is None or not 200 <= outcome.status < 300:
        return outcome
    if not _NOT_OK.search(outcome.body):
        return outcome
    found = _ERROR.search(outcome.body)
    why = found[1].decode() if found else "that it failed"
    detail = f"Slack answered {outcome.status}, but says {why}"
    return msgspec.structs.replace(outcome, status=None, error="invalid_response", detail=detail)


_NOT_OK = re.compile(rb'\A\s*\{.{0,500}?"ok"\s*:\s*false', re.S)
_ERROR = re.compile(rb'"error"\s*:\s*"([a-z_]{1,60})"')


def gone(outcome: Outcome) -> str:
    """Return why the destination is permanently gone; empty if it is not."""
    code = _code(outcome)
    if outcome.status in (403, 404, 410) and code in _GONE:
        return f"Slack says {code}: {_GONE[code]}"
    if outcome.status in (404, 410):
        return f"Slack answered {outcome.status}"
    return ""


def refused(outcome: Outcome) -> str:
    """Return why the message was rejected as malformed; empty if it was not."""
    return (_code(outcome) or "a bad request") if outcome.status == 400 else ""


def _code(outcome: Outcome) -> str:
    """Return Slack's error code; empty if there is none."""
    found = _CODE.match(outcome.body)
    return found[0].decode() if found else ""


_CODE = re.compile(rb"[a-z][a-z_]{1,60}")
