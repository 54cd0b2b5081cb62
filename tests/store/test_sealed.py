"""Sealed rows: which keys open them, and how they are sealed again with a new key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import apsw
import asyncpg
import pytest
from storekit import KEY, NOON, Given

from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import ConfigError, UnavailableError, UnsealError
from hooktide.domain.model import Endpoint, EndpointKind, Scope, Secret
from hooktide.runtime.vault import Vault, key_id
from hooktide.store.maintenance.sealed import SealedRows, count_by_key
from hooktide.store.postgres.maintenance.sealed import PostgresSealedRows
from hooktide.store.sqlite.maintenance.sealed import SqliteSealedRows

NEW = b"n" * 32
CHAT = "https://hooks.slack.com/services/T/B/hush"


@asynccontextmanager
async def sealed_rows(given: Given) -> AsyncIterator[SealedRows]:
    place = given.place
    rows: SealedRows = (
        SqliteSealedRows(place.url)
        if place.is_file
        else PostgresSealedRows(place.direct or place.url)
    )
    try:
        yield rows
    finally:
        await rows.close()


async def run(given: Given, sql: str) -> None:
    place = given.place
    if place.is_file:
        db = apsw.Connection(place.url)
        db.execute(sql)
        db.close()
    else:
        connection = await asyncpg.connect(place.direct or place.url)
        await connection.execute(sql.replace(" secrets", " hooktide.secrets"))
        await connection.close()


async def all_endpoints(given: Given) -> list[Endpoint]:
    page = await given.store.list_endpoints(Scope(), None, 10_000)
    return [await given.store.get_endpoint(Scope(), each.id) for each in page.items]


@pytest.mark.pooled
async def test_a_rotation_seals_everything_again_and_changes_nothing(given: Given) -> None:
    await given.store.update_endpoint(
        Scope(),
        given.endpoint.id,
        lambda _: {
            "headers": (("authorization", "Bearer 1"),),
            "kind": EndpointKind.SLACK,
            "secret_url": CHAT,
        },
        NOON,
    )
    await given.store.rotate_secret(
        Scope(), given.endpoint.id, Secret("cd" * 32, b"\xcd" * 32), 10**9, NOON + 1
    )
    before = await all_endpoints(given)
    new_first = Vault(NEW, KEY)
    async with sealed_rows(given) as rows:
        counts = count_by_key(await rows.prefixes(), new_first)
        assert (counts[key_id(NEW)], counts[""]) == (0, 0)
        assert counts[key_id(KEY)] >= 4
        while await rows.reseal(new_first):
            pass
        after = count_by_key(await rows.prefixes(), new_first)
        assert after == {key_id(NEW): counts[key_id(KEY)], key_id(KEY): 0}
        assert await rows.reseal(new_first) == 0
    await given.reopen(NEW)
    assert await all_endpoints(given) == before
    with pytest.raises(ConfigError, match="no key of this file"):
        await given.reopen(KEY)


@pytest.mark.pooled
async def test_a_reseal_that_is_refused_by_one_value_changes_none_of_its_batch(
    given: Given,
) -> None:
    async with sealed_rows(given) as rows:
        before = await rows.prefixes()
        with pytest.raises(UnsealError):
            await rows.reseal(Vault(NEW))
        assert await rows.prefixes() == before


@pytest.mark.pooled
async def test_a_process_that_ended_or_never_reported_does_not_count(given: Given) -> None:
    now = given.store.clock()
    await given.store.report_keys("one:1", ["aa", "bb"], now)
    async with sealed_rows(given) as rows:
        [report] = await rows.live()
        assert (report.process, report.key_ids) == ("one:1", ("aa", "bb"))
        await given.store.report_keys("one:1", ["bb", "aa"], now)
        assert [each.key_ids for each in await rows.live()] == [("bb", "aa")]
        await given.store.end_key_report("one:1")
        assert await rows.live() == []


async def test_a_sealed_value_that_was_moved_to_another_row_does_not_open(given: Given) -> None:
    other = await given.store.create_endpoint(
        given.endpoint, Secret("cd" * 32, b"\xcd" * 32), None, NOON
    )
    await run(
        given,
        f"UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE endpoint_id = {other.id}) "
        f"WHERE endpoint_id = {given.endpoint.id}",
    )
    with pytest.raises(UnsealError, match=r"secrets\.sealed"):
        await given.store.get_endpoint(Scope(), given.endpoint.id)


async def test_a_reseal_is_written_together_with_its_audit_entry(given: Given) -> None:
    action = Actor(name="ann", source=Source.COMMAND_LINE).does("sealing_key.reseal", key_id(NEW))
    new_first = Vault(NEW, KEY)
    async with sealed_rows(given) as rows:
        sealed = await rows.prefixes()
        assert await rows.reseal(new_first, action) > 0
        assert await rows.reseal(new_first, action) == 0, "nothing was done"
        entries = (await given.store.list_audit_log(Scope(), None, 10)).items
        assert [each.action for each in entries if each.actor == "ann"] == ["sealing_key.reseal"]
        assert await rows.reseal(Vault(KEY, NEW)) > 0
    await given.refuse("audit_log", "NEW.actor = 'ann'")
    async with sealed_rows(given) as rows:
        with pytest.raises((UnavailableError, asyncpg.PostgresError)):
            await rows.reseal(new_first, action)
        assert await rows.prefixes() == sealed
