"""What happens over time: retries, limits, when an endpoint is disabled, rotation."""

from itertools import accumulate

from hooktide.domain.counting import count_of
from hooktide.domain.delivery.backoff import delays
from hooktide.domain.delivery.verdict import JITTER, RETRY_AFTER_CAP
from hooktide.domain.ids import show
from hooktide.domain.json.payload import MAX_BYTES
from hooktide.domain.model import Micros
from hooktide.domain.project.project import Plan, Project
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.blocks import (
    Block,
    Listing,
    Paragraph,
    Part,
    Points,
    Section,
    Table,
    Text,
    code,
    link,
    say,
    strong,
)
from hooktide.web.pages.guide.example import AT, ID
from hooktide.web.pages.guide.registering import post_call
from hooktide.web.pages.guide.subject import Subject


def sure_timeout(project: Project) -> Micros:
    """Return the time for an answer that every plan gives."""
    return min(plan.timeout for plan in project.plans)


def promises(subject: Subject) -> list[Section]:
    """Say what a project's receivers may count on."""
    return [
        _retries(subject.project),
        _limits(subject.project),
        _disabling(subject),
        *([_rotating(subject.project)] if subject.signs else []),
    ]


def _retries(project: Project) -> Section:
    blocks: list[Block] = [Paragraph(_success(project)), *_schedule(project)]
    most = max(plan.retries for plan in project.plans)
    rules = [
        say("Every attempt has the same body and the same id.{}", _fresh(project)),
        say("After {} the endpoint is {}.", code("410"), link("disabled", f"#{_DISABLED}")),
    ]
    if most:
        rules[1:1] = [
            say(
                "With {} in your answer the next attempt waits at least that long, {} at most.",
                code("Retry-After"),
                formats.span(RETRY_AFTER_CAP),
            ),
            say(
                "After {}, or {} with {}, the whole endpoint rests as long; a 429 that does not "
                "say for how long rests it for a second, and up to a minute if it is repeated.",
                code("429"),
                code("503"),
                code("Retry-After"),
            ),
        ]
    return Section("Retries and timeouts", (*blocks, Points(tuple(rules))))


_DISABLED = "when-an-endpoint-is-disabled"


def _success(project: Project) -> Text:
    times = {plan.timeout for plan in project.plans}
    depends = say("; {} may give more", link("your plan", "#limits")) if len(times) > 1 else ()
    return say(
        "A delivery has arrived when you answer with any {} within {}{}, counted from looking up "
        "your host's name to the end of your answer. Everything else is a failed attempt: another "
        "status, a redirect, a wrong certificate, no answer.",
        code("2xx"),
        formats.span(sure_timeout(project)),
        depends,
    )


def _fresh(project: Project) -> str:
    own = project.dialect.signature
    told = own is not None and ("{timestamp}" in own.content + own.value or own.timestamp_header)
    stamped = project.dialect.standard_headers or told
    return " Its timestamp and signature are fresh." if stamped else ""


def _schedule(project: Project) -> list[Block]:
    counts = sorted({plan.retries for plan in project.plans})
    if counts == [0]:
        return [Paragraph(say("A failed delivery is not tried again."))]
    waits = delays(project.retry, counts[-1])
    rows = tuple(
        ((say("{}", str(number))), say("{}", formats.span(wait)), say("{}", formats.span(since)))
        for number, (wait, since) in enumerate(zip(waits, accumulate(waits), strict=True), 2)
    )
    differ = (
        say("; how many depends on {}", link("your plan", "#limits")) if len(counts) > 1 else ()
    )
    after = say(
        "What fails is tried again, up to {}{}. Each wait is spread by {} %, so that not all come "
        "back at once.",
        count_of(counts[-1], "time"),
        differ,
        f"±{JITTER * 100:.0f}",
    )
    return [Paragraph(after), Table(("Attempt", "After the one before", "Since the first"), rows)]


def _limits(project: Project) -> Section:
    plans = project.plans
    alone = len(plans) == 1 and plans[0].name == "default"
    names = ("Every account",) if alone else tuple(map(_plan_title, plans))
    rows = (
        ("Endpoints", [formats.at_most(plan.endpoints) for plan in plans]),
        ("Deliveries per hour", [formats.at_most(plan.deliveries_per_hour) for plan in plans]),
        ("Retries", [str(plan.retries) for plan in plans]),
        ("Time for an answer", [formats.span(plan.timeout) for plan in plans]),
        ("Size of a payload", [f"{MAX_BYTES // 1024} KB"] * len(plans)),
    )
    table = Table(
        ("Limit", *names),
        tuple((say("{}", what), *[say("{}", each) for each in values]) for what, values in rows),
    )
    rules = _over(plans)
    return Section("Limits", (table, *([Points(tuple(rules))] if rules else [])))


def _plan_title(plan: Plan) -> str:
    return plan.name.replace("-", " ").capitalize()


def _over(plans: tuple[Plan, ...]) -> list[Text]:
    rules = []
    if any(plan.endpoints is not None for plan in plans):
        rules.append(say("One endpoint too many is refused, and the answer says so."))
    if any(plan.deliveries_per_hour is not None for plan in plans):
        rules.append(
            say(
                "Deliveries over the hour's limit are held, and sent as soon as the hour has room. "
                "None is lost."
            )
        )
    return rules


def _disabling(subject: Subject) -> Section:
    project = subject.project
    when = [
        say("You switch it off."),
        say("It answers {}: the sign that it wants nothing more.", code("410 Gone")),
    ]
    if project.disable_after:
        when.append(
            say(
                "{} in a row fail, each with its retries used up. Any success starts the count "
                "again.",
                strong(_deliveries(project.disable_after)),
            )
        )
    then = [
        say("A disabled endpoint is sent nothing."),
        say("What happens meanwhile is not queued for it, and what was waiting is discarded."),
        say("Switch it on again when it is mended: the count of failures is then zero."),
    ]
    return Section(
        "When an endpoint is disabled",
        (
            Points(tuple(when)),
            Paragraph(say("Then:")),
            Points(tuple(then)),
            Part("what-was-missed", "What was missed", _missed(subject)),
        ),
    )


def _missed(subject: Subject) -> tuple[Block, ...]:
    ask = say(
        "Once it is on again, ask for what happened since, with the endpoint's id and an instant. "
        "{} sends what failed instead.",
        code("failed"),
    )
    body = f'{{"what": "missed", "since": "{show_time(AT)[:19]}Z"}}'
    call = post_call(subject, f"/v1/endpoints/{show('ep', ID)}/replays", body)
    return (Paragraph(ask), Listing("code-replay", "Request", "bash", call))


def _deliveries(count: int) -> str:
    return "One delivery" if count == 1 else f"{count:,} deliveries"


def _rotating(project: Project) -> Section:
    standard, own = project.dialect.standard_headers, project.dialect.signature
    first = Paragraph(
        say("Make a new secret when the old one may be known to others. It is shown once, too.")
    )
    if not (project.rotation_overlap and standard):
        rules = [
            say("{}: from then on requests are signed with the new one.", strong(_AT_ONCE)),
            say("Give it to your app soon. What that refuses until then is tried again."),
        ]
        return Section("Rotating the secret", (first, Points(tuple(rules))))
    rules = [
        say(
            "{} after a rotation {} has two signatures, one with each secret: whichever your code "
            "knows, it verifies.",
            strong(f"For {formats.span(project.rotation_overlap)}"),
            code("webhook-signature"),
        ),
        say("Then the old secret has stopped."),
    ]
    if own is not None:
        rules.append(
            say("{} is made with the new secret at once.", code(own.header)),
        )
    return Section("Rotating the secret", (first, Points(tuple(rules))))


_AT_ONCE = "The old secret stops at once"
