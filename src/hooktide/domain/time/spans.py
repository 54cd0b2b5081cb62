"""Spans as written in configuration: ``10s``, ``5m``, ``2h``, ``30d``."""

import re

from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_FORM = re.compile(r"([0-9]{1,6})([smhd])")


def read_span(text: str) -> Micros | None:
    """Read a whole number and its unit; None if it is not a span."""
    found = _FORM.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] if found else None


def show_span(span: Micros) -> str:
    """Write a span in the largest unit that divides it: 120 seconds are ``2m``."""
    for letter, unit in UNITS.items():
        if span and span % unit == 0:
            return f"{span // unit}{letter}"
    return f"{span / SECOND:g}s"
