"""What a request could have said where it breaks its type: a member's name, or a value."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from msgspec.inspect import (
    CollectionType,
    DictType,
    EnumType,
    LiteralType,
    Metadata,
    StructType,
    Type,
    UnionType,
    type_info,
)

from hooktide.domain.toml_table import nearest


def names_instead(kind: Any, steps: Sequence[str], unknown: str) -> str:
    """Return which name was meant instead of an unknown one, or which there are."""
    structs = [each for each in _types_at(kind, steps) if isinstance(each, StructType)]
    names = [field.encode_name for each in structs for field in each.fields]
    return nearest(unknown, names) or _use(names)


def values_instead(kind: Any, steps: Sequence[str]) -> str:
    """Return the values of the enumeration that a value is not in."""
    return _use([value for each in _types_at(kind, steps) for value in _values_of(each)])


def _values_of(one: Type) -> list[str]:
    if isinstance(one, EnumType):
        return [str(member.value) for member in one.cls]
    return [str(value) for value in one.values] if isinstance(one, LiteralType) else []


def _use(words: Sequence[str]) -> str:
    return f"; use {', '.join(words)}" if words else ""


def _types_at(kind: Any, steps: Sequence[str]) -> list[Type]:
    found = list(_alternatives(type_info(kind)))
    for step in steps:
        found = list(chain.from_iterable(_within(each, step) for each in found))
    return found


def _alternatives(one: Type) -> Iterator[Type]:
    if isinstance(one, Metadata):
        yield from _alternatives(one.type)
    elif isinstance(one, UnionType):
        for each in one.types:
            yield from _alternatives(each)
    else:
        yield one


def _within(one: Type, step: str) -> Iterator[Type]:
    if isinstance(one, StructType):
        for field in one.fields:
            if field.encode_name == step:
                yield from _alternatives(field.type)
    elif isinstance(one, CollectionType):
        yield from _alternatives(one.item_type)
    elif isinstance(one, DictType):
        yield from _alternatives(one.value_type)
