"""How an app receives events, and which there are."""

from hooktide.domain.project.project import EventType, Project
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.blocks import (
    Block,
    Listing,
    More,
    Paragraph,
    Part,
    Points,
    Section,
    Text,
    code,
    link,
    listed,
    say,
    strong,
)
from hooktide.web.pages.guide.envelope import is_bare
from hooktide.web.pages.guide.example import indented, make_example
from hooktide.web.pages.guide.promises import sure_timeout
from hooktide.web.pages.guide.subject import Subject


def receiving(subject: Subject) -> Section:
    """Say what an app does with a request."""
    answer = say(
        "{} Answer with any {} within {}. Take longer work out of the request: keep the event, "
        "answer, then do it.",
        strong("Answer soon."),
        code("2xx"),
        formats.span(sure_timeout(subject.project)),
    )
    steps = (*_verify(subject), _tell(subject), _once(subject), answer)
    place = subject.at("event.occurred_at")
    order = say(
        "Events may come in another order than they happened, for one that failed comes later{}.",
        say("; {} says when each did", code(place)) if place else (),
    )
    return Section("Receive events", (Points(steps, ordered=True), Paragraph(order)))


def _verify(subject: Subject) -> list[Text]:
    if not subject.signs:
        return []
    text = say(
        "{} Check the {} over the bytes of the body as they came, before anything parses them.",
        strong("Verify."),
        link("signature", "#verify"),
    )
    return [text]


def _tell(subject: Subject) -> Text:
    what, place = strong("Tell what happened."), subject.at("event.type")
    if not place:
        return say(
            "{} The body does not name the event type: give each type an endpoint of its own where "
            "you have to know it.",
            what,
        )
    such_as = say(": {} for {}", code(subject.entity), code(subject.kind.name))
    return say(
        "{} The member {} is the event type. Its first part says what the payload is{}. Pass over "
        "types that you do not know.",
        what,
        code(place),
        such_as if subject.types else (),
    )


def _once(subject: Subject) -> Text:
    what = strong("Handle it once.")
    header = ["webhook-id"] if subject.dialect.standard_headers else []
    places = [code(place) for place in [*header, subject.at("event.id")] if place]
    if not places:
        return say(
            "{} A delivery may come twice, and has no id to tell by: let handling it again do no "
            "harm.",
            what,
        )
    return say(
        "{} A delivery may come twice, for instance when your answer was lost. {} {} the same each "
        "time: keep the ids that you have handled.",
        what,
        listed(places),
        "are" if len(places) > 1 else "is",
    )


def event_types(subject: Subject) -> list[Section]:
    """Show the event types, each with its example; nothing where there are none."""
    if not subject.types:
        return []
    envelope = "" if is_bare(subject.dialect) else " in its envelope"
    intro = say("Each example is a whole body: the payload{}, as it would be sent.", envelope)
    parts = [_event_type(subject.project, kind) for kind in subject.types]
    return [Section("Event types", (Paragraph(intro), *parts))]


def _event_type(project: Project, kind: EventType) -> Part:
    example, id = make_example(project, kind), f"code-{kind.name}"
    sent = Listing(f"{id}.sent", "Body, byte for byte", "json", example.body, wrapped=True)
    blocks: list[Block] = [
        *[Paragraph(say("{}", text)) for text in formats.paragraphs(kind.description)],
        Listing(id, "Body", "json", example.pretty),
        More("Byte for byte", (sent,)),
    ]
    if kind.schema is not None:
        text = indented(kind.schema)
        schema = Listing(f"{id}.schema", "JSON Schema of the payload", "json", text)
        blocks.append(More("Schema of the payload", (schema,)))
    return Part(f"event-{kind.name}", kind.name, tuple(blocks), literal=True)
