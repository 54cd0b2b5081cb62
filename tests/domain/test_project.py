"""Project files: parsing, errors, differences, and the rules for event types."""

import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.dialects import load, read_shipped, shipped
from hooktide.domain.errors import ConfigError, InvalidError, RefusedError
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND
from hooktide.domain.project.project import (
    EventType,
    Plan,
    Project,
    changes,
    check_patterns,
    offered,
    plan_of,
    type_of,
    types_by_name,
    wants,
)
from hooktide.domain.project.reading import parse_project

FULL = """
name = "acme"
title = "Acme"
mode = "test"
default_plan = "small"
schema_policy = "reject"
disable_after = 7
rotation_overlap = "1d"
retention = "90d"
accounts = ["a", "b"]

[retry]
delays = ["5s", "5m", "2h"]

[fields]
url = "to_url"

[portal]
name = "Acme hooks"
logo = "https://acme.example.com/a/logo.svg?v=1"
colour = "#0F766E"
origins = ["https://app.acme.example.com", "http://localhost:*", "http://127.0.0.1"]

[plans.large]

[plans.small]
endpoints = 2
deliveries_per_hour = 100
retries = 3
timeout = "15s"

[dialect]
standard_headers = false
envelope = "payload"

[dialect.headers]
X-Version = "1"

[dialect.signature]
header = "acme-sig"
algorithm = "hmac-sha1"
encoding = "base64"
content = "{timestamp}.{body}"
value = "s={signature}"
timestamp_header = "acme-time"

[event_types."invoice.paid"]
description = "Paid."
accounts = ["a"]
transition = "PAY"
example = '''
{
  "id": 1.10
}
'''
schema = '''
{"required": ["id"]}
'''
"""


def test_a_file_says_everything_about_a_project() -> None:
    project = parse_project(FULL)
    assert (project.name, project.title, project.mode) == ("acme", "Acme", "test")
    assert (project.schema_policy, project.disable_after) == ("reject", 7)
    assert (project.rotation_overlap, project.retention) == (DAY, 90 * DAY)
    assert project.retry.delays == (5 * SECOND, 5 * MINUTE, 2 * HOUR)
    assert project.fields.url == "to_url"
    assert project.accounts == ("a", "b")
    assert (project.portal.name, project.portal.colour) == ("Acme hooks", "#0f766e")
    assert project.portal.logo_origin == "https://acme.example.com"
    assert project.portal.origins == (
        "https://app.acme.example.com",
        "http://localhost:*",
        "http://127.0.0.1",
    )
    small = plan_of(project, "small")
    assert (small.endpoints, small.deliveries_per_hour, small.retries) == (2, 100, 3)
    assert small.timeout == 15 * SECOND
    assert plan_of(project, "large").endpoints is None
    assert project.dialect.header_names == {"acme-sig", "acme-time", "x-version"}
    [kind] = project.event_types
    assert (kind.name, kind.description, kind.transition) == ("invoice.paid", "Paid.", "PAY")
    assert kind.example == '{\n  "id": 1.10\n}'
    assert kind.schema == '{"required": ["id"]}'


def test_a_name_is_enough() -> None:
    project = parse_project('name = "acme"')
    assert (project.title, project.mode, project.disable_after) == ("acme", "live", 100)
    assert plan_of(project, "any").retries == 5
    assert project.dialect.standard_headers


@pytest.mark.parametrize("name", shipped())
def test_a_project_survives_being_stored_as_json(name: str) -> None:
    for project in (load(name), parse_project(FULL)):
        stored = msgspec.json.encode(project)
        assert msgspec.json.decode(stored, type=Project) == project


WRONG = [
    ("[dialct]", "dialct", "no such key; did you mean 'dialect'?"),
    ("retention = 30", "retention", "expected a string, found 30"),
    ('retention = "30"', "retention", "write it like 10s, 5m, 2h or 30d"),
    ('retention = "1h"', "retention", "not between 1d and 3650d"),
    ("disable_after = true", "disable_after", "expected a whole number"),
    ('index = "invoice.number"', "index", "expected a list"),
    ("index = [1]", "index", "a list of strings"),
    ('index = ["a", "b", "c", "d"]', "index", "4 paths; 3 at most"),
    ('index = ["$.a"]', "index", "leave out the '$.'"),
    ("disable_after = -1", "disable_after", "not between 0 and"),
    ('mode = "life"', "mode", "not one of live, test"),
    ('default_plan = "gold"', "default_plan", "use default"),
    ("accounts = [1]", "accounts", "a list of strings"),
    ('accounts = "a"', "accounts", "expected a list"),
    ("event_types = 5", "event_types", "expected a table"),
    ('event_types."a b" = {}', 'event_types."a b"', "name an event type like"),
    ('event_types."a.b" = 5', 'event_types."a.b"', "expected a table"),
    ('[event_types."a.b"]\ndescribtion = ""', 'event_types."a.b".describtion', "'description'"),
    (
        "[event_types.a]\nretention_days = 4",
        "event_types.a.retention_days",
        "4 is not between 5 and 90",
    ),
    (
        'retention = "7d"\n[event_types.a]\nretention_days = 8',
        "event_types.a.retention_days",
        "8 days are longer than the project's retention, 7d",
    ),
    ("retention_days = 8", "retention_days", '[event_types."NAME"]'),
    ("[event_types.a]\nexample = '{'", "event_types.a.example", "as JSON text"),
    ("[event_types.a]\nexample = {}", "event_types.a.example", "expected a string"),
    ("[event_types.a]\nschema = '{\"type\": 1}'", "event_types.a.schema", "not a JSON Schema"),
    ("plans.Gold = {}", "plans.Gold", "lower case"),
    ("[plans.gold]\nendpoints = 0", "plans.gold.endpoints", "0 is not between 1"),
    ('[plans.gold]\ntimeout = "61s"', "plans.gold.timeout", "not between 1s and 30s"),
    ("[plans.gold]\nretries = 1.5", "plans.gold.retries", "a whole number"),
    ("[retry]\nfactor = nan", "retry.factor", "not between"),
    ("[retry]\nfactor = 0.9", "retry.factor", "not between 1 and 100"),
    ("[retry]\nfactor = 100.5", "retry.factor", "not between 1 and 100"),
    ('[retry]\nmax = "169h"', "retry.max", "not between 1s and 7d"),
    ('[retry]\ndelays = ["169h"]', "retry.delays", "not between 1s and 7d"),
    ('[retry]\nfactor = 2\ndelays = ["1s"]', "retry.delays", "give either"),
    ('[retry]\nmax = "1h"\ndelays = ["1s"]', "retry.delays", "give either"),
    ('[retry]\ndelays = ["1s", "2"]', "retry.delays", "not a duration"),
    ('[retry]\nfirst = "1s"\ndelays = ["1s"]', "retry.delays", "give either"),
    ('[fields]\nurl = "name"', "fields.url", "apart"),
    ('[fields]\nurl = "a-b"', "fields.url", "letters, digits and underscores"),
    ('[portal]\ncolor = "#fff"', "portal.color", "did you mean 'colour'?"),
    ('[portal]\ncolour = "#fff"', "portal.colour", "like #0b5cba"),
    ('[portal]\ncolour = "red; }"', "portal.colour", "like #0b5cba"),
    ('[portal]\nlogo = "http://a.example/x.png"', "portal.logo", "https://"),
    ("[portal]\nlogo = \"https://a.example/x.png; 'unsafe-inline'\"", "portal.logo", "https://"),
    ('[portal]\nlogo = "data:image/png;base64,PHN2Zz4="', "portal.logo", "data:image/png;base64,"),
    ('[portal]\nlogo = "data:text/html;base64,PHN2Zz4="', "portal.logo", "or a PNG or an SVG"),
    ('[portal]\nlogo = "data:image/svg+xml;base64,PHN2Z"', "portal.logo", "or a PNG or an SVG"),
    (
        f'[portal]\nlogo = "data:image/svg+xml;base64,PHN2Zz4{"g" * 16_000}="',
        "portal.logo",
        "16,000 characters at most",
    ),
    ('[portal]\nsupport = "javascript:alert(1)"', "portal.support", "an e-mail address"),
    ('[portal]\nsupport = "http://a.example/"', "portal.support", "an e-mail address"),
    ('[portal]\nsupport = "a@b.example?cc=c@d.example"', "portal.support", "an e-mail address"),
    ('[portal.en]\nwelcome = "<b>Hello</b>"', "portal.en.welcome", "without markup"),
    ('[portal.en]\nwelcome = "a\\u202eb"', "portal.en.welcome", "plain text"),
    (f'[portal.de]\nwelcome = "{"x" * 301}"', "portal.de.welcome", "300 characters at most"),
    ('[portal.en]\nendpoint = "link"', "portal.en.endpoint", "give endpoint and endpoints"),
    ('[portal.en]\nevent = "<b>"\nevents = "b"', "portal.en.event", "letters, digits"),
    ('[portal.en]\nevent = "{x}"\nevents = "b"', "portal.en.event", "letters, digits"),
    ('[portal.en]\nevent = "%(x)s"\nevents = "b"', "portal.en.event", "letters, digits"),
    (f'[portal.en]\nevent = "b"\nevents = "{"b" * 31}"', "portal.en.events", "1 to 30"),
    ('[portal.en]\ngreeting = "x"', "portal.en.greeting", ""),
    ('[portal]\norigins = ["https://a.example/app"]', "portal.origins", "no path"),
    ('[portal]\norigins = ["*"]', "portal.origins", "no path"),
    ('[portal]\norigins = ["http://localhost:*"]', "portal.origins", "in test mode"),
    ('[portal]\norigins = ["https://a.example:*"]', "portal.origins", "no path"),
    ('[portal]\norigins = ["http://app.example.com"]', "portal.origins", "localhost"),
    ('[portal]\norigins = ["http://localhost.example.com"]', "portal.origins", "localhost"),
    ('[portal]\norigins = ["https://a.example; script-src *"]', "portal.origins", "no path"),
    ("[dialect]\nsignature = {}", "dialect.signature.header", "missing; give a string"),
    (
        "[dialect.signature]\nheder = 'x'",
        "dialect.signature.header",
        "missing; give a string; is 'heder' meant for it?",
    ),
    (
        "[event_types.invoice.paid]\ndescription = 'x'",
        "event_types.invoice.paid",
        'put the whole name in quotes: [event_types."invoice.paid"]',
    ),
    ('[dialect.signature]\nheader = "Host"', "dialect.signature.header", "set by the sender"),
    ('[dialect.signature]\nheader = "a b"', "dialect.signature.header", "letters, digits"),
    (
        '[dialect.signature]\nheader = "a"\ntimestamp_header = "A"',
        "dialect.signature.timestamp_header",
        "choose another",
    ),
    (
        '[dialect.signature]\nheader = "webhook-signature"',
        "dialect.signature.header",
        "set by the sender",
    ),
    (
        '[dialect.signature]\nheader = "a"\nalgorithm = "md5"',
        "dialect.signature.algorithm",
        "not one of hmac-sha256, hmac-sha1, hmac-sha512",
    ),
    (
        '[dialect.signature]\nheader = "a"\nvalue = "x"',
        "dialect.signature.value",
        "use {signature}",
    ),
    (
        '[dialect]\nsignature.header = "a"\nheaders.A = "0"',
        "dialect.headers.A",
        "there already",
    ),
    ('[dialect.headers]\nX = "a\\nb"', "dialect.headers.X", "printable ASCII"),
    ('[dialect.headers]\nX = "1"\nx = "2"', "dialect.headers.x", "there already"),
    ("[dialect.headers]\nX = 1", "dialect.headers.X", "expected a string"),
    ('[dialect]\nenvelope = "bare"', "dialect.envelope", "give a table"),
    ('[dialect.envelope]\na = "{b}"', "dialect.envelope.a", "unknown slot {b}"),
    ("[dialect.envelope]\na = 2026-01-01", "dialect.envelope", "put it into quotes"),
    (f"[dialect.envelope]\na = {'[' * 16 + ']' * 16}", "dialect.envelope", "deeper than 16"),
    ("[dialect.envelope]\na = nan", "dialect.envelope", "what JSON has"),
    (
        '[event_types.a]\n[dialect.envelope]\na = "{payload.id}"',
        "event_types.a.example",
        "takes 'id' from the payload",
    ),
    (
        '[event_types.a]\n[dialect.envelope]\na = "{event.transition}"',
        "event_types.a.transition",
        "require a transition",
    ),
    (
        'schema_policy = "warn"\n[event_types.a]\nschema = \'{"required": ["id"]}\'',
        "event_types.a.example",
        "breaks the schema",
    ),
]


@pytest.mark.parametrize(("text", "key", "reason"), WRONG)
def test_a_wrong_file_is_refused_with_its_line_key_and_reason(
    text: str, key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(f'name = "acme"\n# a comment\n{text}\n', "acme.toml")
    assert refused.value.key == key
    assert reason in refused.value.reason
    assert refused.value.line is not None
    assert refused.value.line >= 3
    assert str(refused.value).startswith(f"acme.toml:{refused.value.line}: {key}: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "a"\n\n[plans.x]\n# no\nretries = "many"\n', 5),
        ('name = "a"\n[plans]\nx = { retries = "many" }\n', 3),
        ('name = "a"\nplans.x.retries = "many"\n', 2),
        ("name = 'a'\n[event_types.'a.b']\nexample = '''\n[\n'''\nfoo = 1\n", 3),
        ("name = 'a'\n[event_types.'a.b']\nexample = '''\n[1]\n'''\nfoo = 1\n", 6),
        ('name = "a"\n[event_types."a.b"] # yes\naccounts = [\n  "x",\n  1,\n]\n', 3),
        ('name = "a"\n[dialect.envelope]\na = [\n  ["b"],\n]\nc = "{d}"\n', 6),
        ('name = "a"\ntitle = "x\n', 2),
        ('name = "a"\n\nindex = [\n  "a",\n  "a.*",\n]\n', 3),
        ('name = "a"\nindex = ["a"]\n[event_types.x]\nexample = \'{"a": []}\'\n', 2),
        ('title = "nameless"\n', 1),
        ('name = "a"\n\n[plan.starter]\n', 3),
        ('name = "a"\n\nplan.starter.retries = 1\n', 3),
        ('name = "a"\n\nmode = "live"\nmode = "test"\n', 4),
    ],
)
def test_the_line_is_where_the_key_stands(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(text)
    assert refused.value.line == line


def test_all_errors_are_reported_together_by_line() -> None:
    text = (
        'name = "A B"\nretention = 5\n[retry]\nretries = 3\nfirst = "1y"\n[plans.x]\nretries = 99\n'
        'endpoint = 3\n[plan.starter]\n[event_types.a]\nschema = \'{"type": "strng"}\'\n'
        '[event_types.b]\nexample = "["\n[dialect.signature]\nheader = "x-a"\n'
        'content = "{timestamp}.{payload}"\n'
    )
    with pytest.raises(ConfigError) as refused:
        parse_project(text, "a.toml")
    error = refused.value
    found = [(each.line, each.key) for each in (error, *error.others)]
    assert found == [
        (1, "name"),
        (2, "retention"),
        (4, "retry.retries"),
        (5, "retry.first"),
        (7, "plans.x.retries"),
        (8, "plans.x.endpoint"),
        (9, "plan"),
        (11, "event_types.a.schema"),
        (13, "event_types.b.example"),
        (16, "dialect.signature.content"),
    ]
    lines = str(error).split("\n")
    assert len(lines) == len(found)
    assert lines[2] == ("a.toml:4: retry.retries: there is no such key; it belongs in [plans.NAME]")
    assert lines[5].endswith("there is no such key; did you mean 'endpoints'?")
    assert lines[6].endswith("plan: there is no such key; did you mean 'plans'?")
    assert "{payload} is not known here; use of {body}" in lines[9]


def test_at_most_fifty_problems_are_reported() -> None:
    text = 'name = "a"\n' + "".join(f"k{each} = 1\n" for each in range(60))
    with pytest.raises(ConfigError) as refused:
        parse_project(text)
    assert 1 + len(refused.value.others) == 50


@pytest.mark.parametrize(
    ("count", "what"), [(1000, "[event_types.a{}]"), (100, "[plans.a{}]")], ids=["types", "plans"]
)
def test_a_project_has_so_many_types_and_plans_at_most(count: int, what: str) -> None:
    whole = 'name = "a"\n' + "\n".join(what.format(each) for each in range(count))
    parse_project(whole)
    with pytest.raises(ConfigError, match=f"{count:,} at most"):
        parse_project(f"{whole}\n{what.format('x')}\n")


SOURCES = [*(read_shipped(name) for name in shipped()), FULL]
PIECES = ["", '"', "'", "'''", "[", "]", "{", "}", "=", ".", "\n", "5", "true", "{event.id}", "\0"]


@given(source=st.sampled_from(SOURCES), data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    source: str, data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(source)))
        end = data.draw(st.integers(start, min(start + 12, len(source))))
        source = (
            source[:start] + data.draw(st.sampled_from(PIECES) | st.text(max_size=5)) + source[end:]
        )
    refused: ConfigError | None = None
    try:
        parse_project(source, "damaged.toml")
    except ConfigError as error:
        refused = error
    assert refused is None or (refused.reason and refused.line is not None)


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 100_000,
        "a=" + "1" * 10_000,
        "a=" + "{a=" * 50_000,
        'name="a"\n[dialect.envelope]\n' + "[" * 300,
        'name="a"\n[dialect]\nenvelope=' + "{a=" * 300 + "1" + "}" * 300,
        "\ufeff",
        'name="a"\ntitle="\ud800"',
    ],
)
def test_a_hostile_file_is_refused_like_any_other(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_project(text)


@pytest.mark.parametrize("text", ["a." * 50_000 + "a=1", "a={" + '"a" . ' * 50_000 + "a=1}"])
def test_a_key_that_would_take_minutes_is_not_even_read(text: str) -> None:
    with pytest.raises(ConfigError, match="this key is too deep"):
        parse_project(text)


def test_nothing_new_is_no_lines() -> None:
    assert changes(parse_project(FULL), parse_project(FULL)) == []


def test_a_first_apply_names_what_there_is() -> None:
    assert changes(None, load("invoice-maker")) == [
        "project added",
        "plan basic added",
        "plan pro added",
        "event type invoice.created added",
        "event type invoice.paid added",
        "event type quotation.accepted added",
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "line"),
    [
        ('title = "Acme"', 'title = "Acme 2"', "title: 'Acme' -> 'Acme 2'"),
        ('"acme-sig"', '"b"', "dialect.signature.header: 'acme-sig' -> 'b'"),
        ("standard_headers = false", "", "dialect.standard_headers: false -> true"),
        ('"15s"', '"20s"', "plan small: timeout: 15s -> 20s"),
        ("endpoints = 2", "", "plan small: endpoints: 2 -> none"),
        ('"5s", ', "", "retry.delays: [5s, 5m, 2h] -> [5m, 2h]"),
        ('["a", "b"]', "[]", 'accounts.only: ["a","b"] -> []'),
        ("[plans.large]", "", "plan large removed"),
        ('"Paid."', '"It is."', "event type invoice.paid: description: 'Paid.' -> 'It is.'"),
        ('"invoice.paid"', '"invoice.sent"', "event type invoice.sent added"),
        ('X-Version = "1"', 'X-Version = "2"', '[["X-Version","1"]] -> [["X-Version","2"]]'),
    ],
)
def test_what_changed_is_a_line(was: str, becomes: str, line: str) -> None:
    old, new = parse_project(FULL), parse_project(FULL.replace(was, becomes))
    assert any(line in each for each in changes(old, new))


def test_spans_are_shown_as_the_file_has_them() -> None:
    text = 'name = "a"\n[plans.a]\nmax_timeout = "20s"\n[event_types."a.b"]\n'
    old = parse_project(text)
    new = parse_project(text.replace("20s", "25s") + 'retry_delays = ["2s", "5m"]\n')
    assert changes(old, new) == [
        "plan a: max_timeout: 20s -> 25s",
        "event type a.b: retry_delays: none -> [2s, 5m]",
    ]


def test_an_event_types_delays_are_together_at_most_as_long_as_each_plans() -> None:
    text = (
        'name = "a"\n[retry]\ndelays = ["10s"]\n[plans.a]\nretries = 3\n[plans.b]\nretries = 1\n'
        '[event_types.a]\nretry_delays = ["10s", "20s"]\n'
    )
    assert parse_project(text.replace("retries = 1", "retries = 0")).plans[1].retries == 0
    assert parse_project(text).event_types[0].retry_delays == (10 * SECOND, 20 * SECOND)
    with pytest.raises(ConfigError) as refused:
        parse_project(text.replace('"20s"', '"21s"'))
    assert (refused.value.key, refused.value.line) == ("event_types.a.retry_delays", 9)
    assert "on the plan a the delays are together 31s; at most 30s" in refused.value.reason
    with pytest.raises(ConfigError, match="on the plan b the delays are together 11s; at most 10s"):
        parse_project(text.replace('["10s", "20s"]', '["11s"]'))


def test_a_removed_signature_is_reported() -> None:
    old = load("invoice-ahoy")
    new = replace(old, dialect=replace(old.dialect, signature=None))
    assert "dialect.signature.header: 'x-ia-signature' -> none" in changes(old, new)


def test_another_order_is_a_change_too() -> None:
    old = load("invoice-ahoy")
    new = replace(old, event_types=old.event_types[::-1])
    assert changes(old, new) == ["event types: another order"]


PROJECT = Project(
    name="acme",
    title="Acme",
    event_types=(
        EventType(name="invoice.paid"),
        EventType(name="invoice.item.added"),
        EventType(name="lead.sold", accounts=("chosen",)),
    ),
)


@pytest.mark.parametrize(
    ("pattern", "event_type", "wanted"),
    [
        ("invoice.paid", "invoice.paid", True),
        ("invoice.paid", "invoice.paid.late", False),
        ("invoice.*", "invoice.paid", True),
        ("invoice.*", "invoice.item.added", True),
        ("invoice.*", "invoices.paid", False),
        ("invoice.*", "invoice", False),
        ("*", "anything.at.all", True),
        ("Invoice.*", "invoice.paid", False),
    ],
)
def test_a_pattern_means_a_type_exactly_by_prefix_or_all(
    pattern: str, event_type: str, wanted: bool
) -> None:
    assert wants((pattern,), event_type) is wanted
    assert wants(("other", pattern), event_type) is wanted
    assert not wants((), event_type)


def test_patterns_that_mean_a_known_type_are_taken() -> None:
    check_patterns(PROJECT, ("invoice.*", "invoice.paid", "invoice.item.*", "*"), "any")
    check_patterns(PROJECT, ("lead.*",), "chosen")


@pytest.mark.parametrize(
    "pattern",
    ["invoice.payed", "inv*", "", "*.paid", "invoice.%", "lead.sold", "'; --", "../*", "**"],
)
def test_a_pattern_that_means_no_type_offered_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_patterns(PROJECT, ("invoice.paid", pattern), "any")
    assert refused.value.faults[0].pointer == "/event_types/1"


def test_a_misspelt_type_is_reported_with_the_nearest() -> None:
    with pytest.raises(InvalidError, match=re.escape("did you mean 'invoice.paid'?")):
        check_patterns(PROJECT, ("invoice.payed",), "any")
    with pytest.raises(InvalidError, match=re.escape("did you mean 'invoice.paid'?")):
        type_of(PROJECT, types_by_name(PROJECT), "invoice.payed", "any")


def test_an_endpoint_wants_something() -> None:
    with pytest.raises(InvalidError, match="at least one"):
        check_patterns(PROJECT, (), "any")


def test_a_type_limited_to_accounts_is_offered_to_them_alone() -> None:
    assert type_of(PROJECT, types_by_name(PROJECT), "lead.sold", "chosen").name == "lead.sold"
    assert len(offered(PROJECT, "chosen")) == 3
    assert len(offered(PROJECT, "any")) == 2
    with pytest.raises(RefusedError, match="not offered"):
        type_of(PROJECT, types_by_name(PROJECT), "lead.sold", "any")


def test_a_dialect_has_so_many_fixed_headers() -> None:
    lines = [f'X-{number} = "1"' for number in range(21)]
    project = parse_project("\n".join(['name = "a"', "[dialect.headers]", *lines[:20]]))
    assert len(project.dialect.headers) == 20
    with pytest.raises(ConfigError, match="20 headers at most; there are 21") as refused:
        parse_project("\n".join(['name = "a"', "[dialect.headers]", *lines]))
    assert refused.value.key == "dialect.headers"
    assert refused.value.line == 2


@pytest.mark.parametrize("key", [each for each in Plan.__slots__ if each != "name"])
def test_a_plans_key_that_stands_outside_it_is_said_to_belong_there(key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_project(f'name = "acme"\n[portal]\n{key} = 1\n')
    assert "it belongs in [plans.NAME]" in str(refused.value)
