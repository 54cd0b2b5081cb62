"""Microsoft Teams' workflows: an adaptive card, and what their errors mean.

A workflow “When a Teams webhook request is received” posts each attachment it is sent as a card, of
28 KB at most. Text is put in ``RichTextBlock``, which, other than ``TextBlock`` and ``FactSet``,
knows no Markdown, so there is nothing to escape:
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.domain.messages.message import Message, escaped, summary

DOMAINS = (".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com")

MAX_LINK_LENGTH = 300
"""A longer link is left out where many events share a card."""


def fits(target: Target) -> bool:
    """Whether this is the URL of a workflow, or of one of the older connectors."""
    if not target.host.endswith(DOMAINS):
        return False
    return "/workflows/" in target.path or target.path.startswith("/webhookb2/")


def shown(url: str) -> str:
    """Return a URL without its secret."""
    bare = url.partition("?")[0]
    scheme, _, rest = bare.partition("://")
    host, _, path = rest.partition("/")
    first = "/".join(path.split("/")[:2])
    return f"{scheme}://{host}/{first}/****"


def compose(messages: Sequence[Message]) -> bytes:
    """Write a message: a card."""
    return _card(_one(messages[0]) if len(messages) == 1 else _many(messages), messages)


def plain(messages: Sequence[Message]) -> bytes:
    """Write a card that is text and nothing else."""
    first = [] if len(messages) == 1 else [_line(summary(messages))]
    return _card([*first, *(_line(each.line) for each in messages)], messages)


def _one(message: Message) -> list[dict[str, Any]]:
    size = "Default" if message.own else "Medium"
    body = [_rich(_run(message.title, weight="Default" if message.own else "Bolder", size=size))]
    body += [
        _rich(_run(f"{label}: ", weight="Bolder"), _run(value)) for label, value in message.fields
    ]
    body.append(_rich(_run(message.about, size="Small", isSubtle=True)))
    if message.link:
        body.append({"type": "ActionSet", "actions": [_open(message.link, "Open")]})
    return body


def _many(messages: Sequence[Message]) -> list[dict[str, Any]]:
    body = [_rich(_run(summary(messages), weight="Bolder", size="Medium"))]
    for each in messages:
        line = _run(each.line)
        if each.link and len(each.link) <= MAX_LINK_LENGTH:
            line["selectAction"] = _open(each.link, "Open")
        body.append(_rich(line))
    return body


def _open(link: str, title: str) -> dict[str, Any]:
    return {"type": "Action.OpenUrl", "title": title, "url": link}


def _line(text: str) -> dict[str, Any]:
    return _rich(_run(text))


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **looks}


def _card(body: list[dict[str, Any]], messages: Sequence[Message]) -> bytes:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": escaped(messages[0].line, 300, {}),
        "body": body,
        "msteams": {"width": "Full"},
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return msgspec.json.encode({"type": "message", "attachments": [attachment]})


def judged(outcome: Outcome) -> Outcome:
    """Return the outcome with the status that the answer's text gives.

    A connector answers 200 even if the message failed: ``1`` where it was posted, else a text
    like “Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error
    429 with ContextId …”. A workflow answers 202 with an empty body.
    """
    if outcome.status is None or not 200 <= outcome.status < 300:
        return outcome
    found = _HTTP_ERROR.search(outcome.body)
    if found is not None:
        detail = f"Teams answered {outcome.status}, with HTTP error {found[1].decode()} in its text"
        return msgspec.structs.replace(outcome, status=int(found[1]), detail=detail)
    if b"message delivery failed" not in outcome.body:
        return outcome
    detail = f"Teams answered {outcome.status}, but its text says that the message failed"
    return msgspec.structs.replace(outcome, status=None, error="invalid_response", detail=detail)


_HTTP_ERROR = re.compile(rb"returned HTTP error ([45][0-9][0-9])")


def gone(outcome: Outcome) -> str:
    """Return why the destination is permanently gone; empty if it is not."""
    if outcome.status in (404, 410):
        return f"Teams answered {outcome.status}: the workflow was removed"
    if outcome.status in (401, 403) and b"Authori" in outcome.body:
        return f"Teams answered {outcome.status}: the workflow's URL was regenerated"
    return ""


def refused(outcome: Outcome) -> str:
    """Return why the message was rejected as malformed; empty if it was not."""
    if outcome.status == 400 and b"NotEnabled" not in outcome.body:
        return "Teams found the message malformed"
    return ""
