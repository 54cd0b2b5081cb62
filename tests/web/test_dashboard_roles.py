"""Permissions on the dashboard: every page and action, for every role, and across projects."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from dashkit import Seat, make_things, path_of, seat, stranger
from webkit import Site, running

from hooktide.actions.access.users import RANKS
from hooktide.domain.model import Role, Scope
from hooktide.web.pages.dashboard.routes import PAGES
from hooktide.web.pages.framework.page import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """An application with two projects, and a browser for every role."""

    site: Site
    seats: dict[Role, Seat]
    foreign: Seat
    ids: dict[str, str]

    def path(self, page: Page) -> str:
        return path_of(page, self.ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("roles")
    async with running(folder) as site:
        ids = await make_things(site)
        await site.account("defacto", "other")
        seats = {role: await seat(site, role) for role in Role}
        yield Place(site, seats, await seat(site, Role.OWNER, "defacto"), ids)


LOOKS = [page for page in PAGES if page.method == "GET" and page.path != "/live"]
ACTS = [page for page in PAGES if page.method == "POST"]
OF_ONE_PROJECT = [page for page in PAGES if "{" in page.path]
FILLED_IN = {
    "role": "viewer",
    "what": "missed",
    "since": "2026-01-01 00:00",
    "name": "big",
    "endpoints": "5",
    "deliveries_per_hour": "9000",
    "retries": "3",
    "timeout": "10s",
}
"""What every act can read: an act that cannot is refused before it looks for its thing."""


def named(page: Page) -> str:
    return page.path.removeprefix("/dashboard") or "/"


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("page", LOOKS, ids=named)
async def test_a_page_is_shown_to_those_who_may_see_it(
    place: Place, page: Page, role: Role
) -> None:
    answer = await place.seats[role].get(place.path(page))
    assert answer.status == (200 if RANKS[role] >= RANKS[page.who] else 403)
    is_file = answer.headers.get("content-disposition", "").startswith("attachment")
    assert is_file or answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("page", ACTS, ids=named)
async def test_an_act_is_refused_to_those_who_may_not(place: Place, page: Page) -> None:
    for role in Role:
        if RANKS[role] < RANKS[page.who]:
            answer = await place.seats[role].post(place.path(page))
            assert answer.status == 403


async def test_a_viewer_may_do_nothing_but_leave_and_choose_a_password() -> None:
    may = {named(page) for page in ACTS if page.who is Role.VIEWER}
    assert may == {"/logout", "/you/password"}


@pytest.mark.parametrize("page", ACTS, ids=named)
async def test_an_act_that_no_page_of_ours_sent_is_refused(place: Place, page: Page) -> None:
    """A form from another site, a browser without Origin headers, and a form without CSRF token."""
    owner, path = place.seats[Role.OWNER], place.path(page)
    for headers in (
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1.evil.example:80"},
        {"origin": "http://127.0.0.1:80", "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:80", "sec-fetch-site": "cross-site"},
    ):
        assert (await owner.post(path, headers=headers)).status == 403
    for token in ("", "0" * 64, "\N{SNOWMAN}"):
        assert (await owner.post(path, csrf=token)).status == 403


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {named(page)}")
async def test_without_a_login_nothing_can_be_seen_or_done(place: Place, page: Page) -> None:
    nobody = stranger(place.site)
    send = nobody.get if page.method == "GET" else nobody.post
    for cookie in ("", "htks_" + "x" * 43, "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        nobody.cookie = cookie
        answer = await send(place.path(page))
        assert answer.status == 303
        assert answer.headers["location"].startswith("/dashboard/login")
        assert answer.body == b""


@pytest.mark.parametrize("page", OF_ONE_PROJECT, ids=lambda page: f"{page.method} {named(page)}")
async def test_another_projects_things_look_like_what_is_not_there(
    place: Place, page: Page
) -> None:
    path, owner = place.path(page), place.seats[Role.OWNER]
    missing = re.sub("_[0-9a-f]{16}", f"_{'1' * 16}", path).replace("maker", "x")
    if page.method == "GET":
        there, nowhere = await place.foreign.get(path), await owner.get(missing)
    else:
        there = await place.foreign.post(path, FILLED_IN)
        nowhere = await owner.post(missing, FILLED_IN)
    assert (there.status, nowhere.status) == (404, 404)
    assert there.body == nowhere.body


@pytest.mark.parametrize("page", LOOKS, ids=named)
async def test_lists_show_nothing_of_another_project(place: Place, page: Page) -> None:
    if "{" in page.path:
        return
    html = (await place.foreign.get(page.path)).body.decode()
    for sign in ("acme", "invoice-maker", "Invoice Maker", "zoë", *place.ids.values()):
        assert sign not in html
    assert (await place.foreign.get(page.path + "?project=invoice-maker")).status in (200, 403, 404)


@pytest.mark.parametrize("what", ["acc", "ep", "evt", "dlv", "rpl", "job", "key", "usr"])
async def test_a_search_finds_nothing_of_another_project(place: Place, what: str) -> None:
    html = await place.foreign.page(f"/dashboard/search?q={place.ids[what]}")
    assert "Nothing was found" in html


@pytest.mark.parametrize("text", ["acme", "ACME", "invoice-maker", "Invoice%20Mak"])
async def test_nor_does_a_search_by_words(place: Place, text: str) -> None:
    html = await place.foreign.page(f"/dashboard/search?q={text}")
    assert "Nothing was found" in html
    assert "Nothing was found" not in await place.seats[Role.VIEWER].page(
        f"/dashboard/search?q={text}"
    )


async def test_a_member_makes_no_operators_key_and_revokes_none(place: Place) -> None:
    member = place.seats[Role.MEMBER]
    answer = await member.post("/dashboard/keys", {"scope": "operator", "name": "mine"})
    assert answer.status == 403
    keys = (await place.site.operator.get("/v1/keys")).ok()["items"]
    [operators] = [each["id"] for each in keys if each["scope"] == "operator"]
    assert (await member.post(f"/dashboard/keys/{operators}/revoke")).status == 403


async def test_an_owner_of_one_project_makes_nothing_beyond_it(place: Place) -> None:
    owner = place.foreign
    assert (await owner.post("/dashboard/keys", {"scope": "operator", "name": "x"})).status == 403
    for path, fields in (
        ("/dashboard/new-project", {"provider": "house-check", "name": "mine"}),
        ("/dashboard/keys", {"scope": "project", "name": "x", "project": "invoice-maker"}),
        ("/dashboard/keys", {"scope": "account", "name": "x", "account": "acme"}),
        ("/dashboard/accounts", {"project": "invoice-maker", "reference": "x"}),
        ("/dashboard/users", {"name": "x", "role": "viewer", "project": "invoice-maker"}),
        ("/dashboard/publish?account=acme&type=invoice.paid", {"payload": "{}"}),
    ):
        assert (await owner.post(path, fields)).status in (403, 404)
    await owner.post("/dashboard/users", {"name": "another", "role": "owner"})
    made = await place.site.app.store.find_user("another")
    project = await place.site.app.store.get_project(Scope(), "defacto")
    assert made.project_id == project.id
