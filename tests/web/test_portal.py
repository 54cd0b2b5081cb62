"""The customer portal without a browser: access, permissions and messages."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from webkit import Answer, Client, Site, running
from wire import keeping, receiving

from hooktide.actions.access.portal_links import PortalLinks, portal_links
from hooktide.dialects import read_shipped
from hooktide.domain import ids
from hooktide.domain.model import SECOND, Account, Scope
from hooktide.runtime.clock import wall_clock
from hooktide.web.pages.portal import home
from hooktide.web.pages.portal.routes import PAGES as portal_pages

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = "application/x-www-form-urlencoded"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSING = b"HTTP/1.1 401 No\r\ncontent-length: 13\r\n\r\nbad signature"
FACE = """
[portal]
name = "Bills & Co"
logo = "https://cdn.example.com/logo.svg"
colour = "#0f766e"
origins = ["https://app.example.com"]

[plans.basic]"""


@dataclass
class Portal:
    """A customer's browser in their portal."""

    client: Client
    base: str

    async def get(self, path: str = "", status: int = 200) -> str:
        answer = await self.client.call("GET", self.base + path)
        assert answer.status == status, (answer.status, answer.body[:2000])
        return html.unescape(answer.body.decode())

    async def send(self, path: str, *fields: tuple[str, str], **more: str) -> Answer:
        return await self.client.call(
            "POST",
            self.base + path,
            body=urlencode([*fields, *more.items()]).encode() or b"_=",
            headers={"content-type": FORM, "origin": "http://127.0.0.1:8080"},
        )

    async def post(self, path: str, *fields: tuple[str, str], **more: str) -> str:
        """Submit a form, follow the redirect, and return the page."""
        answer = await self.send(path, *fields, **more)
        if answer.status == 303:
            target = answer.headers["location"].partition("#")[0]
            assert target.startswith(self.base)
            return await self.get(target.removeprefix(self.base))
        assert answer.status == 200, (answer.status, answer.body[:2000])
        return html.unescape(answer.body.decode())


async def apply(site: Site, limits: str = "") -> None:
    """Apply the project, its plan ``pro`` with further limits."""
    text = read_shipped("invoice-maker").replace("\n[plans.basic]", FACE, 1)
    pro = f"[plans.pro]\ntests_per_second = 1000\n{limits}"
    (await site.operator.apply("invoice-maker", text.replace("[plans.pro]\n", pro, 1))).ok()


@dataclass
class Place:
    """A project with its own branding, and its customers ``acme`` and ``other``."""

    site: Site
    acme: Portal
    other: Portal
    look: Portal
    links: PortalLinks
    account: int
    url: str
    refusing: str
    theirs: dict[str, str] = field(default_factory=dict)

    async def endpoint(self, account: str = "acme", **more: Any) -> str:
        made = await self.site.endpoint(account, **{"url": self.url, **more})
        return str(made["id"])

    async def kept_of(self, account: str) -> list[Any]:
        """Return everything that an account has, as the operator sees it."""
        endpoints = (await self.site.operator.get(f"/v1/endpoints?account={account}")).ok()
        paths = [f"/v1/endpoints/{each['id']}/replays" for each in endpoints["items"]]
        paths += [f"/v1/{what}?account={account}" for what in ("events", "deliveries")]
        return [endpoints, *[(await self.site.operator.get(path)).ok() for path in paths]]

    async def found(self) -> Account:
        return await self.site.app.store.get_account(Scope(), self.account)

    async def publish(self, account: str = "acme", kind: str = "invoice.paid") -> str:
        event = {"account": account, "type": kind, "payload": {"id": 1}}
        return str((await self.site.operator.post("/v1/events", event)).ok(202)["id"])

    async def remove_all(self) -> None:
        listed = (await self.site.operator.get("/v1/endpoints?account=acme")).ok()
        for each in listed["items"]:
            (await self.site.operator.delete(f"/v1/endpoints/{each['id']}")).ok(204)

    async def attempted(self, endpoint: str, count: int = 1) -> list[str]:
        """Wait until this many of an endpoint's deliveries were attempted, and return them."""
        async with asyncio.timeout(30):
            while True:
                listed = (await self.site.operator.get(f"/v1/deliveries?endpoint={endpoint}")).ok()
                made = [each["id"] for each in listed["items"] if each["attempts"]]
                if len(made) >= count:
                    return made
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("portal")
    async with (
        running(folder, public_url="http://127.0.0.1:8080") as site,
        receiving(keeping(OK)) as good,
        receiving(keeping(REFUSING)) as bad,
    ):
        await apply(site)
        made = {}
        for reference in ("acme", "other"):
            given = {"project": "invoice-maker", "reference": reference, "plan": "pro"}
            made[reference] = (await site.operator.post("/v1/accounts", given)).ok(201)
        place = Place(
            site,
            acme=await _portal(site, "acme"),
            other=await _portal(site, "other"),
            look=await _portal(site, "acme", read_only=True),
            links=portal_links(site.app.vault),
            account=ids.read("acc", made["acme"]["id"]),
            url=f"http://127.0.0.1:{good.port}/hook",
            refusing=f"http://127.0.0.1:{bad.port}/hook",
        )
        place.theirs["endpoint"] = await place.endpoint("other")
        event = await place.publish("other")
        [place.theirs["delivery"]] = await place.attempted(place.theirs["endpoint"])
        wanted = {"what": "event", "event": event}
        path = f"/v1/endpoints/{place.theirs['endpoint']}/replays"
        replay = (await site.operator.post(path, wanted)).ok(202)["replay"]
        place.theirs["replay"] = replay["id"]
        await place.attempted(place.theirs["endpoint"], 2)
        stopping = {"act": "stop", "filter": {"account": "other"}}
        job = (await site.operator.post("/v1/delivery-jobs", stopping)).ok(202)["job"]
        place.theirs["job"] = job["id"]
        yield place


async def _portal(site: Site, account: str, **more: Any) -> Portal:
    made = (await site.operator.post(f"/v1/accounts/{account}/portal-links", more)).ok(201)
    return Portal(site.client(""), "/portal/" + made["url"].rpartition("/")[2])


async def test_a_link_is_made_for_an_account_and_ends(place: Place) -> None:
    path = "/v1/accounts/acme/portal-links"
    made = (await place.site.operator.post(path, {"expires_in": 60})).ok(201)
    link = place.links.read(made["url"].rpartition("/")[2])
    assert (link.account_id, link.read_only) == (place.account, False)
    assert 0 < link.expires_at - wall_clock() <= 60 * SECOND
    for wrong in ({"expires_in": 59}, {"expires_in": 604_801}, {"readonly": True}):
        assert (await place.site.operator.post(path, wrong)).status == 422


async def test_a_project_in_the_query_opens_no_other_account(place: Place) -> None:
    """A search by a part of the URL only finds the customer's own endpoints."""
    theirs = (await place.site.operator.get(f"/v1/endpoints/{place.theirs['endpoint']}")).ok()
    await place.site.operator.patch(f"/v1/endpoints/{theirs['id']}", {"name": "secret partner"})
    for portal in (place.acme, place.look):
        shown = [
            await portal.get(
                f"/deliveries?{urlencode({'project': 'invoice-maker', 'endpoint': x})}"
            )
            for x in ("secret partner", "nobodyspartner")
        ]
        shown = [re.sub("secret.partner|nobodyspartner", "", each) for each in shown]
        theirs_too, none = [re.sub('"csrf" value="[^"]*"', "", each) for each in shown]
        assert theirs_too == none


async def test_only_who_manages_accounts_makes_links(place: Place) -> None:
    path = "/v1/accounts/acme/portal-links"
    assert (await (await place.site.key("account", account="acme")).post(path)).status == 403
    own = await place.site.key("project", project="invoice-maker")
    assert (await own.post(path)).status == 201


async def test_a_forged_link_leads_nowhere(place: Place) -> None:
    token = place.acme.base.removeprefix("/portal/")
    flipped = [
        token[:at] + ("B" if token[at] == "A" else "A") + token[at + 1 :] for at in range(60)
    ]
    other = place.other.base.removeprefix("/portal/")
    for forged in (*flipped, token[:-1], token + "AAAA", other[:20] + token[20:], "x", "%00", "é"):
        answer = await place.site.client("").get(f"/portal/{forged}")
        assert answer.status == 404, forged
        assert b"This link is invalid" in answer.body


async def test_a_link_whose_time_is_over_says_so_and_opens_nothing(place: Place) -> None:
    ended = place.links.make(await place.found(), wall_clock(), read_only=False)
    portal = Portal(place.site.client(""), f"/portal/{ended.token}")
    assert "Reopen the page from Invoice Maker" in await portal.get(status=410)
    for path in ("/deliveries", "/events", "/theme.css", "/endpoints/new"):
        await portal.get(path, status=410)
    assert (await portal.send("/endpoints/new", url=place.url, event_types="*")).status == 410


async def test_revoked_links_open_nothing_and_later_ones_do(place: Place) -> None:
    given = {"project": "invoice-maker", "reference": "revoking"}
    (await place.site.operator.post("/v1/accounts", given)).ok(201)
    path = "/v1/accounts/revoking/portal-links"
    before = [(await place.site.operator.post(path)).ok(201)["url"] for _ in range(2)]
    (await place.site.operator.delete(path)).ok(204)
    after = (await place.site.operator.post(path)).ok(201)["url"]
    assert [
        (await place.site.client("").get("/portal/" + url.rpartition("/")[2])).status
        for url in (*before, after)
    ] == [410, 410, 200]
    assert await place.acme.get()


async def test_a_removed_account_has_no_portal(place: Place) -> None:
    given = {"project": "invoice-maker", "reference": "leaving"}
    (await place.site.operator.post("/v1/accounts", given)).ok(201)
    portal = await _portal(place.site, "leaving")
    await portal.get()
    (await place.site.operator.delete("/v1/accounts/leaving")).ok(204)
    await portal.get(status=404)


FORMS = (
    "/rate",
    "/endpoints/new",
    "/deliveries/all",
    "/endpoints/{endpoint}/edit",
    "/endpoints/{endpoint}/test",
    "/endpoints/{endpoint}/rotate",
    "/endpoints/{endpoint}/disable",
    "/endpoints/{endpoint}/enable",
    "/endpoints/{endpoint}/resume",
    "/endpoints/{endpoint}/delete",
    "/endpoints/{endpoint}/replay",
    "/replays/{replay}/cancel",
    "/deliveries/{delivery}/resend",
    "/deliveries/{delivery}/retry",
    "/deliveries/{delivery}/stop",
    "/deliveries/chosen",
    "/jobs/{job}/cancel",
)
PAGES = (
    "/endpoints/{endpoint}",
    "/endpoints/{endpoint}/edit",
    "/endpoints/{endpoint}/rotate",
    "/endpoints/{endpoint}/disable",
    "/endpoints/{endpoint}/delete",
    "/endpoints/{endpoint}/replay",
    "/replays/{replay}",
    "/jobs/{job}",
    "/events?job={job}",
    "/deliveries?delivery={delivery}",
    "/events?delivery={delivery}",
    "/events?endpoint={endpoint}",
    "/events?replay={replay}",
)
FIELDS = {
    "url": "https://example.com/",
    "event_types": "*",
    "what": "missed",
    "since": "2026-01-01",
    "confirmation": "delete",
}


async def test_every_form_is_in_the_list() -> None:
    acts = [page.path for page in portal_pages if page.method == "POST"]
    listed = [re.sub(r"{\w+}", "{id}", path) for path in FORMS]
    assert sorted(acts) == sorted(listed)


async def test_what_is_anothers_is_not_there(place: Place) -> None:
    before = await place.kept_of("other")
    for path in PAGES:
        for theirs in (
            place.theirs,
            {k: v[:-16] + "0" * 15 + "1" for k, v in place.theirs.items()},
        ):
            page = await place.acme.get(path.format(**theirs), status=404)
            assert "There is nothing here" in page
            assert place.url not in page
    for path in FORMS[3:]:
        fields = {**FIELDS, "delivery": place.theirs["delivery"]}
        answer = await place.acme.send(path.format(**place.theirs), **fields)
        assert answer.status == 404, path
    listed = await place.acme.get(f"/deliveries?endpoint={place.theirs['endpoint']}")
    assert place.theirs["delivery"] not in listed
    assert await place.kept_of("other") == before


async def test_a_forms_address_leads_to_its_page_and_any_other_to_a_page_as_well(
    place: Place,
) -> None:
    """A browser that reloads, or follows a truncated link, gets a page and never JSON."""
    endpoint = await place.endpoint()
    own = {"endpoint": endpoint, "replay": "rpl_1", "delivery": "dlv_1", "job": "job_1"}
    for path in FORMS:
        answer = await place.acme.client.call("GET", place.acme.base + path.format(**own))
        if answer.status != 303:
            assert answer.headers["content-type"].startswith("text/html"), path
        else:
            to = answer.headers["location"]
            assert to.startswith(f"{place.acme.base}/"), path
            found = await place.acme.client.call("GET", to)
            assert found.status == 200 if "{endpoint}" in path else found.status in (200, 404), to
            assert "</html>" in found.body.decode()
    for path in ("/nowhere", "/endpoints/", f"/endpoints/{endpoint}/nowhere", "/deliveries/x"):
        assert "There is nothing here" in await place.acme.get(path, status=404)
        answer = await place.acme.send(path)
        assert (answer.status, b"There is nothing here" in answer.body) == (404, True)
    await place.remove_all()


async def test_a_link_to_look_changes_nothing_and_offers_nothing(place: Place) -> None:
    endpoint = await place.endpoint()
    await place.publish()
    [delivery] = await place.attempted(endpoint)
    own = {**place.theirs, "endpoint": endpoint, "delivery": delivery}
    for path in FORMS:
        answer = await place.look.send(path.format(**own), **FIELDS)
        assert answer.status == 403, path
        assert b"link is read-only" in answer.body
    for path in (
        "",
        "/deliveries",
        f"/deliveries?delivery={delivery}",
        "/endpoints/new",
        *PAGES[:6],
    ):
        page = await place.look.get(path.format(**own))
        assert 'method="post"' not in page, path
        assert "view only" in page
    await place.remove_all()


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "https://app.example.com"},
    ],
)
async def test_what_another_site_sends_is_refused(place: Place, headers: dict[str, str]) -> None:
    answer = await place.acme.client.call(
        "POST",
        f"{place.acme.base}/endpoints/new",
        body=urlencode({"url": place.url, "event_types": "*"}).encode(),
        headers={"content-type": FORM, **headers},
    )
    assert answer.status == 403
    assert "No endpoints yet" in await place.acme.get()


async def test_only_forms_are_read(place: Place) -> None:
    for kind, body in (("text/plain", b"url=x"), ("application/json", b"{}"), (FORM, b"\xff")):
        answer = await place.acme.client.call(
            "POST",
            f"{place.acme.base}/endpoints/new",
            body=body,
            headers={"content-type": kind, "origin": "http://127.0.0.1:8080"},
        )
        assert answer.status in {400, 415}
        assert b"Nothing was changed" in answer.body


async def test_pages_are_not_cached_and_may_be_framed_by_the_products_sites(place: Place) -> None:
    answer = await place.acme.client.get(place.acme.base)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors https://app.example.com" in policy
    assert "img-src data: https://cdn.example.com;" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "strict-origin"
    text = answer.body.decode()
    assert "style=" not in text
    assert text.count("<script") == text.count('<script src="/static/')
    assert "Bills &amp; Co" in text
    assert '<img src="https://cdn.example.com/logo.svg" alt="">' in text


async def test_the_portal_of_a_project_without_origins_cannot_be_framed(place: Place) -> None:
    await place.site.account("house-check", "plain")
    portal = await _portal(place.site, "plain")
    answer = await portal.client.get(portal.base)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert b"theme.css" not in answer.body


@pytest.mark.parametrize(
    ("query", "leads_to"),
    [
        ("theme=dark", "~dark"),
        ("framed=1&language=de&theme=light", "~light~de~framed"),
        ("next=/deliveries?state=failed", "/deliveries?state=failed"),
        ("framed=1&next=/endpoints/new", "~framed/endpoints/new"),
        ("theme=", ""),
    ],
)
async def test_what_a_link_asks_for_is_in_the_path_of_all_pages(
    place: Place, query: str, leads_to: str
) -> None:
    given = query.replace("next=/deliveries?state=failed", "next=%2Fdeliveries%3Fstate%3Dfailed")
    answer = await place.acme.client.call("GET", f"{place.acme.base}?{given}")
    assert (answer.status, answer.headers["location"]) == (303, place.acme.base + leads_to)
    page = Portal(place.acme.client, place.acme.base + leads_to.partition("/")[0])
    shown = await page.get()
    assert f'href="{page.base}/deliveries"' in shown
    assert ('class="face"' in shown) == ("framed" not in query)


@pytest.mark.parametrize(
    "query",
    [
        "next=https://evil.example/",
        "next=//evil.example/",
        "next=/../../dashboard",
        "next=/%252e%252E/dashboard",
        "next=/%5Cevil.example",
        "next=deliveries",
        "next=/%0D%0Ax",
        "next=/" + "a" * 500,
        "theme=blue",
        "language=fr",
        "framed=2",
    ],
)
async def test_a_link_leads_nowhere_else(place: Place, query: str) -> None:
    answer = await place.acme.client.call("GET", f"{place.acme.base}?{query}")
    assert answer.status == 422
    assert "location" not in answer.headers


async def test_nothing_but_a_look_follows_the_token(place: Place) -> None:
    for suffix in ("~", "~blue", "~dark~", "~framed~<b>"):
        answer = await place.acme.client.call("GET", f"{place.acme.base}{suffix}")
        assert answer.status == (200 if suffix == "~" else 404), suffix


async def test_a_theme_holds_whatever_the_system_is_set_to(place: Place) -> None:
    page = await place.acme.get("~dark")
    [sheet] = re.findall(r'href="(/static/hooktide\.dark\.css[^"]*)"', page)
    tokens = (await place.acme.client.call("GET", sheet)).body.decode()
    assert "color-scheme: dark;" in tokens
    assert "@media all {" in tokens
    assert "prefers-color-scheme" not in tokens
    [own] = re.findall(r'href="([^"]*theme\.css[^"]*)"', page)
    assert "prefers-color-scheme" not in await place.acme.get(own.removeprefix(place.acme.base))
    light = (await place.acme.client.call("GET", "/static/hooktide.light.css")).body.decode()
    assert "@media not all {" in light


async def test_the_element_is_for_pages_of_all_sites(place: Place) -> None:
    answer = await place.acme.client.call("GET", "/embed/hooktide-portal.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert b'customElements.define("hooktide-portal"' in answer.body


async def test_the_colour_comes_as_a_style_sheet(place: Place) -> None:
    answer = await place.acme.client.get(f"{place.acme.base}/theme.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert b"--brand: #0f766e;" in answer.body
    assert b"prefers-color-scheme: dark" in answer.body


async def test_an_endpoint_is_added_and_its_secret_shown_once(place: Place) -> None:
    form = [
        ("event_types", "invoice.*"),
        ("event_types", "invoice.paid"),
        ("event_types", "quotation.accepted"),
    ]
    page = await place.acme.post(
        "/endpoints/new", *form, url=place.url, name="Books", headers="X-Key: hush\n\n"
    )
    secret = re.findall(r'<code id="secret">([0-9a-f]{64})</code>', page)
    library = re.findall(r'<code id="library">(whsec_[^<]+)</code>', page)
    assert len(secret) == len(library) == 1
    assert "x-invoice-maker-signature" in page
    for language in ("JavaScript", "PHP", "Python", "Ruby", "Go", "Java"):
        assert language in page
    [made] = (await place.site.operator.get("/v1/endpoints?account=acme")).ok()["items"]
    assert made["event_types"] == ["invoice.*", "quotation.accepted"]
    assert made["headers"] == {"X-Key": "****"}
    shown = await place.acme.get(f"/endpoints/{made['id']}")
    assert secret[0] not in shown
    assert "hush" not in shown
    assert "Books" in shown
    await place.remove_all()


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        (
            {"url": "http://10.0.0.1/", "event_types": "*"},
            "url",
            "10.0.0.1 is not a public address",
        ),
        ({"url": "example.com", "event_types": "*"}, "url", "Write the whole URL"),
        ({"url": "", "event_types": "*"}, "url", "The URL is empty"),
        ({"url": "https://example.com/"}, "event_types", "At least one event type"),
        (
            {"url": "https://example.com/", "event_types": "x.y"},
            "event_types",
            "'x.y' is not an event type",
        ),
        (
            {"url": "https://example.com/", "event_types": "*", "headers": "Host: a"},
            "headers",
            "Host",
        ),
        (
            {"url": "https://example.com/", "event_types": "*", "headers": "no colon"},
            "headers",
            "Name:",
        ),
        (
            {"url": "https://example.com/", "event_types": "*", "name": "n" * 101},
            "name",
            "100 char",
        ),
        (
            {"url": "https://example.com/", "event_types": "*", "name": "a\u202eb"},
            "name",
            "Control",
        ),
    ],
)
async def test_errors_are_shown_at_their_field(
    place: Place, fields: dict[str, str], where: str, says: str
) -> None:
    answer = await place.acme.send("/endpoints/new", **fields)
    assert answer.status == 422
    page = html.unescape(answer.body.decode())
    fault = re.findall(rf'id="fault-{where}">([^<]*)<', page)
    assert len(fault) == 1
    assert says.lower() in fault[0].lower()
    assert page.count('aria-invalid="true"') == 1
    for text in fields.values():
        assert text in page


async def test_a_full_plan_says_so(place: Place) -> None:
    given = {"project": "invoice-maker", "reference": "small", "plan": "basic"}
    (await place.site.operator.post("/v1/accounts", given)).ok(201)
    portal = await _portal(place.site, "small")
    for _ in range(2):
        await place.endpoint("small")
    page = await portal.get()
    assert "Your plan allows 2 endpoints" in page
    assert "/endpoints/new" not in page
    fields = {"url": place.url, "event_types": "*", "same_url": "1"}
    answer = await portal.send("/endpoints/new", **fields)
    assert answer.status == 403
    assert b"plan allows 2 endpoints and it has 2" in answer.body


async def test_a_test_url_is_put_into_the_form_and_shown_beside(place: Place) -> None:
    page = await place.acme.post("/endpoints/new", do="bin", event_types="invoice.paid", name="Try")
    [url] = re.findall(r'value="([^"]*/bin/[A-Za-z0-9_-]{24})"', page)
    assert 'value="Try"' in page
    assert 'value="invoice.paid" checked' in page
    made = await place.acme.post("/endpoints/new", url=url, event_types="*")
    bin_page = (await place.site.operator.get(f"/v1/bins/bin_{url[-24:]}")).ok()["page_url"]
    assert bin_page in made
    listed = (await place.site.operator.get("/v1/endpoints?account=acme")).ok()["items"]
    path = f"/endpoints/{listed[0]['id']}"
    shown = await place.acme.get(path)
    assert "Nothing yet" in shown
    assert bin_page in shown
    viewer = await place.look.get(path)
    assert "Nothing yet" in viewer
    assert "/bins/" not in viewer
    await place.remove_all()


async def test_the_bin_of_another_account_is_neither_shown_nor_led_to(place: Place) -> None:
    other = (await place.site.operator.post("/v1/bins", {})).ok(201)
    endpoint = await place.endpoint(url=other["url"])
    shown = await place.acme.get(f"/endpoints/{endpoint}")
    assert other["page_url"] not in shown
    assert "What the test URL got" not in shown
    await place.remove_all()


async def test_editing_changes_what_was_typed_and_keeps_what_is_hidden(place: Place) -> None:
    endpoint = await place.endpoint(
        headers={"X-Key": "hush", "X-Old": "1"}, event_types=["invoice.*"]
    )
    page = await place.acme.get(f"/endpoints/{endpoint}/edit")
    assert "X-Key: ****\nX-Old: ****" in page
    assert 'value="invoice.*" checked' in page
    changed = await place.acme.post(
        f"/endpoints/{endpoint}/edit",
        url=place.url + "?v=2",
        event_types="invoice.paid",
        name="Ledger",
        description="Line 1\r\nLine 2",
        headers="X-Key: ****\r\nX-New: 2",
    )
    assert "Endpoint updated." in changed
    assert "Line 1\nLine 2" in changed
    kept = await place.site.app.store.get_endpoint(Scope(), ids.read("ep", endpoint))
    assert kept.headers == (("X-Key", "hush"), ("X-New", "2"))
    assert (kept.name, kept.event_types, kept.url[-4:]) == ("Ledger", ("invoice.paid",), "?v=2")
    refused = await place.acme.send(f"/endpoints/{endpoint}/edit", url="ftp://x/", event_types="*")
    assert refused.status == 422
    assert b"fault-url" in refused.body
    moved = {"url": "https://example.org/", "event_types": "*"}
    refused = await place.acme.send(f"/endpoints/{endpoint}/edit", headers="X-Key: ****", **moved)
    assert refused.status == 422
    assert b"not sent to a new one" in refused.body
    await place.acme.post(f"/endpoints/{endpoint}/edit", headers="", **moved)
    assert (await place.site.app.store.get_endpoint(Scope(), kept.id)).headers == ()
    await place.remove_all()


async def test_a_chats_channel_is_an_endpoint_without_a_secret_to_show(place: Place) -> None:
    url = "https://hooks.slack.com/services/T012AB3CD/B01QWERTY/Xyz0123456789abcdefghijk"
    page = await place.acme.post("/endpoints/new", url=url, event_types="*", name="Chat")
    assert 'id="secret"' not in page
    assert "Endpoint added." in page
    [made] = (await place.site.operator.get("/v1/endpoints?account=acme")).ok()["items"]
    path = f"/endpoints/{made['id']}"
    shown = await place.acme.get(path)
    assert "Slack: each event is a readable message" in shown
    assert "Rotate it" not in shown
    form = await place.acme.get(f"{path}/edit")
    assert "Xyz0123456789" not in page + shown + form
    [typed] = re.findall(r'name="url"[^>]*value="([^"]*)"', form)
    assert "Endpoint updated." in await place.acme.post(
        f"{path}/edit", url=typed, event_types="*", name="New"
    )
    kept = await place.site.app.store.get_endpoint(Scope(), ids.read("ep", made["id"]))
    assert (kept.name, kept.address) == ("New", url)
    await place.remove_all()


async def test_a_test_event_shows_what_came_back(place: Place) -> None:
    good, bad = await place.endpoint(), await place.endpoint(url=place.refusing)
    page = await place.acme.post(f"/endpoints/{good}/test", type="quotation.accepted")
    assert "Delivered." in page
    assert "quotation.accepted was answered with 200" in page
    page = await place.acme.post(f"/endpoints/{bad}/test")
    assert "Not delivered." in page
    assert "answered with 401" in page
    assert "bad signature" in page
    assert "Signature or authentication." in page
    refused = await place.acme.send(f"/endpoints/{good}/test", type="no.such")
    assert refused.status == 422
    await place.remove_all()


async def test_a_disabled_endpoint_is_tested_before_it_is_enabled(place: Place) -> None:
    """So that the customer sees that the repair works; events do not come until then."""
    endpoint = await place.endpoint(url=place.refusing)
    await place.acme.post(f"/endpoints/{endpoint}/disable")
    page = await place.acme.post(f"/endpoints/{endpoint}/test", type="quotation.accepted")
    assert "Not delivered." in page
    assert "The test arrived." not in page
    await place.site.operator.patch(f"/v1/endpoints/{endpoint}", {"url": place.url})
    page = await place.acme.post(f"/endpoints/{endpoint}/test", type="quotation.accepted")
    assert "Delivered." in page
    assert "The test arrived. The endpoint is still disabled and gets no events." in page
    assert page.count(f"/endpoints/{endpoint}/enable") == 2
    await place.remove_all()


async def test_rotating_says_what_becomes_of_the_old_secret(place: Place) -> None:
    endpoint = await place.endpoint()
    assert "The old secret expires immediately" in await place.acme.get(
        f"/endpoints/{endpoint}/rotate"
    )
    page = await place.acme.post(f"/endpoints/{endpoint}/rotate")
    assert "The old secret no longer signs" in page
    assert re.search(r'<code id="secret">[0-9a-f]{64}</code>', page)
    text = 'rotation_overlap = "1d"\n' + read_shipped("standard-webhooks")
    (await place.site.operator.apply("standard-webhooks", text)).ok()
    given = {"project": "standard-webhooks", "reference": "std"}
    (await place.site.operator.post("/v1/accounts", given)).ok(201)
    portal = await _portal(place.site, "std")
    endpoint = await place.endpoint("std")
    assert "For 1 day both secrets sign" in await portal.get(f"/endpoints/{endpoint}/rotate")
    page = await portal.post(f"/endpoints/{endpoint}/rotate")
    assert "The old secret remains valid until" in page
    assert re.search(r'<code id="secret">whsec_', page)
    assert 'id="library"' not in page
    assert "An older one remains valid until" in await portal.get(f"/endpoints/{endpoint}")
    await place.remove_all()


async def test_disabling_says_what_is_lost_and_enabling_offers_it_back(place: Place) -> None:
    endpoint = await place.endpoint()
    asked = await place.acme.get(f"/endpoints/{endpoint}/disable")
    assert "not queued for it" in asked
    assert "kept for 30 days" in asked
    assert "Nothing is waiting for it now." in asked
    page = await place.acme.post(f"/endpoints/{endpoint}/disable")
    assert "disabled by hand" in page
    await place.publish()
    page = await place.acme.post(f"/endpoints/{endpoint}/enable")
    [missed] = re.findall(r'href="([^"]*what=missed[^"]*)"', page)
    counted = await place.acme.get(missed.removeprefix(place.acme.base))
    assert "1 event" in counted
    assert "Send it" in counted
    await place.remove_all()


async def test_a_resting_endpoint_says_until_when_and_why_and_is_resumed(place: Place) -> None:
    endpoint = await place.endpoint()
    await place.site.rest(endpoint)
    found = (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()
    assert f'datetime="{found["resting_until"]}"' in await place.acme.get()
    page = await place.acme.get(f"/endpoints/{endpoint}")
    assert f'datetime="{found["resting_until"]}"' in page
    assert "because the receiver answered 429 with Retry-After." in page
    page = await place.acme.post(f"/endpoints/{endpoint}/resume")
    assert "Endpoint resumed." in page
    assert "Resume now" not in page
    await place.remove_all()


async def test_what_the_provider_disabled_is_shown_without_a_way_to_enable_it(
    place: Place,
) -> None:
    endpoint = await place.endpoint()
    await place.site.operator.post(f"/v1/endpoints/{endpoint}/disable")
    page = await place.acme.get(f"/endpoints/{endpoint}")
    assert "disabled by the provider" in page
    assert "ask their support" in page
    assert f"/endpoints/{endpoint}/enable" not in page
    assert "Send a test event" not in page
    assert (await place.acme.send(f"/endpoints/{endpoint}/test")).status == 403
    refused = await place.acme.send(f"/endpoints/{endpoint}/enable")
    assert refused.status == 403
    assert b"only they can enable it" in refused.body
    await place.remove_all()


async def test_a_removed_endpoint_is_gone_and_its_log_stays(place: Place) -> None:
    endpoint = await place.endpoint()
    await place.publish()
    [delivery] = await place.attempted(endpoint)
    assert "cannot be undone" in await place.acme.get(f"/endpoints/{endpoint}/delete")
    page = await place.acme.post(f"/endpoints/{endpoint}/delete", confirmation="delete")
    assert "Endpoint deleted." in page
    assert "No endpoints yet" in page
    assert "a deleted endpoint" in await place.acme.get("/deliveries")
    opened = await place.acme.get(f"/deliveries?delivery={delivery}")
    assert "/resend" not in opened


async def test_a_failing_endpoint_says_since_when_and_when_it_is_disabled(place: Place) -> None:
    endpoint = await place.endpoint(url=place.refusing)
    project = (await place.site.app.store.get_project(Scope(), "invoice-maker")).project
    assert project.disable_after == 100
    await place.publish()
    await place.attempted(endpoint)
    async with asyncio.timeout(30):
        while "Failing since" not in (page := await place.acme.get(f"/endpoints/{endpoint}")):
            await asyncio.sleep(0.05)
    assert "0 %" in page
    assert "Retrying" in page
    assert "Failing since" in await place.acme.get()
    await place.remove_all()


TIGHT = """
name = "tight"
disable_after = 2

[plans.small]
deliveries_per_hour = 3
retries = 0

[event_types."a.b"]
"""


async def test_it_says_when_an_endpoint_is_given_up_and_why_something_is_held(place: Place) -> None:
    (await place.site.operator.apply("tight", TIGHT)).ok()
    given = {"project": "tight", "reference": "tight"}
    (await place.site.operator.post("/v1/accounts", given)).ok(201)
    portal = await _portal(place.site, "tight")
    endpoint = await place.endpoint("tight", url=place.refusing)
    assert "After 2 failed deliveries in a row" in await portal.get(f"/endpoints/{endpoint}")
    await place.publish("tight", "a.b")
    await place.attempted(endpoint)
    strike = "1 delivery failed in a row. If one more fails, this endpoint is disabled"
    for path in ("", f"/endpoints/{endpoint}"):
        assert strike in await portal.get(path)
    await place.publish("tight", "a.b")
    await place.attempted(endpoint, 2)
    assert "2 deliveries failed in a row" in await portal.get(f"/endpoints/{endpoint}")
    await portal.post(f"/endpoints/{endpoint}/enable")

    for _ in range(2):
        await place.publish("tight", "a.b")
    listed = (await place.site.operator.get("/v1/deliveries?account=tight&state=held")).ok()
    [held] = listed["items"]
    home = await portal.get()
    assert "1 delivery is held back: your plan allows 3 deliveries an hour" in home
    assert "<strong>3</strong> of 3" in home
    opened = await portal.get(f"/deliveries?delivery={held['id']}")
    assert "The plan allows 3 deliveries an hour, and they are used up." in opened
    assert "/resend" not in opened


async def test_a_delivery_opens_with_everything_and_is_sent_again(place: Place) -> None:
    endpoint = await place.endpoint()
    await place.publish()
    [delivery] = await place.attempted(endpoint)
    page = await place.acme.get(f"/deliveries?state=delivered&delivery={delivery}")
    assert "x-invoice-maker-signature" in page
    assert "curl -i -X POST" in page
    back = f"{place.acme.base}/deliveries?state=delivered#row-{delivery}"
    assert f'href="{back}" data-close' in page
    assert f'id="row-{delivery}"' in page
    again = await place.acme.post(f"/deliveries/{delivery}/resend")
    assert '<span class="tag">resent</span>' in again
    await place.attempted(endpoint, 2)
    await place.remove_all()


async def test_filters_narrow_the_log(place: Place) -> None:
    endpoint = await place.endpoint()
    await place.publish()
    [delivery] = await place.attempted(endpoint)
    assert delivery in await place.acme.get(f"/deliveries?endpoint={endpoint}&answered=2")
    assert "No deliveries match" in await place.acme.get(
        f"/deliveries?endpoint={endpoint}&answered=5"
    )
    wrong = await place.acme.get("/deliveries?since=soon")
    assert "fault-since" in wrong
    await place.remove_all()


async def test_each_change_is_written_down_as_the_portals(place: Place) -> None:
    await place.acme.post("/endpoints/new", url=place.url, event_types="*", headers="X-Key: hush")
    [made] = (await place.site.operator.get("/v1/endpoints?account=acme")).ok()["items"]
    path = f"/endpoints/{made['id']}"
    await place.acme.post(
        f"{path}/edit", url=place.url, event_types="*", name="New", headers="X-Key: h"
    )
    for act in ("rotate", "disable", "enable", "resume", "delete"):
        await place.acme.post(f"{path}/{act}", confirmation="delete")
    scope = Scope(account_id=place.account)
    page = await place.site.app.store.list_audit_log(scope, None, 6, target=made["id"])
    assert [each.action for each in page.items] == [
        "endpoint.delete",
        "endpoint.enable",
        "endpoint.disable",
        "secret.rotate",
        "endpoint.update",
        "endpoint.create",
    ]
    assert {(each.actor, each.source) for each in page.items} == {("portal of acme", "portal")}
    assert page.items[4].detail == "name, headers"
    assert "hush" not in repr(page.items)


async def test_a_replay_is_counted_first_then_runs_and_is_cancelled(place: Place) -> None:
    event = await place.publish()
    endpoint = await place.endpoint()
    path = f"/endpoints/{endpoint}/replay"
    assert "No replays yet" in await place.acme.get(path)
    counted = await place.acme.get(f"{path}?what=event&event={event}")
    assert "1 event" in counted
    page = await place.acme.post(path, what="event", event=event)
    assert "One event" in page
    [job] = re.findall(r"rpl_[0-9a-f]{16}", page)[:1]
    assert "Earlier replays" in await place.acme.get(path)
    cancelled = await place.acme.post(f"/replays/{job}/cancel")
    assert "Cancelled" in cancelled or "Done" in cancelled
    assert "Nothing to send" in await place.acme.get(f"{path}?what=failed&since=2026-01-01")
    await place.remove_all()


async def test_all_that_match_are_counted_first_then_sent_again_and_only_ones_own(
    place: Place,
) -> None:
    endpoint = await place.endpoint(url=place.refusing)
    event = await place.publish()
    await place.attempted(endpoint)
    assert "All that match…" in await place.acme.get(f"/deliveries?event={event}")
    path = f"/deliveries/all?event={event}"
    assert "No jobs yet" in await place.acme.get(path)
    assert "Nothing to do" in await place.acme.get(f"{path}&do=resend")
    assert "1 delivery" in await place.acme.get(f"{path}&do=stop")
    assert "1 delivery" in await place.acme.get("/deliveries/all?state=retrying&do=stop")
    page = await place.acme.post(path, do="stop")
    [job] = re.findall(r"job_[0-9a-f]{16}", page)[:1]
    async with asyncio.timeout(30):
        while "<strong>1</strong> of 1 stopped." not in page:
            await asyncio.sleep(0.01)
            page = await place.acme.get(f"/jobs/{job}")
    cancelled = await place.acme.post(f"/jobs/{job}/cancel")
    assert ("Done" in cancelled, event in cancelled) == (True, True)
    assert "1 delivery" in await place.acme.get(f"{path}&do=resend")
    await place.acme.get(f"/deliveries/all?event={event}&since=x&do=resend")
    refused = await place.look.send(path, do="resend")
    assert refused.status == 403
    await place.other.get(f"/jobs/{job}", status=404)
    await place.remove_all()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("what=failed&since=x", "like 2026-01-31 12:00"),
        ("what=event&event=x", "like evt_"),
        ("what=event&event=evt_0000000000000001", "this event does not exist"),
        ("what=all", "choose one"),
        ("what=missed&since=2026-01-02&until=2026-01-01", "until must be later than since"),
    ],
)
async def test_a_replay_that_is_not_fully_said_is_not_counted(
    place: Place, query: str, says: str
) -> None:
    endpoint = await place.endpoint()
    page = await place.acme.get(f"/endpoints/{endpoint}/replay?{query}", status=422)
    assert says.lower() in page.lower()
    await place.remove_all()


async def test_a_replay_of_a_disabled_endpoint_is_refused(place: Place) -> None:
    event, endpoint = await place.publish(), await place.endpoint()
    await place.acme.post(f"/endpoints/{endpoint}/disable")
    answer = await place.acme.send(f"/endpoints/{endpoint}/replay", what="event", event=event)
    assert answer.status == 409
    assert b"disabled" in answer.body
    await place.remove_all()


async def test_more_than_six_endpoints_are_a_list_that_is_searched_and_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "PAGE_SIZE", 4)
    names = [f"hook-{number}" for number in range(7)]
    for name in names:
        await place.endpoint(url=f"{place.url}/{name}")
    first = await place.acme.get()
    assert [name for name in names if name in first] == names[3:]
    [older] = re.findall(r'href="/portal/[^"?]*(\?before=ep_[0-9a-f]+)" rel="next"', first)
    assert [name for name in names if name in await place.acme.get(older)] == names[:3]
    found = await place.acme.get("?q=HOOK-2")
    assert [name for name in names if name in found] == ["hook-2"]
    assert "No endpoint has this" in await place.acme.get("?q=%25")
    await place.remove_all()


async def test_a_second_endpoint_with_the_same_url_is_asked_about_first(place: Place) -> None:
    await place.endpoint(url=place.url)
    fields = {"url": place.url, "event_types": "*"}
    answer = await place.acme.send("/endpoints/new", **fields)
    assert answer.status == 422
    assert b"has this URL already" in answer.body
    assert b'name="same_url"' in answer.body
    assert (await place.acme.send("/endpoints/new", same_url="1", **fields)).status == 303
    await place.remove_all()


async def test_the_catalogue_has_each_event_type_with_its_example_and_schema(place: Place) -> None:
    page = await place.acme.get("/event-types")
    project = (await place.site.app.store.get_project(Scope(), "invoice-maker")).project
    for kind in project.event_types:
        assert f"<code>{kind.name}</code>" in page
    found = await place.acme.get("/event-types?q=QUOTATION.ACC")
    assert re.findall(r'<details class="card" id="([^"]*)" open>', found) == ["quotation.accepted"]
    assert "Example of a payload" in found
    assert "No event type has this" in await place.acme.get("/event-types?q=%25")


async def refused(place: Place, path: str, **fields: str) -> str:
    answer = await place.acme.send(path, **fields)
    assert answer.status == 422
    return html.unescape(answer.body.decode())


async def test_a_filter_is_tried_in_the_form_before_it_is_saved(place: Place) -> None:
    await place.remove_all()
    endpoint = await place.endpoint()
    for number in range(3):
        event = {"account": "acme", "type": "invoice.paid", "payload": {"id": number + 70_000}}
        (await place.site.operator.post("/v1/events", event)).ok(202)
    wanted = '{"id": {"$gte": 70001}}'
    filled = {"url": place.url, "event_types": "*", "filter": wanted, "name": "Large ones"}
    for path in ("/endpoints/new", f"/endpoints/{endpoint}/edit"):
        page = await place.acme.post(path, **filled, do="try")
        assert "2 of the last " in page
        assert "/id</code> is <code>70000</code>" in page
        assert wanted in page
        assert "Large ones" in page
        wrong = await refused(place, path, **(filled | {"filter": '{"id":{"$gtt":1}}'}), do="try")
        assert "/id/$gtt: no such operator; did you mean '$gt'?" in wrong
        empty = await refused(place, path, **(filled | {"filter": ""}), do="try")
        assert "Write the filter or the channels to try" in empty
    shown = (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()
    assert shown["filter"] is None


async def test_a_filter_is_saved_shown_and_removed_with_the_form(place: Place) -> None:
    await place.remove_all()
    endpoint = await place.endpoint()
    path = f"/endpoints/{endpoint}"
    filled = {"url": place.url, "event_types": "*"}
    page = await place.acme.post(f"{path}/edit", **filled, filter='{"id": {"$gte": 100}}')
    assert '"$gte": 100' in page
    assert '"$gte": 100' in await place.acme.get(f"{path}/edit")
    kept = (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()
    assert kept["filter"] == {"id": {"$gte": 100}}
    wrong = await refused(place, f"{path}/edit", **filled, filter='{"id": {}}')
    assert '/id: name a member or an operator here, or write {"$exist": true}' in wrong
    await place.acme.post(f"{path}/edit", **filled, filter=" ")
    assert (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()["filter"] is None


async def test_channels_are_tried_in_the_form_before_they_are_saved(place: Place) -> None:
    await place.remove_all()
    for channels in (["north"], [], ["south", "north"]):
        event = {"account": "acme", "type": "invoice.paid", "payload": {"id": 1}}
        (await place.site.operator.post("/v1/events", {**event, "channels": channels})).ok(202)
    filled = {"url": place.url, "event_types": "*", "channels": "north, west"}
    page = await place.acme.post("/endpoints/new", **filled, do="try")
    assert "2 of the last " in page
    assert "No shared channel: it has none" in page
    assert 'value="north, west"' in page
    wrong = await refused(place, "/endpoints/new", **(filled | {"channels": "é"}), do="try")
    assert 'id="fault-channels"' in wrong


async def test_channels_reference_and_metadata_are_saved_shown_and_removed_with_the_form(
    place: Place,
) -> None:
    await place.remove_all()
    endpoint = await place.endpoint()
    path = f"/endpoints/{endpoint}"
    filled = {"url": place.url, "event_types": "*"}
    own = {"channels": "north west", "reference": "crm-1", "metadata": "owner: Ann\nsite: 2:4"}
    page = await place.acme.post(f"{path}/edit", **filled, **own)
    assert '<li class="tag">north</li>' in page
    assert "crm-1" in page
    assert "site: 2:4" in page
    form = await place.acme.get(f"{path}/edit")
    assert 'value="north west"' in form
    assert "owner: Ann\nsite: 2:4</textarea>" in form
    shown = (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()
    assert shown["channels"] == ["north", "west"]
    assert shown["metadata"] == {"owner": "Ann", "site": "2:4"}
    for wrong in ({"channels": "a b:c"}, {"metadata": "no colon"}, {"reference": "x\x01"}):
        answer = await refused(place, f"{path}/edit", **filled, **wrong)
        assert f'id="fault-{next(iter(wrong))}"' in answer
    await place.acme.post(f"{path}/edit", **filled, channels="", reference="", metadata="")
    shown = (await place.site.operator.get(f"/v1/endpoints/{endpoint}")).ok()
    assert [shown[name] for name in own] == [[], "", {}]


async def test_the_form_keeps_metadata_that_no_line_can_hold_as_it_is(place: Place) -> None:
    await place.remove_all()
    endpoint = await place.endpoint()
    path, api = f"/endpoints/{endpoint}/edit", f"/v1/endpoints/{endpoint}"
    metadata = {
        "note": "two\nadmin: yes",
        "quoted": '"x"',
        "half": '"',
        "space": " é\n",
        "rtl": "\u202e",
    }
    (await place.site.operator.patch(api, {"metadata": {**metadata, "tab": "a\tb"}})).ok()
    form = html.unescape(await place.acme.get(path))
    [text] = re.findall(r'<textarea id="metadata".*?>(.*?)</textarea>', form, re.DOTALL)
    assert text.split("\n")[:4] == [
        r'note: "two\nadmin: yes"',
        r'quoted: "\"x\""',
        r'half: "\""',
        r'space: " é\n"',
    ]
    filled = {"url": place.url, "event_types": "*", "metadata": text.replace("\n", "\r\n")}
    await place.acme.post(path, **filled)
    kept = (await place.site.operator.get(api)).ok()["metadata"]
    assert kept == {**metadata, "tab": "a\tb"}
    await place.acme.post(path, **filled | {"metadata": 'a: "half'})
    assert (await place.site.operator.get(api)).ok()["metadata"] == {"a": '"half'}


async def test_the_form_has_no_channels_where_the_plan_allows_none(place: Place) -> None:
    page = await place.acme.get("/endpoints/new")
    assert 'name="channels"' in page
    assert 'name="metadata"' in page
    await apply(place.site, "channels = 0\nmetadata_bytes = 0\n")
    page = await place.acme.get("/endpoints/new")
    assert 'name="channels"' not in page
    assert 'name="metadata"' not in page
    assert 'name="filter"' in page
    await apply(place.site)
