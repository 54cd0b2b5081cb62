"""A project's public guide is correct, publicly readable, and escapes all texts."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from docskit import HOSTILE, SIGNATURES, hostile_project, subject_of, with_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from webkit import RECEIVER, Client, Site

from hooktide.dialects import load, read_shipped, shipped
from hooktide.domain.dialect.signing import verify
from hooktide.domain.json.payload import MAX_BYTES
from hooktide.domain.project.project import EventType, Project
from hooktide.domain.project.reading import parse_project
from hooktide.web.pages.guide.example import AT, SECRET, make_example
from hooktide.web.pages.guide.guide import as_html, as_markdown

KINDS = ("", ".md", "/openapi.json", "/asyncapi.json")
UNSIGNED = 'name = "acme"\n[dialect]\nstandard_headers = false\n[event_types."a.b"]\n'


def page_of(project: Project) -> str:
    return as_html(subject_of(project))


def markdown_of(project: Project) -> str:
    return as_markdown(subject_of(project))


def both(project: Project) -> list[str]:
    return [unescape(page_of(project)), markdown_of(project)]


def section(project: Project, title: str) -> str:
    """Return a section of the Markdown guide."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", markdown_of(project), re.S | re.M)
    return str(found)


def listings(text: str) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)\n```$", text, re.S | re.M)


async def test_anyone_may_read_the_docs_of_a_project(site: Site) -> None:
    stranger = site.client("")
    for name in shipped():
        (await site.operator.apply(name)).ok()
        for kind in KINDS:
            answer = await stranger.get(f"/docs/{name}{kind}")
            assert answer.status == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            for each in load(name).event_types:
                assert each.name in answer.body.decode()
                assert each.description in unescape(answer.body.decode())


async def test_docs_that_are_switched_off_are_as_if_there_were_no_project(site: Site) -> None:
    (await site.operator.apply("acme", 'name = "acme"\npublic_docs = false')).ok()
    for kind in KINDS:
        off, none = [await site.client("").get(f"/docs/{each}{kind}") for each in ("acme", "none")]
        assert off == none
        assert off.status == 404
        assert "acme" not in off.body.decode()
    shown = (await site.operator.get("/v1/projects/acme")).ok()
    assert shown["docs_url"] is None


async def test_what_is_no_projects_name_has_no_docs(site: Site) -> None:
    for path in ("", "a.md.md", "A", "a/b", "a\x00", "a" * 5000, "é"):
        assert (await site.client("").get(f"/docs/{path}")).status == 404


async def test_a_project_tells_where_its_docs_are(site: Site) -> None:
    (await site.operator.apply("acme", 'name = "acme"')).ok()
    [listed] = (await site.operator.get("/v1/projects")).ok()["items"]
    shown = (await site.operator.get("/v1/projects/acme")).ok()
    assert shown == listed
    path = shown["docs_url"].removeprefix(site.app.public_url)
    assert (await site.client("").get(path)).status == 200


async def test_the_docs_change_with_their_project_and_are_not_sent_twice(site: Site) -> None:
    text = '[event_types."a.b"]\ndescription = "{}"'
    (await site.operator.apply("acme", f'name = "acme"\n{text.format("First.")}')).ok()
    first = await site.operator.get("/docs/acme")
    tag = {"if-none-match": first.headers["etag"]}
    again = await site.operator.call("GET", "/docs/acme", headers=tag)
    assert (again.status, again.body) == (304, b"")
    (await site.operator.apply("acme", f'name = "acme"\n{text.format("Second.")}')).ok()
    changed = await site.operator.call("GET", "/docs/acme", headers=tag)
    assert changed.status == 200
    assert "Second." in changed.body.decode()
    assert "First." not in changed.body.decode()


async def test_what_pages_are_made_of_is_kept_by_browsers_until_it_changes(site: Site) -> None:
    (await site.operator.apply("acme", 'name = "acme"')).ok()
    page = (await site.operator.get("/docs/acme")).body.decode()
    paths = re.findall(r'"(/static/[^"]+)"', page)
    assert len(paths) == 5
    for path in paths:
        answer = await site.operator.get(path)
        assert "immutable" in answer.headers["cache-control"]
        other = await site.operator.get(path.partition("?")[0] + "?v=other")
        assert (other.status, other.headers["cache-control"]) == (200, "no-cache")


async def test_a_closed_beta_is_mentioned_and_its_accounts_are_not(site: Site) -> None:
    text = read_shipped("offerte-adviseur") + '\n[event_types."lead.hidden"]\naccounts = ["beta-1"]'
    (await site.operator.apply("offerte-adviseur", text)).ok()
    for kind in KINDS:
        found = (await site.operator.get(f"/docs/offerte-adviseur{kind}")).body.decode()
        assert "losed beta" in found
        assert "beta-1" not in found
        assert "lead.hidden" not in found


def test_a_project_that_is_not_live_says_so() -> None:
    for text in both(load("house-check")):
        assert "Not live yet." in text
    for text in both(load("invoice-ahoy")):
        assert "Not live yet." not in text


@pytest.mark.parametrize("name", ["invoice-ahoy", "offerte-adviseur", "defacto"])
async def test_the_request_that_registers_an_endpoint_does_and_is_answered_as_shown(
    site: Site, name: str
) -> None:
    accounts = load(name).accounts
    reference = accounts[0] if accounts else "acme"
    await site.account(name, reference)
    customer = await site.key("account", account=reference)
    page = (await site.operator.get(f"/docs/{name}.md")).body.decode()
    call, answer, *_ = listings(page)
    assert call.startswith(f"curl -X POST {site.app.public_url}/webhooks ")
    body = re.findall(r"-d '(.*)'", call, re.S)[0]
    made = (await customer.call("POST", "/webhooks", body=body.encode())).ok(201)
    shown = json.loads(answer)
    assert list(shown) == list(made)
    assert {key: len(str(value)) for key, value in shown.items()} == {
        key: len(str(value)) for key, value in made.items()
    }
    same = set(shown) - {load(name).fields.id, "created_at", "secret"}
    assert {key: shown[key] for key in same} == {key: made[key] for key in same}


async def test_every_request_that_the_docs_name_is_there_for_the_customer(site: Site) -> None:
    await site.account()
    customer = await site.key("account", account="acme")
    made = (await customer.post("/webhooks", {"url": RECEIVER, "event_types": ["*"]})).ok(201)
    await _make_a_delivery(customer, made["id"])
    delivery = (await customer.get("/v1/deliveries")).ok()["items"][0]["id"]
    table = section(load("invoice-maker"), "Register an endpoint")
    replay = listings(section(load("invoice-maker"), "When an endpoint is disabled"))[0]
    values = {
        ("PATCH", "{id}"): {"enabled": True},
        ("POST", "test"): {},
        ("POST", "replays"): json.loads(re.findall("-d '(.*)'", replay)[0]),
    }
    calls = re.findall(r"^\| `(\w+) (\S+)` \|", table, re.M)
    assert len(calls) == 10
    for method, path in sorted(calls, key=lambda call: call[0] == "DELETE"):
        id = delivery if "deliveries/" in path else made["id"]
        value = values.get((method, path.rpartition("/")[2]))
        answer = await customer.call(method, path.replace("{id}", id), value)
        assert answer.status < 300, (method, path, answer)
    assert (await customer.post("/v1/bins", {})).status == 201


async def _make_a_delivery(customer: Client, endpoint: str) -> None:
    (await customer.post(f"/v1/endpoints/{endpoint}/test", {})).ok()


def every_dialect() -> dict[str, Project]:
    signed = {f"like {name}": with_signature(table) for name, table in SIGNATURES.items()}
    return {name: load(name) for name in shipped()} | signed


@pytest.mark.parametrize("project", every_dialect().values(), ids=every_dialect())
def test_the_example_request_verifies_with_the_secret_that_is_shown(project: Project) -> None:
    for text in both(project):
        assert (SECRET.text if project.dialect.signature else "whsec_AAECAwQ") in text
    example = make_example(project, project.event_types[0])
    assert example.request in markdown_of(project)
    head, _, body = example.request.partition("\n\n")
    headers = [line.split(": ", 1) for line in head.splitlines()[1:]]
    pairs = [(name, value) for name, value in headers]
    found = verify(project.dialect, (SECRET,), pairs, body.encode(), AT)
    assert found.valid, found.reason
    assert dict(pairs)["content-length"] == str(len(body.encode()))


@pytest.mark.parametrize("name", shipped())
def test_the_examples_of_the_event_types_are_as_they_are_sent(name: str) -> None:
    project = load(name)
    shown = listings(section(project, "Event types"))
    for kind in project.event_types:
        body = make_example(project, kind).body
        assert kind.example in body
        assert body in shown
        assert any(json.loads(each) == json.loads(body) and "\n" in each for each in shown)


def test_invoice_maker_says_what_its_guide_says() -> None:
    project = load("invoice-maker")
    limits = section(project, "Limits")
    for row in (
        "| Limit | Basic | Pro |",
        "| Endpoints | 2 | 50 |",
        "| Deliveries per hour | 100 | 5,000 |",
        "| Retries | 5 | 5 |",
        "| Time for an answer | 10 seconds | 10 seconds |",
    ):
        assert row in limits
    assert "**100 deliveries** in a row" in section(project, "When an endpoint is disabled")
    assert "**The old secret stops at once**" in section(project, "Rotating the secret")
    assert "`data.invoice`" in section(project, "The request")
    assert "any `2xx` within **10 seconds**" in section(project, "How it works")


def test_the_retries_are_those_of_the_schedule() -> None:
    retries = section(load("invoice-maker"), "Retries and timeouts")
    for row in (
        "| 2 | 10 seconds | 10 seconds |",
        "| 3 | 1 minute | 1 minute 10 seconds |",
        "| 4 | 6 minutes | 7 minutes 10 seconds |",
        "| 5 | 36 minutes | 43 minutes 10 seconds |",
        "| 6 | 3 hours 36 minutes | 4 hours 19 minutes |",
    ):
        assert row in retries
    assert "| 7 |" not in retries


PLANS = """
name = "acme"
disable_after = 0
rotation_overlap = "36h"
[retry]
delays = ["5s", "1d"]
[plans.free]
retries = 1
timeout = "3s"
[plans.big-one]
retries = 3
timeout = "30s"
deliveries_per_hour = 12000
[event_types."a.b"]
"""


def test_different_plans_are_distinguished() -> None:
    project = parse_project(PLANS)
    retries = section(project, "Retries and timeouts")
    assert "| 4 | 1 day | 2 days 5 seconds |" in retries
    assert "up to 3 times; how many depends on [your plan](#limits)" in retries
    assert "within 3 seconds; [your plan](#limits) may give more" in retries
    assert "| Limit | Free | Big one |" in section(project, "Limits")
    assert "| Deliveries per hour | no limit | 12,000 |" in section(project, "Limits")
    assert "in a row" not in section(project, "When an endpoint is disabled")


def test_the_length_of_a_rotations_overlap_is_documented() -> None:
    rotating = section(parse_project(PLANS), "Rotating the secret")
    assert "**For 1 day 12 hours** after a rotation `webhook-signature` has two" in rotating
    assert "at once" not in rotating


def test_a_project_that_never_tries_again_says_so() -> None:
    project = parse_project('name = "acme"\n[plans.only]\nretries = 0\n[event_types."a"]')
    assert "A failed delivery is not tried again." in section(project, "Retries and timeouts")
    assert "it is not tried again" in section(project, "How it works")


def test_a_project_that_signs_nothing_says_so_and_what_to_do() -> None:
    project = parse_project(UNSIGNED)
    verifying = section(project, "Verify")
    assert "Requests are not signed." in verifying
    assert "Agree on a secret." in verifying
    for text in both(project):
        assert "webhook-signature" not in text
        assert "isVerified" not in text
        assert "Rotating" not in text
        assert "HTTP POST within a moment" in text


def test_without_the_standard_headers_only_the_custom_signature_is_documented() -> None:
    project = with_signature(SIGNATURES["github"], standard=False)
    for text in both(project):
        assert "X-Acme-Signature-256" in text
        assert "webhook-id" not in text
        assert "Standard Webhooks" not in text


def test_only_what_tells_its_time_is_said_to_be_fresh() -> None:
    for name, table in SIGNATURES.items():
        project = with_signature(table, standard=name in {"told", "base64"})
        fresh = "Its timestamp and signature are fresh." in section(project, "Retries and timeouts")
        assert fresh == (name != "github")


def test_the_custom_header_and_scheme_are_documented() -> None:
    verifying = section(with_signature(SIGNATURES["slack"]), "Verify")
    assert "| Header | `X-Acme-Signature` |" in verifying
    assert "| What is signed | `v0:{timestamp}:{body}` |" in verifying
    assert "| What the header says | `v0={signature}` |" in verifying
    assert "| Age | at most 5 minutes, by `X-Acme-Request-Timestamp` |" in verifying


def test_a_project_without_event_types_says_so() -> None:
    for text in both(parse_project('name = "acme"')):
        assert "There are no event types to ask for so far." in text
        assert "thing.happened" not in text


ENVELOPES = [
    ('id = "{event.id}"', "| `id` | The event's id: the same each time"),
    ('t = "{event.type|upper}"', "| `t` | What happened: the event type, in upper case. |"),
    ('a = { b = ["{payload}"] }', "| `a.b[0]` | The payload"),
    ('"{event.entity}" = "{payload.id}"', "| `invoice` | The payload's own `id`. |"),
    ('v = 3\nw = "x{{}}"', '| `v` | Always `3`. |\n| `w` | Always `"x{}"`. |'),
    ('m = "a-{event.id}"', "| `m` | Text made of `a-` and `{event.id}`. |"),
    ('at = "{event.occurred_at|unix_ms}"', "| `at` | When it happened, in milliseconds"),
]


@pytest.mark.parametrize(("envelope", "row"), ENVELOPES)
def test_the_envelope_is_explained_member_by_member(envelope: str, row: str) -> None:
    text = with_signature(SIGNATURES["github"], f"[dialect.envelope]\n{envelope}")
    assert row in section(text, "The request")


def test_where_a_body_does_not_name_its_type_or_id_the_guide_says_how_to_tell() -> None:
    receiving = section(parse_project(UNSIGNED), "Receive events")
    assert "The header `hooktide-event-type` is the event type." in receiving
    assert "| `hooktide-event-type` | What happened: the event type. | `a.b` |" in section(
        parse_project(UNSIGNED), "The request"
    )
    assert "has no id to tell by" in receiving


def test_the_longest_and_deepest_examples_are_shown() -> None:
    long = json.dumps({"text": "x" * (MAX_BYTES - 100)})
    deep = "[" * 60 + "1e5" + "]" * 60
    project = Project(
        name="acme",
        title="Acme",
        event_types=(EventType(name="long", example=long), EventType(name="deep", example=deep)),
    )
    for text in (markdown_of(project), unescape(re.sub("<[^>]+>", "", page_of(project)))):
        assert "x" * (MAX_BYTES - 100) in text
        assert deep in text


class Tags(HTMLParser):
    """Records the tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in {"href", "src"}}


PLAIN = Tags(page_of(hostile_project("Acme")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_projects_texts_are_only_text_on_the_page(text: str) -> None:
    page = Tags(page_of(hostile_project(text)))
    marks = {"span"}  # of highlighted code only
    assert [tag for tag in page.tags if tag not in marks | {"p"}] == [
        tag for tag in PLAIN.tags if tag not in marks | {"p"}
    ]
    assert page.attributes == PLAIN.attributes
    assert page.links == PLAIN.links


def test_the_page_has_no_style_or_script_of_its_own() -> None:
    page = page_of(load("invoice-maker"))
    assert page.count("<script") == page.count('<script src="/static/')
    assert "<style" not in page
    assert not {name for name in PLAIN.attributes if name.startswith("on") or name == "style"}


def test_what_would_not_be_seen_is_written_out() -> None:
    for text in both(hostile_project("gnp.\u202efdp\u200b \U0001f469\u200d\U0001f4bb")):
        assert "gnp.\\u202efdp\\u200b \U0001f469\u200d\U0001f4bb" in text
        assert "\u202e" not in text


MD = MarkdownIt("gfm-like", {"linkify": False})


def tokens(text: str) -> list[Any]:
    return [
        inner
        for each in MD.parse(text)
        for inner in ([each] if not each.children else each.children)
    ]


def shape(text: str) -> list[str]:
    """Return the structure of a Markdown document without its text."""
    skipped = {"text", "text_special", "paragraph_open", "paragraph_close", "softbreak"}
    return [token.type for token in tokens(text) if token.type not in skipped]


PLAIN_SHAPE = shape(markdown_of(hostile_project("Acme")))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_projects_texts_are_only_text_in_markdown(text: str) -> None:
    assert shape(markdown_of(hostile_project(text))) == PLAIN_SHAPE


words = st.text(
    st.one_of(st.sampled_from("\\`*_{}[]()<>#+-.!|~&$@=:/'\" \n1"), st.characters(codec="utf-8")),
    max_size=40,
)


def written_out(text: str) -> str:
    """Return a text as documents show it, without spaces."""
    return re.sub(
        "[^\\S\n]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        "".join(text.split()),
    )


@settings(max_examples=50, deadline=None)
@given(words)
def test_any_description_is_read_as_it_was_written(text: str) -> None:
    kind = EventType(name="a.b", description=text)
    project = Project(name="acme", title="Acme", event_types=(kind,))
    [part] = re.findall(r"^### `a\.b`\n\n(.*?)^Body:$", markdown_of(project), re.S | re.M)
    read = "".join(token.content for token in tokens(part))
    assert "".join(read.split()) == written_out(text)
    assert {token.type for token in tokens(part)} <= {
        "text",
        "text_special",
        "paragraph_open",
        "paragraph_close",
        "inline",
    }
    [part] = re.findall(r'<h3 id="event-a\.b-title">.*?</h3>(.*?)<figure', page_of(project), re.S)
    shown = unescape(re.sub("</?p>", "", part))
    assert "".join(shown.split()) == written_out(text)
