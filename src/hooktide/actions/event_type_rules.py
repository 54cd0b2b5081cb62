"""The rules for an event type, however it is added to its project."""

from dataclasses import replace

from hooktide.actions.texts import check_text
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.json.payload import check_payload, compile_schema
from hooktide.domain.messages.message import check_wording
from hooktide.domain.project.project import EVENT_TYPE_NAME, EventType, Project, check_example
from hooktide.domain.project.retention_days import check_retention_days
from hooktide.domain.project.schedule import why_too_long
from hooktide.wire.events import MAX_TRANSITION_LENGTH
from hooktide.wire.projects import MAX_TEXT_LENGTH


def check_alone(kind: EventType) -> EventType:
    """Check the parts of an event type that do not depend on its project; return it with texts in
    NFC.

    This may take long.

    :raises InvalidError: it breaks a rule.
    """
    kind = _with_checked_texts(kind)
    if not EVENT_TYPE_NAME.fullmatch(kind.name):
        raise InvalidError(
            "invalid_event_type", 'name an event type like "invoice.paid" (128 characters at most)'
        )
    _check_own_schema(kind)
    _check_wording(kind)
    return kind


def _with_checked_texts(kind: EventType) -> EventType:
    message = kind.message
    return replace(
        kind,
        description=check_text(kind.description, "/description", MAX_TEXT_LENGTH, lines=True),
        transition=check_text(kind.transition, "/transition", MAX_TRANSITION_LENGTH),
        message=replace(
            message,
            text=check_text(message.text, "/message/text", MAX_TEXT_LENGTH),
            link=check_text(message.link, "/message/link", MAX_TEXT_LENGTH),
        ),
    )


def check_type(project: Project, kind: EventType) -> None:
    """Check an event type, whose example is a payload, against its schema and its project.

    :raises InvalidError: it breaks a rule.
    """
    try:
        check_example(project, kind)
    except InvalidError as error:
        pointer = "/transition" if error.code == "transition_missing" else "/example"
        raise InvalidError("invalid_event_type", error.detail, pointer=pointer) from None
    if kind.retention_days is not None:
        check_retention_days(kind.retention_days, project.retention)
    if reason := why_too_long(project, kind.retry_delays):
        raise InvalidError("invalid_event_type", reason, pointer="/retry_delays")


def _check_own_schema(kind: EventType) -> None:
    try:
        if kind.schema is not None:
            compile_schema(kind.schema)
    except ConfigError as error:
        raise InvalidError("invalid_event_type", error.reason, pointer="/schema") from None


def _check_wording(kind: EventType) -> None:
    try:
        check_payload(kind.example.encode())
        check_wording(kind.message, kind.example)
    except InvalidError as error:
        raise InvalidError("invalid_event_type", error.detail, pointer="/example") from None
    except ConfigError as error:
        pointer = f"/message/{error.key}"
        raise InvalidError("invalid_event_type", error.reason, pointer=pointer) from None
