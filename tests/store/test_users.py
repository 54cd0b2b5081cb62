"""Every store: users, their sessions, and their entries in the audit log."""

import asyncio
from dataclasses import replace

import pytest
from storekit import NOON, Given

from hooktide.domain.audit_log import AuditEntry
from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.model import (
    DAY,
    MINUTE,
    SECOND,
    ApiKey,
    KeyScope,
    Role,
    Scope,
    User,
)
from hooktide.store.base import AUDIT_LOG_RETENTION

TOKEN = b"d" * 32
LATER = NOON + DAY


async def owner(given: Given, name: str = "Ann") -> User:
    return await given.store.create_user(name, Role.OWNER, None, NOON)


async def test_a_users_name_is_theirs_however_it_is_capitalised(given: Given) -> None:
    ann = await owner(given, "Änn")
    assert await given.store.find_user("äNN") == ann
    with pytest.raises(RefusedError, match="another user has this name"):
        await given.store.create_user("änn", Role.VIEWER, None, NOON)
    bob = await given.store.create_user("bob", Role.MEMBER, given.project_id, NOON)
    with pytest.raises(RefusedError, match="another user has this name"):
        await given.store.update_user(bob.id, {"name": "ÄNN"}, NOON)
    assert await given.store.list_users() == [bob, ann]
    await given.store.delete_user(bob.id, NOON)
    assert (await given.store.create_user("Bob", Role.VIEWER, None, NOON)).id != bob.id


async def test_no_user_is_added_to_a_missing_project(given: Given) -> None:
    with pytest.raises(NotFoundError):
        await given.store.create_user("ann", Role.OWNER, 1, NOON)
    ann = await owner(given)
    with pytest.raises(NotFoundError):
        await given.store.update_user(ann.id, {"project_id": 1}, NOON)


async def test_the_last_owner_of_all_projects_stays_one(given: Given) -> None:
    ann, bob = await owner(given), await owner(given, "bob")
    await given.store.update_user(bob.id, {"project_id": given.project_id}, NOON)
    for changes in ({"role": Role.MEMBER}, {"project_id": given.project_id}):
        with pytest.raises(RefusedError, match="the last owner of all projects"):
            await given.store.update_user(ann.id, changes, NOON)
    with pytest.raises(RefusedError, match="the last owner of all projects"):
        await given.store.delete_user(ann.id, NOON)
    assert await given.store.get_user(ann.id) == ann
    await given.store.delete_user(bob.id, NOON)


@pytest.mark.pooled
async def test_two_owners_who_remove_each_other_are_not_both_gone(given: Given) -> None:
    users = [await owner(given), await owner(given, "bob")]
    removed = await asyncio.gather(
        *[given.store.delete_user(each.id, NOON) for each in users], return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in removed) == ["NoneType", "RefusedError"]
    assert len(await given.store.list_users()) == 1


async def test_a_password_is_kept_as_it_is_given_and_shown_nowhere(given: Given) -> None:
    ann = await owner(given)
    assert ann.password == ""
    ann = await given.store.update_user(ann.id, {"password": "scrypt$canary"}, NOON)
    assert (await given.store.find_user("ann")).password == "scrypt$canary"
    assert "canary" not in repr(ann)


@pytest.mark.pooled
async def test_a_login_link_works_once_and_not_for_long(given: Given) -> None:
    ann = await owner(given)
    await given.store.create_login_link(ann.id, TOKEN, NOON + MINUTE)
    taken = await asyncio.gather(
        *[given.store.take_login_link(TOKEN, NOON) for _ in range(4)], return_exceptions=True
    )
    assert [each for each in taken if isinstance(each, User)] == [ann]
    assert sum(isinstance(each, NotFoundError) for each in taken) == 3
    await given.store.create_login_link(ann.id, TOKEN, NOON + MINUTE)
    with pytest.raises(NotFoundError):
        await given.store.take_login_link(TOKEN, NOON + MINUTE)


@pytest.mark.pooled
async def test_a_session_lasts_until_it_expires_or_is_ended(given: Given) -> None:
    ann = await owner(given)
    for token in (TOKEN, b"other"):
        await given.store.create_session(token, ann.id, None, NOON, LATER)
    found = await given.store.find_session(TOKEN, NOON)
    assert found is not None
    assert (found.user and found.user.id, found.key, found.expires_at) == (ann.id, None, LATER)
    assert await given.store.find_session(b"unknown", NOON) is None
    assert await given.store.find_session(TOKEN, LATER) is None
    await given.store.end_session(TOKEN)
    assert await given.store.find_session(TOKEN, NOON) is None
    assert await given.store.find_session(b"other", NOON) is not None
    await given.store.create_login_link(ann.id, TOKEN, LATER)
    await given.store.update_user(ann.id, {"password": "scrypt$new"}, NOON)
    assert await given.store.find_session(b"other", NOON) is None
    with pytest.raises(NotFoundError):
        await given.store.take_login_link(TOKEN, NOON)


@pytest.mark.pooled
async def test_when_somebody_was_seen_is_known_to_the_minute(given: Given) -> None:
    ann = await owner(given)
    await given.store.create_session(TOKEN, ann.id, None, NOON, LATER)
    for now, seen_at in ((NOON, NOON), (NOON + 59 * SECOND, NOON), (NOON + MINUTE, NOON + MINUTE)):
        await given.store.find_session(TOKEN, now)
        assert (await given.store.get_user(ann.id)).seen_at == seen_at


async def test_a_deleted_user_is_logged_out_and_has_no_link(given: Given) -> None:
    await owner(given)
    bob = await given.store.create_user("bob", Role.VIEWER, None, NOON)
    await given.store.create_session(TOKEN, bob.id, None, NOON, LATER)
    await given.store.create_login_link(bob.id, TOKEN, LATER)
    await given.store.delete_user(bob.id, NOON)
    assert await given.store.find_session(TOKEN, NOON) is None
    with pytest.raises(NotFoundError):
        await given.store.take_login_link(TOKEN, NOON)
    with pytest.raises(NotFoundError):
        await given.store.get_user(bob.id)


async def test_a_project_that_is_removed_takes_its_users_with_it(given: Given) -> None:
    bob = await given.store.create_user("bob", Role.OWNER, given.project_id, NOON)
    await given.store.create_session(TOKEN, bob.id, None, NOON, LATER)
    await given.store.delete_account(Scope(), given.account.id, NOON)
    await given.store.delete_project(given.project_id, NOON)
    assert await given.store.find_session(TOKEN, NOON) is None
    assert await given.store.list_users() == []


async def test_a_keys_session_ends_with_the_key(given: Given) -> None:
    new = ApiKey(
        id=0,
        scope=KeyScope.PROJECT,
        project_id=given.project_id,
        account_id=None,
        name="ci",
        last4="1234",
        created_at=NOON,
    )
    key = await given.store.create_key(new, b"digest")
    await given.store.create_session(TOKEN, None, key.id, NOON, LATER)
    found = await given.store.find_session(TOKEN, NOON)
    assert found is not None
    assert (found.user, found.key) == (None, key)
    revoked = await given.store.revoke_key(Scope(), key.id, NOON)
    assert await given.store.find_session(TOKEN, NOON) is None
    assert await given.store.get_key(Scope(), key.id) == revoked
    with pytest.raises(NotFoundError):
        await given.store.get_key(Scope(account_id=1), key.id)


@pytest.mark.pooled
async def test_the_audit_log_is_read_within_a_scope_and_by_target(given: Given) -> None:
    wide = await enter(given, "project.put", "defacto")
    [of_project, of_account] = [
        await enter(given, "endpoint.create", "ep_1", given.project_id, account)
        for account in (None, given.account.id)
    ]
    listed = given.store.list_audit_log
    assert (await listed(Scope(), None, 10)).items == [of_account, of_project, wide]
    assert (await listed(Scope(project_id=given.project_id), None, 10)).items == [
        of_account,
        of_project,
    ]
    assert (await listed(Scope(account_id=given.account.id), None, 10)).items == [of_account]
    assert (await listed(Scope(account_id=1), None, 10)).items == []
    assert (await listed(Scope(), None, 10, target="defacto")).items == [wide]
    first = await listed(Scope(), None, 2)
    assert (await listed(Scope(), first.next_before, 2)).items == [wide]


@pytest.mark.pooled
async def test_audit_entries_are_kept_for_long_and_what_is_over_is_dropped(given: Given) -> None:
    kept = await enter(given, "login", "")
    ann = await owner(given)
    await given.store.create_session(TOKEN, ann.id, None, NOON, LATER)
    await given.store.drop_old(LATER, 100)
    assert await given.store.find_session(TOKEN, NOON) is None
    await given.store.drop_old(NOON + AUDIT_LOG_RETENTION, 100)
    assert (await given.store.list_audit_log(Scope(), None, 10)).items == [kept]
    await given.store.drop_old(NOON + AUDIT_LOG_RETENTION + DAY, 100)
    assert (await given.store.list_audit_log(Scope(), None, 10)).items == []


async def enter(
    given: Given,
    action: str,
    target: str,
    project_id: int | None = None,
    account_id: int | None = None,
) -> AuditEntry:
    entry = AuditEntry(
        id=0,
        project_id=project_id,
        account_id=account_id,
        actor="ann",
        source="api",
        address="192.0.2.7",
        action=action,
        target=target,
        detail="",
        before={"name": "a"},
        after={"name": "b"},
    )
    await given.store.add_audit_entry(entry, NOON)
    [newest] = (await given.store.list_audit_log(Scope(), None, 1)).items
    assert isinstance(newest, AuditEntry)
    assert replace(newest, id=0) == entry
    return newest
