"""What both documents for machines say: where the guide is, what the headers are, the examples."""

from dataclasses import dataclass
from typing import Any

import msgspec

from hooktide.domain.delivery.compose import TYPE_HEADER
from hooktide.domain.dialect.dialect import Signature, StandardNames
from hooktide.domain.project.project import Mode
from hooktide.web.pages.guide.envelope import EVENT_ID
from hooktide.web.pages.guide.example import Example
from hooktide.web.pages.guide.subject import Subject


@dataclass(frozen=True, slots=True)
class HeaderFact:
    """What a header is. Headers are texts, and so are their schema and example."""

    description: str
    example: str
    schema: dict[str, Any]


def base(subject: Subject) -> str:
    """Return the address of the guide."""
    return f"{subject.served.public_url}/docs/{subject.project.name}"


def description(subject: Subject) -> str:
    """Describe in a paragraph what is sent and how to detect forgeries."""
    said = [f"The requests that {subject.title} sends to your endpoint."]
    if subject.project.mode is Mode.TEST:
        said.append("Not live yet: only test events are sent.")
    if subject.project.accounts:
        said.append("In a closed beta, for chosen accounts.")
    if not subject.signs:
        said.append("They are not signed.")
    return " ".join([*said, f"How to register and to verify: {base(subject)}"])


def sent_body(example: Example) -> msgspec.Raw:
    """Return the body of an example as it is: its numbers stay as they are written."""
    return msgspec.Raw(example.body.encode())


def header_facts(subject: Subject, example: Example) -> dict[str, HeaderFact]:
    """Return the headers that each request carries besides those HTTP needs."""
    dialect, given = subject.dialect, example.headers
    facts = {
        name: HeaderFact("Always this.", value, {"const": value}) for name, value in dialect.headers
    }
    if dialect.signature is not None:
        facts |= _own_facts(dialect.signature, given)
    if dialect.standard_headers:
        facts |= _standard_facts(dialect.standard_names, given)
    kind = given.get(TYPE_HEADER.decode())
    if kind is not None:
        facts[TYPE_HEADER.decode()] = HeaderFact("The event type.", kind, {"const": kind})
    return facts


def _own_facts(signature: Signature, given: dict[str, str]) -> dict[str, HeaderFact]:
    scheme = f"{signature.algorithm.upper()} of {signature.content}, in {signature.encoding.value}"
    facts = {
        signature.header: HeaderFact(
            f"The signature: {scheme}.", given[signature.header], {"type": "string"}
        )
    }
    if signature.timestamp_header:
        facts[signature.timestamp_header] = _stamp(given[signature.timestamp_header])
    return facts


def _standard_facts(names: StandardNames, given: dict[str, str]) -> dict[str, HeaderFact]:
    return {
        names.id: HeaderFact(
            "The event's id: the same on every attempt.", given[names.id], EVENT_ID
        ),
        names.timestamp: _stamp(given[names.timestamp]),
        names.signature: HeaderFact(
            "Signatures as Standard Webhooks says, separated by spaces.",
            given[names.signature],
            {"type": "string"},
        ),
    }


def _stamp(value: str) -> HeaderFact:
    return HeaderFact(
        "When this attempt was made, in seconds since 1970.",
        value,
        {"type": "string", "pattern": "^[0-9]+$"},
    )
