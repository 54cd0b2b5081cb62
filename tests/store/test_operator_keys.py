"""The last operator key cannot be revoked by mistake."""

import asyncio

import pytest
from storekit import NOON, Given

from hooktide.domain.errors import RefusedError
from hooktide.domain.model import ApiKey, KeyScope, Scope


async def key(given: Given, text: bytes, scope: KeyScope = KeyScope.OPERATOR) -> ApiKey:
    project_id = given.project_id if scope is KeyScope.PROJECT else None
    new = ApiKey(
        id=0,
        scope=scope,
        project_id=project_id,
        account_id=None,
        name="",
        last4="1234",
        created_at=NOON,
    )
    return await given.store.create_key(new, text)


async def test_the_last_operators_key_is_revoked_only_by_force(given: Given) -> None:
    first, second = await key(given, b"1"), await key(given, b"2")
    await key(given, b"3", KeyScope.PROJECT)
    await given.store.revoke_key(Scope(), first.id, NOON)
    with pytest.raises(RefusedError) as refused:
        await given.store.revoke_key(Scope(), second.id, NOON)
    assert refused.value.code == "last_operator_key"
    assert await given.store.find_key(b"2") is not None
    await given.store.revoke_key(Scope(), first.id, NOON + 1)  # again: nothing changes
    await given.store.revoke_key(Scope(), second.id, NOON, force=True)
    assert await given.store.find_key(b"2") is None


async def test_a_projects_last_key_is_no_operators_key(given: Given) -> None:
    await key(given, b"1")
    of_project = await key(given, b"2", KeyScope.PROJECT)
    await given.store.revoke_key(Scope(), of_project.id, NOON)
    assert await given.store.find_key(b"2") is None


@pytest.mark.pooled
async def test_of_two_that_are_revoked_at_once_one_stays(given: Given) -> None:
    keys = [await key(given, bytes([n])) for n in range(2)]
    results = await asyncio.gather(
        *(given.store.revoke_key(Scope(), each.id, NOON) for each in keys), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in results) == ["ApiKey", "RefusedError"]
    left = [await given.store.find_key(bytes([n])) for n in range(2)]
    assert sum(each is not None for each in left) == 1
