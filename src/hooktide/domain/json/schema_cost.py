"""How often a JSON Schema checks one value of a payload in the worst case, to bound the cost.

A schema may apply others to the same value (``$ref``, ``allOf``, ``anyOf`` and the like),
recursively: 28 lines can apply one schema 2^28 times. Others are applied to what is inside a value
(``properties``, ``items``), and where those refer back, the count may double with each level of a
payload. So the count runs level by level, down to the maximum depth of a payload.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from hooktide.domain.errors import ConfigError
from hooktide.domain.json.pointer import unescaped

MAX_CHECKS = 1000
"""Maximum number of checks of one value."""
MAX_SCHEMA_NODES = 5000

_LISTS = ("allOf", "anyOf", "oneOf")
_SAME = ("not", "if", "then", "else")
_REFERENCES = ("$ref", "$dynamicRef")
_WEIGHED = ("enum", "required", "properties", "patternProperties", "dependentRequired")


@dataclass(frozen=True, slots=True)
class Cost:
    """How often a schema checks one value; ``unknown`` are references that were not found."""

    checks: int
    unknown: tuple[str, ...]


def cost_of(schema: Any, depth: int) -> Cost:
    """Return what a schema costs for a payload that is ``depth`` levels deep.

    :raises ConfigError: it checks a value more than ``MAX_CHECKS`` times, or without end.
    """
    reader = _Reader(schema)
    nodes = reader.read()
    counts = [0] * len(nodes)
    most = 0
    for level in range(depth + 1):
        before, counts = counts, [0] * len(nodes)
        for number in _inner_first(nodes):
            counts[number] = _count(nodes[number], level, before, counts)
        most = max(most, counts[0])
        if most > MAX_CHECKS:
            raise ConfigError(
                f"it would check one value of a payload more than {MAX_CHECKS:,} times; use $ref, "
                "allOf, anyOf, oneOf and unevaluatedProperties less often within each other"
            )
        if level and counts == before:
            break
    return Cost(most, tuple(reader.unknown))


@dataclass(slots=True)
class _Node:
    """A schema, and the numbers of the schemas that it applies."""

    weight: int = 0
    factor: int = 1
    same: list[int] = field(default_factory=list)
    member: list[int] = field(default_factory=list)
    """To a member: one of these."""
    every: list[int] = field(default_factory=list)
    """To a member or item: all of these."""
    item: list[int] = field(default_factory=list)
    """To an item: one of these."""


def _count(node: _Node, level: int, before: list[int], counts: list[int]) -> int:
    """Count the checks of values that are ``level`` levels further down, ``before``: one less."""
    found = node.weight if level == 0 else sum(before[each] for each in node.every)
    if level:
        members = max((before[each] for each in node.member), default=0)
        found += max(members, max((before[each] for each in node.item), default=0))
    return min(node.factor * (found + sum(counts[each] for each in node.same)), 10**9)


def _inner_first(nodes: list[_Node]) -> list[int]:
    """Return the nodes in an order in which each follows those that it applies to the same value.

    :raises ConfigError: a schema applies itself.
    """
    done: dict[int, bool] = {}
    order: list[int] = []
    for root in range(len(nodes)):
        stack = [(root, iter(nodes[root].same))] if root not in done else []
        done.setdefault(root, False)
        while stack:
            number, rest = stack[-1]
            inner = next(rest, None)
            if inner is None:
                done[number] = True
                order.append(number)
                stack.pop()
            elif inner not in done:
                done[inner] = False
                stack.append((inner, iter(nodes[inner].same)))
            elif not done[inner]:
                raise ConfigError("a $ref leads back to itself without descending into the value")
    return order


class _Reader:
    """Numbers the schemas within a schema; the first is the schema itself."""

    def __init__(self, schema: Any) -> None:
        self._whole = schema
        self._numbers: dict[int, int] = {}
        self._nodes: list[_Node] = []
        self._todo: list[tuple[Any, _Node]] = []
        self._named: dict[str, Any] = {}
        self.unknown: list[str] = []

    def read(self) -> list[_Node]:
        self._name(self._whole)
        self._number(self._whole)
        while self._todo:
            schema, node = self._todo.pop()
            if isinstance(schema, dict):
                self._read(schema, node)
        return self._nodes

    def _name(self, whole: Any) -> None:
        """Note what ``$anchor`` and ``$id`` name, wherever they occur."""
        todo = [whole]
        while todo:
            value = todo.pop()
            if isinstance(value, list):
                todo.extend(value)
            elif isinstance(value, dict):
                todo.extend(value.values())
                for key in ("$anchor", "$dynamicAnchor"):
                    if isinstance(value.get(key), str):
                        self._named[f"#{value[key]}"] = value
                if isinstance(value.get("$id"), str):
                    self._named[value["$id"]] = value

    def _number(self, schema: Any) -> int:
        known = self._numbers.get(id(schema)) if isinstance(schema, dict) else None
        if known is not None:
            return known
        if len(self._nodes) >= MAX_SCHEMA_NODES:
            raise ConfigError(f"it has more than {MAX_SCHEMA_NODES:,} schemas within it")
        number = self._numbers[id(schema)] = len(self._nodes)
        node = _Node()
        self._nodes.append(node)
        self._todo.append((schema, node))
        return number

    def _numbers_of(self, schemas: Any) -> list[int]:
        if isinstance(schemas, dict):
            schemas = list(schemas.values())
        return [self._number(each) for each in schemas] if isinstance(schemas, list) else []

    def _read(self, schema: dict[str, Any], node: _Node) -> None:
        node.weight = 1 + sum(
            len(schema[key]) // 10 for key in _WEIGHED if isinstance(schema.get(key), list | dict)
        )
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            node.factor = 2  # schemas that apply to the same value are visited once more
        node.same = [self._number(schema[key]) for key in _SAME if key in schema]
        for key in (*_LISTS, "dependentSchemas"):
            node.same += self._numbers_of(schema.get(key))
        node.same += [self._number(each) for each in self._referred(schema)]
        node.member = self._numbers_of(schema.get("properties"))
        node.member += self._given(schema, "additionalProperties")
        node.item = self._numbers_of(schema.get("prefixItems")) + self._given(schema, "items")
        node.every = self._numbers_of(schema.get("patternProperties"))
        for key in ("propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems"):
            node.every += self._given(schema, key)

    def _given(self, schema: dict[str, Any], key: str) -> list[int]:
        return [self._number(schema[key])] if key in schema else []

    def _referred(self, schema: dict[str, Any]) -> Iterator[Any]:
        for key in _REFERENCES:
            reference = schema.get(key)
            if isinstance(reference, str):
                yield self._find(reference)

    def _find(self, reference: str) -> Any:
        """Resolve a reference; True (any value) if the target is unknown."""
        if reference in self._named:
            return self._named[reference]
        place, _, path = reference.partition("#")
        found = self._named.get(place) if place else self._whole
        for step in path.split("/")[1:]:
            step = unescaped(unquote(step))
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = None
        if not isinstance(found, dict | bool):
            self.unknown.append(reference)
            return True
        return found
