"""The delivery log as pages show it: a row per delivery, filters, and an open delivery.

``templates/views/delivery.html`` has the macros that put these on a page, and ``static/parts.css``
their looks."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hooktide.actions.deliveries.delivery_log import DeliveryFilter, Line
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.delivery.hints import Hint, curl, hint
from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError
from hooktide.domain.http.head import field_value, first_line
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.messages.chat import SERVICES
from hooktide.domain.messages.mail import is_mailto
from hooktide.domain.messages.message import Wording, compose_message
from hooktide.domain.model import (
    DAY,
    HOUR,
    SECOND,
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Micros,
    Origin,
)
from hooktide.domain.phrase import counted, phrase
from hooktide.domain.project.project import Plan, Project
from hooktide.domain.project.schedule import schedule_of
from hooktide.domain.searching.index import title_of
from hooktide.domain.stored_reasons import detail_words, reason_words
from hooktide.domain.time.times import read_time, show_time
from hooktide.web.operations.response_values import header_pairs
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.visible_text import MAX_SHOWN, beginning, indented, shown

MAX_TEXT_LENGTH = 200

STATES = {
    DeliveryState.PENDING: (phrase("Pending"), "quiet"),
    DeliveryState.HELD: (phrase("Held"), "heed"),
    DeliveryState.DELIVERED: (phrase("Delivered"), "good"),
    DeliveryState.FAILED: (phrase("Failed"), "bad"),
    DeliveryState.DISCARDED: (phrase("Discarded"), "quiet"),
}
"""The label of a state, and its tone."""

ANSWERS = {"2": "2xx", "3": "3xx", "4": "4xx", "5": "5xx", "0": phrase("no answer")}

ORIGIN_FILTERS = {
    "event": phrase("First delivery"),
    "resend": phrase("Sent again"),
    "replay": phrase("Replay"),
    "test": phrase("Test"),
}

ORIGINS = {
    Origin.TEST: phrase("test"),
    Origin.RESEND: phrase("resent"),
    Origin.REPLAY: phrase("replay"),
}

ERROR_WORDS = {
    "timeout": phrase("timeout"),
    "dns_error": phrase("unknown host"),
    "connect_error": phrase("no connection"),
    "tls_error": phrase("TLS error"),
    "connection_lost": phrase("connection lost"),
    "invalid_response": phrase("invalid response"),
    "destination_forbidden": phrase("blocked address"),
    "local_error": phrase("server error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A row of the log. ``at`` and ``next_at`` are RFC 3339, for ``<time>``.

    ``account`` is empty where all of them are one's. ``title`` names the event after its indexed
    values, and is empty if it has none. ``url`` is the endpoint's; empty: it was
    deleted.
    """

    id: str
    word: str
    tone: str
    event_type: str
    origin: str
    endpoint: str
    endpoint_name: str
    url: str
    account: str
    account_id: int
    title: str
    at: str
    code: str
    code_tone: str
    duration: str
    tries: str
    sending: bool
    next_at: str
    next_in: str
    reason: str


def row_of(
    line: Line,
    retries: int,
    endpoint: Endpoint | None,
    now: Micros,
    account: str = "",
    title: str = "",
) -> DeliveryRow:
    """Show a delivery to an endpoint (None: it was deleted), which is retried so often at most.

    ``account`` is what it is called, ``title`` its event.
    """
    delivery, attempt = line.delivery, line.attempt
    word, tone = state_words(delivery)
    code, code_tone = answer_words(attempt)
    waiting = delivery.state is DeliveryState.PENDING and not delivery.sending
    due_at = delivery.due_at if waiting else None
    return DeliveryRow(
        id=show("dlv", delivery.id),
        word=word,
        tone=tone,
        event_type=delivery.event_type,
        origin=ORIGINS.get(delivery.origin, ""),
        endpoint=show("ep", delivery.endpoint_id),
        endpoint_name=endpoint_name(endpoint) if endpoint else phrase("a deleted endpoint"),
        url=endpoint.url if endpoint else "",
        account=account,
        account_id=delivery.account_id,
        title=title,
        at=show_time(made_at(delivery.id)),
        code=code,
        code_tone=code_tone,
        duration=formats.duration(attempt.duration) if attempt else "",
        tries=_tries(delivery, retries),
        sending=delivery.sending,
        next_at="" if due_at is None else show_time(due_at),
        next_in="" if due_at is None else in_words(due_at - now),
        reason=shown(delivery.reason),
    )


def state_words(delivery: Delivery) -> tuple[str, str]:
    """Return the label of a delivery's state, and its tone."""
    if delivery.state is DeliveryState.PENDING and delivery.attempts:
        return phrase("Retrying"), "heed"
    return STATES[delivery.state]


def answer_words(attempt: Attempt | None) -> tuple[str, str]:
    """Return a response in a word, and its tone."""
    if attempt is None:
        return "", ""
    if attempt.status is None:
        return ERROR_WORDS.get(attempt.error, attempt.error), "bad"
    return str(attempt.status), "good" if 200 <= attempt.status < 300 else "bad"


def in_words(left: Micros) -> str:
    """Format when something will happen."""
    return phrase("in {span}", span=formats.span(left)) if left >= SECOND else phrase("now")


def _tries(delivery: Delivery, retries: int) -> str:
    if delivery.origin is Origin.TEST:
        return ""
    most = max(delivery.attempts, 1 + retries)
    return phrase("{count} of {most}", count=delivery.attempts, most=most)


_ANY = ("", phrase("Any"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The filters of a page's query, as entered; ``faults`` are sentences, by field."""

    typed: Mapping[str, str]
    wanted: DeliveryFilter
    faults: Mapping[str, str]
    before: int | None

    @property
    def any(self) -> bool:
        """Whether anything is filtered."""
        return any(self.typed.values())

    @property
    def choices(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The choices of its fields, as (value, label), including the current one."""
        typed, answered = self.typed["answered"], {**ANSWERS, **ERROR_WORDS}
        if typed and "answered" not in self.faults:
            answered.setdefault(typed, typed)
        spans = {text: words for text, (words, _) in SPANS.items()}
        return {
            "state": [_ANY, *STATE_FILTERS.items()],
            "answered": [_ANY, *answered.items()],
            "origin": [_ANY, *ORIGIN_FILTERS.items()],
            "span": [_ANY, *spans.items()],
        }

    @property
    def has_more(self) -> bool:
        """Whether one of its less common fields is set."""
        return any(self.typed[name] for name in ("type", "origin", "since", "until"))

    def moment(self, name: str) -> str:
        """Return the value of a field for an instant, in UTC, as browsers write it."""
        at = self.wanted.since if name == "since" else self.wanted.until
        return show_time(at)[:19] if at is not None and self.typed[name] else ""

    def query(self, **more: str) -> str:
        """Write the filters as a query string, with more in it; empty: none."""
        pairs = {**{name: text for name, text in self.typed.items() if text}, **more}
        return f"?{urlencode(pairs)}" if pairs else ""


STATE_FILTERS = {
    "pending": phrase("Waiting"),
    "new": phrase("Waiting for the first attempt"),
    "retrying": phrase("Retrying"),
    "delivered": phrase("Delivered"),
    "failed": phrase("Failed"),
    "held": phrase("Held"),
    "discarded": phrase("Discarded"),
}
SPANS = {
    "1h": (phrase("Last hour"), HOUR),
    "24h": (phrase("Last 24 hours"), DAY),
    "7d": (phrase("Last 7 days"), 7 * DAY),
}
FIELDS = (
    "state",
    "answered",
    "type",
    "origin",
    "endpoint",
    "event",
    "span",
    "since",
    "until",
    "text",
)


def read_filters(query_string: bytes, now: Micros = 0) -> Filters:
    """Read the filters of a query string; ``faults`` says what is wrong with them.

    ``span`` reaches back from ``now``, unless ``since`` is given.
    """
    try:
        pairs = dict(parse_qsl(query_string.decode("ascii"), errors="strict", max_num_fields=50))
    except ValueError:
        pairs = {}
    typed = {name: pairs.get(name, "").strip()[:MAX_TEXT_LENGTH] for name in FIELDS}
    faults: dict[str, str] = {}
    read_by: dict[str, Callable[[str], Any]] = {
        "state": _read_state,
        "answered": _read_answered,
        "origin": Origin,
        "endpoint": lambda text: read("ep", text),
        "span": lambda text: now - SPANS[text][1],
        "event": lambda text: read("evt", text),
        "since": lambda text: read_moment(text, "since"),
        "until": lambda text: read_moment(text, "until"),
    }
    values: dict[str, Any] = {}
    for name, reader in read_by.items():
        try:
            values[name] = reader(typed[name]) if typed[name] else None
        except (ValueError, KeyError, HooktideError) as error:
            values[name] = None
            faults[name] = (
                error.detail
                if isinstance(error, InvalidError)
                else phrase("choose one of the list, or an id that exists")
            )
    since, until = values["since"], values["until"]
    if since is not None and until is not None and until <= since:
        values["until"], faults["until"] = None, phrase("must be later than From")
    state, retrying = values["state"] or (None, None)
    answered, cause = values["answered"] or (None, "")
    wanted = DeliveryFilter(
        state=state,
        retrying=retrying,
        answered=answered,
        cause=cause,
        origin=values["origin"],
        event_type=typed["type"],
        since=values["span"] if values["since"] is None else values["since"],
        until=values["until"],
        text=typed["text"],
        endpoint_id=values["endpoint"],
        event_id=values["event"],
    )
    return Filters(typed=typed, wanted=wanted, faults=faults, before=_read_before(pairs))


def _read_state(text: str) -> tuple[DeliveryState, bool | None]:
    if text in ("new", "retrying"):
        return DeliveryState.PENDING, text == "retrying"
    return DeliveryState(text), None


def _read_answered(text: str) -> tuple[int | None, str]:
    """Read a class of statuses (``4``, or ``0`` for none), a status (``401``) or an error."""
    if text in ANSWERS:
        return int(text), ""
    if text in ERROR_WORDS or (len(text) == _STATUS and text.isascii() and text.isdigit()):
        return None, text
    raise ValueError(text)


_STATUS = len("200")


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set; ``field`` is the name it has in the query."""

    field: str
    label: str
    text: str


def chips_of(given: Filters) -> list[Chip]:
    """Return the active filters as chips, except the account and the endpoint."""
    typed, found = given.typed, []
    for field, label, text in (
        ("text", phrase("Search"), typed["text"]),
        ("state", phrase("State"), STATE_FILTERS.get(typed["state"], "")),
        ("answered", phrase("Response"), answered_words(typed["answered"])),
        ("type", phrase("Event type"), typed["type"]),
        ("origin", phrase("Origin"), ORIGIN_FILTERS.get(typed["origin"], "")),
        ("event", phrase("Event"), typed["event"]),
        ("span", phrase("Time"), SPANS.get(typed["span"], ("", 0))[0]),
        ("since", phrase("From"), typed["since"]),
        ("until", phrase("Before"), typed["until"]),
    ):
        if text and field not in given.faults:
            found.append(Chip(field, label, text))
    return found


def answered_words(text: str) -> str:
    """Describe the filter on responses."""
    return ANSWERS.get(text) or ERROR_WORDS.get(text) or text


def _read_before(pairs: Mapping[str, str]) -> int | None:
    try:
        return read("dlv", pairs.get("before", ""))
    except NotFoundError:
        return None


def read_moment(text: str, field: str) -> Micros:
    """Read an instant from a form's field; one without an offset is in UTC.

    :raises InvalidError: ``invalid_time``: it is not valid.
    """
    bare = text.replace(" ", "T")
    if len(bare) == _TO_THE_DAY:
        bare += "T00:00"
    if len(bare) == _TO_THE_MINUTE:
        bare += ":00"
    try:
        return read_time(bare if _OFFSET.search(bare) else f"{bare}Z")
    except InvalidError:
        raise InvalidError(
            "invalid_time",
            phrase("write a time in UTC, like 2026-01-31 12:00"),
            pointer=f"/{field}",
        ) from None


_OFFSET = re.compile(r"[Zz]$|[+-]\d\d:\d\d$")
_TO_THE_DAY = len("2026-01-31")
_TO_THE_MINUTE = len("2026-01-31T12:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body as a page shows it; ``pretty`` is None if it is not JSON, or already formatted."""

    text: str
    pretty: str | None
    cut: bool
    is_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAttempt:
    """An attempt, opened."""

    number: int
    at: str
    code: str
    code_tone: str
    duration: str
    detail: str
    hint: Hint | None
    request_line: str
    request_headers: Sequence[tuple[str, str]]
    status_line: str
    response_headers: Sequence[tuple[str, str]]
    response: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDelivery:
    """A delivery with all its details. ``tries`` are its attempts, the newest first.

    ``disabled_reason`` is the endpoint's; ``may_enable``: its account may enable it. ``changed``:
    the project's wire format is another one than when it was sent. ``why`` explains its state in a
    sentence; ``curl`` is empty if nothing was sent. ``erased_at``: when the payload
    was erased; empty: it was not.
    """

    row: DeliveryRow
    state: DeliveryState
    event: str
    url: str
    disabled_reason: str
    may_enable: bool
    why: str
    body: Body
    changed: bool
    tries: Sequence[OpenedAttempt]
    curl: str
    erased_at: str


def open_delivery(
    delivery: Delivery,
    attempts: Sequence[Attempt],
    event: Event,
    endpoint: Endpoint | None,
    project: Project,
    plan: Plan,
    now: Micros,
    account: str = "",
) -> OpenedDelivery:
    """Return the details of a delivery; ``endpoint``: None if it was deleted.

    ``account``: what it is called, where there are several.
    """
    sent = sent_body(event, endpoint, project)
    last = attempts[-1] if attempts else None
    url = endpoint.url if endpoint else ""
    schedule = schedule_of(project, plan, endpoint, event.type)
    return OpenedDelivery(
        row=row_of(
            Line(delivery, last),
            len(schedule.delays),
            endpoint,
            now,
            account,
            title_of(project.index, event.payload),
        ),
        state=delivery.state,
        event=show("evt", event.id),
        url=url,
        disabled_reason=endpoint.disabled_reason if endpoint else "",
        may_enable=endpoint is not None and endpoint.may_be_enabled(by_account=True),
        why=_why(delivery, plan),
        body=body_of(sent),
        changed=last is not None
        and event.erased_at is None
        and _length(last) not in ("", str(len(sent)))
        and _is_webhook(endpoint),
        tries=[open_attempt(each, schedule.timeout) for each in reversed(attempts)],
        curl=_curl(last, url, sent)
        if last and url and not is_mailto(url) and event.erased_at is None
        else "",
        erased_at="" if event.erased_at is None else show_time(event.erased_at),
    )


def _is_webhook(endpoint: Endpoint | None) -> bool:
    return endpoint is None or endpoint.kind not in SERVICES


def sent_body(event: Event, endpoint: Endpoint | None, project: Project) -> bytes:
    """Return the body that was sent; for a message of many events, the part about this one."""
    if endpoint is None or endpoint.kind not in SERVICES:
        return compile_dialect(project.dialect).body(event)
    wordings = {kind.name: kind.message for kind in project.event_types}
    message = compose_message(event, wordings.get(event.type, Wording()))
    return SERVICES[endpoint.kind].compose([message])


def endpoint_name(endpoint: Endpoint) -> str:
    """Return the display name of an endpoint: its name, or its URL in one line."""
    return shown(endpoint.name or formats.short_url(endpoint.url))


def _length(attempt: Attempt) -> str:
    return field_value(header_pairs(attempt.request_head), "content-length") or ""


def _why(delivery: Delivery, plan: Plan) -> str:
    """Explain a delivery's state, if the state alone does not."""
    if delivery.state is DeliveryState.HELD:
        return phrase(
            "The plan allows {deliveries} an hour, and they are used up. This one waits, and is "
            "sent automatically as soon as the limit allows.",
            deliveries=hour_words(plan),
        )
    if delivery.state is DeliveryState.DISCARDED:
        return phrase("Stopped: {reason}.", reason=reason_words(delivery.reason))
    if delivery.state is DeliveryState.FAILED and delivery.origin is not Origin.TEST:
        return phrase(
            "No attempt was answered with a 2xx, and there are no more. You can send it again."
        )
    return ""


def hour_words(plan: Plan) -> str:
    """Format how many deliveries a plan's hour has."""
    hour = plan.deliveries_per_hour
    return phrase("any number of deliveries") if hour is None else counted(hour, "delivery")


def open_attempt(attempt: Attempt, timeout: Micros) -> OpenedAttempt:
    """Return the details of an attempt; ``timeout`` is its plan's."""
    code, tone = answer_words(attempt)
    sent = _first_line(attempt.request_head)
    came = _first_line(attempt.response_head)
    return OpenedAttempt(
        number=attempt.number,
        at=show_time(attempt.started_at),
        code=code,
        code_tone=tone,
        duration=formats.duration(attempt.duration),
        detail=detail_words(attempt.detail),
        hint=hint(attempt, timeout),
        request_line=sent,
        request_headers=_pairs(attempt.request_head),
        status_line=came,
        response_headers=_pairs(attempt.response_head),
        response=body_of(attempt.response_body, cut=attempt.response_truncated),
    )


def _first_line(head: bytes) -> str:
    return shown(first_line(head))[:300]


def _pairs(head: bytes) -> list[tuple[str, str]]:
    return [(shown(name), shown(value)) for name, value in header_pairs(head)]


def body_of(body: bytes, *, cut: bool = False) -> Body:
    """Return a body as a page shows it; ``cut``: it is itself only the beginning of one."""
    text = shown(beginning(body, truncated=cut))
    pretty = indented(body, shown)
    return Body(
        text=text,
        pretty=None if pretty == text else pretty,
        is_json=pretty is not None,
        cut=cut or len(body) > MAX_SHOWN,
    )


_NOT_COPIED = {"host", "content-length", "accept", "accept-encoding", "connection"}


def _curl(attempt: Attempt, url: str, sent: bytes) -> str:
    pairs = header_pairs(attempt.request_head)
    headers = [(name, value) for name, value in pairs if name not in _NOT_COPIED]
    if len(sent) > MAX_SHOWN:
        return curl(url, headers, f"@{show('dlv', attempt.delivery_id)}.json")
    return curl(url, headers, sent.decode("utf-8", "backslashreplace"))
