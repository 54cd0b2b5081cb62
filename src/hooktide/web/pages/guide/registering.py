"""How a customer registers an endpoint: with one request, which the guide spells out."""

import json
from typing import Any

import msgspec

from hooktide.domain.dialect.signing import whsec
from hooktide.domain.ids import show
from hooktide.domain.time.times import show_time
from hooktide.web.pages.guide.blocks import (
    Block,
    Listing,
    Note,
    Paragraph,
    Part,
    Points,
    Section,
    Table,
    Text,
    code,
    say,
    strong,
)
from hooktide.web.pages.guide.example import AT, ENDPOINT, ID, SECRET
from hooktide.web.pages.guide.subject import Subject


def registering(subject: Subject) -> Section:
    """Say how to register an endpoint, and what can be done with it."""
    first = say(
        "You need a URL in your app that {} can call. Add it where {} has its webhooks, or with "
        "one request and the API key of your account:",
        subject.title,
        subject.title,
    )
    blocks: list[Block] = [
        Paragraph(first),
        Listing("code-register", "Request", "bash", _call(subject)),
        Listing("code-registered", "Answer (201)", "json", _indented(_answer(subject))),
        *_secret_words(subject),
        Points((_url_rules(subject), _choosing(subject))),
        Part("try-it-first", "Try it first", _trying(subject)),
        Part("managing-endpoints", "Managing endpoints", (_managing(subject),)),
    ]
    return Section("Register an endpoint", tuple(blocks))


def _call(subject: Subject) -> str:
    fields, types = subject.project.fields, json.dumps(_wanted(subject))
    body = f'{{"{fields.url}": "{ENDPOINT}",\n       "{fields.event_types}": {types}}}'
    return post_call(subject, "/webhooks", body)


def post_call(subject: Subject, path: str, body: str = "") -> str:
    """Spell out a POST request to the API, by a customer."""
    lines = [
        f"curl -X POST {subject.served.public_url}{path}",
        '-H "Authorization: Bearer $API_KEY"',
    ]
    if body:
        lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    return " \\\n  ".join(lines)


def _wanted(subject: Subject) -> list[str]:
    return [kind.name for kind in subject.types[:2]] or ["*"]


def _answer(subject: Subject) -> dict[str, Any]:
    """Return what ``POST /webhooks`` answers (``web.api.webhooks``)."""
    fields = subject.project.fields
    return {
        fields.id: show("ep", ID),
        fields.url: ENDPOINT,
        fields.event_types: _wanted(subject),
        fields.name: "",
        fields.description: "",
        fields.headers: {},
        fields.kind: "webhook",
        fields.enabled: True,
        fields.resting_until: None,
        fields.resting_reason: "",
        fields.created_at: show_time(AT),
        fields.secret: SECRET.text if subject.dialect.signature else whsec(SECRET),
    }


def _indented(value: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _secret_words(subject: Subject) -> list[Block]:
    if not subject.signs:
        return []
    text = say(
        "It signs your webhooks, and {} shows it this once: copy it now. Keep it out of your code "
        "and its repository.",
        code(subject.project.fields.secret),
    )
    return [Note("The secret.", text)]


def _url_rules(subject: Subject) -> Text:
    served = subject.served
    scheme = say("{} or {}", code("https://"), code("http://")) if served.allow_http else ()
    return say(
        "{} is a public address, {}{}, with a certificate that browsers accept. Redirects are not "
        "followed, so give the final one.",
        strong("The URL"),
        scheme or code("https://"),
        " on port 443" if served.only_port_443 else "",
    )


def _choosing(subject: Subject) -> Text:
    if not subject.types:
        return say("{} are asked for by name.", strong("Events"))
    return say(
        "{} are asked for by name ({}), by their beginning ({}), or all together ({}). You may "
        "have one endpoint for all, or one for each.",
        strong("Events"),
        code(subject.kind.name),
        code(f"{subject.entity}.*"),
        code("*"),
    )


def _trying(subject: Subject) -> tuple[Block, ...]:
    why = say("No server yet? Make a request bin, a URL that shows what it is sent:")
    then = say(
        "Register the {} of the answer as your endpoint's, open its {} in a browser, and send a "
        "test event.",
        code("url"),
        code("page_url"),
    )
    call = Listing("code-bin", "Request", "bash", post_call(subject, "/v1/bins"))
    return (Paragraph(why), call, Paragraph(then))


def _managing(subject: Subject) -> Table:
    switch = code(subject.project.fields.enabled)
    calls = [
        ("GET /webhooks", say("List your endpoints.")),
        ("GET /webhooks/{id}", say("Show an endpoint.")),
        ("PATCH /webhooks/{id}", say("Change an endpoint; {} switches it off and on.", switch)),
        ("DELETE /webhooks/{id}", say("Remove an endpoint.")),
        ("POST /v1/endpoints/{id}/test", say("Send a test event now, and see what came back.")),
        ("GET /v1/endpoints/{id}/deliveries", say("See what was sent, newest first.")),
        ("GET /v1/deliveries/{id}/attempts", say("See each attempt and what you answered.")),
        ("POST /v1/deliveries/{id}/resend", say("Send an event again.")),
        ("POST /v1/endpoints/{id}/replays", say("Send again what failed or was missed.")),
    ]
    if subject.signs:
        calls.append(("POST /v1/endpoints/{id}/rotate", say("Make a new secret.")))
    rows = tuple(((code(call),), does) for call, does in calls)
    return Table(("Request", "What it does"), rows)
