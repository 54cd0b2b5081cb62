"""Logging in to the dashboard with a link, a password or a key."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
from dashkit import Seat, seat, stranger, users_of
from starlette.requests import Request
from webkit import OPERATOR, Site, running

from hooktide.domain.audit_log import SERVER
from hooktide.domain.model import Role, Scope, User
from hooktide.runtime.settings import Settings
from hooktide.web.http.client_address import address_of

PASSWORD = "correct horse battery"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
        await site.account()
        yield site


async def ann(site: Site) -> User:
    users = users_of(site)
    user = await users.create(SERVER, Scope(), "Ann", Role.MEMBER, None)
    await users.set_password(SERVER, user.id, PASSWORD)
    return await users.get(Scope(), user.id)


async def link(site: Site) -> str:
    made = await users_of(site).make_link(SERVER, Scope(), (await ann(site)).id)
    return made.url.removeprefix(site.app.public_url)


async def is_in(seat: Seat) -> bool:
    return (await seat.get("/dashboard")).status == 200


async def test_looking_at_a_login_link_does_not_use_it_up(site: Site) -> None:
    path, browser = await link(site), stranger(site)
    for _ in range(3):
        assert "It works once" in await browser.page(path)
    assert not await is_in(browser)
    answer = await browser.post(path)
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard/you")
    assert answer.headers["cache-control"] == "no-store"
    assert await is_in(browser)


async def test_a_login_link_that_was_used_offers_no_login(site: Site) -> None:
    path, browser = await link(site), stranger(site)
    await browser.post(path)
    for used in (path, "/dashboard/login/never-was"):
        page = await stranger(site).page(used, 410)
        assert "used already or has expired" in page
        assert "<button" not in page


async def test_resources_of_a_login_links_page_do_not_get_the_link(site: Site) -> None:
    path, browser = await link(site), stranger(site)
    refused = await browser.post(path, headers={"origin": "https://evil.example"})
    assert refused.status == 403
    for answer in (await browser.get(path), refused):
        assert answer.headers["referrer-policy"] == "strict-origin"


async def test_a_login_link_works_once(site: Site) -> None:
    path = await link(site)
    await stranger(site).post(path)
    late = stranger(site)
    answer = await late.post(path)
    assert answer.status == 410
    assert b"used already" in answer.body
    assert not await is_in(late)


async def test_a_name_and_a_password_log_in(site: Site) -> None:
    await ann(site)
    browser = stranger(site)
    answer = await browser.post("/dashboard/login", {"name": "ann", "password": PASSWORD})
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard")
    assert "Ann" in await browser.page("/dashboard")


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "wrong"), ("ann", ""), ("bob", PASSWORD), ("", "")]
)
async def test_a_wrong_login_says_the_same_whatever_was_wrong(
    site: Site, name: str, password: str
) -> None:
    await ann(site)
    browser = stranger(site)
    answer = await browser.post("/dashboard/login", {"name": name, "password": password})
    assert answer.status == 401
    assert b"Wrong name or password." in answer.body
    assert not await is_in(browser)


async def test_guessing_is_slowed_down_and_says_for_how_long(site: Site) -> None:
    await ann(site)
    browser = stranger(site)
    wrong = {"name": "ann", "password": "wrong"}
    answers = [await browser.post("/dashboard/login", wrong) for _ in range(12)]
    assert {each.status for each in answers[:6]} == {401}
    slowed = [each for each in answers if each.status == 429]
    assert slowed
    assert all(1 <= int(each.headers["retry-after"]) <= 60 for each in slowed)


async def test_guessing_passwords_does_not_block_logins_by_link_or_key(site: Site) -> None:
    path, guesser = await link(site), stranger(site)
    for number in range(30):
        await guesser.post("/dashboard/login", {"key": f"htk_{number}"})
        await guesser.post(f"/dashboard/login/{number}")
    by_link, by_key = stranger(site), stranger(site)
    await by_link.post(path)
    await by_key.post("/dashboard/login", {"key": OPERATOR})
    assert await is_in(by_link)
    assert await is_in(by_key)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("127.0.0.1", [], ""),
        ("127.0.0.1", ["127.0.0.1"], ""),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7, 172.18.0.9, 127.0.0.1"], "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1, unknown, 172.18.0.9"], "172.18.0.9"),
        ("10.0.0.5", ["203.0.113.7"], "10.0.0.5"),
        ("172.19.0.1", ["203.0.113.7"], "172.19.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("172.18.0.2", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("::1", ["198.51.100.1", "2001:DB8::7"], "2001:db8::7"),
        ("172.18.0.2", ["a proxy's joke"], "172.18.0.2"),
        ("8.8.8.8", ["203.0.113.7"], "8.8.8.8"),
        ("", ["203.0.113.7"], ""),
    ],
)
def test_only_a_trusted_proxy_determines_the_address_of_a_login(
    peer: str, forwarded: list[str], found: str
) -> None:
    trusted = [ip_network(each) for each in ("127.0.0.0/8", "::1/128", "172.18.0.0/16")]
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    app = SimpleNamespace(trusted_proxies=trusted)
    scope = {"type": "http", "client": (peer, 1), "headers": headers, "app": app}
    assert address_of(Request(scope)) == found


def test_by_default_only_this_machine_is_a_trusted_proxy() -> None:
    assert Settings().trusted_proxy == ("127.0.0.0/8", "::1/128")


async def test_an_operators_key_makes_an_owner_and_a_projects_key_a_member_of_it(
    site: Site,
) -> None:
    owner, member = stranger(site), stranger(site)
    await site.account("defacto", "other")
    await owner.post("/dashboard/login", {"key": OPERATOR})
    assert ">owner<" in await owner.page("/dashboard")
    assert "defacto" in await owner.page("/dashboard/projects")
    key = (await site.key("project", project="invoice-maker")).key
    await member.post("/dashboard/login", {"key": key})
    html = await member.page("/dashboard/projects")
    assert ">member<" in html
    assert "invoice-maker" in html
    assert "defacto" not in html


@pytest.mark.parametrize("key", ["", "htk_nonsense", "\N{SNOWMAN}"])
async def test_an_unknown_key_does_not_log_in(site: Site, key: str) -> None:
    browser = stranger(site)
    assert (await browser.post("/dashboard/login", {"key": key})).status == 401
    assert not await is_in(browser)


async def test_an_accounts_key_does_not_log_in(site: Site) -> None:
    key = (await site.key("account", account="acme")).key
    browser = stranger(site)
    answer = await browser.post("/dashboard/login", {"key": key})
    assert answer.status == 401
    assert b"not an active operator or project key" in answer.body


async def test_a_revoked_key_ends_its_session_at_once(site: Site) -> None:
    key = (await site.key("project", project="invoice-maker")).key
    browser = stranger(site)
    await browser.post("/dashboard/login", {"key": key})
    assert await is_in(browser)
    [made] = [
        each["id"]
        for each in (await site.operator.get("/v1/keys")).ok()["items"]
        if each["last4"] == key[-4:]
    ]
    await site.operator.delete(f"/v1/keys/{made}")
    assert not await is_in(browser)


async def test_an_open_stream_ends_when_the_session_does(site: Site) -> None:
    users = users_of(site)
    user = await users.get(Scope(), (await ann(site)).id)
    _, who = await users.begin(user)
    assert await users.is_current(who)
    await site.app.store.update_user(user.id, {"role": Role.VIEWER}, site.app.clock())
    assert not await users.is_current(who)
    _, who = await users.begin(await users.get(Scope(), user.id))
    await users.logout(who)
    assert not await users.is_current(who)


async def test_the_cookie_is_the_dashboards_alone(site: Site) -> None:
    browser = stranger(site)
    answer = await browser.post("/dashboard/login", {"key": OPERATOR})
    given = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/dashboard", "max-age=604800"} <= given
    assert "secure" not in given


async def test_over_https_the_cookie_goes_over_nothing_else(tmp_path: Path) -> None:
    """Behind a proxy that terminates TLS, the browser sees the public URL."""
    address = "https://hooks.example.com"
    async with running(tmp_path, public_url=address) as site:
        browser = stranger(site)
        key = {"key": OPERATOR}
        answer = await browser.post("/dashboard/login", key, headers={"origin": address})
        assert answer.status == 303
        assert "secure" in answer.headers["set-cookie"].lower()
        assert answer.headers["set-cookie"].startswith("__Secure-hooktide_session=htks_")
        headers = {"origin": address, "cookie": f"hooktide_session={browser.cookie}"}
        plain = await site.client("").call("GET", "/dashboard", headers=headers)
        assert plain.headers["location"] == "/dashboard/login"
        headers["cookie"] = f"__Secure-{headers['cookie']}"
        assert (await site.client("").call("GET", "/dashboard", headers=headers)).status == 200


async def test_a_session_that_was_there_before_is_never_taken_over(site: Site) -> None:
    browser = stranger(site)
    browser.cookie = "htks_" + "f" * 43
    await browser.post("/dashboard/login", {"key": OPERATOR})
    assert browser.cookie != "htks_" + "f" * 43
    assert await is_in(browser)


async def test_logging_out_ends_the_session_on_the_server(site: Site) -> None:
    browser = await seat(site, Role.VIEWER)
    token = browser.cookie
    answer = await browser.post("/dashboard/logout")
    assert answer.headers["location"] == "/dashboard/login"
    browser.cookie = token
    assert not await is_in(browser)


async def test_a_new_password_ends_all_other_sessions(site: Site) -> None:
    user, users = await ann(site), users_of(site)
    seats = [stranger(site), stranger(site)]
    for each in seats:
        each.cookie, _ = await users.begin(user)
    fields = {"password": "another long one", "again": "another long one"}
    answer = await seats[0].post("/dashboard/you/password", fields)
    assert answer.headers["location"] == "/dashboard?did=password.set"
    assert await is_in(seats[0])
    assert not await is_in(seats[1])


@pytest.mark.parametrize(
    ("password", "again", "says"),
    [("short", "short", "12 to 200"), ("another long one", "another", "not the same")],
)
async def test_a_password_that_will_not_do_is_said_at_its_field(
    site: Site, password: str, again: str, says: str
) -> None:
    browser = stranger(site)
    browser.cookie, _ = await users_of(site).begin(await ann(site))
    answer = await browser.post("/dashboard/you/password", {"password": password, "again": again})
    assert answer.status == 422
    html = answer.body.decode()
    assert says in html
    assert f'value="{password}"' not in html


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:80"},
    ],
)
async def test_no_other_site_can_log_a_browser_in(site: Site, origin: dict[str, str]) -> None:
    path = await link(site)
    for target, fields in ((path, {}), ("/dashboard/login", {"key": OPERATOR})):
        browser = stranger(site)
        assert (await browser.post(target, fields, headers=origin)).status == 403
        assert not browser.cookie
    assert (await stranger(site).post(path)).status == 303


async def test_who_has_to_log_in_first_comes_back_to_what_they_wanted(site: Site) -> None:
    browser = stranger(site)
    answer = await browser.get("/dashboard/deliveries?state=failed&text=a%26b")
    assert answer.headers["location"].startswith("/dashboard/login?next=")
    html = await browser.page(answer.headers["location"])
    assert 'name="next" value="/dashboard/deliveries?state=failed&amp;text=a%26b"' in html


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/dashboard//evil.example",
        "/dashboardevil",
        "/\\evil.example",
        "/dashboard\\evil",
        "javascript:alert(1)",
        "/dashboard/\nlocation: x",
        "/dashboard/login?next=/dashboard",
        "/dashboard/../v1/keys",
        "/dashboard/..",
        "/dashboard/./..//evil.example",
        "/dashboard/%2e%2e/v1/keys",
        "/dashboard/a/%2E./b?x=1",
        "/v1/keys",
        "",
    ],
)
async def test_a_login_never_redirects_to_another_site(site: Site, path: str) -> None:
    browser = stranger(site)
    answer = await browser.post("/dashboard/login", {"key": OPERATOR, "next": path})
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard")


async def test_logins_are_written_into_the_log_of_changes(site: Site) -> None:
    browser = stranger(site)
    await browser.post("/dashboard/login", {"key": OPERATOR})
    html = await browser.page("/dashboard/audit-log")
    assert "user.login" in html
