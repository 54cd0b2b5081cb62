"""Every change that a store can make, and what a database holds, to see whether it was made."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import apsw
import asyncpg
from storekit import NOON, Given, Place

from hooktide.domain.audit_log import Action, Actor, AuditEntry, Source
from hooktide.domain.model import (
    ApiKey,
    Bin,
    KeyScope,
    ReplayWhat,
    Role,
    Scope,
    Secret,
    User,
)
from hooktide.domain.project.project import EventType, Project
from hooktide.store.base import NewReplay, ReplayCount

ANN = Actor(name="ann", source=Source.API, address="192.0.2.7")
CANARY = "canary-4711"
Change = Callable[[Given, Action], Awaitable[object]]


async def entries(given: Given) -> list[AuditEntry]:
    """Return the audit log, newest first."""
    return list((await given.store.list_audit_log(Scope(), None, 1000)).items)


async def edit_project(given: Given, action: Action) -> None:
    name = (await given.store.get_project_by_id(given.project_id)).project.name

    def edit(project: Project | None) -> Project:
        assert project is not None
        return replace(project, event_types=(*project.event_types, EventType(name="a.new")))

    await given.store.edit_project(Scope(), name, edit, NOON, action)


async def add_project(given: Given, action: Action) -> None:
    new = Project(name="another", title="Another")
    await given.store.edit_project(Scope(), "another", lambda _: new, NOON, action)


async def remove_project(given: Given, action: Action) -> None:
    row = await given.store.put_project(Project(name="empty", title=""), NOON)
    await given.store.remove_project(row.id, NOON, action)


async def add_account(given: Given, action: Action) -> None:
    await given.store.add_account(given.project_id, "b", "", "test", NOON, action)


async def change_account(given: Given, action: Action) -> None:
    await given.store.change_account(Scope(), given.account.id, {"name": "New"}, NOON, action)


async def remove_account(given: Given, action: Action) -> None:
    await given.store.remove_account(Scope(), given.account.id, NOON, action)


async def add_endpoint(given: Given, action: Action) -> None:
    new = replace(given.endpoint, url=f"https://x.example/?token={CANARY}", secrets=())
    await given.store.add_endpoint(new, Secret(CANARY, b"\x07" * 32), None, NOON, action)


async def change_endpoint(given: Given, action: Action) -> None:
    def edit(_: object) -> dict[str, Any]:
        return {"headers": (("authorization", CANARY),), "name": "New"}

    await given.store.change_endpoint(Scope(), given.endpoint.id, edit, NOON, action)


async def remove_endpoint(given: Given, action: Action) -> None:
    await given.store.remove_endpoint(Scope(), given.endpoint.id, NOON, action)


async def disable_endpoint(given: Given, action: Action) -> None:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON, action)


async def enable_endpoint(given: Given, action: Action) -> None:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON)
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON, action)


async def rotate_secret(given: Given, action: Action) -> None:
    secret = Secret(CANARY, b"\x07" * 32)
    await given.store.rotate_secret(Scope(), given.endpoint.id, secret, 60, NOON, action)


async def start_replay(given: Given, action: Action | None) -> int:
    wanted = NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.MISSED, since=NOON - 60)
    made = await given.store.add_replay(Scope(), wanted, ReplayCount(0), NOON, action)
    return made.id


async def cancel_replay(given: Given, action: Action) -> None:
    await given.store.cancel_replay(Scope(), await start_replay(given, None), "x", NOON, action)


async def resend(given: Given, action: Action) -> None:
    await given.publish()
    [delivery] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await given.store.resend(Scope(), delivery.id, NOON, action)


async def add_key(given: Given, action: Action | None) -> int:
    key = ApiKey(
        id=0,
        scope=KeyScope.ACCOUNT,
        project_id=given.project_id,
        account_id=given.account.id,
        name="ci",
        last4="1a2b",
        created_at=NOON,
    )
    return (await given.store.add_key(key, CANARY.encode(), action)).id


async def revoke_key(given: Given, action: Action) -> None:
    await given.store.revoke_key(Scope(), await add_key(given, None), NOON, action)


async def add_user(given: Given, action: Action | None) -> User:
    return await given.store.add_user("Zoë", Role.OWNER, None, NOON, action)


async def change_user(given: Given, action: Action) -> None:
    await add_user(given, None)
    bob = await given.store.add_user("Bob", Role.OWNER, None, NOON)
    await given.store.change_user(bob.id, {"password": CANARY}, NOON, action)


async def remove_user(given: Given, action: Action) -> None:
    await add_user(given, None)
    bob = await given.store.add_user("Bob", Role.OWNER, None, NOON)
    await given.store.remove_user(bob.id, NOON, action)


async def add_login_link(given: Given, action: Action) -> None:
    ann = await add_user(given, None)
    await given.store.add_login_link(ann.id, CANARY.encode(), NOON + 60, action)


async def add_session(given: Given, action: Action) -> None:
    ann = await add_user(given, None)
    await given.store.add_session(CANARY.encode(), ann.id, None, NOON, NOON + 60, action)


async def add_bin(given: Given, action: Action | None) -> Bin:
    new = Bin(
        id=0,
        token=f"{CANARY}-token-of-the-bin",
        page_token=f"{CANARY}-token-of-the-page",
        project_id=given.project_id,
        account_id=given.account.id,
        script="",
        created_at=NOON,
        expires_at=NOON + 10**15,
    )
    return await given.store.add_bin(new, 10, action)


async def change_bin(given: Given, action: Action) -> None:
    made = await add_bin(given, None)
    await given.store.change_bin(made.token, '[{"status":500}]', NOON, action)


async def clear_bin(given: Given, action: Action) -> None:
    await given.store.clear_bin((await add_bin(given, None)).id, action)


async def remove_bin(given: Given, action: Action) -> None:
    await given.store.remove_bin((await add_bin(given, None)).id, action)


CHANGES: Sequence[Change] = (
    edit_project,
    add_project,
    remove_project,
    add_account,
    change_account,
    remove_account,
    add_endpoint,
    change_endpoint,
    remove_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_secret,
    start_replay,
    cancel_replay,
    resend,
    add_key,
    revoke_key,
    add_user,
    change_user,
    remove_user,
    add_login_link,
    add_session,
    add_bin,
    change_bin,
    clear_bin,
    remove_bin,
)

ALONE: Sequence[Change] = (
    edit_project,
    add_project,
    add_account,
    change_account,
    remove_account,
    add_endpoint,
    change_endpoint,
    remove_endpoint,
    disable_endpoint,
    rotate_secret,
    start_replay,
    add_key,
    add_user,
    add_bin,
)
"""Those that make nothing beforehand, so that all they store is one transaction."""


async def stored(place: Place) -> dict[str, list[str]]:
    """Return every row of the database, by table, but not the audit log's."""
    if place.is_file:
        return _stored_in_file(place.url)
    connection = await asyncpg.connect(place.direct or place.url)
    try:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'hooktide'"
        names = [name for (name,) in await connection.fetch(tables) if name not in BESIDE]
        return {
            name: sorted(
                row[0] for row in await connection.fetch(f"SELECT t::text FROM hooktide.{name} t")
            )
            for name in names
        }
    finally:
        await connection.close()


BESIDE = {"audit_log", "nodes", "clock_mark"}
"""What a store writes by itself, and what is looked at apart."""


def _stored_in_file(path: str) -> dict[str, list[str]]:
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        return {
            name: sorted(map(repr, db.execute(f'SELECT * FROM "{name}"')))
            for (name,) in list(db.execute(tables))
            if name not in BESIDE
        }
    finally:
        db.close()
