"""A bin's answers as the form on its page: a row for each, and one more to add.

A row without a status is skipped; without any rows, the bin answers 200.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from hooktide.domain.errors import InvalidError
from hooktide.web.pages.framework.forms import Form
from hooktide.wire.bins import BinUpdate, Step

MAX_ROWS = 100
CODE = "invalid_body"


@dataclass(frozen=True, slots=True)
class Row:
    """One answer, as it is typed; ``delay`` in seconds."""

    status: str = ""
    delay: str = ""
    retry_after: str = ""
    body: str = ""


def rows_of(script: Sequence[Step]) -> list[Row]:
    """Show answers, and an empty row below them."""
    shown = [
        Row(
            status=str(step.status),
            delay=f"{step.delay_ms / 1000:g}" if step.delay_ms else "",
            retry_after=step.headers.retry_after or "",
            body=step.body.rstrip("\n"),
        )
        for step in script
    ]
    return [*shown, Row()][:MAX_ROWS]


def typed_rows(form: Form) -> list[Row]:
    """Return the rows of a form as they were typed."""
    numbers = range(1, MAX_ROWS + 1)
    names = Row.__slots__
    return [
        Row(*(form.text(f"{name}-{number}") for name in names))
        for number in numbers
        if any(form.text(f"{name}-{number}") for name in names)
    ]


def said(script: Sequence[Step]) -> str:
    """Describe a bin's responses in a line."""
    if not script:
        return "200 each time"
    *first, last = [_in_words(step) for step in script]
    shown = [*first[:3], "…"] if len(first) > 3 else first
    return ", then ".join([*shown, f"{last} each time"])


def _in_words(step: Step) -> str:
    return f"{step.status} after {step.delay_ms / 1000:g} s" if step.delay_ms else str(step.status)


def read_rows(rows: Sequence[Row]) -> BinUpdate:
    """Read what was typed.

    :raises InvalidError: a response is not allowed; the error names it and says what to write.
    """
    steps = []
    for number, row in enumerate(rows, 1):
        if not row.status:
            raise InvalidError(CODE, f"answer {number} has no status: write one, or empty the row")
        try:
            steps.append(_read_row(row))
        except (ValueError, OverflowError, msgspec.ValidationError):
            raise InvalidError(
                CODE,
                f"answer {number}: a status from 200 to 599, seconds from 0 to 30, a Retry-After "
                "of up to 200 plain characters, a body of up to 4,096",
            ) from None
    return BinUpdate(steps)


def _read_row(row: Row) -> Step:
    given = {
        "status": int(row.status),
        "delay_ms": round(float(row.delay or "0") * 1000),
        "body": f"{row.body}\n" if row.body else "",
        "headers": {"Retry-After": row.retry_after} if row.retry_after else {},
    }
    return msgspec.convert(given, Step)
