"""``hooktide import``: from Svix, Convoy and CSV, without any change for receivers."""

import asyncio
import hashlib
import hmac
from pathlib import Path

import pytest
from accounting import Arrived, Ledger
from clientkit import Place
from commandkit import Said, hooktide
from foreignkit import SVIX_SECRETS, TOKEN, convoy, standing_in, svix
from serverkit import receiving
from standardwebhooks import Webhook

from hooktide import Client
from hooktide.dialects import read_shipped
from hooktide.wire.endpoints import Endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def project(place: Place, request: pytest.FixtureRequest) -> str:
    """A separate project for each test, with invoice-maker's event types and its own accounts."""
    name = "p" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    text = read_shipped("invoice-maker").replace('name = "invoice-maker"', f'name = "{name}"')
    with Client(place.url, place.key) as client:
        client.projects.apply(name, text)
    return name


def key_of(place: Place, project: str) -> str:
    with Client(place.url, place.key) as client:
        return client.keys.create("project", "import", project=project).key


def bring(place: Place, project: str, *words: str) -> Said:
    """Import with the project's key, because other projects have accounts of these names too."""
    words = ("import", *words, "--project", project, "--key", key_of(place, project), "--json")
    return hooktide(*words, "--plan", "pro", HOOKTIDE_SOURCE_TOKEN=TOKEN)


def endpoints_of(place: Place, project: str) -> dict[str, Endpoint]:
    with Client(place.url, key_of(place, project)) as client:
        return {each.url[-1]: each for each in client.endpoints.list()}


async def test_svix_by_its_api_and_again_without_a_change(place: Place, project: str) -> None:
    with standing_in(svix) as url:
        tried = bring(place, project, "svix", "--source-url", url, "--dry-run")
        whats = [line["what"] for line in tried.json]
        assert whats == ["would be added", "would be added", "refused"]
        assert tried.json[0]["why"] == ""  # this server accepts http
        assert "2 would be added" in tried.err
        assert f"{project} sends webhook-id, webhook-timestamp and so on" in tried.err
        assert 'set header_prefix = "svix"' in tried.err
        assert endpoints_of(place, project) == {}
        done = bring(place, project, "svix", "--source-url", url)
        again = bring(place, project, "svix", "--source-url", url)
    assert (tried.code, done.code, again.code) == (1, 1, 1)
    for said in (tried, done, again):
        assert not any(secret in said.out + said.err for secret in SVIX_SECRETS.values())
    first, second, third = done.json
    assert first["account"] == "acme"
    assert first["notes"] == [
        "the value of its header Authorization cannot be exported: add it by hand",
    ]
    assert second["notes"] == [
        "its uid is not carried over: it is longer than 200 characters",
        "its metadata is not carried over: a name in it is not allowed here",
    ]
    assert "no event type no.such" in third["why"]
    assert [line["what"] for line in again.json] == ["there already", "there already", "refused"]
    found = endpoints_of(place, project)
    assert found["a"].event_types == ["invoice.paid"]
    assert (found["a"].headers, found["a"].description) == ({"X-Tenant": "****"}, "A")
    assert (found["a"].channels, found["a"].reference) == (["eu"], "crm-1")
    assert found["a"].metadata == {"tier": "gold"}
    assert (found["b"].channels, found["b"].reference, found["b"].metadata) == ([], "", {})
    assert (found["b"].event_types, found["b"].enabled) == (["*"], False)
    assert (found["a"].rate_limit, found["b"].rate_limit) == (5, 7)
    with Client(place.url, key_of(place, project)) as client:
        assert client.accounts.get("acme").rate_limit == 20
    assert second["endpoint"] == found["b"].id


async def test_a_rate_limit_above_the_plans_is_reported_and_skipped(
    place: Place, project: str
) -> None:
    with Client(place.url, place.key) as client:
        client.projects.apply(
            project,
            f'name = "{project}"\n[plans.pro]\nrate_limit = 10\nendpoint_rate_limit = 6\n'
            '[event_types."invoice.paid"]\n',
        )
    with standing_in(svix) as url:
        tried = bring(place, project, "svix", "--source-url", url, "--dry-run")
        done = bring(place, project, "svix", "--source-url", url)
    why = "is not carried over: this account's plan allows 1 to"
    for said in (tried, done):
        first, second, _ = said.json
        assert first["notes"][0] == f"the account's rate limit of 20/s {why} 10 requests a second"
        assert second["notes"][0] == f"its rate limit of 7/s {why} 6 requests a second"
    assert [line["what"] for line in done.json] == ["added", "added", "refused"]
    found = endpoints_of(place, project)
    assert (found["a"].rate_limit, found["b"].rate_limit) == (5, None)
    with Client(place.url, key_of(place, project)) as client:
        assert client.accounts.get("acme").rate_limit is None


async def test_the_rate_limit_of_an_existing_account_is_left_as_it_is(
    place: Place, project: str
) -> None:
    with Client(place.url, key_of(place, project)) as client:
        client.accounts.create("acme")
        client.accounts.set_rate_limit("acme", 3)
        with standing_in(svix) as url:
            done = bring(place, project, "svix", "--source-url", url)
        assert client.accounts.get("acme").rate_limit == 3
    assert done.json[0]["notes"][0] == (
        "the account's rate limit of 20/s is not carried over: the account exists already"
    )


async def test_convoy_by_its_api(place: Place, project: str) -> None:
    words = ("convoy", "--source-project", "p1", "--account", "house")
    with standing_in(convoy) as url:
        done = bring(place, project, *words, "--source-url", url)
    assert [line["what"] for line in done.json] == ["added", "added", "added"]
    assert [line["account"] for line in done.json] == ["acme", "house", "acme"]
    assert done.json[1]["notes"] == [
        "its filter on the payload is not carried over",
        "its rate limit is not carried over",
    ]
    assert "its authentication (oauth2) is not carried over" in done.json[2]["notes"]
    found = endpoints_of(place, project)
    assert found["a"].event_types == ["invoice.paid", "invoice.created"]
    assert found["a"].headers == {"X-Token": "****"}
    assert [found[each].enabled for each in "abc"] == [True, False, False]


async def test_receivers_notice_nothing(place: Place, project: str, tmp_path: Path) -> None:
    theirs, text = SVIX_SECRETS["ep_a"], "J8bQvBEMVYTRFEGVgzWxCYGEC"
    ledger = Ledger()
    async with receiving(ledger) as port:
        (tmp_path / "e.csv").write_text(
            "account,url,secret,event_types,name,enabled\n"
            f"acme,http://127.0.0.1:{port}/s,{theirs},invoice.paid invoice.created,One,yes\n"
            f"acme,http://127.0.0.1:{port}/t,{text},,Two,\n"
            f"acme,http://127.0.0.1:{port}/o,{text},*,Off,no\n"
        )
        done = bring(place, project, "csv", str(tmp_path / "e.csv")).ok()
        with Client(place.url, key_of(place, project)) as client:
            client.publish("acme", "invoice.paid", {"id": "x"})
        async with asyncio.timeout(60):
            while len(ledger.arrived) < 2:
                await asyncio.sleep(0.02)
    assert [line["from"] for line in done.json] == ["line 2", "line 3", "line 4"]
    at = {each.endpoint: each for each in ledger.arrived}
    assert set(at) == {"/s", "/t"}
    Webhook(theirs).verify(at["/s"].body, at["/s"].headers)
    assert at["/t"].headers["x-invoice-maker-signature"] == _signed(text, at["/t"])


def _signed(secret: str, arrived: Arrived) -> str:
    return hmac.new(secret.encode(), arrived.body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("account,url\n", "'secret' is missing"),
        ("account,url,secret,colour\n", "unknown column 'colour'"),
    ],
)
async def test_a_file_with_other_columns_is_refused_as_a_whole(
    place: Place, project: str, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "e.csv").write_text(text)
    said = bring(place, project, "csv", str(tmp_path / "e.csv"))
    assert said.code == 2
    assert told in said.err


async def test_lines_that_cannot_be_added_are_reported_and_the_others_are_added(
    place: Place, project: str, tmp_path: Path
) -> None:
    (tmp_path / "e.csv").write_text(
        "account,url,secret\n"
        ",http://127.0.0.1:65000/a,abcdefghijklmnop\n"
        "acme,,abcdefghijklmnop\n"
        "acme,http://127.0.0.1:65000/b,short\n"
        "acme,http://127.0.0.1:65000/c,\n"
        "acme,https://10.0.0.1/d,abcdefghijklmnop\n"
        "acme,http://127.0.0.1:65000/e,abcdefghijklmnop\n"
        "acme,http://127.0.0.1:65000/e,abcdefghijklmnop\n"
    )
    said = bring(place, project, "csv", str(tmp_path / "e.csv"))
    assert said.code == 1
    whats = [line["what"] for line in said.json]
    assert whats == ["refused"] * 5 + ["added", "there already"]
    whys = " ".join(line["why"] for line in said.json)
    for word in ("--account", "no URL", "16 to 128", "missing", "not a public address"):
        assert word in whys
    assert set(endpoints_of(place, project)) == {"e"}


async def test_a_source_that_cannot_be_read_is_reported(
    place: Place, project: str, tmp_path: Path
) -> None:
    with standing_in(svix) as url:
        wrong = bring(place, project, "svix", "--source-url", url, "--source-token", "other")
    assert "is the token right?" in wrong.err
    file = tmp_path / "some.csv"
    file.write_text("account,url,secret\n")
    unknown = hooktide("import", "csv", str(file), "--project", "nope")
    assert (unknown.code, unknown.err) == (
        2,
        "hooktide: project: the project 'nope' does not exist\n",
    )
    for words in (["svix", "--source-url", "http://127.0.0.1:9"], ["csv"], ["convoy"]):
        assert bring(place, project, *words).code == 2


async def test_a_dry_run_refuses_just_what_the_import_refuses(
    place: Place, project: str, tmp_path: Path
) -> None:
    with Client(place.url, place.key) as client:
        client.projects.apply(
            project,
            f'name = "{project}"\n[plans.pro]\nendpoints = 2\n[event_types."a.b"]\n',
        )
    good, long = "abcdefghijklmnop", "x" * 101
    (tmp_path / "e.csv").write_text(
        "account,url,secret,name,enabled\n"
        f"acme,http://127.0.0.1:65000/a,{good},,yes\n"
        f"acme,https://10.0.0.1/b,{good},,yes\n"
        f"acme,http://127.0.0.1:65000/c,{good},{long},yes\n"
        f"acme,http://127.0.0.1:65000/d,{good},,maybe\n"
        f"acme,http://127.0.0.1:65000/e,{good},,no\n"
        f"acme,http://127.0.0.1:65000/f,{good},,yes\n"
        f"{'y' * 201},http://127.0.0.1:65000/g,{good},,yes\n"
    )
    tried = bring(place, project, "csv", str(tmp_path / "e.csv"), "--dry-run")
    assert endpoints_of(place, project) == {}
    done = bring(place, project, "csv", str(tmp_path / "e.csv"))
    good_or_not = [each["what"] == "refused" for each in done.json]
    assert good_or_not == [False, True, True, True, False, True, True]
    assert [each["what"] == "refused" for each in tried.json] == good_or_not
    assert "write yes or no" in tried.json[3]["why"]
    assert "the plan" in tried.json[5]["why"].replace("account's ", "the ")


async def test_a_disabled_endpoint_is_never_enabled(
    place: Place, project: str, tmp_path: Path
) -> None:
    (tmp_path / "e.csv").write_text(
        "account,url,secret,enabled\nacme,http://127.0.0.1:65000/a,abcdefghijklmnop,no\n"
    )
    bring(place, project, "csv", str(tmp_path / "e.csv")).ok()
    with Client(place.url, place.key) as client:
        [made] = client.endpoints.list(account=_acme(client, project))
        assert (made.enabled, made.disabled_at) == (False, made.created_at)
        assert made.updated_at == made.created_at


async def test_one_endpoint_is_counted_as_one(place: Place, project: str, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(
        "account,url,secret\nacme,http://127.0.0.1:65000/a,abcdefghijklmnop\n"
    )
    done = bring(place, project, "csv", str(tmp_path / "e.csv"), "--dry-run").ok()
    assert "1 endpoint: 1 would be added" in done.err


def _acme(client: Client, project: str) -> str:
    return next(each.id for each in client.accounts.list(project=project))
