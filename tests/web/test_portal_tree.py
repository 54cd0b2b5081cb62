"""The event types that a portal offers, as a tree."""

from urllib.parse import urlencode

import pytest
from webkit import Client, Site

from hooktide.domain.project.project import EventType
from hooktide.web.pages.views.event_type_tree import event_type_tree, narrowed, simplest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_event_types_are_a_tree_and_patterns_that_fit_nowhere_are_kept() -> None:
    types = [EventType(name=name) for name in ("ping", "a.b", "a.c", "d.e.f")]
    tree = event_type_tree(types, ("a.*", "d.e.*", "ping"))
    assert [(group.name, group.pattern, group.picked) for group in tree.groups] == [
        ("ping", "", False),
        ("a", "a.*", True),
        ("d", "", False),
    ]
    assert [leaf.picked for leaf in tree.groups[0].leaves] == [True]
    assert (tree.everything, tree.others) == (False, ["d.e.*"])


async def test_what_another_pattern_means_already_is_left_out() -> None:
    assert simplest(("a.b", "a.*", "c", "c")) == ("a.*", "c")
    assert simplest(("a.*", "*", "b")) == ("*",)
    assert simplest(()) == ()
    assert simplest(("a.b.c", "a.b.*", "b.*", "a.c")) == ("a.b.*", "b.*", "a.c")
    assert simplest(("a.b.*", "a.*")) == ("a.*",)


async def test_single_types_that_are_picked_beside_all_events_as_the_form_came_narrow_it() -> None:
    assert narrowed(("*", "a.b"), ("*",)) == ["a.b"]
    assert narrowed(("*",), ("*",)) == ["*"]
    assert narrowed(("*", "a.b"), ("a.b",)) == ("*", "a.b")
    assert narrowed(("a.b",), ("*",)) == ("a.b",)


async def test_a_form_may_name_a_hundred_types_and_is_refused_with_more(shared: Site) -> None:
    links = "/v1/accounts/acme/portal-links"
    link = (await shared.operator.post(links, {})).ok(201)["url"]
    portal = Client(shared.app, "")
    path = "/portal/" + link.rpartition("/")[2] + "/endpoints/new"

    async def send(count: int) -> str:
        fields = [("url", "https://a.example/")]
        fields += [("event_types", f"x{number}.y.z") for number in range(count)]
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "same-origin",
        }
        body = urlencode(fields).encode()
        answer = await portal.call("POST", path, body=body, headers=headers)
        assert answer.status == 422
        return answer.body.decode()

    assert "100 event types at most" not in await send(100)
    assert "100 event types at most" in await send(101)
