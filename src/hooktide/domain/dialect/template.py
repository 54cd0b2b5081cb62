"""Texts with slots, ``t={timestamp},v1={signature}``: the one notation of dialects.

A slot is a name in braces, with at most one filter: ``{event.entity|lower}``. ``{{`` and ``}}`` are
literal braces. Nothing is executed: the caller defines what names and filters mean.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from hooktide.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Slot:
    """A placeholder: a name, and the filter applied to its value (empty: none)."""

    name: str
    filter: str = ""


Part: TypeAlias = str | Slot


def parts(text: str, key: str) -> tuple[Part, ...]:
    """Split a text into literals and slots.

    :raises ConfigError: a brace is left over; ``key`` says where.
    """
    found: list[Part] = []
    for token in _TOKENS.finditer(text):
        if token["slot"] is not None:
            found.append(Slot(token["slot"], token["filter"] or ""))
        elif token[0] in {"{", "}"}:
            raise ConfigError(
                f"a single {token[0]} in {text!r}: close the slot, or double the brace for itself",
                key=key,
            )
        else:
            found.append(_BRACES.get(token[0], token[0]))
    return tuple(found)


_TOKENS = re.compile(r"\{\{|\}\}|\{(?P<slot>[^{}|]*)(?:\|(?P<filter>[^{}]*))?\}|[{}]|[^{}]+")
_BRACES = {"{{": "{", "}}": "}"}
