"""The guide of a project, in the order in which a receiver's engineer needs it."""

from hooktide.domain.project.project import Mode
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.blocks import (
    Guide,
    Note,
    Points,
    Section,
    Text,
    code,
    link,
    say,
    strong,
)
from hooktide.web.pages.guide.promises import promises, sure_timeout
from hooktide.web.pages.guide.receiving import event_types, receiving
from hooktide.web.pages.guide.registering import registering
from hooktide.web.pages.guide.request import the_request
from hooktide.web.pages.guide.subject import Subject
from hooktide.web.pages.guide.verifying import verifying


def make_guide(subject: Subject) -> Guide:
    """Write the guide of a project."""
    return Guide(
        title=f"{subject.title} webhooks",
        path=f"/docs/{subject.project.name}",
        lead=_lead(subject),
        notes=tuple(_notes(subject)),
        sections=(
            _how_it_works(subject),
            registering(subject),
            receiving(subject),
            *event_types(subject),
            the_request(subject),
            verifying(subject),
            *promises(subject),
        ),
    )


def _lead(subject: Subject) -> Text:
    return say(
        "With webhooks, your app knows when something happens in {}. Each event you ask for comes "
        "to a URL of yours as an HTTP POST{} within a moment.",
        subject.title,
        ", signed," if subject.signs else "",
    )


def _notes(subject: Subject) -> list[Note]:
    found = []
    if subject.project.mode is Mode.TEST:
        text = say("These webhooks can be set up and tested: test events are all that is sent.")
        found.append(Note("Not live yet.", text))
    if subject.project.accounts:
        text = say("{} offers webhooks to chosen accounts.", subject.title)
        found.append(Note("Closed beta.", text))
    if not subject.types:
        found.append(Note("No events yet.", say("There are no event types to ask for so far.")))
    return found


def _how_it_works(subject: Subject) -> Section:
    such_as = say(", such as {}", code(subject.kind.name)) if subject.types else ()
    verifies = (
        say("{}, ", link("verifies the signature", "#verify"))
        if subject.signs
        else say("{}, ", link("makes sure of it", "#verify"))
    )
    steps = (
        say("Something happens in {}{}.", subject.title, such_as),
        say("{} sends a POST request to your URL.", subject.title),
        say(
            "Your server {}keeps the event and answers with any {} within {}.",
            verifies,
            code("2xx"),
            strong(formats.span(sure_timeout(subject.project))),
        ),
        _if_not(subject),
    )
    return Section("How it works", (Points(steps, ordered=True),))


def _if_not(subject: Subject) -> Text:
    if any(plan.retries for plan in subject.project.plans):
        return say("If that fails, it is {}.", link("tried again", "#retries-and-timeouts"))
    return say("If that fails, it is not tried again.")
