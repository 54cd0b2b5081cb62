"""A secret is shown once, on a separate page that reloads without resubmitting the form."""

import re

import pytest
from dashkit import Fields, Seat, make_things, seat
from webkit import RECEIVER, Answer, Client, Site

from hooktide.actions.access.stash import LIFETIME, Stash
from hooktide.domain.model import Role
from hooktide.runtime.clock import wall_clock
from hooktide.runtime.vault import Vault

SECRET = re.compile(r'id="(?:secret|library|key|link)"[^>]*>(?:[0-9a-f]{64}|whsec_|htk_|http)')
ORIGIN = {"origin": "http://127.0.0.1:80", "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


def acts(ids: dict[str, str]) -> dict[str, Fields]:
    """Return the dashboard's forms that create a secret."""
    account, endpoint = f"/accounts/{ids['acc']}", f"/endpoints/{ids['ep']}"
    return {
        f"{account}/endpoints": {"url": RECEIVER, "event_types": "*", "same_url": "1"},
        f"{endpoint}/rotate": {},
        "/keys": {"scope": "operator", "name": "k"},
        "/users": {"name": "Bo", "role": "viewer"},
        f"/users/{ids['usr']}/link": {},
        f"{account}/portal-link": {},
        "/new-project": {"provider": "defacto", "name": "mine"},
    }


async def test_each_form_that_makes_a_secret_leads_to_a_page_that_shows_it_once(
    site: Site, owner: Seat
) -> None:
    ids = await make_things(site)
    for path, fields in acts(ids).items():
        answer = await owner.post(f"/dashboard{path}", fields)
        assert answer.status == 303, (path, answer.status, answer.body)
        target = answer.headers["location"]
        assert not re.search(r"[0-9a-f]{64}|htk_|/login/|/portal/", target), path
        assert SECRET.search(await owner.page(target)), path
        again = await owner.page(target)
        assert not SECRET.search(again), path
        assert "shown once" in again, path


async def test_nobody_else_is_shown_it(site: Site, owner: Seat) -> None:
    ids = await make_things(site)
    path = f"/dashboard/endpoints/{ids['ep']}/rotate"
    target = (await owner.post(path)).headers["location"]
    other = await seat(site, Role.MEMBER)
    assert not SECRET.search(await other.page(target))
    headers = {"host": "127.0.0.1:80", "cookie": f"hooktide_session={owner.cookie}"}
    head = await owner.client.call("HEAD", target, headers=headers)
    assert head.status == 200
    assert SECRET.search(await owner.page(target))


@pytest.mark.parametrize("header", ["sec-purpose", "purpose"])
async def test_a_page_that_is_loaded_in_advance_does_not_use_the_secret_up(
    site: Site, owner: Seat, header: str
) -> None:
    ids = await make_things(site)
    target = (await owner.post(f"/dashboard/endpoints/{ids['ep']}/rotate")).headers["location"]
    headers = {"host": "127.0.0.1:80", "cookie": f"hooktide_session={owner.cookie}"}
    ahead = await owner.client.call("GET", target, headers=headers | {header: "prefetch;prerender"})
    assert not SECRET.search(ahead.body.decode())
    assert SECRET.search(await owner.page(target))


async def test_a_portals_page_reloads_without_adding_another_endpoint(site: Site) -> None:
    await site.account()
    made = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)
    base = made["url"].removeprefix(site.app.public_url)
    picked = "event_types=*&event_types=invoice.*"  # all events (the default), and some
    answer = await _send(site, f"{base}/endpoints/new", f"url={RECEIVER}&same_url=1&{picked}")
    target = answer.headers["location"]
    assert target.startswith(f"{base}/endpoints/ep_")
    customer = site.client("")
    assert SECRET.search((await customer.get(target)).body.decode())
    reloaded = (await customer.get(target)).body.decode()
    assert not re.search(r"[0-9a-f]{64}", reloaded)
    assert "rotate it" in reloaded
    [made] = (await site.operator.get("/v1/endpoints")).ok()["items"]
    assert made["event_types"] == ["invoice.*"]


async def test_a_test_url_is_put_into_the_form_and_stays_there_when_it_is_reloaded(
    site: Site,
) -> None:
    await site.account()
    made = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)
    base = made["url"].removeprefix(site.app.public_url)
    filled = "do=bin&url=&name=Books+%26+Co&event_types=invoice.paid"
    answer = await _send(site, f"{base}/endpoints/new", filled)
    assert answer.status == 303
    pages = [
        (await site.client("").get(answer.headers["location"])).body.decode() for _ in range(2)
    ]
    assert pages[0] == pages[1]
    assert re.search(r'name="url"[^>]*value="http://[^"]+/bin/[^"]+"', pages[0])
    assert 'value="Books &amp; Co"' in pages[0]


async def _send(site: Site, path: str, body: str) -> Answer:
    client: Client = site.client("")
    return await client.call("POST", path, body=body.encode(), headers=ORIGIN)


@pytest.mark.both_databases
async def test_any_process_takes_from_the_stash_once_and_none_after_ten_minutes(
    site: Site, kind: str
) -> None:
    app, now = site.app, wall_clock()
    one = Stash(app.store, app.vault, lambda: now)
    other = Stash(app.store, app.vault, lambda: now)
    place = ("/dashboard", "session", "/keys")
    await one.put(place, "first")
    await one.put(place, "séc\0ond")
    assert await other.get(place) == "séc\0ond"
    assert await other.take(("/dashboard", "another", "/keys")) is None
    assert await other.take(place) == "séc\0ond"
    assert await one.take(place) is None
    await one.put(place, "late")
    assert await Stash(app.store, app.vault, lambda: now + LIFETIME).take(place) is None
    assert await Stash(app.store, Vault(b"k" * 32), lambda: now).get(place) is None
    assert await other.take(place) == "late"
