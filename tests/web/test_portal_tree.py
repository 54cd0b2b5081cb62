"""The event types that a portal offers, as a tree."""

from hooktide.domain.project import EventType
from hooktide.web.portal.catalogue import catalogue, simplest


def test_event_types_are_a_tree_and_patterns_that_fit_nowhere_are_kept() -> None:
    types = [EventType(name=name) for name in ("ping", "a.b", "a.c", "d.e.f")]
    tree = catalogue(types, ("a.*", "d.e.*", "ping"))
    assert [(group.name, group.pattern, group.picked) for group in tree.groups] == [
        ("ping", "", False),
        ("a", "a.*", True),
        ("d", "", False),
    ]
    assert [leaf.picked for leaf in tree.groups[0].leaves] == [True]
    assert (tree.everything, tree.others) == (False, ["d.e.*"])


def test_what_another_pattern_means_already_is_left_out() -> None:
    assert simplest(("a.b", "a.*", "c", "c")) == ("a.*", "c")
    assert simplest(("a.*", "*", "b")) == ("*",)
    assert simplest(()) == ()
