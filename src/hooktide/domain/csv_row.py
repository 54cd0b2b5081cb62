"""Rows of CSV (RFC 4180) that a spreadsheet shows and never runs."""

from collections.abc import Iterable

_QUOTED = frozenset(',"\r\n')
_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_row(values: Iterable[object]) -> str:
    """Write a row; None is empty. A text that a spreadsheet would take for a formula gets a ``'``.

    See OWASP, "CSV Injection". Numbers stay numbers.
    """
    return ",".join(map(_cell, values)) + "\r\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and text.startswith(_RUNS):
        text = f"'{text}"
    if _QUOTED.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'
