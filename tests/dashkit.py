"""A dashboard with sample data: projects, accounts, and endpoints that work or fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlencode

from apikit import Api
from docskit import hostile_file
from webkit import Answer, Client, Site

from hooktide.actions.access.users import Users
from hooktide.actions.accounts import Accounts
from hooktide.dialects import read_shipped
from hooktide.domain.audit_log import SERVER
from hooktide.domain.ids import show
from hooktide.domain.model import Role, Scope
from hooktide.web.pages.dashboard.session import csrf_of
from hooktide.web.pages.framework.page import Page

QUICK = """
[retry]
delays = ["1s", "1h"]

[plans.basic]
endpoints = 5
deliveries_per_hour = 12
retries = 1

[plans.pro]
"""
"""Instead of a shipped project's plans: what fails has failed soon, and an hour is soon full."""


@dataclass(frozen=True)
class Filled:
    """The ids of the sample data."""

    account: str
    other: str
    good: str
    failing: str
    disabled: str
    event: str


async def fill(api: Api) -> Filled:
    """Create the sample data on a server whose bins receive the events."""
    await api.put_toml("/v1/projects/invoice-maker", _quick(read_shipped("invoice-maker")))
    await api.put_toml("/v1/projects/house-check", read_shipped("house-check"))
    acme = await _account(api, "invoice-maker", "acme", "Acme Ltd")
    other = await _account(api, "house-check", "huis-17", "")
    good = await _endpoint(api, acme, await _bin(api, 200), name="Production")
    failing = await _endpoint(api, acme, await _bin(api, 503))
    disabled = await _endpoint(api, acme, await _bin(api, 401), types=["invoice.*"])
    await api.post(f"/v1/endpoints/{good}/test", {})
    event = ""
    for number in range(4):
        paid = {"id": f"inv_{number}", "number": f"INV-{number:04}", "total": "1210.00"}
        made = {"account": acme, "type": "invoice.paid", "payload": paid}
        event = (await api.post("/v1/events", made))["id"]
    await api.post(f"/v1/endpoints/{disabled}/disable")
    return Filled(acme, other, good, failing, disabled, event)


def _quick(text: str) -> str:
    head, _, rest = text.partition("[plans.basic]")
    types = rest[rest.index("[event_types") :]
    return head + QUICK + types


async def _account(api: Api, project: str, reference: str, name: str) -> str:
    given = {"project": project, "reference": reference, "name": name}
    made: dict[str, Any] = await api.post("/v1/accounts", given)
    return str(made["id"])


async def _bin(api: Api, status: int) -> str:
    made = await api.post("/v1/bins", {"script": [{"status": status, "body": "<b>no</b>\n"}]})
    return str(made["url"])


async def _endpoint(
    api: Api, account: str, url: str, name: str = "", types: list[str] | None = None
) -> str:
    given = {"account": account, "url": url, "event_types": types or ["*"], "name": name}
    return str((await api.post("/v1/endpoints", given))["id"])


EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}${7*7}'
"""Goes into every field that takes it; where names are checked, the API refuses it."""
TURNED = "\u202e"


async def make_hostile(api: Api) -> dict[str, str]:
    """Fill every visible field with hostile text.

    Return the pages, and the text that each shows.
    """
    await api.put_toml("/v1/projects/hostile", hostile_file("hostile"))
    given = {"project": "hostile", "reference": EVIL, "name": EVIL}
    account = (await api.post("/v1/accounts", given))["id"]
    bin = await api.post("/v1/bins", {"script": [{"status": 500, "body": EVIL + TURNED}]})
    url = bin["url"] + "?" + "javascript:alert(3)"
    named = {"name": EVIL, "description": EVIL + "\n" + EVIL}
    made = {"account": account, "url": url, "event_types": ["*"], **named}
    endpoint = (await api.post("/v1/endpoints", made))["id"]
    payload = {"id": EVIL + TURNED, EVIL: TURNED}
    event = {"account": account, "type": "a.b", "payload": payload, "transition": EVIL}
    published = (await api.post("/v1/events", event))["id"]
    await api.post(f"/v1/endpoints/{endpoint}/test", {})
    key = {"scope": "account", "account": account, "name": EVIL}
    await api.post("/v1/keys", key)
    await api.post("/v1/users", {"name": EVIL, "role": "viewer"})
    delivery = (await api.get(f"/v1/deliveries?endpoint={endpoint}"))["items"][0]["id"]
    title = "<script>alert(1)</script>"
    return {
        "": EVIL,
        f"/accounts/{account}": EVIL,
        "/accounts?q=%3Cscript": EVIL,
        "/endpoints": EVIL,
        f"/endpoints/{endpoint}": EVIL,
        f"/events/{published}": "<script>alert(1)",
        f"/deliveries?delivery={delivery}": EVIL,
        "/deliveries?text=%3Cscript%3Ealert(1)&since=%3Cscript%3E": "<script>",
        "/search?q=%3Cscript%3E": EVIL,
        "/projects": title,
        "/projects/hostile": title,
        "/projects/hostile/file": title,
        "/projects/hostile/event-type?type=a.b": "<script>alert(1)",
        "/keys": EVIL,
        "/users": EVIL,
        "/audit-log": EVIL,
        f"/publish?account={account}&type=a.b": title,
    }


Fields: TypeAlias = Mapping[str, str | Sequence[str]]


@dataclass
class Seat:
    """A dashboard user's browser."""

    client: Client
    cookie: str = ""

    async def get(self, path: str) -> Answer:
        """Request a page."""
        return await self.client.call("GET", path, headers=self._headers())

    async def page(self, path: str, status: int = 200) -> str:
        """Return a page, and check its status."""
        answer = await self.get(path)
        assert answer.status == status, (path, answer.status, answer.headers)
        return answer.body.decode()

    async def post(
        self,
        path: str,
        fields: Fields | None = None,
        headers: Mapping[str, str] | None = None,
        csrf: str | None = None,
    ) -> Answer:
        """Submit a form as our pages do. ``headers`` and ``csrf`` replace the correct ones."""
        token = csrf_of(self.cookie) if csrf is None else csrf
        body = urlencode({"csrf": token, **(fields or {})}, doseq=True).encode()
        sent = {"origin": "http://127.0.0.1:80"} if headers is None else dict(headers)
        sent |= {"content-type": "application/x-www-form-urlencoded", **self._headers()}
        sent |= {"content-length": str(len(body))}
        answer = await self.client.call("POST", path, body=body, headers=sent)
        self._keep(answer)
        return answer

    async def follow(self, path: str, fields: Fields | None = None) -> str:
        """Submit a form, and return the page that it redirects to."""
        answer = await self.post(path, fields)
        assert answer.status == 303, (answer.status, answer.body)
        return await self.page(answer.headers["location"])

    def _headers(self) -> dict[str, str]:
        return {"host": "127.0.0.1:80", "cookie": f"hooktide_session={self.cookie}"}

    def _keep(self, answer: Answer) -> None:
        given = answer.headers.get("set-cookie", "")
        if given:
            self.cookie = given.partition("hooktide_session=")[2].partition(";")[0].strip('"')


def users_of(site: Site) -> Users:
    """Return the service that creates users and logs them in."""
    app = site.app
    accounts = Accounts(app.store, app.directory, app.clock)
    return Users(app.store, accounts, app.clock, app.public_url)


async def seat(site: Site, role: Role, project: str | None = None) -> Seat:
    """Create a user with this role, for one project or for all, and log in."""
    users = users_of(site)
    name = f"{role.value} of {project or 'all'}"
    user = await users.create(SERVER, Scope(), name, role, project)
    token, _ = await users.begin(user)
    return Seat(Client(site.app, ""), token)


def stranger(site: Site) -> Seat:
    """Return a browser that is not logged in."""
    return Seat(Client(site.app, ""))


async def make_things(site: Site) -> dict[str, str]:
    """Create one object of each kind in the project ``invoice-maker``.

    Return their ids by prefix.
    """
    account = await site.account()
    endpoint = await site.endpoint()
    published = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    event = (await site.operator.post("/v1/events", published)).ok(202)
    [delivery] = (await site.operator.get("/v1/deliveries")).ok()["items"]
    replay = {"what": "event", "event": event["id"]}
    begun = await site.operator.post(f"/v1/endpoints/{endpoint['id']}/replays", replay)
    wanted = {"act": "stop", "filter": {"account": account["id"], "text": "nothing has this"}}
    job = (await site.operator.post("/v1/delivery-jobs", wanted)).ok(202)["job"]
    key = {"scope": "project", "name": "ci", "project": "invoice-maker"}
    made = (await site.operator.post("/v1/keys", key)).ok(201)
    added = await users_of(site).create(SERVER, Scope(), "zoë", Role.VIEWER, "invoice-maker")
    gone = await site.account(reference="gone")
    (await site.operator.delete("/v1/accounts/gone?erase=true")).ok(202)
    return {
        "acc": account["id"],
        "erased": gone["id"],
        "ep": endpoint["id"],
        "evt": event["id"],
        "dlv": delivery["id"],
        "rpl": begun.ok(202)["replay"]["id"],
        "job": job["id"],
        "key": made["id"],
        "usr": show("usr", added.id),
    }


_AREAS = {
    "/accounts/": "acc",
    "/endpoints/": "ep",
    "/erasures/": "erased",
    "/events/": "evt",
    "/deliveries/": "dlv",
    "/keys/": "key",
    "/users/": "usr",
    "/replays/": "rpl",
    "/jobs/": "job",
}


def path_of(page: Page, ids: dict[str, str]) -> str:
    """Return the path of a page about one of these objects."""
    path = f"/dashboard{page.path}".replace("{name}", "invoice-maker")
    for area, prefix in _AREAS.items():
        path = path.replace(f"{area}{{id}}", f"{area}{ids[prefix]}")
    return path
