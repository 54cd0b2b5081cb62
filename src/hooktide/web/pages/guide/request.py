"""The request on the wire: its headers, what stands around the payload, and a whole one."""

from hooktide.domain.dialect.signing import whsec
from hooktide.web.pages.guide.blocks import (
    Block,
    Listing,
    Paragraph,
    Part,
    Section,
    Span,
    Table,
    Text,
    code,
    link,
    say,
)
from hooktide.web.pages.guide.envelope import is_bare, meaning
from hooktide.web.pages.guide.example import SECRET, Example, make_example
from hooktide.web.pages.guide.programs import is_timed
from hooktide.web.pages.guide.subject import Subject


def the_request(subject: Subject) -> Section:
    """Describe the request."""
    example = make_example(subject.project, subject.kind)
    blocks: list[Block] = [
        Paragraph(say("Each event is one POST request with a JSON body.")),
        Part("headers", "Headers", _headers(subject, example)),
        Part("body", "Body", _body(subject)),
    ]
    if subject.types:
        blocks.append(Part("whole-request", "A whole request", _whole(subject, example)))
    return Section("The request", tuple(blocks))


def _headers(subject: Subject, example: Example) -> tuple[Block, ...]:
    meanings = _meanings(subject)
    rows = tuple(
        ((code(name),), meanings[name.lower()], (code(value),))
        for name, value in example.headers.items()
        if name.lower() in meanings
    )
    own = say("Headers that you gave to your endpoint come as well.")
    return (Table(("Header", "What it is", "Example"), rows), Paragraph(own))


def _meanings(subject: Subject) -> dict[str, Text]:
    fixed = {name.lower(): say("Always this.") for name, _ in subject.dialect.headers}
    return {
        **fixed,
        "user-agent": say("Who sends."),
        "content-type": say("The body is JSON."),
        **_own_meanings(subject),
        **_standard_meanings(subject),
    }


def _own_meanings(subject: Subject) -> dict[str, Text]:
    signature = subject.dialect.signature
    if signature is None:
        return {}
    stamp = {signature.timestamp_header.lower(): _MADE} if signature.timestamp_header else {}
    return {signature.header.lower(): say("The {}.", link("signature", "#verify")), **stamp}


def _standard_meanings(subject: Subject) -> dict[str, Text]:
    if not subject.dialect.standard_headers:
        return {}
    return {
        "webhook-id": say("The event's id: the same on every attempt."),
        "webhook-timestamp": _MADE,
        "webhook-signature": say("The {} of {}.", link("signature", "#verify"), STANDARD),
    }


_MADE = say("When this attempt was made, in seconds since 1970.")
STANDARD: Span = link("Standard Webhooks", "https://www.standardwebhooks.com")


def _body(subject: Subject) -> tuple[Block, ...]:
    untouched = say(
        "Payloads are passed on byte for byte: the order of members, numbers such as {} and "
        "escapes arrive as they were written.",
        code("1.10"),
    )
    if is_bare(subject.dialect):
        return (Paragraph(say("The body is the payload alone.")), Paragraph(untouched))
    rows = tuple(
        ((code(member.path),), meaning(member, subject.kind)) for member in subject.members
    )
    intro = say("The payload comes in an envelope, the same for all event types.")
    return (Paragraph(intro), Table(("Member", "What it is"), rows), Paragraph(untouched))


def _whole(subject: Subject, example: Example) -> tuple[Block, ...]:
    listing = Listing("code-request", "Request", "http", example.request, wrapped=True)
    if not subject.signs:
        return (listing,)
    secret = SECRET.text if subject.dialect.signature else whsec(SECRET)
    told = say(
        "Try your code on it with the secret {}{}.",
        code(secret),
        ", and without looking at its age" if _is_dated(subject) else "",
    )
    return (listing, Paragraph(told))


def _is_dated(subject: Subject) -> bool:
    signature = subject.dialect.signature
    return subject.dialect.standard_headers or (signature is not None and is_timed(signature))
