"""``hooktide keys``: rotation while servers deliver, on both databases, and rejected commands."""

import asyncio
from pathlib import Path

import pytest
from accounting import Ledger
from commandkit import Said, hooktide
from postgreskit import database
from serverkit import Server, receiving, serving, set_up
from standardwebhooks import Webhook
from storekit import until

from hooktide.runtime.vault import Vault, changing_keys, key_id, read_keys, write_keys

OTHER = b"x" * 32


async def keys(server: Server, *words: str) -> Said:
    """Run ``hooktide keys`` while a server runs, as its operator would."""
    where = ["--database", server.database or str(server.folder / "hooktide.db")]
    where += ["--key-file", str(key_file(server))]
    return await asyncio.to_thread(hooktide, "keys", *words, *where)


def key_file(server: Server) -> Path:
    return server.folder / "hooktide.db.key"


def ids(server: Server) -> list[str]:
    return [key_id(each) for each in read_keys(key_file(server))]


async def delivered(server: Server, ledger: Ledger, secret: str, number: int) -> None:
    """Publish an event, and check the signature of its delivery."""
    await server.api.post(
        "/v1/events", {"account": "acme", "type": "thing.happened", "payload": {"n": number}}
    )
    await until(lambda: len(ledger.arrived) == number)
    last = ledger.arrived[-1]
    Webhook(secret).verify(last.body, last.headers)


@pytest.mark.parametrize("where", ["sqlite", "postgres", "two processes"])
async def test_a_rotation_while_servers_run_keeps_every_signature(
    tmp_path: Path, where: str
) -> None:
    if where == "sqlite":
        await rotate_under(tmp_path, "")
    else:
        async with database() as url:
            await rotate_under(tmp_path, url, *(["--processes", "2"] if "two" in where else []))


async def rotate_under(tmp_path: Path, url: str, *options: str) -> None:
    ledger = Ledger()
    async with receiving(ledger) as port, serving(tmp_path, *options, database=url) as server:
        _, secrets = await set_up(server.api, port, ["/one"])
        [secret] = secrets.values()
        [old] = ids(server)
        await delivered(server, ledger, secret, 1)
        account = "/v1/accounts/acme/portal-links"
        link = (await server.api.post(account, {}))["url"]

        said = (await keys(server, "rotate")).ok().out

        [new] = ids(server)
        assert new != old
        for words in (f"{new} added", f"{new} now seals", "sealed again", f"{old} dropped"):
            assert words in said
        assert "\r" not in said
        listed = (await keys(server, "list")).ok().out
        assert listed.startswith(f"{new}  seals and decrypts")
        await delivered(server, ledger, secret, 2)
        await server.stop()
        await server.start()
        await delivered(server, ledger, secret, 3)
        assert (await server.api.post(account, {}))["url"] != link
        done = [
            (each["action"], each["target"], each["detail"])
            for each in (await server.api.get("/v1/audit-log"))["items"]
            if each["action"].startswith("sealing_key.")
        ]
        assert done == [
            ("sealing_key.drop", old, ""),
            ("sealing_key.reseal", new, "2 values"),
            ("sealing_key.use", new, ""),
            ("sealing_key.add", new, ""),
        ]


async def test_no_key_seals_before_every_server_has_read_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        [old] = ids(server)
        elsewhere = tmp_path / "elsewhere.key"
        write_keys(elsewhere, [*read_keys(key_file(server)), OTHER], added=OTHER, new=True)
        where = ["--database", str(tmp_path / "hooktide.db"), "--key-file", str(elsewhere)]
        refused = await asyncio.to_thread(hooktide, "keys", "use", key_id(OTHER), *where)
        assert refused.code == 2
        assert "not read yet by" in refused.err
        assert [key_id(each) for each in read_keys(elsewhere)] == [old, key_id(OTHER)]
        waited = await asyncio.to_thread(hooktide, "keys", "rotate", "--wait", "0", *where)
        assert waited.code == 2
        assert "copy the key file to its machine" in waited.err
        assert [key_id(each) for each in read_keys(elsewhere)] == [old, key_id(OTHER)]


async def test_a_rotation_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await set_up(server.api, 9999, [f"/{n}" for n in range(3)])
        await server.stop()
        [old] = ids(server)
        (await keys(server, "add")).ok()
        [_, new] = ids(server)
        refused = await keys(server, "add")
        assert (refused.code, f"{new} was added before" in refused.err) == (2, True)
        refused = await keys(server, "drop", old)
        assert (refused.code, "this key is in use" in refused.err) == (2, True)
        (await keys(server, "use", new)).ok()
        refused = await keys(server, "drop", old)
        assert (refused.code, "run hooktide keys reseal first" in refused.err) == (2, True)
        assert ids(server) == [new, old]
        said = (await keys(server, "rotate")).ok().out
        assert "added" not in said
        assert f"{old} dropped" in said
        assert ids(server) == [new]
        await server.start()
        assert len((await server.api.get("/v1/endpoints"))["items"]) == 3


async def test_a_server_says_which_endpoints_no_key_opens_and_spends_no_attempt(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    async with receiving(ledger) as port, serving(tmp_path) as server:
        await set_up(server.api, port, ["/one"])
        kept = read_keys(key_file(server))
        write_keys(key_file(server), [OTHER])
        await until(
            lambda: any("keys read" in line for line in server.log.read_text().splitlines())
        )
        event = {"account": "acme", "type": "thing.happened", "payload": {"n": 1}}
        await server.api.post("/v1/events", event)
        async with asyncio.timeout(60):
            while await server.metric("hooktide_unsealed_endpoints") != 1:
                await asyncio.sleep(0.05)
        [delivery] = (await server.api.get("/v1/deliveries?account=acme"))["items"]
        assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
        assert ledger.arrived == []
        ready = await server.api.get("/health/ready")
        assert (ready["status"], "1 endpoints wait" in ready["warnings"][0]) == ("ok", True)
        write_keys(key_file(server), kept)
        await until(lambda: len(ledger.arrived) == 1, within=120)


async def test_no_key_is_dropped_by_asking_a_database_that_the_file_does_not_belong_to(
    tmp_path: Path,
) -> None:
    another = tmp_path / "another"
    another.mkdir()
    async with serving(tmp_path, folder=another) as empty:
        await empty.stop()
    path = tmp_path / "x.key"
    write_keys(path, [OTHER], new=True)
    where = ["--database", str(another / "hooktide.db"), "--key-file", str(path)]
    refused = await asyncio.to_thread(hooktide, "keys", "rotate", *where)
    assert (refused.code, "check that they belong together" in refused.err) == (2, True)
    [first, added] = read_keys(path)
    assert first == OTHER
    write_keys(path, [added, OTHER])
    refused = await asyncio.to_thread(hooktide, "keys", "drop", key_id(OTHER), *where)
    assert (refused.code, "check that they belong together" in refused.err) == (2, True)
    assert read_keys(path) == [added, OTHER]


@pytest.mark.parametrize("words", ["add", "use KEY", "reseal", "drop KEY", "rotate"])
def test_two_commands_at_once_do_not_lose_each_others_keys(tmp_path: Path, words: str) -> None:
    path = tmp_path / "x.key"
    write_keys(path, [OTHER], new=True)
    where = ["--database", str(tmp_path / "x.db"), "--key-file", str(path)]
    with changing_keys(path):
        refused = hooktide("keys", *words.replace("KEY", key_id(OTHER)).split(), *where)
    assert refused.code == 2
    assert f"another hooktide keys is changing {path}" in refused.err
    assert read_keys(path) == [OTHER]


def test_a_key_that_the_file_has_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    write_keys(path, [OTHER], new=True)
    refused = hooktide("keys", "use", "deadbeef", "--key-file", str(path))
    assert refused.code == 2
    assert f"has no key deadbeef; it has {Vault(OTHER).ids[0]}" in refused.err


def test_an_api_key_in_the_environment_is_no_key_id(tmp_path: Path) -> None:
    said = hooktide("keys", "drop", HOOKTIDE_KEY="htk_api", HOOKTIDE_DATABASE=str(tmp_path / "x"))
    assert said.code == 2
    assert "KEY-ID is missing" in said.err
    assert "htk_api" not in said.out + said.err
