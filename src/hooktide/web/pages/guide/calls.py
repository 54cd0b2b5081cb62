"""The requests that a customer makes to the API, spelled out, and the answer to one."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from hooktide.domain.dialect.signing import whsec
from hooktide.domain.ids import show
from hooktide.domain.time.times import show_time
from hooktide.web.pages.guide.example import AT, ENDPOINT, ID, SECRET
from hooktide.web.pages.guide.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Requests as ``curl`` makes them; ``registered`` is what ``register`` is answered with.

    ``secret`` is the one that is shown with it.
    """

    register: str
    registered: str
    bin: str
    replay: str
    secret: str


def make_calls(subject: Subject) -> Calls:
    """Spell out the requests of a project's customers."""
    fields, types = subject.project.fields, json.dumps(_wanted(subject))
    body = f'{{"{fields.url}": "{ENDPOINT}",\n       "{fields.event_types}": {types}}}'
    since = f'{{"what": "missed", "since": "{show_time(AT)[:19]}Z"}}'
    secret = SECRET.text if subject.dialect.signature else whsec(SECRET)
    answer = msgspec.json.encode(_answer(subject, secret))
    return Calls(
        register=_post(subject, "/webhooks", body),
        registered=msgspec.json.format(answer, indent=2).decode(),
        bin=_post(subject, "/v1/bins"),
        replay=_post(subject, f"/v1/endpoints/{show('ep', ID)}/replays", since),
        secret=secret,
    )


def _post(subject: Subject, path: str, body: str = "") -> str:
    lines = [
        f"curl -X POST {subject.served.public_url}{path}",
        '-H "Authorization: Bearer $API_KEY"',
    ]
    if body:
        lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
    return " \\\n  ".join(lines)


def _wanted(subject: Subject) -> list[str]:
    return [kind.name for kind in subject.types[:2]] or ["*"]


def _answer(subject: Subject, secret: str) -> dict[str, Any]:
    """Return what ``POST /webhooks`` answers (``web.api.webhooks``)."""
    fields = subject.project.fields
    return {
        fields.id: show("ep", ID),
        fields.url: ENDPOINT,
        fields.event_types: _wanted(subject),
        fields.name: "",
        fields.description: "",
        fields.headers: {},
        fields.filter: None,
        fields.channels: [],
        fields.reference: "",
        fields.metadata: {},
        fields.rate_limit: None,
        fields.burst: None,
        fields.retry_delays: None,
        fields.timeout_seconds: None,
        fields.kind: "webhook",
        fields.enabled: True,
        fields.resting_until: None,
        fields.resting_reason: "",
        fields.created_at: show_time(AT),
        fields.secret: secret,
    }
