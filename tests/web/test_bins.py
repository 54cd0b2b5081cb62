"""Request bins, for those who send to them and for their owners."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from apikit import ApiError
from binkit import NOON, PROJECT, SECRET, BinSite, bin_site, event

from hooktide.actions.bins.bins import Bins
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.dialect import Dialect, Signature
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.model import DAY, HOUR, SECOND, KeyScope, Scope
from hooktide.domain.project.project import Project


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BinSite]:
    async with bin_site(tmp_path) as running:
        yield running


async def test_a_bin_keeps_what_it_is_sent(site: BinSite) -> None:
    made = await site.create_bin()
    answer = await site.send(made["url"] + "?a=1", b'{"n":1.10}', headers={"x-one": "1"})
    assert (answer.status, answer.body) == (200, b"ok\n")
    [kept] = await site.requests(made)
    assert kept["method"] == "POST"
    assert kept["path"].endswith("?a=1")
    assert kept["body"] == '{"n":1.10}'
    assert ["x-one", "1"] in kept["headers"]
    assert kept["answered"] == 200
    assert kept["received_at"] == "2026-01-01T12:00:00.000000Z"


async def test_a_request_takes_a_note(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    [kept] = await site.requests(made)
    assert (kept["note"], kept["address"]) == ("", "")
    path = f"/v1/bins/{made['id']}/requests/{kept['id']}"
    assert (await site.api.patch(path, {"note": "the first try"}))["note"] == "the first try"
    assert (await site.api.get(path))["note"] == "the first try"
    for wrong in ("x" * 1001, "a\u202eb", " a"):
        with pytest.raises(ApiError) as refused:
            await site.api.patch(path, {"note": wrong})
        assert "/note" in str(refused.value)
    assert (await site.api.patch(path, {"note": ""}))["note"] == ""


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
async def test_a_bin_takes_any_method(site: BinSite, method: str) -> None:
    made = await site.create_bin()
    assert (await site.send(made["url"], method=method)).status == 200
    [kept] = await site.requests(made)
    assert kept["method"] == method


async def test_answers_come_in_turn_and_the_last_one_repeats(site: BinSite) -> None:
    made = await site.create_bin({"status": 500}, {"status": 500, "body": "no"}, {"status": 204})
    answers = [await site.send(made["url"]) for _ in range(4)]
    assert [answer.status for answer in answers] == [500, 500, 204, 204]
    assert answers[1].body == b"no"
    assert [kept["answered"] for kept in await site.requests(made)] == [204, 204, 500, 500]


async def test_a_new_script_begins_with_its_first_answer(site: BinSite) -> None:
    made = await site.create_bin({"status": 500}, {"status": 200})
    await site.send(made["url"])
    script = [{"status": 503}, {"status": 200}]
    changed = await site.api.patch(f"/v1/bins/{made['id']}", {"script": script})
    assert [step["status"] for step in changed["script"]] == [503, 200]
    assert (await site.send(made["url"])).status == 503


async def test_a_status_in_the_path_is_what_is_answered(site: BinSite) -> None:
    made = await site.create_bin({"status": 500})
    assert (await site.send(made["url"] + "/418")).status == 418
    assert (await site.send(made["url"])).status == 500
    assert (await site.send(made["url"] + "/99")).status == 404


async def test_a_request_that_came_as_the_script_was_changed_gives_the_new_ones_first_answer(
    site: BinSite,
) -> None:
    made = await site.create_bin({"status": 500}, {"status": 501}, {"status": 502})
    token = made["url"].rpartition("/")[2]
    bins = Bins(site.store, site.clock)
    before = await bins.open(token)
    script = [{"status": 201}, {"status": 202}]
    await site.api.patch(f"/v1/bins/{made['id']}", {"script": script})
    answers = [(await bins.next_answer(before)).status for _ in range(3)]
    assert answers == [201, 202, 202]


async def test_an_answer_is_late_when_its_script_says_so_and_kept_at_once(site: BinSite) -> None:
    made = await site.create_bin({"status": 200, "delay_ms": 30_000})
    sending = asyncio.create_task(site.send(made["url"]))
    while not await site.requests(made):
        pass
    assert not sending.done()
    site.stopping.set()
    assert (await sending).status == 200


async def test_an_answer_may_ask_for_rest_and_set_no_other_header(site: BinSite) -> None:
    made = await site.create_bin({"status": 429, "headers": {"Retry-After": "7"}})
    assert (await site.send(made["url"])).headers["retry-after"] == "7"
    for name in ("location", "content-type", "set-cookie", "x-accel-redirect"):
        with pytest.raises(ApiError) as refused:
            await site.create_bin({"headers": {name: "https://example.com"}})
        assert refused.value.status == 422


@pytest.mark.parametrize(
    "step",
    [
        {"status": 199},
        {"status": 600},
        {"delay_ms": 30_001},
        {"body": "x" * 4097},
        {"x": 1},
        {"headers": {"Retry-After": "1\n"}},
    ],
)
async def test_a_script_beyond_its_bounds_is_refused(
    site: BinSite, step: dict[str, object]
) -> None:
    with pytest.raises(ApiError) as refused:
        await site.create_bin(step)
    assert refused.value.status == 422


async def test_an_answer_is_plain_text_whatever_was_sent(site: BinSite) -> None:
    made = await site.create_bin({"body": "<script>alert(1)</script>"})
    answer = await site.send(made["url"], b"<h1>", headers={"content-type": "text/html"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-robots-tag"] == "noindex"


async def test_the_first_64_kb_of_a_body_are_kept_and_its_size(site: BinSite) -> None:
    made = await site.create_bin()
    body = b"0123456789abcdef" * 5000
    assert (await site.send(made["url"], body)).status == 200
    [kept] = await site.requests(made)
    assert kept["body"].encode() == body[: 64 * 1024]
    assert (kept["body_size"], kept["body_truncated"]) == (80_000, True)


async def test_a_body_that_was_cut_inside_a_character_is_text(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"x" * 65_535 + "é".encode())
    await site.send(made["url"], b"x\xc3")
    whole, cut = await site.requests(made)
    assert (cut["body"], cut["body_base64"]) == ("x" * 65_535, None)
    assert (cut["body_size"], cut["body_truncated"]) == (65_537, True)
    assert (whole["body"], whole["body_base64"]) == (None, "eMM=")
    page = await site.send(f"{made['page_url']}?request={cut['id']}", method="GET")
    assert b"\\xc3" not in page.body
    page = await site.send(f"{made['page_url']}?request={whole['id']}", method="GET")
    assert b"x\\xc3" in page.body


async def test_a_body_of_10_mb_is_answered_and_not_read_to_its_end(site: BinSite) -> None:
    made = await site.create_bin()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    path = made["url"].removeprefix(site.url).encode()
    writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 10485760\r\n\r\n" % path)
    writer.write(bytes(2 * 1024 * 1024))
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    [kept] = await site.requests(made)
    assert kept["body_size"] == 1024 * 1024


async def test_a_chunked_binary_body_is_kept_as_bytes(site: BinSite) -> None:
    made = await site.create_bin()
    path = made["url"].removeprefix(site.url)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked"
    answer = await site.send_raw(head.encode() + b"\r\n\r\n3\r\n\xff\x00\xfe\r\n0\r\n\r\n")
    assert answer.status == 200
    [kept] = await site.requests(made)
    assert kept["body_base64"] == "/wD+"
    assert kept["body"] is None


async def test_only_so_many_headers_are_kept(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], headers={f"x-{n}": "v" * 200 for n in range(150)})
    [kept] = await site.requests(made)
    assert 50 < len(kept["headers"]) <= 100
    assert sum(len(name) + len(value) for name, value in kept["headers"]) <= 16 * 1024


async def test_the_newest_200_requests_stay(site: BinSite) -> None:
    made = await site.create_bin()
    for number in range(203):
        site.clock.now = NOON + number * SECOND
        await site.send(made["url"], b"%d" % number)
    [found] = [await site.store.get_bin(made["id"].removeprefix("bin_"), site.clock())]
    page = await site.store.list_bin_requests(found.id, None, 500)
    assert [kept.body for kept in page.items] == [b"%d" % n for n in range(202, 2, -1)]


async def test_more_than_a_hundred_requests_a_second_are_turned_away(site: BinSite) -> None:
    made = await site.create_bin()
    statuses = [(await site.send(made["url"])).status for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    site.clock.now += SECOND
    assert (await site.send(made["url"])).status == 200


async def test_an_unknown_an_expired_and_a_guessed_bin_look_the_same(site: BinSite) -> None:
    made = await site.create_bin(ttl_seconds=60)
    site.clock.now += 61 * SECOND
    urls = [made["url"], f"{site.url}/bin/{'a' * 24}", f"{site.url}/bin/x", made["page_url"]]
    answers = [await site.send(url, b"x") for url in urls[:3]]
    answers.append(await site.send(urls[3], method="GET"))
    assert {(answer.status, answer.body) for answer in answers} == {(404, b"not found\n")}


async def test_a_bin_lives_seven_days_and_thirty_at_most(site: BinSite) -> None:
    made = await site.create_bin()
    found = await site.store.get_bin(made["id"].removeprefix("bin_"), NOON)
    assert found.expires_at == NOON + 7 * DAY
    with pytest.raises(ApiError):
        await site.create_bin(ttl_seconds=30 * 86_400 + 1)


async def test_a_key_makes_a_hundred_bins_and_more_when_they_expire(site: BinSite) -> None:
    for _ in range(100):
        await site.create_bin(ttl_seconds=60)
    with pytest.raises(ApiError) as refused:
        await site.create_bin()
    assert (refused.value.status, refused.value.code) == (409, "too_many_bins")
    neighbour = await site.client(KeyScope.PROJECT, project_id=1)
    assert (await neighbour.post("/v1/bins"))["id"]
    site.clock.now += 60 * SECOND
    assert (await site.create_bin())["id"]


async def test_a_bins_url_cannot_be_guessed(site: BinSite) -> None:
    tokens = {(await site.create_bin())["id"].removeprefix("bin_") for _ in range(3)}
    assert len(tokens) == 3
    assert {len(token) for token in tokens} == {24}  # 144 bits


async def test_requests_come_in_pages(site: BinSite) -> None:
    made = await site.create_bin()
    for number in range(5):
        await site.send(made["url"], b"%d" % number)
    path = f"/v1/bins/{made['id']}/requests?limit=3"
    first = await site.api.get(path)
    second = await site.api.get(f"{path}&cursor={first['next_cursor']}")
    assert [kept["body"] for kept in first["items"] + second["items"]] == list("43210")
    assert second["next_cursor"] is None


async def test_a_wrong_page_is_refused(site: BinSite) -> None:
    made = await site.create_bin()
    for query in ("limit=0", "limit=101", "limit=%D9%A1", "limit=1_0", "cursor=x"):
        with pytest.raises(ApiError) as refused:
            await site.api.get(f"/v1/bins/{made['id']}/requests?{query}")
        assert refused.value.status == 422


async def test_a_body_comes_raw_as_a_file_no_browser_runs(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"<script>\xff</script>")
    [kept] = await site.requests(made)
    answer = await site.send(f"{made['page_url']}/requests/{kept['id']}/raw", method="GET")
    assert answer.body == b"<script>\xff</script>"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_clearing_forgets_the_requests_and_keeps_the_bin(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    await site.api.delete(f"/v1/bins/{made['id']}/requests")
    assert await site.requests(made) == []
    assert (await site.send(made["url"])).status == 200


async def test_a_removed_bin_is_gone_with_what_it_was_sent(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"])
    await site.api.delete(f"/v1/bins/{made['id']}")
    assert (await site.send(made["url"])).status == 404
    with pytest.raises(ApiError):
        await site.api.get(f"/v1/bins/{made['id']}")


async def test_a_bin_belongs_to_the_scope_of_the_key_that_made_it(site: BinSite) -> None:
    owner = await site.client(KeyScope.ACCOUNT, project_id=1, account_id=11)
    project = await site.client(KeyScope.PROJECT, project_id=1)
    made = await owner.post("/v1/bins")
    for allowed in (owner, project, site.api):
        assert (await allowed.get(f"/v1/bins/{made['id']}"))["id"] == made["id"]
    neighbour = await site.client(KeyScope.ACCOUNT, project_id=1, account_id=12)
    stranger = await site.client(KeyScope.PROJECT, project_id=2)
    for other in (neighbour, stranger):
        for path in ("", "/requests", "/requests/req_0000000000000001"):
            with pytest.raises(ApiError) as refused:
                await other.get(f"/v1/bins/{made['id']}{path}")
            assert (refused.value.status, refused.value.code) == (404, "not_found")


async def test_a_key_is_asked_for(site: BinSite) -> None:
    assert (await site.send("/v1/bins", b"{}")).status == 401


async def test_a_signature_is_checked_with_the_endpoints_secret(site: BinSite) -> None:
    made = await site.create_bin()
    await site.send(made["url"], b"{}")
    [kept] = await site.requests(made)
    assert kept["signature"]["verdict"] == "unchecked"

    await site.create_endpoint(made["url"])
    await _send_signed(site, made["url"], b'{"n": 1}')
    [kept, _] = await site.requests(made)
    assert kept["signature"]["verdict"] == "valid"
    assert "x-acme-signature" in kept["signature"]["reason"]
    assert "webhook-signature" in kept["signature"]["reason"]


async def test_a_wrong_signature_is_shown_with_its_reason(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    await _send_signed(site, made["url"], b"{}", tamper=True)
    await site.send(made["url"], b"{}")
    [unsigned, tampered] = await site.requests(made)
    assert unsigned["signature"]["verdict"] == tampered["signature"]["verdict"] == "invalid"
    assert "there is no x-acme-signature header" in unsigned["signature"]["reason"]
    assert "matches no active secret" in tampered["signature"]["reason"]


async def test_a_timestamp_is_judged_as_of_when_the_request_came(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    await _send_signed(site, made["url"], b"{}")
    site.clock.now += HOUR
    [kept] = await site.requests(made)
    assert kept["signature"]["verdict"] == "valid"


async def test_what_was_valid_when_it_came_stays_so(site: BinSite) -> None:
    made = await site.create_bin()
    endpoint = await site.create_endpoint(made["url"])
    await _send_signed(site, made["url"], b"{}")
    new = new_secret(bytes(32))
    await site.store.rotate_secret(Scope(), endpoint.id, new, 0, site.clock())
    await _send_signed(site, made["url"], b"{}")
    await site.store.delete_endpoint(Scope(), endpoint.id, site.clock())
    await _send_signed(site, made["url"], b"{}")
    verdicts = [kept["signature"]["verdict"] for kept in await site.requests(made)]
    assert verdicts == ["unchecked", "invalid", "valid"]


async def test_a_body_is_checked_whole_where_only_its_beginning_is_kept(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    await _send_signed(site, made["url"], b'"' + b"x" * 70_000 + b'"')
    [kept] = await site.requests(made)
    assert kept["body_truncated"]
    assert kept["signature"]["verdict"] == "valid"


async def test_a_body_of_1_mb_is_checked(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    around = len(compile_dialect(PROJECT.dialect).body(event(b"")))
    await _send_signed(site, made["url"], b"1" * (1024 * 1024 - around))
    [kept] = await site.requests(made)
    assert kept["body_size"] == 1024 * 1024
    assert kept["signature"]["verdict"] == "valid"


async def test_a_body_beyond_1_mb_is_not_called_wrong(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    path = made["url"].removeprefix(site.url).encode()
    writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 1048577\r\n\r\n" % path)
    writer.write(bytes(1048577))
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    [kept] = await site.requests(made)
    assert kept["signature"]["verdict"] == "unchecked"
    assert "the whole body, which was too long" in kept["signature"]["reason"]


async def test_where_many_come_at_once_a_long_body_is_kept_and_not_checked(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    path = made["url"].removeprefix(site.url)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
    slow = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(64)]
    for reader, writer in slow:
        writer.write(head.encode())
        assert b"100 Continue" in await reader.readline()  # the body is being read now
    await _send_signed(site, made["url"], b'"' + b"x" * 70_000 + b'"')
    await _send_signed(site, made["url"], b"{}")
    for _, writer in slow:
        writer.close()
    short, long = await site.requests(made)
    assert short["signature"]["verdict"] == "valid"
    assert (long["body_size"] > 70_000, long["body_truncated"]) == (True, True)
    assert long["signature"]["verdict"] == "unchecked"


async def test_a_request_whose_check_fails_is_kept_all_the_same(site: BinSite) -> None:
    made = await site.create_bin()
    await site.create_endpoint(made["url"])
    wrong = Dialect(signature=Signature(header="x-acme-signature", content="signs no body"))
    project = Project(name=PROJECT.name, title="", dialect=wrong, event_types=PROJECT.event_types)
    await site.store.put_project(project, NOON)
    await _send_signed(site, made["url"], b'{"n":1}')
    [kept] = await site.requests(made)
    assert '"n":1' in kept["body"]
    assert kept["signature"]["verdict"] == "unchecked"
    assert "the check itself failed" in kept["signature"]["reason"]


async def _send_signed(site: BinSite, url: str, payload: bytes, *, tamper: bool = False) -> None:
    composer = compile_dialect(PROJECT.dialect)
    path = url.removeprefix(site.url).encode()
    prefix = b"POST %b HTTP/1.1\r\nhost: bins\r\nconnection: close\r\n" % path
    body = composer.body(event(payload))
    head = composer.compose(event(payload), prefix, (SECRET,), body, site.clock())
    answer = await site.send_raw(head + (body.replace(b"}", b" ", 1) if tamper else body))
    assert answer.status == 200


async def test_a_bins_requests_are_those_since_then_and_before_until(site: BinSite) -> None:
    made = await site.create_bin()
    for number in range(4):
        await site.send(made["url"], b"%d" % number)
        site.clock.now += SECOND
    path = f"/v1/bins/{made['id']}/requests"
    times = [each["received_at"] for each in await site.requests(made)]

    async def found(query: str) -> list[str]:
        page = await site.api.get(f"{path}?{query}")
        return [each["body"] for each in page["items"]]

    assert await found(f"since={times[2]}&until={times[0]}") == ["2", "1"]
    first = await site.api.get(f"{path}?since={times[2]}&limit=1")
    assert await found(f"since={times[2]}&cursor={first['next_cursor']}") == ["2", "1"]
