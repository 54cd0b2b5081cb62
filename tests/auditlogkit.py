"""Every change that a store can make, and a dump of the database to compare before and after."""

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
    JobAct,
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


async def create_project(given: Given, action: Action) -> None:
    new = Project(name="another", title="Another")
    await given.store.edit_project(Scope(), "another", lambda _: new, NOON, action)


async def delete_project(given: Given, action: Action) -> None:
    row = await given.store.put_project(Project(name="empty", title=""), NOON)
    await given.store.delete_project(row.id, NOON, action)


async def create_account(given: Given, action: Action) -> None:
    await given.store.create_account(given.project_id, "b", "", "test", NOON, action)


async def update_account(given: Given, action: Action) -> None:
    await given.store.update_account(Scope(), given.account.id, {"name": "New"}, NOON, action)


async def delete_account(given: Given, action: Action) -> None:
    await given.store.delete_account(Scope(), given.account.id, NOON, action)


async def create_endpoint(given: Given, action: Action) -> None:
    new = replace(given.endpoint, url=f"https://x.example/?token={CANARY}", secrets=())
    await given.store.create_endpoint(new, Secret(CANARY, b"\x07" * 32), None, NOON, action)


async def update_endpoint(given: Given, action: Action) -> None:
    def edit(_: object) -> dict[str, Any]:
        return {"headers": (("authorization", CANARY),), "name": "New"}

    await given.store.update_endpoint(Scope(), given.endpoint.id, edit, NOON, action)


async def delete_endpoint(given: Given, action: Action) -> None:
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON, action)


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
    made = await given.store.create_replay(Scope(), wanted, ReplayCount(0), NOON, action)
    return made.id


async def cancel_replay(given: Given, action: Action) -> None:
    await given.store.cancel_replay(Scope(), await start_replay(given, None), "x", NOON, action)


async def start_job(given: Given, action: Action | None) -> int:
    counted = (3, False)
    made = await given.store.create_delivery_job(Scope(), JobAct.STOP, "{}", counted, NOON, action)
    return made.id


async def cancel_job(given: Given, action: Action) -> None:
    job = await start_job(given, None)
    await given.store.cancel_delivery_job(Scope(), job, "x", NOON, action)


async def resend(given: Given, action: Action) -> None:
    await given.publish()
    [delivery] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await given.store.resend(Scope(), delivery.id, NOON, action)


async def retry_now(given: Given, action: Action) -> None:
    await given.publish()
    [delivery] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await given.store.retry_now(Scope(), [delivery.id], NOON, action)


async def stop_deliveries(given: Given, action: Action) -> None:
    await given.publish()
    [delivery] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await given.store.stop_deliveries(Scope(), [delivery.id], "x", NOON, action)


async def create_key(given: Given, action: Action | None) -> int:
    key = ApiKey(
        id=0,
        scope=KeyScope.ACCOUNT,
        project_id=given.project_id,
        account_id=given.account.id,
        name="ci",
        last4="1a2b",
        created_at=NOON,
    )
    return (await given.store.create_key(key, CANARY.encode(), action)).id


async def revoke_key(given: Given, action: Action) -> None:
    await given.store.revoke_key(Scope(), await create_key(given, None), NOON, action)


async def create_user(given: Given, action: Action | None) -> User:
    return await given.store.create_user("Zoë", Role.OWNER, None, NOON, action)


async def update_user(given: Given, action: Action) -> None:
    await create_user(given, None)
    bob = await given.store.create_user("Bob", Role.OWNER, None, NOON)
    await given.store.update_user(bob.id, {"password": CANARY}, NOON, action)


async def delete_user(given: Given, action: Action) -> None:
    await create_user(given, None)
    bob = await given.store.create_user("Bob", Role.OWNER, None, NOON)
    await given.store.delete_user(bob.id, NOON, action)


async def create_login_link(given: Given, action: Action) -> None:
    ann = await create_user(given, None)
    await given.store.create_login_link(ann.id, CANARY.encode(), NOON + 60, action)


async def create_session(given: Given, action: Action) -> None:
    ann = await create_user(given, None)
    await given.store.create_session(CANARY.encode(), ann.id, None, NOON, NOON + 60, action)


async def create_bin(given: Given, action: Action | None) -> Bin:
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
    return await given.store.create_bin(new, 10, action)


async def update_bin(given: Given, action: Action) -> None:
    made = await create_bin(given, None)
    await given.store.update_bin(made.token, '[{"status":500}]', NOON, action)


async def clear_bin(given: Given, action: Action) -> None:
    await given.store.clear_bin((await create_bin(given, None)).id, action)


async def delete_bin(given: Given, action: Action) -> None:
    await given.store.delete_bin((await create_bin(given, None)).id, action)


CHANGES: Sequence[Change] = (
    edit_project,
    create_project,
    delete_project,
    create_account,
    update_account,
    delete_account,
    create_endpoint,
    update_endpoint,
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_secret,
    start_replay,
    cancel_replay,
    start_job,
    cancel_job,
    resend,
    retry_now,
    stop_deliveries,
    create_key,
    revoke_key,
    create_user,
    update_user,
    delete_user,
    create_login_link,
    create_session,
    create_bin,
    update_bin,
    clear_bin,
    delete_bin,
)

ALONE: Sequence[Change] = (
    edit_project,
    create_project,
    create_account,
    update_account,
    delete_account,
    create_endpoint,
    update_endpoint,
    delete_endpoint,
    disable_endpoint,
    rotate_secret,
    start_replay,
    start_job,
    create_key,
    create_user,
    create_bin,
)
"""Those that make nothing beforehand, so that all they store is one transaction."""


async def stored(place: Place) -> dict[str, list[str]]:
    """Return every row of the database by table, except those of the audit log."""
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
