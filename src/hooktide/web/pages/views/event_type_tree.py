"""The event types an account may pick from, as a tree: groups by the part before the first dot."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hooktide.domain.project.project import MAX_PATTERN_LENGTH, EventType

ALL = "*"


@dataclass(frozen=True, slots=True)
class Leaf:
    """An event type that can be picked."""

    name: str
    description: str
    picked: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Event types that begin alike. ``pattern`` selects all of them (empty: a single type)."""

    name: str
    pattern: str
    picked: bool
    leaves: Sequence[Leaf]


@dataclass(frozen=True, slots=True)
class EventTypeTree:
    """All event types that can be picked. ``others`` are picked patterns that are not in the
    tree."""

    everything: bool
    groups: Sequence[Group]
    others: Sequence[str]


def event_type_tree(types: Sequence[EventType], picked: Iterable[str]) -> EventTypeTree:
    """Return the event types as a tree, with the picked ones marked."""
    chosen = set(picked)
    groups: dict[str, list[EventType]] = {}
    for kind in types:
        groups.setdefault(kind.name.partition(".")[0], []).append(kind)
    made = [_group(name, kinds, chosen) for name, kinds in groups.items()]
    known = {ALL, *(kind.name for kind in types), *(group.pattern for group in made)}
    return EventTypeTree(ALL in chosen, made, sorted(chosen - known))


def _group(name: str, kinds: list[EventType], chosen: set[str]) -> Group:
    dotted = [kind for kind in kinds if "." in kind.name]
    pattern = f"{name}.*" if len(dotted) > 1 else ""
    leaves = [Leaf(kind.name, kind.description, kind.name in chosen) for kind in kinds]
    return Group(name, pattern, bool(pattern) and pattern in chosen, leaves)


def narrowed(picked: Sequence[str], shown: Sequence[str]) -> Sequence[str]:
    """Return what was picked in a form that was ``shown`` with these ticked.

    If single types are picked while "All events" is still ticked, as it was initially, the single
    types count.
    """
    if ALL in shown and ALL in picked:
        return [each for each in picked if each != ALL] or [ALL]
    return picked


def simplest(picked: Sequence[str]) -> tuple[str, ...]:
    """Remove patterns that another pattern covers."""
    found = dict.fromkeys(picked)
    return tuple(each for each in found if found.keys().isdisjoint(_wider(each)))


def _wider(pattern: str) -> Iterator[str]:
    """Yield the patterns that cover this one: ``a.b.*``, ``a.*`` and ``*`` for ``a.b.c``.

    One that is longer than a pattern may be is refused later.
    """
    groups = pattern[:MAX_PATTERN_LENGTH].removesuffix(".*").split(".")
    if pattern == ALL:
        return
    yield ALL
    for count in range(1, len(groups)):
        yield ".".join(groups[:count]) + ".*"
