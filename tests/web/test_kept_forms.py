"""Form input is kept when the session ends meanwhile, and when the form is refused."""

import html
import re

import pytest
from dashkit import Fields, Seat, make_things, seat, stranger, users_of
from webkit import OPERATOR, RECEIVER, Site

from hooktide.domain.audit_log import SERVER
from hooktide.domain.model import Role, Scope

ORIGIN = {"origin": "http://127.0.0.1:80", "content-type": "application/x-www-form-urlencoded"}
PASSWORD = "correct horse battery"
TEXT = 'It\'s "mine" & <b>long</b>'


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


async def end_session(site: Site, owner: Seat) -> None:
    who = await users_of(site).principal(owner.cookie)
    assert who is not None
    await users_of(site).logout(who)


def hidden(page: str, name: str) -> str:
    return html.unescape(re.findall(rf'name="{name}" value="([^"]*)"', page)[0])


async def test_a_form_sent_after_its_session_ended_is_shown_again_after_the_login(
    site: Site, owner: Seat
) -> None:
    ids, users = await make_things(site), users_of(site)
    user = await site.app.store.find_user("owner of all")
    await users.set_password(SERVER, user.id, PASSWORD)
    owner.cookie, _ = await users.begin(await users.get(Scope(), user.id))
    forms: dict[str, Fields] = {
        f"/accounts/{ids['acc']}/endpoints": {"url": RECEIVER, "description": TEXT},
        f"/endpoints/{ids['ep']}/edit": {"url": RECEIVER, "description": TEXT},
        "/accounts": {"reference": "x", "name": TEXT, "project": "invoice-maker"},
        "/keys": {"name": TEXT, "scope": "project"},
        "/projects/invoice-maker/event-type": {"name": "a.b", "description": TEXT},
        "/projects/invoice-maker/file": {"file": TEXT},
        f"/publish?account={ids['acc']}&type=invoice.paid": {"payload": TEXT},
    }
    for path, fields in forms.items():
        await end_session(site, owner)
        asked = await owner.post(f"/dashboard{path}", fields)
        assert asked.status == 403, path
        page = asked.body.decode()
        wrong = {"name": "owner of all", "password": "wrong"}
        wrong |= {name: hidden(page, name) for name in ("next", "kept", "owner")}
        page = (await owner.post("/dashboard/login", wrong)).body.decode()
        right = {"name": "owner of all", "password": PASSWORD}
        right |= {name: hidden(page, name) for name in ("next", "kept", "owner")}
        shown = await owner.follow("/dashboard/login", right)
        assert TEXT in html.unescape(shown), path
        assert "Nothing was saved" in shown, path
    assert len((await site.operator.get("/v1/endpoints")).ok()["items"]) == 1


async def test_a_form_is_not_shown_to_another_user_of_the_same_browser(
    site: Site, owner: Seat
) -> None:
    bo = await users_of(site).create(SERVER, Scope(), "Bo", Role.OWNER, None)
    await users_of(site).set_password(SERVER, bo.id, PASSWORD)
    await end_session(site, owner)
    asked = await owner.post("/dashboard/keys", {"name": TEXT, "scope": "project"})
    page = asked.body.decode()
    kept = {name: hidden(page, name) for name in ("next", "kept", "owner")}
    login = {"name": "Bo", "password": PASSWORD, **kept}
    assert TEXT not in html.unescape(await owner.follow("/dashboard/login", login))
    for owner_of in ("", "x.y", "." + kept["owner"].partition(".")[2]):
        forged = {**login, "owner": owner_of}
        assert TEXT not in html.unescape(await owner.follow("/dashboard/login", forged))


async def test_nothing_of_another_sites_form_or_of_a_password_is_kept(
    site: Site, owner: Seat
) -> None:
    await end_session(site, owner)
    for path, fields, headers in (
        ("/dashboard/keys", {"name": TEXT}, {"origin": "https://evil.example"}),
        ("/dashboard/you/password", {"password": "a" * 12, "again": "a" * 12}, None),
    ):
        answer = await owner.post(path, fields, headers)
        assert answer.status == 303
        assert answer.headers["location"].startswith("/dashboard/login?next=/dashboard/")


async def test_whoever_logged_in_again_elsewhere_sends_the_form_once_more(
    site: Site, owner: Seat
) -> None:
    await site.account()
    fields = {"project": "invoice-maker", "reference": "x", "name": TEXT}
    answer = await owner.post("/dashboard/accounts", fields, csrf="of an earlier session")
    assert answer.status == 403
    assert TEXT in html.unescape(answer.body.decode())
    assert b"before your last login" in answer.body


async def test_what_was_filled_in_when_a_portals_link_expired_can_be_copied(site: Site) -> None:
    await site.account()
    made = (await site.operator.post("/v1/accounts/acme/portal-links", {})).ok(201)
    path = made["url"].removeprefix(site.app.public_url) + "/endpoints/new"
    (await site.operator.delete("/v1/accounts/acme/portal-links")).ok(204)
    body = b"url=https%3A%2F%2Fexample.com%2F%3Ca%3E&name=Books"
    answer = await site.client("").call("POST", path, body=body, headers=ORIGIN)
    assert answer.status == 410
    assert b"https://example.com/&lt;a&gt;" in answer.body
    elsewhere = {**ORIGIN, "origin": "https://evil.example"}
    answer = await site.client("").call("POST", path, body=body, headers=elsewhere)
    assert b"example.com" not in answer.body


async def test_a_login_goes_on_to_no_other_site(site: Site) -> None:
    for path in ("//evil.example", "https://evil.example", "/dashboard/../portal", "/dashboard//x"):
        browser = stranger(site)
        answer = await browser.post(
            "/dashboard/login", {"key": OPERATOR, "next": path, "kept": "a=b"}
        )
        assert answer.headers["location"] == "/dashboard", path


async def test_an_account_that_is_not_known_is_said_at_its_field(site: Site, owner: Seat) -> None:
    await site.account()
    await site.account("defacto")
    for account, status, said in (
        ("nope", 404, "There is no such account."),
        ("acme", 409, "Several projects have an account with this reference."),
    ):
        for path in ("/dashboard/publish", "/dashboard/events"):
            page = await owner.page(f"{path}?account={account}", status)
            assert f'value="{account}"' in page
            assert page.count(said) == 1
            assert "Hooktide-Project" not in page
        assert said in await owner.page(f"/dashboard/deliveries?account={account}", status)
        fields = {"scope": "account", "name": TEXT, "project": "", "account": account}
        answer = await owner.post("/dashboard/keys", fields)
        page = html.unescape(answer.body.decode())
        assert answer.status == status
        assert TEXT in page
        assert page.count(said) == 1
    await owner.page("/dashboard/events?account=acme&project=defacto")


async def test_a_message_is_said_once_and_beside_its_field(site: Site, owner: Seat) -> None:
    await site.account()
    await owner.follow("/dashboard/users", {"name": "Bo", "role": "viewer"})
    plan = "/dashboard/projects/invoice-maker/plan?plan=basic"
    for path, fields, said in (
        ("/dashboard/users", {"name": "bo", "role": "viewer"}, "nother user has this name"),
        (
            "/dashboard/accounts",
            {"project": "invoice-maker", "reference": "acme"},
            "this reference",
        ),
        (
            "/dashboard/keys",
            {"scope": "project", "name": "", "project": "invoice-maker"},
            "key is for",
        ),
        (plan, {"retries": "21", "timeout": "10s"}, "between 0 and 20"),
        (plan, {"retries": "2", "timeout": "10m"}, "between 1s and 30s"),
    ):
        answer = await owner.post(path, fields)
        page = html.unescape(answer.body.decode())
        assert answer.status in (409, 422), path
        [note] = re.findall(r'role="alert">(.*?)</p>', page)
        assert note == "Nothing was saved. See what is marked below.", path
        [fault] = re.findall(r'class="fault"[^>]*>(.*?)</p>', page)
        assert said in fault, path
        assert "plans." not in fault, path
