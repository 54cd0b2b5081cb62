"""``hooktide send``, ``events``, ``deliveries``: from the event catalogue to the responses."""

import json
import re
from pathlib import Path

import pytest
from commandkit import hooktide

from hooktide import Client
from hooktide.cli.commands.send import changed
from hooktide.domain.errors import ConfigError
from hooktide.wire.bins import Step


def payload_of(event: str) -> bytes:
    with Client() as client:
        return bytes(client.events.get(event).payload)


@pytest.mark.usefixtures("place")
def test_the_catalogues_example_is_sent_as_it_is_written() -> None:
    sent = hooktide("send", "invoice.paid", "--account", "acme", "--json").ok().one
    assert b'"total": "1210.00", "paid_on": "2026-04-12"' in payload_of(sent["id"])
    assert sent["deliveries"] == 0
    told = hooktide("send", "invoice.paid", "--account", "acme").ok().out
    assert re.fullmatch(r"evt_[0-9a-f]{16}  accepted, to no endpoint: .*\n", told)


@pytest.mark.usefixtures("place")
def test_what_is_set_is_changed_and_the_rest_stays() -> None:
    words = ["--set", "total=99.50", "--set", 'status={"name": "Ann"}', "--set", "currency=true"]
    sent = hooktide("send", "invoice.paid", "--account", "acme", "--json", *words).ok().one
    payload = payload_of(sent["id"])
    assert b'"total":99.50' in payload
    value = json.loads(payload)
    assert (value["status"], value["currency"]) == ({"name": "Ann"}, True)
    assert value["number"] == "INV-0042"


@pytest.mark.usefixtures("place")
def test_a_payload_comes_from_the_line_a_file_or_standard_input(tmp_path: Path) -> None:
    exact = '{"total": 1.10,  "e": 1E2}'
    (tmp_path / "p.json").write_text(exact)
    words = ("send", "invoice.paid", "--account", "acme", "--json", "--data")
    for data in (exact, f"@{tmp_path / 'p.json'}", "-"):
        sent = hooktide(*words, data, typed=exact).ok().one
        assert payload_of(sent["id"]) == exact.encode()
    again = [
        hooktide(*words, exact, "--idempotency-key", "k", "--occurred-at", "2026-01-01T00:00:00Z")
        for _ in range(2)
    ]
    assert again[0].ok().one == again[1].ok().one


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ("a=2", b'{"a":2,"b":[{"c":1.10}]}'),
        ("b.0.c=x y", b'{"a":1,"b":[{"c":"x y"}]}'),
        ("b=[1.50]", b'{"a":1,"b":[1.50]}'),
        ("b.0=null", b'{"a":1,"b":[null]}'),
    ],
)
def test_a_change_reaches_into_objects_and_lists(change: str, made: bytes) -> None:
    assert changed(b'{"a": 1, "b": [{"c": 1.10}]}', [change]) == made


def test_a_number_that_json_does_not_have_is_no_payload_and_as_a_change_it_is_text() -> None:
    with pytest.raises(ConfigError, match="NaN is not a JSON number"):
        changed(b'{"a": NaN}', [])
    assert changed(b'{"a": 1}', ["a=NaN"]) == b'{"a":"NaN"}'


@pytest.mark.parametrize("change", ["a", "=1", "b.7.c=1", "a.b=1", "n=1", "n.m=1", "b.0.d=1"])
def test_an_invalid_change_is_reported(change: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        changed(b'{"a": 1, "b": [{"c": 1.10}]}', [change])


def test_a_change_of_a_missing_member_names_it_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no member 'totl', .*; did you mean 'total'\?"):
        changed(b'{"total": 1}', ["totl=2"])


@pytest.mark.usefixtures("place")
def test_errors_are_reported_with_a_remedy() -> None:
    wrong = hooktide("send", "invoice.payed", "--account", "acme")
    assert wrong.code == 2
    assert "did you mean 'invoice.paid'?" in wrong.err
    nobody = hooktide("send", "invoice.paid", "--account", "nobody")
    assert nobody.code == 2
    assert nobody.err.startswith(
        "hooktide: there is no such account\nCheck the id, name or reference."
    )
    stranger = hooktide("events", "--key", "htk_unknown")
    assert "--key, HOOKTIDE_KEY" in stranger.err
    away = hooktide("events", "--server", "http://127.0.0.1:9")
    assert (away.code, away.out) == (2, "")
    assert "is the server running?" in away.err
    for words in (["--data", "{"], ["--data", "@/nowhere"], ["--occurred-at", "yesterday"]):
        assert hooktide("send", "invoice.paid", "--account", "acme", *words).code == 2


@pytest.mark.usefixtures("place")
def test_an_event_whose_payload_was_erased_says_so_instead_of_null() -> None:
    sent = hooktide("send", "invoice.paid", "--account", "acme", "--json").ok().one
    with Client() as client:
        client.events.erase_payload(sent["id"])
    shown = hooktide("events", sent["id"]).ok().out
    assert re.search(r"^payload  +erased \d{4}-", shown, re.MULTILINE)
    assert "null" not in shown


def test_without_a_key_it_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOKTIDE_KEY", raising=False)
    monkeypatch.delenv("HOOKTIDE_OPERATOR_KEY", raising=False)
    said = hooktide("events")
    assert said.code == 2
    assert "HOOKTIDE_KEY" in said.err


@pytest.mark.usefixtures("place")
def test_a_payload_that_breaks_its_schema_is_reported_by_path_only() -> None:
    with Client() as client:
        client.projects.apply(
            "strict",
            'name = "strict"\nschema_policy = "reject"\n[event_types."a.b"]\n'
            """schema = '{"type": "object", "properties": {"n": {"type": "integer"}}}'\n"""
            """example = '{"n": 1}'\n""",
        )
        client.accounts.create("strict", project="strict")
    said = hooktide("send", "a.b", "--account", "strict", "--set", "n=x")
    assert said.code == 2
    assert "/payload/n" in said.err
    assert "See errors" not in said.err
    assert "errors names" not in said.err


@pytest.mark.usefixtures("place")
def test_an_operators_commands_ask_the_same_server() -> None:
    assert "nothing to change" in hooktide("apply", "invoice-maker").ok().out
    assert "invoice-maker" in hooktide("storage-usage").ok().out


@pytest.mark.usefixtures("place")
def test_an_event_is_followed_to_what_came_back() -> None:
    with Client() as client:
        client_id = client.accounts.create("followed", project="invoice-maker", plan="pro").id
        kept = client.bins.create([Step(body="thanks \x1b[31m\n")])
        hook = client.endpoints.create(kept.url, ["*"], account="followed")
    sent = hooktide("send", "invoice.paid", "--account", "followed", "--wait").ok()
    event = sent.out.split()[0]
    [line] = sent.out.splitlines()[1:]
    assert [hook.id, "delivered", "1", kept.url] == line.split()[4:8]
    assert "followed" in hooktide("events", "--limit", "1").out
    assert f"followed ({client_id})" in hooktide("events", event).out
    assert kept.url in hooktide("deliveries", "--event", event).out
    assert kept.url in hooktide("tail", "--no-follow", "-n", "1").out
    delivery = line.split()[0]
    for words in (
        ["events", "--account", "followed"],
        ["events", "--type", "invoice.paid", "--limit", "1"],
        ["events", event],
        ["deliveries", "--event", event, "--state", "delivered"],
        ["deliveries", "--endpoint", hook.id],
    ):
        shown = hooktide(*words).ok()
        assert event in shown.out or delivery in shown.out
        assert hooktide(*words, "--json").ok().json[0]["id"] in {event, delivery}
    assert '"number": "INV-0042"' in hooktide("events", event).out
    shown = hooktide("deliveries", delivery).ok()
    assert "> webhook-id: " + event in shown.out
    assert "    thanks \\x1b[31m" in shown.out
    assert "\x1b" not in shown.out
    attempts = hooktide("deliveries", delivery, "--json").ok().one["attempts"]
    assert [attempt["status"] for attempt in attempts] == [200]


@pytest.mark.usefixtures("place")
def test_waiting_for_what_fails_exits_with_1() -> None:
    with Client() as client:
        client.projects.apply(
            "hasty",
            'name = "hasty"\n[plans.p]\nretries = 0\n[event_types."a.b"]\n',
        )
        client.accounts.create("hasty", project="hasty")
        kept = client.bins.create([Step(status=500)])
        client.endpoints.create(kept.url, ["*"], account="hasty")
    said = hooktide("send", "a.b", "--account", "hasty", "--wait")
    assert said.code == 1
    assert "failed" in said.out


@pytest.mark.usefixtures("place")
def test_an_event_is_sent_and_found_with_channels_and_tags() -> None:
    with Client() as client:
        client.accounts.create("labelled", project="invoice-maker", plan="pro")
        kept = client.bins.create()
        made = client.endpoints.create(kept.url, ["*"], account="labelled", channels=["north"])
        words = ("send", "invoice.paid", "--account", "labelled")
        labels = ("--channel", "north", "--channel", "west", "--tag", "order:7", "--tag", "vip")
        sent = hooktide(*words, *labels, "--json").ok().one
        assert sent["deliveries"] == 1
        apart = hooktide(*words, "--channel", "south").ok().out
        assert f"to no endpoint: of {made.id}, the channels share none with the event" in apart
        client.endpoints.update(made.id, channels=[], filter={"no": "such"})
        kept_away = hooktide(*words).ok().out
        assert f"to no endpoint: of {made.id}, the filter does not match" in kept_away
    for option in (("--tag", "order:7"), ("--channel", "west")):
        assert [each["id"] for each in hooktide("events", *option, "--json").ok().json] == [
            sent["id"]
        ]
    shown = hooktide("events", sent["id"]).ok().out
    assert re.search(r"channels +north, west\n", shown)
    assert re.search(r"tags +order:7, vip\n", shown)


@pytest.mark.usefixtures("place")
def test_an_event_that_no_endpoint_gets_says_why_and_waiting_exits_with_1() -> None:
    with Client() as client:
        client.accounts.create("unsent", project="invoice-maker", plan="pro")
        kept = client.bins.create()
        words = ("send", "invoice.paid", "--account", "unsent", "--wait")
        said = [hooktide(*words)]
        for types in (["quotation.*"], ["invoice.*"], ["*"]):
            made = client.endpoints.create(kept.url, types, account="unsent")
            client.endpoints.disable(made.id)
            said.append(hooktide(*words))
    assert {each.code for each in said} == {1}
    whys = (
        "none of the account's is subscribed to invoice.paid",
        "none of the account's is subscribed to invoice.paid",
        "the one that is subscribed to invoice.paid, ep_",
        "the 2 that are subscribed to invoice.paid are disabled",
    )
    for each, why in zip(said, whys, strict=True):
        assert f"accepted, to no endpoint: {why}" in each.out


@pytest.mark.usefixtures("place")
def test_lists_are_narrowed_by_how_long_ago_or_an_instant() -> None:
    with Client() as client:
        client.accounts.create("timed", project="invoice-maker")
        hook = client.endpoints.create(client.bins.create().url, ["*"], account="timed")
    event = hooktide("send", "invoice.paid", "--account", "timed", "--json").ok().one["id"]
    for words in (("events", "--account", "timed"), ("deliveries", "--endpoint", hook.id)):
        for times in (("--since", "1h"), ("--until", "2099-01-01T00:00:00Z")):
            assert event in hooktide(*words, *times, "--json").ok().out
        for times in (("--until", "1h"), ("--since", "2099-01-01T00:00:00Z")):
            assert event not in hooktide(*words, *times, "--json").ok().out
        refused = hooktide(*words, "--until", "yesterday")
        assert refused.code == 2
        assert "--until" in refused.err
        assert "24h or 7d" in refused.err
        before_all = hooktide(*words, "--since", "999999d")  # not a date that Python supports
        assert (before_all.code, before_all.err.strip()) == (
            2,
            "hooktide: --since: 999999d ago is before 1970",
        )
