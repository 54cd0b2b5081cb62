"""The portal in German, the browser's language or the project's, without a sentence in English."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from webkit import Client, Site, running
from wire import keeping, receiving

from hooktide.actions.access.portal_links import portal_links
from hooktide.domain import ids
from hooktide.domain.model import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = """name = "billing"
title = "Fakturix"
default_plan = "klein"
disable_after = 3
[event_types."rechnung.bezahlt"]
example = '{"id": 1}'
[event_types."rechnung.storniert"]
example = '{"id": 2}'
[plans.klein]
endpoints = 20
deliveries_per_hour = 1200
retries = 1
filter_conditions = 5
"""
GERMAN = {"accept-language": "de-DE,de;q=0.9,en;q=0.5"}
_ENGLISH = """
the is are and of to it not with for this that your be by has have from on at no nothing what which
when until since ago than more delivery deliveries endpoint endpoints attempt attempts event events
secret send sent retry stop add edit enable disable delete
"""
ENGLISH = set(_ENGLISH.split())
"""Words that no German page has."""
REFUSING = b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno"


@dataclass
class Portal:
    """A customer's portal."""

    site: Site
    client: Client
    base: str
    account: int

    async def get(self, path: str = "", status: int = 200, language: str = "de-DE,en;q=0.5") -> str:
        headers = {"accept-language": language}
        answer = await self.client.call("GET", self.base + path, headers=headers)
        assert answer.status == status, answer.body[:2000]
        return answer.body.decode()

    async def post(self, path: str, *fields: tuple[str, str], status: int = 303) -> str:
        """Send a form; return the page that it leads to, or that refuses it."""
        answer = await self.client.call(
            "POST",
            self.base + path,
            body=urlencode(fields).encode() or b"_=",
            headers={
                **GERMAN,
                "content-type": "application/x-www-form-urlencoded",
                "origin": "http://127.0.0.1:8080",
            },
        )
        assert answer.status == status, (answer.status, answer.body[:3000])
        if status != 303:
            return answer.body.decode()
        target = answer.headers["location"].partition("#")[0]
        return await self.get(target.removeprefix(self.base))

    async def endpoint(self, url: str) -> str:
        given = {"account": "kunde", "url": url, "event_types": ["*"]}
        return str((await self.site.operator.post("/v1/endpoints", given)).ok(201)["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Portal]:
    folder: Path = tmp_path_factory.mktemp("german")
    async with running(folder, public_url="http://127.0.0.1:8080") as site:
        (await site.operator.apply("billing", PROJECT)).ok()
        given = {"project": "billing", "reference": "kunde"}
        account = ids.read("acc", (await site.operator.post("/v1/accounts", given)).ok(201)["id"])
        link = (await site.operator.post("/v1/accounts/kunde/portal-links", {})).ok(201)["url"]
        yield Portal(site, site.client(""), "/portal/" + link.rpartition("/")[2], account)


def texts_of(page: str) -> list[str]:
    """Return what a page says to its reader."""
    reader = _Reader()
    reader.feed(page)
    return [each.strip() for each in reader.found if each.strip()]


class _Reader(HTMLParser):
    """Reads texts, and the attributes that are read out; not what is code or the customer's."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in ("code", "pre", "style", "kbd")
        given = dict(attrs)
        self.found += [
            given[name] or "" for name in ("aria-label", "placeholder", "alt") if name in given
        ]

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("code", "pre", "style", "kbd")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.found.append(data)


def english_of(page: str) -> list[str]:
    """Return the texts of a page that are English."""
    assert '<html lang="de">' in page
    return [
        each
        for each in texts_of(page)
        if set(re.findall(r"(?<![\w.-])[a-z]+(?![\w-])", each.lower())) & ENGLISH
        and not each.startswith(("HTTP/", "http"))
    ]


async def test_no_page_of_the_portal_has_a_sentence_in_english(portal: Portal) -> None:
    async with receiving(keeping(REFUSING)) as server:
        url = f"http://127.0.0.1:{server.port}/hook"
        pages = {"empty": await portal.get()}
        found = await portal.endpoint(url)
        path = f"/endpoints/{found}"
        pages["tested"] = await portal.post(f"{path}/test")
        event = {"account": "kunde", "type": "rechnung.bezahlt", "payload": {"id": 1}}
        (await portal.site.operator.post("/v1/events", event)).ok(202)
        await _attempted(portal, found)
        for name in (
            "",
            "/endpoints/new",
            path,
            f"{path}/edit",
            f"{path}/rotate",
            f"{path}/disable",
        ):
            pages[name] = await portal.get(name)
        for name in (f"{path}/delete", f"{path}/replay", "/deliveries", "/event-types", "/search"):
            pages[name] = await portal.get(name)
        listed = (await portal.site.operator.get(f"/v1/deliveries?endpoint={found}")).ok()["items"]
        for each in listed:
            pages[each["id"]] = await portal.get(
                f"/deliveries?delivery={each['id']}&state=&compare=2"
            )
        pages["filtered"] = await portal.get(
            "/deliveries?state=held&span=1h&answered=timeout&origin=test"
        )
        pages["faulty"] = await portal.get("/deliveries?endpoint=zz&since=nie")
        pages["counted"] = await portal.get(f"{path}/replay?what=failed&since=2020-01-01T00:00")
        pages["uncounted"] = await portal.get(f"{path}/replay?what=event&event=1", 422)
        pages["disabled"] = await portal.post(f"{path}/disable")
        pages["tested while disabled"] = await portal.post(f"{path}/test")
        pages["enabled"] = await portal.post(f"{path}/enable")
        fields = [("what", "event"), ("event", listed[-1]["event"])]
        pages["replayed"] = await portal.post(f"{path}/replay", *fields)
        pages["rotated"] = await portal.post(f"{path}/rotate")
        pages["refused"] = await portal.post(
            f"{path}/edit", ("url", ""), ("name", "x" * 200), status=422
        )
        pages["deleted"] = await portal.post(f"{path}/delete", ("confirmation", "delete"))
        pages["all matching"] = await portal.get("/deliveries/all?state=failed&do=resend")
        started = await portal.post("/deliveries/all?state=failed", ("do", "stop"))
        pages["job"] = started
        pages["found"] = await portal.get("/search?q=rechnung")
        pages["missing"] = await portal.get("/nowhere", 404)
    assert all('data-words="{&#34;' in page for page in pages.values())
    left = {name: english_of(page) for name, page in pages.items()}
    assert {name: each for name, each in left.items() if each} == {}


async def test_what_waits_for_a_rate_is_said_in_german(portal: Portal) -> None:
    async with receiving(keeping(REFUSING)) as server:
        found = await portal.endpoint(f"http://127.0.0.1:{server.port}/slow")
        path = f"/v1/endpoints/{found}"
        (await portal.site.operator.patch(path, {"rate_limit": 2})).ok()
        event = {"account": "kunde", "type": "rechnung.bezahlt", "payload": {"id": 1}}
        (await portal.site.operator.post("/v1/events", [event] * 90)).ok(202)
        page = await portal.get(f"/endpoints/{found}")
        (await portal.site.operator.delete(path)).ok(204)
    paced = re.search(r'id="paced".*?</p>', page)
    assert paced is not None
    assert re.search(r"Gedrosselt: 2/s, \d+ warten, etwa \d+ Sek\.<", paced[0]), paced[0]
    assert english_of(page) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "http://10.0.0.1/x"}, "verwenden Sie die öffentliche Adresse des Empfängers"),
        ({"url": "https://kurz/"}, "Kurz ist kein öffentlicher Name"),
        ({"url": "hook"}, "Schreiben Sie die ganze URL, wie https://example.com/hook."),
        ({"url": "https://a.example.org/", "headers": "X"}, "Schreiben Sie jeden als Name: Wert"),
        ({"url": "https://a.example.org/", "headers": "Host: x"}, "wird vom Absender gesetzt"),
        (
            {"url": "https://a.example.org/", "filter": "{}"},
            "Geben Sie mindestens eine Bedingung an",
        ),
        (
            {"url": "https://a.example.org/", "event_types": "rechnung.bezahl"},
            "meinten Sie 'rechnung",
        ),
        ({"url": "https://a.example.org/", "name": "x" * 101}, "Höchstens 100 Zeichen."),
        ({"url": "https://a.example.org/", "channels": "a/b"}, "Ein Kanal besteht aus 1 bis 128"),
        (
            {"url": "https://a.example.org/", "reference": "ep_0123456789abcdef"},
            "nicht wie eine ep_-ID aussieht",
        ),
        ({"url": "https://a.example.org/", "metadata": "a: \x01"}, "keine Steuerzeichen enthalten"),
        ({"url": "https://a.example.org/", "rate_limit": "0"}, "1 bis 10.000 Anfragen pro Sekunde"),
        ({"url": "https://a.example.org/", "rate_limit": "viele"}, "Schreiben Sie eine ganze Zahl"),
        ({"url": "https://a.example.org/", "rate_limit": "1,5"}, "Schreiben Sie eine ganze Zahl"),
        (
            {"url": "https://a.example.org/", "retry_delays": "bald"},
            "Schreiben Sie es wie 30s, 5m oder 2h",
        ),
        (
            {"url": "https://a.example.org/", "retry_delays": "10s, 10s"},
            "Der Tarif dieses Kontos erlaubt 1 Wiederholung",
        ),
        ({"url": "https://a.example.org/", "timeout_seconds": "0"}, "Erlaubt sind 1 bis"),
        (
            {"url": "https://a.example.org/", "filter": '{"a": {"$gt": true}}'},
            "/a/$gt: $gt vergleicht mit einer Zahl oder einer Zeichenkette",
        ),
        (
            {"url": "https://a.example.org/", "filter": '{"a": {"$regex": "x"}}'},
            "/a/$regex: $regex gibt es hier nicht: es gibt keine regulären Ausdrücke",
        ),
        (
            {"url": "https://a.example.org/", "filter": '{"a": {"$gtee": 1}}'},
            "/a/$gtee: diesen Operator gibt es nicht; meinten Sie '$gte'?",
        ),
        (
            {"url": "https://a.example.org/", "headers": "X-A: ****"},
            "behält einen gespeicherten Wert",
        ),
    ],
)
async def test_what_is_wrong_with_a_form_is_said_in_german(
    portal: Portal, fields: dict[str, str], said: str
) -> None:
    given = {"event_types": "*", **fields}
    page = html.unescape(await portal.post("/endpoints/new", *given.items(), status=422))
    assert said in page
    assert "Nichts wurde gespeichert" in page


async def test_a_rate_is_read_with_the_signs_that_the_page_writes_it_with(portal: Portal) -> None:
    written = {"de-DE": "1.500", "en": "1,500"}
    for language, rate in written.items():
        await portal.post("/rate", ("rate_limit", rate), ("burst", ""))
        assert f"{rate} " in await portal.get(language=language)
        kept = (await portal.site.operator.get("/v1/accounts/kunde")).ok()
        assert kept["rate_limit"] == 1500
    await portal.post("/rate", ("rate_limit", ""), ("burst", ""))


async def test_the_same_problem_is_english_in_the_api(portal: Portal) -> None:
    given = {"account": "kunde", "url": "hook", "event_types": ["*"]}
    refused = await portal.site.operator.post("/v1/endpoints", given)
    assert b"write the whole URL, as in https://example.com/hook" in refused.body


async def test_a_browser_without_german_gets_english(portal: Portal) -> None:
    page = await portal.get(language="fr,en;q=0.8")
    assert '<html lang="en">' in page
    assert "No endpoints yet" in page
    assert 'data-words=""' in page


async def test_a_project_fixes_the_language_whatever_the_browser_says(portal: Portal) -> None:
    text = PROJECT + '[portal]\nlanguage = "de"\n'
    (await portal.site.operator.apply("billing", text)).ok()
    page = await portal.get(language="en")
    assert "Noch keine Endpunkte" in page
    refused = await portal.site.operator.apply("billing", text.replace('"de"', '"fr"'))
    assert b"write en or de" in refused.body
    (await portal.site.operator.apply("billing", PROJECT)).ok()


async def test_a_project_says_it_in_its_own_words(portal: Portal) -> None:
    text = (
        PROJECT
        + """[portal]
logo = "data:image/svg+xml;base64,PHN2Zy8+"
support = "https://fakturix.example/hilfe?a=1&b=2"
[portal.en]
welcome = "Fish & chips > \\"peas\\""
endpoint = "connection"
endpoints = "connections"
[portal.de]
welcome = "Willkommen"
endpoint = "Verbindung"
endpoints = "Verbindungen"
"""
    )
    (await portal.site.operator.apply("billing", text)).ok()
    english, german = await portal.get(language="en"), await portal.get()
    assert "Add a connection" in english
    assert "Fish &amp; chips &gt; &#34;peas&#34;" in english
    assert '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt="">' in english
    assert "Verbindung hinzufügen" in german
    assert "Willkommen" in german
    for page in (english, german, await portal.get("/nowhere", 404)):
        assert 'href="https://fakturix.example/hilfe?a=1&amp;b=2" target="_blank"' in page
    account = await portal.site.app.store.get_account(Scope(), portal.account)
    over = portal_links(portal.site.app.vault).make(account, 0, False)
    answer = await portal.client.call("GET", f"/portal/{over.token}", headers=GERMAN)
    assert "Support kontaktieren" in answer.body.decode()
    mail = text.replace("https://fakturix.example/hilfe?a=1&b=2", "hilfe@fakturix.example")
    (await portal.site.operator.apply("billing", mail)).ok()
    assert '<a href="mailto:hilfe@fakturix.example">' in await portal.get()
    (await portal.site.operator.apply("billing", PROJECT)).ok()
    assert "Noch keine Endpunkte" in await portal.get()


async def test_a_link_that_is_over_says_so_in_german(portal: Portal) -> None:
    account = await portal.site.app.store.get_account(Scope(), portal.account)
    over = portal_links(portal.site.app.vault).make(account, 0, False)
    answer = await portal.client.call("GET", f"/portal/{over.token}", headers=GERMAN)
    assert answer.status == 410
    assert english_of(answer.body.decode()) == []
    assert "Dieser Link ist nicht mehr gültig" in answer.body.decode()


async def test_what_a_customer_names_is_not_translated_and_marks_nothing_up(portal: Portal) -> None:
    given = {"account": "kunde", "url": "https://a.example.org/", "event_types": ["*"]}
    given["name"] = "<b>Delete</b> %(x)s {count}"
    made = (await portal.site.operator.post("/v1/endpoints", given)).ok(201)
    page = await portal.get(f"/endpoints/{made['id']}/edit")
    assert "&lt;b&gt;Delete&lt;/b&gt; %(x)s {count} bearbeiten" in page
    (await portal.site.operator.delete(f"/v1/endpoints/{made['id']}")).ok(204)


async def _attempted(portal: Portal, endpoint: str) -> None:
    async with asyncio.timeout(30):
        while True:
            listed = (await portal.site.operator.get(f"/v1/deliveries?endpoint={endpoint}")).ok()
            if all(each["attempts"] for each in listed["items"]) and len(listed["items"]) == 2:
                return
            await asyncio.sleep(0.01)
