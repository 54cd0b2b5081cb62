"""The site below a path, which a proxy strips or keeps."""

from pathlib import Path
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send
from webkit import running

from hooktide.web.middleware.mount import OWN_NAMES, Mount

PREFIXES = ["/hooks", "/x/v1", "/webhooks", "/portal", "/docs", "/bin/x"]
PATHS = ["/v1/events", "/webhooks", "/webhooks/ep_1", "/portal/tok/endpoints", "/docs/v1", "/bin/t"]


async def found(prefix: str, path: str, *, taken_off: bool = False) -> str:
    """Return the path that the site receives."""
    asked: list[Scope] = []

    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope)

    headers = [(b"x-forwarded-prefix", prefix.encode())] if taken_off else []
    scope = {"path": path, "raw_path": path.encode(), "headers": headers}
    await Mount(site, prefix)(scope, cast(Receive, None), cast(Send, None))
    [inner] = asked
    assert inner["raw_path"] == inner["path"].encode()
    return str(inner["path"])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/", *PATHS])
async def test_a_path_is_found_where_a_proxy_leaves_the_prefix_and_where_it_says_that_it_does_not(
    prefix: str, path: str
) -> None:
    assert await found(prefix, prefix + path) == path
    assert await found(prefix, path, taken_off=True) == path


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_prefix_alone_is_the_first_page(prefix: str) -> None:
    assert await found(prefix, prefix) == "/"


@pytest.mark.parametrize("path", PATHS)
async def test_a_proxy_need_not_say_that_it_takes_off_what_no_path_of_the_sites_begins_with(
    path: str,
) -> None:
    assert await found("/hooks", path) == path
    assert await found("/hooks", f"/hooks{path}", taken_off=True) == path


async def test_the_names_are_those_of_the_routes(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        routes = (await cast(Any, site.app.site)._site.routes()).routes
    assert {route.path.split("/")[1] for route in routes} - {""} == OWN_NAMES


@pytest.mark.parametrize("prefix", ["/webhooks", "/docs", "/dashboard"])
@pytest.mark.parametrize("taken_off", [False, True])
async def test_what_a_public_url_shares_with_the_sites_own_paths_works_in_both_ways(
    tmp_path: Path, prefix: str, taken_off: bool
) -> None:
    async with running(tmp_path, public_url=f"https://hooks.example.com{prefix}") as site:
        account = await site.account()
        (await site.operator.apply("v1", 'name = "v1"')).ok()
        customer = await site.key("account", account=account["id"])
        before = "" if taken_off else prefix
        headers = {"accept": "text/html"}
        if taken_off:
            headers["x-forwarded-prefix"] = f"{prefix}/"
        for path, status, said in (
            ("/", 200, b"<html"),
            ("/webhooks", 200, b'"items":[]'),
            ("/v1/endpoints", 200, b'"items":[]'),
            ("/dashboard/login", 200, b"<html"),
            ("/docs/v1", 200, b"<html"),
            ("/portal/nobody", 404, b"<html"),
        ):
            answer = await customer.call("GET", before + path, headers=headers)
            assert (answer.status, path) == (status, path)
            assert said in answer.body
