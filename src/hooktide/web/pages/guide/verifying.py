"""How a receiver verifies: what is signed and how, and programs that check it."""

from hooktide.domain.dialect.dialect import Signature
from hooktide.domain.dialect.signing import TOLERANCE
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.blocks import (
    Block,
    Choice,
    Listing,
    Note,
    Paragraph,
    Part,
    Points,
    Said,
    Section,
    Span,
    Table,
    Text,
    code,
    say,
    strong,
)
from hooktide.web.pages.guide.programs import (
    LANGUAGES,
    Language,
    is_timed,
    own_program,
    standard_program,
)
from hooktide.web.pages.guide.request import STANDARD
from hooktide.web.pages.guide.subject import Subject


def verifying(subject: Subject) -> Section:
    """Say how to tell a request from a forged one."""
    if not subject.signs:
        return Section("Verify", _unsigned(subject))
    why = say(
        "Anyone who knows your URL can send to it. The signature tells that a request came from {} "
        "and that nobody changed it.",
        subject.title,
    )
    choice = Choice(tuple(language.tongue for language in LANGUAGES))
    blocks = [Paragraph(why), Points(_RULES), choice, *_own(subject), *_standard(subject)]
    return Section("Verify", tuple(blocks))


_RULES = (
    say(
        "{} Take the body as it came. Parsing JSON and writing it again changes it, and the "
        "signature no longer matches.",
        strong("Verify the raw bytes."),
    ),
    say(
        "{} The programs here do it in constant time; a plain comparison tells an attacker how "
        "much of a guess was right.",
        strong("Compare safely."),
    ),
    say("{} Answer {} to what does not verify.", strong("Refuse the rest."), code("401")),
)


def _unsigned(subject: Subject) -> tuple[Block, ...]:
    warning = say("Anyone who knows your URL can send to it: do not act on a request alone.")
    instead = (
        say(
            "{} Give your endpoint a header of its own, such as {}, when you register it (the "
            "field {}), and refuse requests without it.",
            strong("Agree on a secret."),
            code("X-Webhook-Token: a long random text"),
            code(subject.project.fields.headers),
        ),
        say(
            "{} Take only the id from the body, and ask {} for what it stands for.",
            strong("Look it up."),
            subject.title,
        ),
        say("{} Others on the way could read the token.", strong("Use HTTPS.")),
    )
    return (Note("Requests are not signed.", warning), Points(instead))


def _own(subject: Subject) -> list[Block]:
    dialect, signature = subject.dialect, subject.dialect.signature
    if signature is None:
        return []
    programs = [_program(each, "own", own_program(each, dialect, signature)) for each in LANGUAGES]
    facts = Table(("What", "Is"), tuple(_own_facts(signature)))
    return [Part("own-signature", signature.header, (facts, *programs), literal=True)]


def _own_facts(signature: Signature) -> list[tuple[Text, Text]]:
    facts = [
        (say("Header"), (code(signature.header),)),
        (
            say("Algorithm"),
            say("{}, in {}", signature.algorithm.upper(), signature.encoding.value),
        ),
        (say("Key"), say("the secret as text, the way it is shown; do not decode it")),
        (say("What is signed"), (code(signature.content),)),
    ]
    if signature.value != "{signature}":
        facts.append((say("What the header says"), (code(signature.value),)))
    if is_timed(signature):
        facts.append(_tolerance(_stamp(signature)))
    return facts


def _stamp(signature: Signature) -> Span:
    if "{timestamp}" in signature.value:
        return Span("its timestamp")
    return code(signature.timestamp_header or "webhook-timestamp")


def _tolerance(stamp: Span) -> tuple[Text, Text]:
    return say("Age"), say("at most {}, by {}", formats.span(TOLERANCE), stamp)


def _standard(subject: Subject) -> list[Block]:
    dialect = subject.dialect
    if not dialect.standard_headers:
        return []
    programs = [_program(each, "standard", standard_program(each, dialect)) for each in LANGUAGES]
    facts = (
        (say("Header"), (code("webhook-signature"),)),
        (say("Algorithm"), say("HMAC-SHA256, in base64, after {}", code("v1,"))),
        (say("Key"), _standard_key(dialect.signature)),
        (say("What is signed"), (code("{webhook-id}.{webhook-timestamp}.{body}"),)),
        _tolerance(code("webhook-timestamp")),
    )
    blocks = (Paragraph(_standard_words(dialect.signature)), Table(("What", "Is"), facts))
    return [Part("standard-webhooks", "Standard Webhooks", (*blocks, *programs))]


def _standard_words(own: Signature | None) -> Text:
    if own is None:
        return say("Requests are signed as {} says; its libraries work too.", STANDARD)
    why = "" if is_timed(own) else "this one also tells old requests from new ones, and "
    return say(
        "Each request is signed the {} way too. One of the two is enough; {}its libraries work.",
        STANDARD,
        why,
    )


def _standard_key(own: Signature | None) -> Text:
    if own is None:
        return say("what follows {} in the secret, decoded from base64", code("whsec_"))
    return say(
        "the 32 bytes that the secret's hexadecimal digits stand for; libraries take it as {} and "
        "these bytes in base64",
        code("whsec_"),
    )


def _program(language: Language, scheme: str, text: str) -> Said:
    id = f"code-{scheme}-{language.tongue.key}"
    listing = Listing(id, language.needs, language.lexer, text.rstrip("\n"))
    return Said(language.tongue, (listing, Paragraph(language.bring)))
