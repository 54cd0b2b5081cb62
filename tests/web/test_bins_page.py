"""A bin's page shows everything, executes nothing, and updates live."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from binkit import Answer, BinSite, bin_site

from hooktide.actions.bins.bins import Bins
from hooktide.domain.model import BinRequest, SignatureVerdict
from hooktide.web.pages.bins.session import PAGE_HEADERS


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BinSite]:
    async with bin_site(tmp_path) as running:
        yield running


FORM = {"content-type": "application/x-www-form-urlencoded"}
OURS = {"sec-fetch-site": "same-origin"}


async def page(site: BinSite, url: str) -> str:
    answer = await site.send(url, method="GET")
    assert answer.status == 200
    return answer.body.decode()


async def test_an_empty_bin_says_what_to_do(site: BinSite) -> None:
    made = await site.create_bin()
    html = await page(site, made["page_url"])
    assert "Waiting for the first request" in html
    assert f"curl {made['url']}" in html


async def test_the_newest_request_is_open_and_any_other_one_by_its_link(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b'{"type": "invoice.paid", "n": 1.10}')
    await site.send(made["url"], b'{"event_type": "Invoice.VERIFIED"}')
    newest, oldest = await site.requests(made)
    html = await page(site, made["page_url"])
    assert f'data-id="{newest["id"]}"' in html
    assert "invoice.paid" in html
    assert "Invoice.VERIFIED" in html
    html = await page(site, f"{made['page_url']}?request={oldest['id']}")
    assert f'data-id="{oldest["id"]}"' in html
    assert "&#34;n&#34;: 1.10" in html


async def test_a_request_of_another_bin_is_not_shown(site: BinSite) -> None:
    mine, other = await site.create_bin(), await site.create_bin()
    await site.send(other["url"], b"secret")
    [kept] = await site.requests(other)
    for path in (f"?request={kept['id']}", f"/requests/{kept['id']}/raw"):
        answer = await site.send(mine["page_url"] + path, method="GET")
        assert (answer.status, answer.body) == (404, b"not found\n")


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></script><svg onload=alert(1)>",
    "{{7*7}}${7*7}",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_was_sent_is_only_ever_text(site: BinSite, text: str) -> None:
    made = await site.create_bin()
    body = b'{"type": "%b"}' % text.replace('"', '\\"').encode()
    await site.send(made["url"], body, headers={"x-hostile": text})
    html = await page(site, made["page_url"])
    for sign in ("<script>alert", "<img", "<svg", "49$49"):
        assert sign not in html


async def test_characters_that_hide_or_turn_text_around_are_written_out(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], "gnp.\u202efdp\u200b\x1b[31m".encode())
    html = await page(site, made["page_url"])
    assert "gnp.\\u202efdp\\u200b\\u001b[31m" in html


async def test_the_page_allows_no_script_but_its_own(site: BinSite) -> None:
    made = await site.create_bin()
    answer = await site.send(made["page_url"], method="GET")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    html = answer.body.decode()
    assert html.count("<script") == html.count('<script src="/static/')
    assert "style=" not in html


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hooktide.css", "text/css"),
        ("bin.css", "text/css"),
        ("bin.js", "text/javascript"),
        ("copy.js", "text/javascript"),
    ],
)
async def test_what_the_page_is_made_of_is_served_here(site: BinSite, name: str, kind: str) -> None:
    answer = await site.send(f"/static/{name}", method="GET")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_a_script_the_page_reloads_itself_and_can_be_cleared(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    html = await page(site, made["page_url"])
    assert '<noscript><meta http-equiv="refresh"' in html
    cleared = await site.send(f"{made['page_url']}/clear", headers=OURS)
    assert cleared.status == 303
    assert PAGE_HEADERS.items() <= cleared.headers.items()
    assert cleared.headers["location"] == urlsplit(made["page_url"]).path.lower()
    assert await site.requests(made) == []


async def test_without_a_script_the_reloading_can_be_paused(site: BinSite) -> None:
    made = await site.create_bin()
    html = await page(site, made["page_url"])
    assert "?reload=off" in html
    html = await page(site, f"{made['page_url']}?reload=off")
    assert "http-equiv" not in html
    assert "does not reload" in html


async def test_the_page_shows_the_query_the_sender_and_the_whole_request(site: BinSite) -> None:
    made = await site.create_bin()
    sent = {"x-forwarded-for": "203.0.113.7", "x-one": "1"}
    await site.send(f"{made['url']}?a=1&b=%3Cb%3E&empty=&bad=%ff", b"hello", headers=sent)
    html = await page(site, made["page_url"])
    for name, value in (("a", "1"), ("b", "&lt;b&gt;"), ("empty", ""), ("bad", "\\xff")):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in html
    assert "from 203.0.113.7" in html
    whole = html.partition('id="whole">')[2].partition("</pre>")[0]
    assert whole.startswith(f"POST /bin/{made['url'].rpartition('/')[2]}?a=1&amp;b=%3Cb%3E")
    assert "HTTP/1.1\nhost: bins\n" in whole
    assert "\nx-one: 1\n\nhello" in whole


async def test_a_request_without_a_query_has_no_table_of_it(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"hello")
    html = await page(site, made["page_url"])
    assert "Query" not in html
    assert "from this machine" in html


async def test_clearing_is_asked_first(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    html = await page(site, made["page_url"])
    asked = html.partition('<details class="clear">')[2].partition("</details>")[0]
    assert "Delete all requests" in asked
    assert html.count("/clear") == 1


async def write_note(site: BinSite, made: Mapping[str, Any], request: str, text: str) -> Answer:
    path = f"{made['page_url']}/requests/{request}/note"
    return await site.send(path, urlencode({"note": text}).encode(), headers={**FORM, **OURS})


async def test_a_note_is_written_on_the_page_and_shown_in_the_list(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    [kept] = await site.requests(made)
    answer = await write_note(site, made, kept["id"], "<b>the first\ntry")
    assert answer.status == 303
    assert answer.headers["location"].endswith(f"?request={kept['id']}")
    html = await page(site, made["page_url"])
    assert html.count("&lt;b&gt;the first\ntry") == 2
    assert (await site.requests(made))[0]["note"] == "<b>the first\ntry"
    await write_note(site, made, kept["id"], "")
    assert "the first" not in await page(site, made["page_url"])


@pytest.mark.parametrize(
    ("text", "said"), [("x" * 1001, "1,000 characters"), ("a\u202eb", "direction characters")]
)
async def test_a_note_that_cannot_be_saved_stays_as_it_was_typed(
    site: BinSite, text: str, said: str
) -> None:
    made = await site.create_bin({"status": 503})
    for _ in range(2):
        await site.send(made["url"])
    _, older = await site.requests(made)
    answer = await write_note(site, made, older["id"], text)
    html = answer.body.decode()
    assert answer.status == 422
    assert said in html
    assert f'data-id="{older["id"]}"' in html
    assert f"{text}</textarea>" in html
    assert 'name="status-1" value="503"' in html
    assert (await site.requests(made))[1]["note"] == ""


async def test_a_request_of_another_bin_takes_no_note(site: BinSite) -> None:
    mine, other = await site.create_bin(), await site.create_bin()
    await site.send(other["url"])
    [kept] = await site.requests(other)
    assert (await write_note(site, mine, kept["id"], "mine")).status == 404
    assert (await site.requests(other))[0]["note"] == ""


async def test_watchers_are_notified_of_a_note(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    [kept] = await site.requests(made)
    stream = await watch(site, made["page_url"])
    await write_note(site, made, kept["id"], "look")
    assert b"event: new" in await stream.until(b"data: ")
    stream.close()


async def test_a_forms_address_leads_to_the_page(site: BinSite) -> None:
    made = await site.create_bin()
    for path in ("/clear", "/answers", "/requests/req_0000000000000001/note"):
        answer = await site.send(made["page_url"] + path, method="GET")
        assert answer.status == 303
        assert answer.headers["location"] == urlsplit(made["page_url"]).path.lower()
        assert PAGE_HEADERS.items() <= answer.headers.items()
        nothing = await site.send(f"{site.url}/bins/{'x' * 24}{path}", method="GET")
        assert nothing.status == 404


async def test_the_url_that_receives_neither_shows_nor_changes_the_bin(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"hush")
    token, page_token = (made[name].rpartition("/")[2] for name in ("url", "page_url"))
    assert token != page_token
    [kept] = await site.requests(made)
    for start in (made["url"], f"{site.url}/bins/{token}"):
        for path in ("/page", "/events", f"/requests/{kept['id']}/raw"):
            assert (await site.send(start + path, method="GET")).status == 404
        for path in ("/clear", "/answers", f"/requests/{kept['id']}/note"):
            assert (await site.send(start + path, headers={**OURS, **FORM})).status == 404
    assert (await site.send(f"{site.url}/bin/{page_token}", b"x")).status == 404
    assert [each["id"] for each in await site.requests(made)] == [kept["id"]]


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "null"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}],
)
async def test_a_form_from_another_site_changes_no_bin(
    site: BinSite, headers: dict[str, str]
) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"kept")
    body = urlencode({"status-1": "410", "note": "evil"}).encode()
    [kept] = await site.requests(made)
    for path in ("/clear", "/answers", f"/requests/{kept['id']}/note"):
        answer = await site.send(made["page_url"] + path, body, headers={**FORM, **headers})
        assert answer.status == 403
        assert b"open the page again" in answer.body
    assert [each["note"] for each in await site.requests(made)] == [""]
    assert (await site.send(made["url"], b"x")).status == 200


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close = writer.close

    def reset(self) -> None:
        """Break the connection without closing it, as a machine that has crashed."""
        socket_ = self._writer.get_extra_info("socket")
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def until(self, sign: bytes) -> bytes:
        async with asyncio.timeout(30):
            return await self._reader.readuntil(sign)

    async def rest(self) -> bytes:
        async with asyncio.timeout(30):
            return await self._reader.read(-1)


async def watch(site: BinSite, url: str) -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    path = url.removeprefix(site.url)
    writer.write(f"GET {path}/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    stream = Stream(reader, writer)
    await stream.until(b"retry: ")
    return stream


async def test_watchers_are_notified_of_each_request(site: BinSite) -> None:
    made = await site.create_bin()
    stream = await watch(site, made["page_url"])
    for _ in range(2):
        await site.send(made["url"])
        assert b"event: new" in await stream.until(b"data: ")
    stream.close()


async def test_an_open_stream_ends_when_the_server_stops(site: BinSite) -> None:
    made = await site.create_bin()
    stream = await watch(site, made["page_url"])
    site.stopping.set()
    assert (await stream.rest()).endswith(b"0\r\n\r\n")
    stream.close()


async def test_only_so_many_watch_one_bin(site: BinSite) -> None:
    made = await site.create_bin()
    streams = [await watch(site, made["page_url"]) for _ in range(20)]
    late = await watch(site, made["page_url"])
    assert b"60000" in await late.rest()
    for stream in [*streams, late]:
        stream.close()


async def test_watchers_whose_sockets_break_keep_nothing_from_the_others(site: BinSite) -> None:
    made = await site.create_bin()
    broken = [await watch(site, made["page_url"]) for _ in range(19)]
    stays = await watch(site, made["page_url"])
    for stream in broken:
        stream.reset()
    for _ in range(3):
        assert (await site.send(made["url"], b"{}")).status == 200
        await stays.until(b"event: new")
    late: list[Stream] = []
    async with asyncio.timeout(30):
        while len(late) < 19:  # the slots of the broken connections are free again
            stream = await watch(site, made["page_url"])
            late += [stream] if b"2000" in await stream.until(b"\n\n") else []
    assert (await site.send(made["url"], b"{}")).status == 200
    for stream in [*late, stays]:
        assert b"event: new" in await stream.until(b"event: new")
        stream.close()


async def test_a_watcher_that_does_not_look_and_one_that_raises_cost_no_request(
    site: BinSite,
) -> None:
    bins = Bins(site.store, site.clock)
    made = await site.create_bin()
    found = await bins.open(made["url"].rpartition("/")[2])
    kept = BinRequest(
        id=0,
        bin_id=found.id,
        method="POST",
        path="/",
        headers=(),
        body=b"",
        body_size=0,
        answered=200,
        received_at=site.clock(),
        verdict=SignatureVerdict.UNCHECKED,
        reason="",
    )
    with bins.watch(found) as slow, bins.watch(found) as quick:
        assert slow is not None
        assert quick is not None
        with pytest.raises(LookupError), bins.watch(found):
            raise LookupError
        ids: list[int] = []
        for _ in range(3):
            await bins.keep(kept, found.token)
            ids.append(quick.get_nowait())
        assert len(set(ids)) == 3
        assert slow.get_nowait() == ids[-1]
    assert not bins._of(found.token).watchers


async def set_answers(site: BinSite, made: Mapping[str, Any], **fields: str) -> Answer:
    body = urlencode({"-".join(name.rsplit("_", 1)): text for name, text in fields.items()})
    return await site.send(f"{made['page_url']}/answers", body.encode(), headers={**FORM, **OURS})


async def test_the_page_sets_what_the_bin_answers_in_turn(site: BinSite) -> None:
    made = await site.create_bin()
    answer = await set_answers(
        site, made, status_1="503", retry_after_1="7", status_2="201", body_2="thanks"
    )
    assert answer.status == 303
    assert answer.headers["location"] == urlsplit(made["page_url"]).path.lower()
    first, second, third = [await site.send(made["url"], b"{}") for _ in range(3)]
    assert (first.status, first.headers["retry-after"], first.body) == (503, "7", b"")
    assert (second.status, second.body) == (third.status, third.body) == (201, b"thanks\n")
    html = await page(site, made["page_url"])
    assert "503, then 201 each time" in html
    await set_answers(site, made)
    assert (await site.send(made["url"], b"{}")).status == 200


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status_1": "500", "body_2": "<b>no status"}, "Answer 2 has no status"),
        ({"status_1": "99"}, "Answer 1: a status from 200 to 599"),
        ({"status_1": "teapot"}, "Answer 1: a status from 200 to 599"),
        ({"status_1": "200", "delay_1": "31"}, "seconds from 0 to 30"),
        ({"status_1": "200", "delay_1": "inf"}, "seconds from 0 to 30"),
        ({"status_1": "200", "retry_after_1": "a\nb"}, "Retry-After"),
    ],
)
async def test_answers_that_cannot_be_given_stay_as_they_were_typed(
    site: BinSite, fields: dict[str, str], said: str
) -> None:
    made = await site.create_bin()
    answer = await set_answers(site, made, **fields)
    html = answer.body.decode()
    assert answer.status == 422
    assert said in html
    for text in fields.values():
        assert f'value="{escape(text)}"' in html
    assert (await site.send(made["url"], b"{}")).status == 200
