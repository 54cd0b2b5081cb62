"""Spans and amounts as a sentence says them: ``3 hours 36 minutes``, ``5,000``, ``no limit``."""

from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros

_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))


def span(length: Micros) -> str:
    """Write a span in at most two units, to the second."""
    left = round(length / SECOND) * SECOND
    said: list[str] = []
    for unit, name in _UNITS:
        if left >= unit and len(said) < 2:
            said.append(several(left // unit, name))
            left %= unit
    return " ".join(said) or "0 seconds"


def several(count: int, noun: str) -> str:
    """Write a count of things."""
    many = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def at_most(limit: int | None) -> str:
    """Write a limit."""
    return "no limit" if limit is None else f"{limit:,}"


def one_line(text: str) -> str:
    """Put a text into one line."""
    return " ".join(text.split())


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, each in one line."""
    lines = [line.strip() for line in text.splitlines()]
    return [one_line(part) for part in "\n".join(lines).split("\n\n") if part.strip()]
