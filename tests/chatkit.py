"""Fakes of Slack, Discord and Teams as strict as their documentation, and a server for them.

The rules follow the services' documentation, not our code: what a message may contain, how long
each part may be, and which characters would be interpreted as markup.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from wire import Peer, receiving

Rule: TypeAlias = Callable[[bytes], str]


def units(text: str) -> int:
    """Return the length in UTF-16 code units, as JavaScript counts it."""
    return len(text.encode("utf-16-le")) // 2


SLACK_LINK = re.compile(r"<(https?://[^<>|\s]+)\|([^<>|]+)>")
ENTITY = re.compile(r"&(?:amp|lt|gt);")


def slack(body: bytes) -> str:
    """Return the error that Slack would return, or an empty string."""
    try:
        message = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "invalid_payload"
    if set(message) - {"text", "blocks"}:
        return "invalid_payload"
    text, blocks = message.get("text", ""), message.get("blocks", [])
    if not text and not blocks:
        return "no_text"
    if units(text) > 40_000 or (text and not _is_mrkdwn(text)):
        return "invalid_payload"
    if len(blocks) > 50 or not all(_is_block(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _is_block(block: dict[str, Any]) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": text, **more}, **rest}:
            return 0 < units(text) <= 150 and set(more) <= {"emoji"} and not rest
        case {"type": "section", "text": {"type": "mrkdwn"} as text, **rest}:
            return _is_text(text, 3000) and not rest
        case {"type": "section", "fields": fields, **rest}:
            return 0 < len(fields) <= 10 and all(_is_text(f, 2000) for f in fields) and not rest
        case {"type": "context", "elements": elements, **rest}:
            return 0 < len(elements) <= 10 and all(_is_text(e, 2000) for e in elements) and not rest
    return False


def _is_text(value: dict[str, Any], most: int) -> bool:
    match value:
        case {"type": "mrkdwn", "text": text, "verbatim": True, **rest}:
            return 0 < units(text) <= most and _is_mrkdwn(text) and not rest
    return False


def _is_mrkdwn(text: str) -> bool:
    """Return whether a text has no markup except links with a label."""
    bare = SLACK_LINK.sub("", text)
    return not set("<>") & set(bare) and "&" not in ENTITY.sub("", bare)


EMBED = {"title", "description", "url", "fields", "footer", "timestamp"}


def discord(body: bytes) -> str:
    """Return the error that Discord would return, or an empty string."""
    message = msgspec.json.decode(body)
    if set(message) - {"content", "embeds", "allowed_mentions"}:
        return "unknown member"
    if message.get("allowed_mentions") != {"parse": []}:
        return "would call people"
    content, embeds = message.get("content", ""), message.get("embeds", [])
    if not content and not embeds:
        return "empty message"
    if units(content) > 2000 or len(embeds) > 10:
        return "too long"
    if not all(_is_embed(embed) for embed in embeds):
        return "invalid embed"
    return "embeds too long" if sum(map(_embed_units, embeds)) > 6000 else ""


def _is_embed(embed: dict[str, Any]) -> bool:
    fields = embed.get("fields", [])
    return (
        not set(embed) - EMBED
        and 0 < units(embed.get("title", "x")) <= 256
        and 0 < units(embed.get("description", "x")) <= 4096
        and 0 < units(embed.get("footer", {}).get("text", "x")) <= 2048
        and len(fields) <= 25
        and all(0 < units(f["name"]) <= 256 and 0 < units(f["value"]) <= 1024 for f in fields)
        and re.fullmatch(r"https?://\S+", embed.get("url", "http://x")) is not None
        and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", embed.get("timestamp", "2026-01-01T0Z"))
        is not None
    )


def _embed_units(embed: dict[str, Any]) -> int:
    texts = [embed.get("title", ""), embed.get("description", "")]
    texts += [embed.get("footer", {}).get("text", "")]
    texts += [f[part] for f in embed.get("fields", []) for part in ("name", "value")]
    return sum(map(units, texts))


def unescaped(text: str) -> str:
    """Return what Discord would interpret as Markdown, except links with a label."""
    bare = re.sub(r"\\.", "", text)
    bare = re.sub(r"\[Open\]\(https?://[^\s()]+\)", "", bare)
    return "".join(sorted(set(bare) & set("*_~`|>#[]()<@\\")))


def teams(body: bytes) -> str:
    """Return the error that a Teams workflow would fail with, or an empty string."""
    if len(body) > 28 * 1024:
        return "too large"
    message = msgspec.json.decode(body)
    if message.get("type") != "message" or len(message["attachments"]) != 1:
        return "no attachment"
    attachment = message["attachments"][0]
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
        return "no card"
    card = attachment["content"]
    if card["type"] != "AdaptiveCard" or card["version"] not in {"1.2", "1.3", "1.4", "1.5"}:
        return "no card"
    return "" if card["body"] and all(map(_is_element, card["body"])) else "invalid element"


def _is_element(element: dict[str, Any]) -> bool:
    match element:
        case {"type": "RichTextBlock", "inlines": [*runs]}:
            return bool(runs) and all(_is_run(run) for run in runs)
        case {"type": "ActionSet", "actions": [*actions]}:
            return all(_is_open(action) for action in actions)
    return False


def _is_run(run: dict[str, Any]) -> bool:
    known = {"type", "text", "weight", "size", "isSubtle", "selectAction"}
    return (
        not set(run) - known
        and run["type"] == "TextRun"
        and bool(run["text"])
        and ("selectAction" not in run or _is_open(run["selectAction"]))
    )


def _is_open(action: dict[str, Any]) -> bool:
    match action:
        case {"type": "Action.OpenUrl", "title": str(title), "url": str(url), **rest}:
            return bool(title) and url.startswith(("http://", "https://")) and not rest
    return False


@dataclass
class Channel:
    """A channel of a fake service. It accepts one message per second and keeps it.

    ``script`` lists the responses to give first, as status, body and Retry-After.
    """

    rule: Rule
    clock: Callable[[], float]
    pace: float = 1.0
    port: int = 0
    script: list[tuple[int, str, str]] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    last_at: float = float("-inf")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T000/B000/s3cr3tpart"

    def answer(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        self.heads.append(head)
        status, text, rest = self._judge(body)
        more = f"retry-after: {rest}\r\n" if rest else ""
        return (f"HTTP/1.1 {status} X\r\ncontent-length: {len(text)}\r\n{more}\r\n{text}").encode()

    def _judge(self, body: bytes) -> tuple[int, str, str]:
        now, early = self.clock(), self.clock() - self.last_at < self.pace
        self.last_at = now
        if early:
            self.refused.append("rate_limited")
            return 429, "rate_limited", "1"
        if self.script:
            return self.script.pop(0)
        if error := self.rule(body):
            self.refused.append(error)
            return 400, error, ""
        self.taken.append(msgspec.json.decode(body))
        return 200, "ok", ""


@asynccontextmanager
async def channel(rule: Rule, clock: Callable[[], float]) -> AsyncIterator[Channel]:
    """Run a fake service."""
    made = Channel(rule, clock)

    async def behave(peer: Peer) -> None:
        while True:
            await peer.send(made.answer(await peer.request()))

    async with receiving(behave) as receiver:
        made.port = receiver.port
        yield made
