"""Two attempts compared: both of one delivery, or one of them of another that was delivered."""

from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.actions.deliveries.delivery_log import DeliveryFilter
from hooktide.domain.ids import read, show
from hooktide.domain.model import DeliveryState
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import plan_of
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.views.delivery import OpenedAttempt, OpenedDelivery, open_attempt

MAX_NUMBER = 4
"""Digits of an attempt's number."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two attempts, each with a name: rows of (what, first, second)."""

    first: str
    second: str
    rows: Sequence[tuple[str, str, str]]


async def comparison(request: PageRequest, opened: OpenedDelivery | None) -> Comparison | None:
    """Compare the attempt ``?compare=`` with another (``?with=``), or with the previous one.

    ``?with=delivered``: with the newest attempt of the endpoint that was answered with a 2xx.
    """
    tries = {} if opened is None else {each.number: each for each in opened.tries}
    number = _number(request, "compare")
    if opened is None or number not in tries:
        return None
    mine = phrase("Attempt {number}", number=number), tries[number]
    if request.query.text("with") == "delivered":
        worked = await _last_delivered(request, opened)
        return None if worked is None else _compare(worked, mine)
    other = _number(request, "with") or number - 1
    if other not in tries or other == number:
        return None
    theirs = phrase("Attempt {number}", number=other), tries[other]
    pairs = sorted([mine, theirs], key=lambda each: each[1].number)
    return _compare(*pairs)


async def _last_delivered(
    request: PageRequest, opened: OpenedDelivery
) -> tuple[str, OpenedAttempt] | None:
    """Return the attempt that delivered something to the same endpoint last, with its name."""
    endpoint_id = read("ep", opened.row.endpoint)
    wanted = DeliveryFilter(endpoint_id=endpoint_id, state=DeliveryState.DELIVERED)
    found = await request.services.delivery_log.search(request.scope, wanted, None, 1)
    for line in found.lines:
        if line.attempt is not None:
            project = (await request.project(line.delivery.project_id)).project
            timeout = plan_of(project, project.default_plan).timeout
            name = phrase("The one that worked, {id}", id=show("dlv", line.delivery.id))
            return name, open_attempt(line.attempt, timeout)
    return None


def _number(request: PageRequest, name: str) -> int:
    """Return the number of an attempt in the query; 0: none."""
    text = request.query.text(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < MAX_NUMBER else 0


def _compare(before: tuple[str, OpenedAttempt], after: tuple[str, OpenedAttempt]) -> Comparison:
    first, second = _facts(before[1]), _facts(after[1])
    names = dict.fromkeys((*first, *second))
    pairs = [(name, first.get(name, ""), second.get(name, "")) for name in names]
    return Comparison(before[0], after[0], [each for each in pairs if each[1] != each[2]])


def _facts(attempt: OpenedAttempt) -> dict[str, str]:
    """Return the facts to compare; without the response's date, which always differs."""
    facts: dict[str, str] = {
        phrase("Response"): attempt.status_line or attempt.code,
        phrase("Duration"): attempt.duration,
        phrase("Detail"): attempt.detail,
    }
    for name, value in attempt.request_headers:
        facts.setdefault(phrase("Request header {name}", name=name), value)
    for name, value in attempt.response_headers:
        if name != "date":
            facts.setdefault(phrase("Response header {name}", name=name), value)
    return {**facts, phrase("Response body"): attempt.response.text}
