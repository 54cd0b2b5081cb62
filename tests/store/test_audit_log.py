"""Every store: a change and its audit log entry are committed together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from auditlogkit import ALONE, ANN, CANARY, CHANGES, Change, entries, stored
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Failed
from hooktide.domain.errors import LimitError, RefusedError, UnavailableError
from hooktide.domain.ids import show
from hooktide.domain.model import BY_HAND, SECOND, Role, Scope, Secret
from hooktide.domain.project.project import Plan, Project


@pytest.mark.pooled
@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
async def test_each_change_has_one_entry_that_says_who_and_tells_no_secret(
    given: Given, change: Change
) -> None:
    await change(given, ANN.does("thing.change"))
    [entry] = await entries(given)
    assert (entry.actor, entry.source, entry.address) == ("ann", "api", "192.0.2.7")
    assert entry.action == "thing.change"
    assert entry.target
    assert CANARY not in repr(entry)


@pytest.mark.pooled
async def test_an_entry_says_what_was_before_and_after(given: Given) -> None:
    store, endpoint = given.store, given.endpoint
    await store.update_account(
        Scope(), given.account.id, {"name": "New"}, NOON, ANN.does("account.update")
    )
    await store.update_endpoint(
        Scope(),
        endpoint.id,
        lambda _: {"headers": (("x-key", "a"),), "url": "https://new.example.com/h?token=a"},
        NOON,
        ANN.does("endpoint.update"),
    )
    await store.update_endpoint(
        Scope(),
        endpoint.id,
        lambda _: {"headers": (("x-key", "b"),), "url": "https://new.example.com/h?token=b"},
        NOON,
        ANN.does("endpoint.update"),
    )
    await store.disable_endpoint(Scope(), endpoint.id, BY_HAND, NOON, ANN.does("endpoint.disable"))
    disabled, again, moved, renamed = await entries(given)
    assert (renamed.before, renamed.after) == ({"name": ""}, {"name": "New"})
    assert (renamed.project_id, renamed.account_id) == (given.project_id, given.account.id)
    assert moved.before == {"url": endpoint.url, "headers": {}}
    assert moved.after == {"url": "https://new.example.com/h?...", "headers": {"x-key": "****"}}
    assert moved.detail == again.detail == "url, headers"
    assert moved.after == again.before == again.after
    assert disabled.target == show("ep", endpoint.id)
    assert disabled.after == {"enabled": False, "disabled_reason": BY_HAND}


@pytest.mark.pooled
async def test_an_edit_of_a_project_is_logged_with_its_differences(given: Given) -> None:
    row = await given.store.get_project_by_id(given.project_id)
    [plan] = row.project.plans

    def edit(project: Project | None) -> Project:
        assert project is not None
        plans = (replace(plan, retries=7), Plan(name="big"))
        return replace(project, plans=plans, disable_after=9)

    await given.store.edit_project(Scope(), row.project.name, edit, NOON, ANN.does("project.put"))
    [entry] = await entries(given)
    assert entry.target == row.project.name
    assert entry.before["disable_after"] == 3
    assert entry.after["disable_after"] == 9
    assert (entry.before["plans.test.retries"], entry.after["plans.test.retries"]) == (5, 7)
    assert entry.after["plans.big.timeout"] == 10_000_000
    assert "plans.big.timeout" not in entry.before
    assert entry.detail == "disable_after: 3 -> 9; plan test: retries: 5 -> 7; plan big added"


async def test_a_first_password_and_a_new_secret_are_seen(given: Given) -> None:
    user = await given.store.create_user("Ann", Role.OWNER, None, NOON)
    for password in ("hash 1", "hash 2"):
        action = ANN.does("user.password")
        await given.store.update_user(user.id, {"password": password}, NOON, action)
    for again in (1, 2):
        secret = Secret("cd" * 32, b"\xcd" * 32)
        at, action = NOON + again * SECOND, ANN.does("secret.rotate")
        await given.store.rotate_secret(Scope(), given.endpoint.id, secret, 0, at, action)
    rotated, _, second, first = (await entries(given))[:4]
    assert (first.before, first.after) == ({"password": None}, {"password": "****"})
    assert (second.before, second.after) == ({"password": "****"}, {"password": "****"})
    assert rotated.before["secrets"] != rotated.after["secrets"]


@pytest.mark.pooled
async def test_what_changes_nothing_and_what_is_refused_has_no_entry(given: Given) -> None:
    store, action = given.store, ANN.does("thing.change")
    await store.update_account(Scope(), given.account.id, {"plan": "test"}, NOON, action)
    await store.enable_endpoint(Scope(), given.endpoint.id, NOON, action)
    project = (await store.get_project_by_id(given.project_id)).project
    await store.edit_project(Scope(), project.name, lambda _: project, NOON, action)
    with pytest.raises(RefusedError):
        await store.create_account(given.project_id, "acme", "", "test", NOON, action)
    secret = Secret("cd" * 32, b"\xcd" * 32)
    with pytest.raises(LimitError):
        await store.create_endpoint(given.endpoint, secret, 1, NOON, action)
    other = replace(project, plans=(Plan(name="other"),), default_plan="other")
    with pytest.raises(RefusedError):
        await store.edit_project(Scope(), project.name, lambda _: other, NOON, action)
    with pytest.raises(RefusedError):
        await store.delete_project(given.project_id, NOON, action)
    assert await entries(given) == []


@pytest.mark.pooled
async def test_an_endpoint_that_is_disabled_by_a_rule_has_one_entry(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(5)])
    for claim in await given.claim():
        await given.record(claim, Failed())
    [entry] = await entries(given)
    assert (entry.actor, entry.source, entry.action) == ("hooktide", "server", "endpoint.disable")
    assert entry.target == show("ep", given.endpoint.id)
    assert (entry.project_id, entry.account_id) == (given.project_id, given.account.id)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert entry.after == {"enabled": False, "disabled_reason": endpoint.disabled_reason}
    assert entry.detail == endpoint.disabled_reason


@contextmanager
def commits_fail(given: Given) -> Iterator[None]:
    """Make SQLite refuse every commit, with the effect of a crash at that moment."""
    store: Any = given.store
    store._batch_writer.db.set_commit_hook(lambda: True)
    try:
        yield
    finally:
        store._batch_writer.db.set_commit_hook(None)


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("change", ALONE, ids=lambda each: each.__name__)
async def test_a_commit_that_fails_leaves_neither_the_change_nor_its_entry(
    given: Given, change: Change
) -> None:
    before = await stored(given.place)
    with commits_fail(given), pytest.raises(UnavailableError):
        await change(given, ANN.does("thing.change"))
    assert await stored(given.place) == before
    assert await entries(given) == []
    await change(given, ANN.does("thing.change"))
    assert await stored(given.place) != before
    assert len(await entries(given)) == 1


async def test_the_last_of_some_actions_on_each_target_is_found_at_once(given: Given) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    store, first = given.store, given.endpoint.id
    for at, endpoint_id in ((NOON, first), (NOON, other.id), (NOON + SECOND, first)):
        disable = ANN.does("endpoint.disable")
        await store.disable_endpoint(Scope(), endpoint_id, BY_HAND, at, disable)
        if endpoint_id == first:
            enable = ANN.does("endpoint.enable")
            await store.enable_endpoint(Scope(), first, at + SECOND // 2, enable)
    targets = [show("ep", first), show("ep", other.id), show("ep", 7)]
    actions = ["endpoint.enable", "endpoint.disable"]
    found = await store.last_actions(Scope(), targets, actions, (NOON + 5 * SECOND) << 11)
    assert {target: action for target, (action, _) in found.items()} == {
        targets[0]: "endpoint.enable",
        targets[1]: "endpoint.disable",
    }
    found = await store.last_actions(Scope(), targets, actions, (NOON + SECOND // 4) << 11)
    assert {target: action for target, (action, _) in found.items()} == {targets[0]: actions[1]}
    assert await store.last_actions(Scope(project_id=1), targets, actions, 1 << 62) == {}
