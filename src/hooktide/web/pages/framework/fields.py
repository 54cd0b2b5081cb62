"""Reads a form into a dataclass, by the types of its fields.

A ``str`` is stripped, a ``tuple[str, ...]`` has all values with the name, a ``bool`` is whether the
name is present. Other text is read by ``Annotated[type, reader]``. A field ``a__b`` is read from
the name ``a/b``.
"""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from hooktide.domain.errors import InvalidError
from hooktide.domain.model import Micros
from hooktide.domain.phrase import phrase
from hooktide.domain.time.spans import read_span
from hooktide.web.pages.framework.forms import Form

T = TypeVar("T")
Reader: TypeAlias = Callable[[Form, str], Any]
MAX_DIGITS = 9


def read_fields(kind: type[T], form: Form) -> T:
    """Read a form into a dataclass.

    :raises InvalidError: a field cannot be read; the pointer says which.
    """
    hints = get_type_hints(kind, include_extras=True)
    return kind(
        **{each: _reader(hint)(form, each.replace("__", "/")) for each, hint in hints.items()}
    )


def _reader(hint: Any) -> Reader:
    if get_origin(hint) is Annotated:
        reader: Reader = get_args(hint)[1]
        return reader
    if hint is str:
        return lambda form, name: form.text(name)
    if hint is bool:
        return lambda form, name: name in form
    if hint == tuple[str, ...]:
        return lambda form, name: form.all(name)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda form, name: _choice(hint, form.text(name), name)
    raise TypeError(f"no form has a field of the type {hint}")


def _choice(kind: type[Enum], text: str, name: str) -> Enum:
    try:
        return kind(text)
    except ValueError:
        raise InvalidError("invalid_choice", phrase("choose one"), pointer=f"/{name}") from None


def _raw(form: Form, name: str) -> str:
    return form.raw(name)


def _optional(form: Form, name: str) -> str | None:
    return form.text(name) if name in form else None


def _words(form: Form, name: str) -> tuple[str, ...]:
    return tuple(form.raw(name).replace(",", " ").split())


def _optional_words(form: Form, name: str) -> tuple[str, ...] | None:
    return _words(form, name) if name in form else None


def _lines(form: Form, name: str) -> tuple[str, ...]:
    lines = (line.strip() for line in form.raw(name).splitlines())
    return tuple(line for line in lines if line)


def _number(form: Form, name: str) -> int:
    text = form.text(name)
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise InvalidError("invalid_number", phrase("write a whole number"), pointer=f"/{name}")
    return int(text)


def _limit(form: Form, name: str) -> int | None:
    return _number(form, name) if form.text(name) else None


def _time_span(form: Form, name: str) -> Micros:
    return read_time_span(form.text(name), name)


def _optional_time_span(form: Form, name: str) -> Micros | None:
    return _time_span(form, name) if form.text(name) else None


def read_time_span(
    text: str, name: str, read: Callable[[str], Micros | None] = read_span
) -> Micros:
    """Read a span of time in the field ``name``.

    :raises InvalidError: it is not one.
    """
    found = read(text)
    if found is None:
        raise InvalidError(
            "invalid_span", phrase("write it like 10s, 6h or 2d"), pointer=f"/{name}"
        )
    return found


Raw: TypeAlias = Annotated[str, _raw]
"""Text exactly as entered."""
OptionalText: TypeAlias = Annotated[str | None, _optional]
"""Text; None: the form has no such field."""
Words: TypeAlias = Annotated[tuple[str, ...], _words]
"""Words with spaces or commas between them."""
OptionalWords: TypeAlias = Annotated[tuple[str, ...] | None, _optional_words]
"""Words with spaces or commas between them; None: the form has no such field."""
Lines: TypeAlias = Annotated[tuple[str, ...], _lines]
"""Lines, without the empty ones."""
Number: TypeAlias = Annotated[int, _number]
"""A whole number in digits."""
Limit: TypeAlias = Annotated[int | None, _limit]
"""A whole number; empty: no limit."""
TimeSpan: TypeAlias = Annotated[Micros, _time_span]
"""A span of time, like ``10s``."""
OptionalTimeSpan: TypeAlias = Annotated[Micros | None, _optional_time_span]
"""A span of time; None: empty."""
