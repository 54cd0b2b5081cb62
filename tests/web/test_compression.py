"""Pages are compressed if the browser accepts gzip, except those that show a secret."""

import gzip
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from dashkit import Seat, seat
from webkit import Answer, Site, running

from hooktide.domain.model import Role
from hooktide.web.pages.dashboard.session import csrf_of
from hooktide.web.pages.framework.compression import takes_gzip
from hooktide.web.pages.framework.csrf import masked, matches

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running(tmp_path_factory.mktemp("web")) as site:
        await site.account()
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


async def asked(owner: Seat, path: str, accepts: str = "gzip, br") -> Answer:
    headers = {
        "host": "127.0.0.1:80",
        "cookie": f"hooktide_session={owner.cookie}",
        "accept-encoding": accepts,
    }
    return await owner.client.call("GET", path, headers=headers)


async def test_a_page_is_compressed_for_those_that_take_it(owner: Seat) -> None:
    for path in ("/dashboard/deliveries", "/docs/invoice-maker"):
        plain = await asked(owner, path, "identity")
        small = await asked(owner, path)
        assert "content-encoding" not in plain.headers
        assert small.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in small.headers["vary"].lower()
        assert int(small.headers["content-length"]) == len(small.body) < len(plain.body) / 2
        assert b"</html>" in gzip.decompress(small.body)


async def test_a_static_file_is_compressed_and_the_same_for_all(owner: Seat) -> None:
    plain = await asked(owner, "/static/parts.css", "")
    small = [await asked(owner, "/static/parts.css") for _ in range(2)]
    assert small[0].body == small[1].body
    assert gzip.decompress(small[0].body) == plain.body
    assert small[0].headers["vary"] == plain.headers["vary"] == "accept-encoding"


async def test_a_page_that_shows_a_secret_is_not_compressed(owner: Seat) -> None:
    fields = {"scope": "account", "name": "ci", "project": "invoice-maker", "account": "acme"}
    shown = (await owner.post("/dashboard/keys", fields)).headers["location"]
    answer = await asked(owner, shown)
    assert "content-encoding" not in answer.headers
    assert b"htk_" in answer.body


async def test_the_size_of_a_page_says_little_about_it(owner: Seat) -> None:
    sizes = {len((await asked(owner, "/dashboard/keys")).body) for _ in range(20)}
    assert len(sizes) > 5


async def test_a_forms_token_looks_different_each_time_and_is_taken(owner: Seat) -> None:
    token = csrf_of(owner.cookie)
    pages = [await owner.page("/dashboard/keys") for _ in range(2)]
    assert not any(token in page for page in pages)
    found = {page.partition('name="csrf" value="')[2].partition('"')[0] for page in pages}
    assert len(found) == 2
    for each in found:
        answer = await owner.post("/dashboard/operational-events", csrf=each)
        assert answer.status in (303, 422)
    assert (await owner.post("/dashboard/keys", csrf="0" * 516)).status == 403


@pytest.mark.parametrize(
    ("headers", "takes"),
    [
        ({"accept-encoding": "gzip"}, True),
        ({"accept-encoding": "br, GZIP;q=0.5"}, True),
        ({"accept-encoding": "*"}, True),
        ({"accept-encoding": "gzip;q=0"}, False),
        ({"accept-encoding": "br"}, False),
        ({}, False),
    ],
)
async def test_only_what_is_asked_for_is_compressed(
    headers: Mapping[str, str], takes: bool
) -> None:
    assert takes_gzip(headers) is takes


async def test_a_token_matches_itself_and_nothing_else() -> None:
    token = "ab" * 32 + "." + "cd" * 32
    assert matches(masked(token), token)
    assert matches(token, token)
    other = "ab" * 32 + "." + "ce" * 32
    for wrong in ("", "x" * 516, "0" * 516, masked(other), masked(token)[:-1], "é" * 516):
        assert not matches(wrong, token)
    assert masked("") == ""
