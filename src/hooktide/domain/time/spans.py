"""Spans as written in configuration: ``10s``, ``2.5s``, ``5m``, ``2h``, ``30d``."""

import re

from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros

UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_FORM = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6})(?=s))?([smhd])")


def read_span(text: str) -> Micros | None:
    """Read a number and its unit; only seconds may have a fraction. None if it is not a span."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * UNITS[found[3]] + int((found[2] or "").ljust(6, "0"))


def read_delay(text: str) -> Micros | None:
    """Read a span of whole seconds; None if it is not one."""
    found = read_span(text)
    return None if found is None or found % SECOND else found


def show_span(span: Micros) -> str:
    """Write a span in the largest unit that divides it: 120 seconds are ``2m``."""
    for letter, unit in UNITS.items():
        if span and span % unit == 0:
            return f"{span // unit}{letter}"
    return f"{span / SECOND:.6f}".rstrip("0").rstrip(".") + "s"
