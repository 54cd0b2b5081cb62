"""Requests that are invalid in many ways return a problem, and never a 500."""

import json
import re
from typing import Any

import pytest
from webkit import RECEIVER, Site

GOOD = {"account": "acme", "url": RECEIVER, "event_types": ["*"]}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"reference":"a"}}', "invalid_json"),
        (b'{"reference":"a"} x', "invalid_json"),
        (b"// {}\n{}", "invalid_json"),
        (b"NaN", "invalid_json"),
        (b'{"reference":Infinity}', "invalid_json"),
        (b'{"reference":"\xff"}', "invalid_json"),
        (b'{"reference":"\xed\xa0\x80"}', "invalid_json"),
        (b'{"reference":"\\ud800"}', "invalid_json"),
        ("{}".encode("utf-16"), "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"reference":"a","reference":"b"}', "duplicate_key"),
        (b"7", "invalid_body"),
        (b"[]", "invalid_body"),
        (b'"text"', "invalid_body"),
        (b"null", "invalid_body"),
        (b"{}", "invalid_body"),
        (b'{"reference":1e999}', "invalid_body"),
        (b"[" * 65_536, "invalid_body"),
        (b"[" * 65_537, "body_too_large"),
    ],
)
async def test_a_body_that_is_not_what_it_should_be_is_refused(
    shared: Site, body: bytes, code: str
) -> None:
    answer = await shared.operator.call(
        "POST", "/v1/accounts", body=body, headers={"content-type": "application/json"}
    )
    assert answer.code == code


async def test_a_member_that_is_there_twice_deep_inside_is_refused(shared: Site) -> None:
    body = json.dumps({**GOOD, "headers": {"A": "1"}}).replace('"A": "1"', '"A": "1", "A": "2"')
    answer = await shared.operator.call("POST", "/v1/endpoints", body=body.encode())
    assert answer.code == "duplicate_key"


@pytest.mark.parametrize("example", [b"[" * 5000 + b"]" * 5000, b"[" * 100_000])
async def test_json_nested_too_deeply_is_refused(shared: Site, example: bytes) -> None:
    answer = await shared.operator.call(
        "PUT",
        "/v1/event-types/a.b?project=invoice-maker",
        body=b'{"example":' + example + b"}",
    )
    assert answer.status in {400, 422}
    assert answer.code in {"too_deep", "invalid_event_type", "invalid_json"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": 1}, "/url"),
        ({"url": None}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "https://x.example/" + "a" * 3000}, "/url"),
        ({"event_types": "*"}, "/event_types"),
        ({"event_types": []}, "/event_types"),
        ({"event_types": [1]}, "/event_types/0"),
        ({"event_types": ["*", "nothing.*"]}, "/event_types/1"),
        ({"event_types": ["%"]}, "/event_types/0"),
        ({"event_types": ["'; --"]}, "/event_types/0"),
        ({"event_types": ["*"] * 101}, "/event_types"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"name": " a"}, "/name"),
        ({"name": "a\x00"}, "/name"),
        ({"description": "a\x1b[0m"}, "/description"),
        ({"headers": []}, "/headers"),
        ({"headers": {"X": 1}}, "/headers"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"headers": {"X-A": "a\r\nB: c"}}, "/headers/X-A"),
        ({"headers": {"X A": "a"}}, "/headers/X A"),
        ({"headers": {"": "a"}}, "/headers/"),
        ({"headers": {"webhook-id": "a"}}, "/headers/webhook-id"),
        ({"headers": {"X-Invoice-Maker-Signature": "a"}}, "/headers/X-Invoice-Maker-Signature"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "/headers/x-a"),
        ({"headers": {"X-A": "x" * 60_000}}, "/headers"),
        ({"enabled": "yes"}, "/enabled"),
        ({"a~b/c": 1}, "/a~0b~1c"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_pointed_at(
    shared: Site, change: dict[str, Any], pointer: str
) -> None:
    answer = await shared.operator.post("/v1/endpoints", {**GOOD, **change})
    assert answer.status == 422
    assert answer.code
    assert answer.pointers == [pointer]


async def test_a_member_that_is_missing_is_pointed_at(shared: Site) -> None:
    answer = await shared.operator.post("/v1/endpoints", {"account": "acme", "url": RECEIVER})
    assert answer.pointers == ["/event_types"]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://127.0.0.1:22/", "port_policy"),
        ("https://10.0.0.1/", "ip_v4_special"),
        ("https://169.254.169.254/latest", "ip_v4_special"),
        ("https://[::1]/", "ip_v6_not_global_unicast"),
        ("https://localhost/", "single_label"),
        ("javascript:alert(1)", "syntax"),
        ("https://user:pass@x.example/", "userinfo"),
        ("ftp://x.example/", "scheme"),
        ("https://0x7f000001/", "noncanonical_ipv4"),
    ],
)
async def test_a_forbidden_url_is_refused_with_the_rule_it_breaks(
    shared: Site, url: str, rule: str
) -> None:
    answer = await shared.operator.post("/v1/endpoints", {**GOOD, "url": url})
    assert answer.code == "invalid_url"
    assert [fault["code"] for fault in answer.json["errors"]] == [rule]
    assert answer.pointers == ["/url"]


@pytest.mark.parametrize(
    "limit",
    ["-1", "0", "101", "1e9", "1_0", "0x10", "", " 5", "+5", "05", "9" * 20, "%D9%A1%D9%A2", "5.0"],
)
async def test_a_limit_is_a_number_from_1_to_100_in_plain_digits(shared: Site, limit: str) -> None:
    answer = await shared.operator.get(f"/v1/endpoints?limit={limit}")
    assert answer.code == "invalid_query"
    assert answer.pointers == ["/limit"]


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "limit=1&limit=2",
        "state=gone",
        "state=",
        "account=%00",
        "account=%ff",
        "&" * 99,
    ],
)
async def test_a_query_that_is_wrong_is_refused(shared: Site, query: str) -> None:
    answer = await shared.operator.get(f"/v1/deliveries?{query}")
    assert answer.code == "invalid_query"


async def test_an_operation_without_parameters_takes_none(shared: Site) -> None:
    assert (await shared.operator.get("/v1/accounts/acme?verbose=1")).code == "invalid_query"


@pytest.mark.parametrize("wanted", ["%25", "_", "invoice%25", "*", "..%2F", "%5C", "%27%3B--"])
async def test_a_filter_is_meant_literally(shared: Site, wanted: str) -> None:
    assert (await shared.operator.get(f"/v1/events?type={wanted}")).ok()["items"] == []


ODD_IDS = [
    "EP_0000000000000001",
    "ep_000000000000000A",
    "ep_0000000000000001 ",
    "ep_ffffffffffffffff",
    "ep_1",
    "ep_",
    "acc_0000000000000001",
    "1",
    "'; DROP TABLE endpoints; --",
    "..",
    "\x00",
    "x" * 10_000,
]


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_an_invalid_id_is_like_a_missing_one(shared: Site, odd: str) -> None:
    nobodys = await shared.operator.get("/v1/endpoints/ep_0000000000000001")
    answer = await shared.operator.get(f"/v1/endpoints/{odd}")
    assert answer.code == "not_found"
    assert _without_instance(answer.body) == _without_instance(nobodys.body)


def _without_instance(body: bytes) -> bytes:
    return re.sub(rb'"instance":"[^"]*"', b"", body)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-7"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
        {"content-encoding": "br, identity"},
    ],
)
async def test_a_body_of_another_kind_is_refused(shared: Site, headers: dict[str, str]) -> None:
    answer = await shared.operator.call("POST", "/v1/accounts", {"reference": "x"}, headers=headers)
    assert answer.status == 415
    assert answer.code in {"unsupported_media_type", "unsupported_encoding"}


async def test_a_charset_of_utf_8_may_be_said(shared: Site) -> None:
    kind = {"content-type": 'Application/JSON; charset="UTF-8"'}
    answer = await shared.operator.call("POST", "/v1/accounts", {}, headers=kind)
    assert answer.code == "invalid_body"


async def test_a_body_that_says_it_is_too_large_is_refused_unread(shared: Site) -> None:
    answer = await shared.operator.call(
        "POST", "/v1/accounts", {}, headers={"content-length": str(1024 * 1024 + 1)}
    )
    assert answer.code == "body_too_large"


async def test_a_body_that_grows_too_large_is_refused_on_the_way(shared: Site) -> None:
    answer = await shared.operator.call(
        "POST",
        "/v1/accounts",
        chunks=[b" " * 2**19] * 3,
        headers={"content-type": "application/json", "transfer-encoding": "chunked"},
    )
    assert answer.code == "body_too_large"


async def test_a_client_that_disconnects_halfway_affects_no_other(shared: Site) -> None:
    with pytest.raises(ValueError, match="not enough values"):
        await shared.operator.call(
            "POST", "/v1/accounts", chunks=[], headers={"content-type": "application/json"}
        )


@pytest.mark.parametrize(
    ("member", "code"),
    [("transition", "invalid_text"), ("idempotency_key", "invalid_idempotency_key")],
)
async def test_a_text_of_an_event_holds_no_zero(shared: Site, member: str, code: str) -> None:
    event = {"account": "acme", "type": "invoice.paid", "payload": {"text": "\0"}, member: "a\0b"}
    answer = await shared.operator.post("/v1/events", event)
    assert (answer.status, answer.code) == (422, code)
    assert answer.json["errors"][0]["pointer"] == f"/{member}"
