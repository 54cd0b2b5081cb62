"""Chat messages: services accept them whatever the payload, and show texts without markup."""

import json
from typing import Any

import chatkit
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import InvalidError
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.domain.messages.chat import MAX_BATCH, SERVICES, kind_of, shown_url
from hooktide.domain.messages.message import Wording, compose_message
from hooktide.domain.model import SECOND, EndpointKind, Event

SLACK, DISCORD, TEAMS = EndpointKind.SLACK, EndpointKind.DISCORD, EndpointKind.TEAMS
RULES = {SLACK: chatkit.slack, DISCORD: chatkit.discord, TEAMS: chatkit.teams}
NASTY = "<!channel> <@U1> <http://evil|ok> & [ok](http://evil) @everyone **b** _i_ `c` ||s|| \u202e"
OPEN = UrlPolicy(allow_http=True)


def event(payload: Any, type_: str = "invoice.paid", *, test: bool = False) -> Event:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Event(
        id=1, account_id=1, type=type_, payload=raw, occurred_at=1_767_268_800 * SECOND, test=test
    )


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=400),
    st.sampled_from(
        [NASTY, NASTY * 40, "😀" * 3000, "<&>" * 2000, "https://a.example/" + "b" * 900]
    ),
)
NAMES = st.one_of(TEXTS, st.sampled_from(["number", "url", "link", "total", "customer", "name"]))
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=12),
    max_leaves=20,
)
WORDINGS = st.sampled_from(
    [
        Wording(),
        Wording(
            text="Invoice {payload.number} of {payload.customer.name}: {event.type} {event.id}"
        ),
        Wording(text=NASTY.replace("{", ""), fields=("number", "customer", "a.b.c")),
        Wording(link="https://app.example.com/{payload.number}?a={payload.name}"),
    ]
)


@pytest.mark.parametrize("kind", RULES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(payloads=st.lists(PAYLOADS, min_size=1, max_size=MAX_BATCH), wording=WORDINGS)
def test_whatever_a_payload_holds_the_service_takes_the_message(
    kind: EndpointKind, payloads: list[Any], wording: Wording
) -> None:
    messages = [compose_message(event(payload), wording) for payload in payloads]
    assert RULES[kind](SERVICES[kind].compose(messages)) == ""
    assert RULES[kind](SERVICES[kind].plain(messages)) == ""


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("count", [1, MAX_BATCH])
@pytest.mark.parametrize("char", ["&", "<", "*", "😀", "\\", "\x00", "é"])
def test_the_longest_message_is_within_the_services_limits(
    kind: EndpointKind, count: int, char: str
) -> None:
    long = {f"name{index}": char * 119 for index in range(20)}
    long["url"] = "https://app.example.com/" + "&" * 970
    own = Wording(text="{payload.name1}" * 50, fields=tuple(f"name{index}" for index in range(10)))
    for wording in (Wording(), own):
        messages = [compose_message(event(long), wording)] * count
        assert RULES[kind](SERVICES[kind].compose(messages)) == ""
        assert RULES[kind](SERVICES[kind].plain(messages)) == ""


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_a_payload_mentions_nobody_and_adds_no_link_in_slack() -> None:
    message = compose_message(event({"name": NASTY}), Wording())
    texts = strings(msgspec.json.decode(SERVICES[SLACK].compose([message])))
    assert not any("<" in text for text in texts)
    assert any("&lt;!channel&gt;" in text and "&amp;" in text for text in texts)
    assert not any("\u202e" in text for text in texts)


def test_a_payload_mentions_nobody_and_formats_nothing_in_discord() -> None:
    wording = Wording(text="{payload.name}", fields=("name",))
    for messages in (
        [compose_message(event({"name": NASTY}), Wording())],
        [compose_message(event({"name": NASTY}), wording)],
        [compose_message(event({"name": NASTY, "url": "https://a.example/(b)"}), wording)] * 3,
    ):
        sent = msgspec.json.decode(SERVICES[DISCORD].compose(messages))
        assert sent["allowed_mentions"] == {"parse": []}
        [embed] = sent["embeds"]
        shown = [embed.get("title", ""), embed.get("description", "")]
        shown += [field["value"] for field in embed.get("fields", [])]
        assert [chatkit.unescaped(text) for text in shown] == [""] * len(shown)


def test_in_teams_text_is_where_no_markdown_is_read() -> None:
    message = compose_message(event({"name": NASTY, "url": "https://a.example/"}), Wording())
    [attachment] = msgspec.json.decode(SERVICES[TEAMS].compose([message]))["attachments"]
    kinds = {element["type"] for element in attachment["content"]["body"]}
    assert kinds == {"RichTextBlock", "ActionSet"}


def test_marks_at_a_words_edge_format_nothing_in_slack_and_within_a_word_stay() -> None:
    message = compose_message(event({"name": "*bold* snake_case"}), Wording())
    texts = strings(msgspec.json.decode(SERVICES[SLACK].compose([message])))
    [found] = [text for text in texts if "snake_case" in text and text.startswith("*Name*")]
    assert found == "*Name*\n\u2060*\u2060bold\u2060*\u2060 snake_case"


def test_a_slack_message_has_the_events_fields_and_a_link() -> None:
    payload = {"number": "2026-17", "total": 12.5, "url": "https://app.example.com/i/17?a=1&b=2"}
    message = compose_message(event(payload, test=True), Wording())
    assert msgspec.json.decode(SERVICES[SLACK].compose([message])) == {
        "text": "Test: Invoice paid · 2026-17 · 12.5",
        "blocks": [
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "*Test: Invoice paid*", "verbatim": True},
            },
            {
                "type": "section",
                "fields": [
                    {"type": "mrkdwn", "text": "*Number*\n2026-17", "verbatim": True},
                    {"type": "mrkdwn", "text": "*Total*\n12.5", "verbatim": True},
                ],
            },
            {
                "type": "context",
                "elements": [
                    {
                        "type": "mrkdwn",
                        "text": "invoice.paid · 2026-01-01 12:00 UTC · "
                        "<https://app.example.com/i/17?a=1&amp;b=2|Open>",
                        "verbatim": True,
                    }
                ],
            },
        ],
    }


@pytest.mark.parametrize("kind", RULES)
def test_many_events_are_a_line_each_under_how_many_they_are(kind: EndpointKind) -> None:
    messages = [compose_message(event({"number": f"n{number}n"}), Wording()) for number in range(3)]
    text = SERVICES[kind].compose(messages).decode()
    assert "3 events" in text
    assert [text.count(f"n{number}n") >= 1 for number in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        (
            "https://hooks.slack.com/services/T0/B0/xyz",
            SLACK,
            "https://hooks.slack.com/services/T0/B0/****",
        ),
        (
            "https://discord.com/api/webhooks/123/a-b_c",
            DISCORD,
            "https://discord.com/api/webhooks/123/****",
        ),
        (
            "https://discordapp.com/api/v10/webhooks/123/abc?thread_id=5",
            DISCORD,
            "https://discordapp.com/api/v10/webhooks/123/****",
        ),
        (
            "https://prod-12.westeurope.logic.azure.com/workflows/abc/triggers/manual/paths/invoke"
            "?api-version=2016-06-01&sig=xyz",
            TEAMS,
            "https://prod-12.westeurope.logic.azure.com/workflows/abc/****",
        ),
        (
            "https://default1.2.environment.api.powerplatform.com/powerautomate/automations/direct"
            "/workflows/abc/triggers/manual/paths/invoke?sig=xyz",
            TEAMS,
            "https://default1.2.environment.api.powerplatform.com/powerautomate/automations/****",
        ),
    ],
)
def test_a_chats_url_is_recognised_and_shown_without_its_secret(
    url: str, kind: EndpointKind, shown: str
) -> None:
    target = check_url(url, UrlPolicy())
    assert kind_of(target, None, UrlPolicy()) is kind
    assert kind_of(target, kind, UrlPolicy()) is kind
    assert shown_url(target.url, kind) == shown


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example.com/services/T0/B0/xyz",
        "https://hooks.slack.com.example.com/services/T0/B0/xyz",
        "https://hooks.slack.com/workflows/T0/A0/1/xyz",
        "https://hooks.slack.com/services/T0/B0/xyz/../..",
        "https://discord.com/api/webhooks/123/abc/slack",
        "https://evil-logic.azure.com.example.com/workflows/abc",
    ],
)
def test_what_is_no_chats_url_is_a_webhook_and_refused_as_a_chat(url: str) -> None:
    target = check_url(url, UrlPolicy())
    assert kind_of(target, None, UrlPolicy()) is EndpointKind.WEBHOOK
    for kind in RULES:
        with pytest.raises(InvalidError) as refused:
            kind_of(target, kind, UrlPolicy())
        assert refused.value.code == "invalid_kind"


def test_a_host_that_the_operator_names_is_a_chat_where_that_is_asked_for() -> None:
    policy = UrlPolicy(chat_hosts=("chat.example.com",))
    target = check_url("https://chat.example.com/hooks/xyz", policy)
    assert kind_of(target, None, policy) is EndpointKind.WEBHOOK
    assert kind_of(target, SLACK, policy) is SLACK
    assert shown_url(target.url, SLACK) == "https://chat.example.com/hooks/****"


@pytest.mark.parametrize(
    ("kind", "status", "body", "gone", "refused"),
    [
        (SLACK, 403, b"invalid_token", True, False),
        (SLACK, 403, b"action_prohibited", True, False),
        (SLACK, 403, b"<html>", False, False),
        (SLACK, 404, b"no_service", True, False),
        (SLACK, 404, b"", True, False),
        (SLACK, 410, b"channel_is_archived", True, False),
        (SLACK, 400, b"invalid_blocks", False, True),
        (SLACK, 429, b"rate_limited", False, False),
        (SLACK, 500, b"rollup_error", False, False),
        (DISCORD, 404, b'{"code": 10015}', True, False),
        (DISCORD, 401, b'{"code": 50027}', True, False),
        (DISCORD, 400, b'{"code": 50035}', False, True),
        (DISCORD, 403, b"", False, False),
        (TEAMS, 404, b"", True, False),
        (TEAMS, 401, b'{"error":{"code":"DirectApiAuthorizationRequired"}}', True, False),
        (TEAMS, 400, b'{"error":{"code":"TriggerInputSchemaMismatch"}}', False, True),
        (TEAMS, 400, b'{"error":{"code":"WorkflowTriggerIsNotEnabled"}}', False, False),
    ],
)
def test_what_a_service_answers_is_understood(
    kind: EndpointKind, status: int, body: bytes, gone: bool, refused: bool
) -> None:
    outcome = Outcome(status=status, body=body)
    assert bool(SERVICES[kind].gone(outcome)) is gone
    assert bool(SERVICES[kind].refused(outcome)) is refused


TEAMS_429 = (
    b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 "
    b"with ContextId tcid=0,server=DB3PEPF00000D0B,cv=abc.."
)


@pytest.mark.parametrize(
    ("kind", "status", "body", "means", "error"),
    [
        (EndpointKind.TEAMS, 200, b"1", 200, ""),
        (EndpointKind.TEAMS, 202, b"", 202, ""),
        (EndpointKind.TEAMS, 200, TEAMS_429, 429, ""),
        (EndpointKind.TEAMS, 200, TEAMS_429.replace(b"429", b"413"), 413, ""),
        (EndpointKind.TEAMS, 200, b"Webhook message delivery failed.", None, "invalid_response"),
        (EndpointKind.TEAMS, 500, TEAMS_429, 500, ""),
        (EndpointKind.SLACK, 200, b"ok", 200, ""),
        (EndpointKind.SLACK, 200, b'{"ok":true}', 200, ""),
        (EndpointKind.SLACK, 200, b'{"ok": false, "error": "no_text"}', None, "invalid_response"),
        (EndpointKind.SLACK, 404, b"no_service", 404, ""),
        (EndpointKind.DISCORD, 204, b"", 204, ""),
        (EndpointKind.DISCORD, 200, b'{"id": "1", "content": "HTTP error 429"}', 200, ""),
        (EndpointKind.DISCORD, 429, b'{"message": "rate limited"}', 429, ""),
    ],
)
def test_an_error_in_the_text_of_a_2xx_is_an_error(
    kind: EndpointKind, status: int, body: bytes, means: int | None, error: str
) -> None:
    judged = SERVICES[kind].judged(Outcome(status=status, body=body))
    assert (judged.status, judged.error) == (means, error)
    assert bool(judged.detail) is (means != status)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://hooks.slack.com/services/T0/B0/abc", ""),
        ("http://hooks.slack.com/services/T0/B0/abc", "invalid_url"),
        ("https://hooks.slack.com:8443/services/T0/B0/abc", "invalid_url"),
        ("http://discord.com/api/webhooks/1/abc", "invalid_url"),
        ("https://discord.com:8443/api/webhooks/1/abc", "invalid_url"),
        ("http://x.logic.azure.com/workflows/abc", "invalid_url"),
        ("https://x.logic.azure.com:8443/workflows/abc", "invalid_url"),
        ("https://x.logic.azure.com:443/workflows/abc", ""),
    ],
)
@pytest.mark.parametrize("said", [True, False])
def test_a_chats_secret_url_goes_over_https_on_its_own_port_only(
    url: str, code: str, said: bool
) -> None:
    policy = UrlPolicy(allow_http=True)
    target = check_url(url, policy)
    kind = next(each for each, service in SERVICES.items() if service.fits(target))
    wanted = kind if said else None
    if not code:
        assert kind_of(target, wanted, policy) is kind
        return
    with pytest.raises(InvalidError) as error:
        kind_of(target, wanted, policy)
    [fault] = error.value.faults
    assert (fault.code, fault.pointer) == (code, "/url")


def test_a_named_chat_host_may_be_plain_http() -> None:
    policy = UrlPolicy(allow_http=True, chat_hosts=("chat.example.com",))
    target = check_url("http://chat.example.com:8065/hooks/abc", policy)
    assert kind_of(target, EndpointKind.SLACK, policy) is EndpointKind.SLACK
