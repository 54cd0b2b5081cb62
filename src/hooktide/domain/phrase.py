"""Sentences for people, in English, that a page can say in another language.

A ``Phrase`` is its English text, and remembers what it was made of: a message with places for
values. A page looks the message up in a catalogue (``web.pages.framework.language``) and fills in
the same values. Everything else uses it as the text that it is.
"""

from collections.abc import Mapping
from typing import Any, Self

NOUNS = {
    "attempt": ("{count} attempt", "{count} attempts"),
    "change": ("{count} change", "{count} changes"),
    "channel": ("{count} channel", "{count} channels"),
    "condition": ("{count} condition", "{count} conditions"),
    "day": ("{count} day", "{count} days"),
    "delivery": ("{count} delivery", "{count} deliveries"),
    "endpoint": ("{count} endpoint", "{count} endpoints"),
    "event": ("{count} event", "{count} events"),
    "failed delivery": ("{count} failed delivery", "{count} failed deliveries"),
    "failure": ("{count} failure", "{count} failures"),
    "hour": ("{count} hour", "{count} hours"),
    "minute": ("{count} minute", "{count} minutes"),
    "retry": ("{count} retry", "{count} retries"),
    "second": ("{count} second", "{count} seconds"),
    "test": ("{count} test", "{count} tests"),
}
"""What pages count, by its name: the message for one, and for several."""


class Figure(str):
    """A number as English writes it, ``1,714.5``; other languages use other signs."""

    __slots__ = ()


class Phrase(str):
    """A text that was made of a message and values.

    ``plural`` is the message for a ``number`` that is not one; empty: there is nothing to count.
    """

    __slots__ = ("message", "number", "plural", "values")

    message: str
    plural: str
    number: int
    values: Mapping[str, Any]

    def __new__(cls, message: str, plural: str, number: int, values: Mapping[str, Any]) -> Self:
        """Write the English text; ``values`` fill the places of both messages."""
        written = {name: _figure(value) for name, value in values.items()}
        chosen = plural if plural and number != 1 else message
        made = super().__new__(cls, chosen.format_map(written))
        made.message, made.plural, made.number, made.values = message, plural, number, written
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Phrase, (self.message, self.plural, self.number, self.values)


def phrase(message: str, /, **values: Any) -> Phrase:
    """Write a sentence; ``{name}`` in it stands for a value."""
    return Phrase(message, "", 0, values)


def phrases(one: str, many: str, count: int, /, **values: Any) -> Phrase:
    """Write a sentence that depends on a number, ``{count}``."""
    return Phrase(one, many, count, {"count": count, **values})


def counted(count: int, noun: str) -> Phrase:
    """Write a number with its noun, one of ``NOUNS``."""
    one, many = NOUNS[noun]
    return Phrase(one, many, count, {"count": count})


def read_back(text: str, *messages: str) -> str:
    """Return the phrase that a stored text was, if it was made of one of these messages.

    Each has at most one value, a number.
    """
    for message in messages:
        start, place, rest = message.partition("{count}")
        number = text.removeprefix(start).removesuffix(rest)
        if place and start + number + rest == text and number.replace(",", "").isdigit():
            return phrase(message, count=int(number.replace(",", "")))
        if not place and text == message:
            return phrase(message)
    return text


def _figure(value: Any) -> Any:
    return Figure(f"{value:,}") if type(value) is int else value
