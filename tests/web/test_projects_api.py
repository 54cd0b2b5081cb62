"""Projects in the API: a file is applied completely or not at all. Also single event types."""

import asyncio
import json
from dataclasses import replace

import pytest
from storekit import until
from webkit import Answer, Client, Site
from wire import NO_CONTENT, Peer, receiving

from hooktide.actions.projects import ProjectFileError, Projects
from hooktide.dialects import read_shipped, shipped
from hooktide.domain.audit_log import SERVER
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.model import Scope
from hooktide.domain.project.project import EventType, Plan, Project, SchemaPolicy
from hooktide.domain.project.project_file import write_project


@pytest.mark.parametrize("name", shipped())
async def test_each_shipped_project_is_applied_and_then_the_same(
    operator: Client, name: str
) -> None:
    first = (await operator.apply(name)).ok()
    assert first["name"] == name
    assert first["changes"][0] == "project added"
    again = (await operator.apply(name)).ok()
    assert again == {**first, "changes": []}
    assert (await operator.get(f"/v1/projects/{name}")).ok()["id"] == first["id"]


async def test_an_invalid_file_is_reported_by_line_key_and_reason_and_changes_nothing(
    operator: Client,
) -> None:
    text = read_shipped("invoice-maker")
    (await operator.apply("invoice-maker")).ok()
    answer = await operator.apply("invoice-maker", text + '\n[plans.gold]\nendpoints = "many"\n')
    assert answer.code == "invalid_project"
    [fault] = answer.json["errors"]
    assert fault["line"] == text.count("\n") + 3
    assert fault["key"] == "plans.gold.endpoints"
    assert fault["detail"]
    assert (await operator.apply("invoice-maker")).ok()["changes"] == []


@pytest.mark.parametrize("body", [b"= 1", b"\xff", b"", b"name = 'a\x00b'", b"[[" * 5000])
async def test_what_is_no_toml_is_a_wrong_file(operator: Client, body: bytes) -> None:
    kind = {"content-type": "application/toml"}
    answer = await operator.call("PUT", "/v1/projects/x", body=body, headers=kind)
    assert answer.code == "invalid_project"


async def test_a_file_is_applied_under_its_own_name_only(operator: Client) -> None:
    answer = await operator.apply("other", read_shipped("invoice-maker"))
    assert answer.code == "project_name_differs"
    assert (await operator.get("/v1/projects")).ok()["items"] == []


@pytest.mark.both_databases
async def test_a_plan_that_accounts_are_on_is_not_taken_away(site: Site) -> None:
    await site.account()
    text = read_shipped("invoice-maker").replace("[plans.basic]", "[plans.small]")
    text = text.replace('default_plan = "basic"', 'default_plan = "small"')
    answer = await site.operator.apply("invoice-maker", text)
    assert answer.code == "plan_in_use"
    assert "acme" in answer.json["detail"]
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    assert (
        "plan basic removed" in (await site.operator.apply("invoice-maker", text)).ok()["changes"]
    )


@pytest.mark.both_databases
async def test_a_project_with_accounts_is_not_removed(site: Site) -> None:
    await site.account()
    assert (await site.operator.delete("/v1/projects/invoice-maker")).code == "project_in_use"
    (await site.operator.delete("/v1/accounts/acme")).ok(204)
    (await site.operator.delete("/v1/projects/invoice-maker")).ok(204)
    assert (await site.operator.get("/v1/projects/invoice-maker")).code == "not_found"


TYPE = "/v1/event-types/invoice.voided?project=invoice-maker"


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"description": "a\u202e"}, "/description"),
        ({"transition": " a"}, "/transition"),
        ({"message": {"text": "a\u202e"}}, "/message/text"),
        ({"message": {"link": "a\n"}}, "/message/link"),
    ],
)
async def test_an_event_types_texts_hide_nothing(
    site: Site, given: dict[str, object], pointer: str
) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    answer = await site.operator.put(TYPE, given)
    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_text", [pointer])


@pytest.mark.both_databases
async def test_an_event_type_is_added_replaced_and_removed(site: Site) -> None:
    operator = site.operator
    (await operator.apply("invoice-maker")).ok()
    given = {"description": "Void.", "example": {"id": 1.10}, "schema": {"type": "object"}}
    made = (await operator.put(TYPE, given)).ok()
    message = {"text": "", "link": "", "fields": []}
    unset = dict.fromkeys(("retention_days", "retry_delays", "timeout_seconds"))
    named = {"name": "invoice.voided", "transition": "", "message": message}
    assert made == {**named, **given, **unset}
    assert (await operator.get(TYPE)).ok() == made
    assert (await operator.put(TYPE, {})).ok()["schema"] is None
    (await operator.delete(TYPE)).ok(204)
    assert (await operator.get(TYPE)).code == "not_found"
    assert (await operator.delete(TYPE)).code == "not_found"


@pytest.mark.both_databases
async def test_event_types_put_at_once_are_all_there(site: Site) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    names = [f"a.n{number}" for number in range(12)]
    await asyncio.gather(
        *[site.operator.put(f"/v1/event-types/{name}?project=invoice-maker", {}) for name in names]
    )
    listed = (await site.operator.get("/v1/event-types?project=invoice-maker")).ok()["items"]
    assert set(names) < {kind["name"] for kind in listed}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"schema": {"type": "nothing"}}, "/schema"),
        ({"schema": {"$ref": "https://x.example/schema"}}, "/schema"),
        ({"schema": 1}, "/schema"),
        ({"example": "x" * 300_000}, "/example"),
        ({"description": "a\x00"}, "/description"),
        ({"unknown": 1}, "/unknown"),
    ],
)
async def test_an_event_type_that_breaks_a_rule_is_refused(
    operator: Client, given: dict[str, object], pointer: str
) -> None:
    (await operator.apply("invoice-maker")).ok()
    answer = await operator.put(TYPE, given)
    assert answer.status == 422
    assert answer.pointers == [pointer]
    assert (await operator.get(TYPE)).code == "not_found"


async def test_an_event_type_needs_a_name_like_invoice_paid(operator: Client) -> None:
    (await operator.apply("invoice-maker")).ok()
    for name in ("a..b", "a b", "*", "a.", "x" * 129, "é"):
        answer = await operator.put(f"/v1/event-types/{name}?project=invoice-maker", {})
        assert answer.code == "invalid_event_type", name


async def test_an_operator_says_which_project(operator: Client) -> None:
    assert (await operator.get("/v1/event-types")).code == "project_missing"
    assert (await operator.get("/v1/event-types?project=none")).code == "not_found"


@pytest.mark.both_databases
async def test_a_type_limited_to_an_account_is_unknown_to_another(site: Site) -> None:
    await site.account(reference="chosen")
    await site.account(reference="other")
    (await site.operator.put(TYPE, {"accounts": ["chosen"]})).ok()
    chosen, other = [await site.key("account", account=each) for each in ("chosen", "other")]
    hook = {"url": "http://127.0.0.1:65000/", "event_types": ["invoice.voided"]}
    assert (await chosen.post("/v1/endpoints", hook)).status == 201
    assert (await other.post("/v1/endpoints", hook)).code == "unknown_event_type"
    assert (await other.get("/v1/event-types/invoice.voided")).code == "not_found"
    seen = (await other.get("/v1/event-types")).ok()["items"]
    assert "invoice.voided" not in [kind["name"] for kind in seen]
    assert "invoice.voided" in [
        kind["name"] for kind in (await chosen.get("/v1/event-types")).ok()["items"]
    ]


@pytest.mark.both_databases
async def test_event_types_that_endpoints_want_are_removed_only_when_it_is_confirmed(
    site: Site,
) -> None:
    await site.account()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    for wanted in (["invoice.paid"], ["invoice.paid", "quotation.accepted"], ["invoice.*"], ["*"]):
        await site.endpoint("acme", event_types=wanted)
    gone = (await site.endpoint(event_types=["quotation.accepted"]))["id"]
    (await site.operator.delete(f"/v1/endpoints/{gone}")).ok(204)
    text = read_shipped("invoice-maker")
    fewer = text[: text.index("[event_types")] + '[event_types."invoice.created"]\n'
    answer = await site.operator.apply("invoice-maker", fewer)
    assert (answer.status, answer.code) == (409, "event_types_in_use")
    assert (
        "deleted: invoice.paid (2 endpoints), quotation.accepted (1 endpoint)."
        in (answer.json["detail"])
    )
    assert "?remove_event_types=true" in answer.json["detail"]
    assert (await site.operator.apply("invoice-maker")).ok()["changes"] == []
    path = "/v1/projects/invoice-maker?remove_event_types=true"
    kind = {"content-type": "application/toml"}
    done = await site.operator.call("PUT", path, body=fewer.encode(), headers=kind)
    assert "event type invoice.paid removed" in done.ok()["changes"]


async def test_an_event_type_that_an_endpoint_wants_is_removed_only_when_it_is_confirmed(
    site: Site,
) -> None:
    await site.account()
    (await site.operator.put(TYPE, {})).ok()
    made = await site.endpoint(event_types=["invoice.*"])
    (await site.operator.delete(TYPE)).ok(204)
    (await site.operator.put(TYPE, {})).ok()
    wants = {"event_types": ["invoice.voided"]}
    (await site.operator.patch(f"/v1/endpoints/{made['id']}", wants)).ok()
    answer = await site.operator.delete(TYPE)
    assert answer.code == "event_types_in_use"
    assert "invoice.voided (1 endpoint)" in answer.json["detail"]
    (await site.operator.get(TYPE)).ok()
    (await site.operator.delete(TYPE + "&remove_event_types=true")).ok(204)
    assert (await site.operator.get(TYPE)).code == "not_found"
    (await site.operator.patch(f"/v1/endpoints/{made['id']}", {"name": "still"})).ok()


@pytest.mark.both_databases
async def test_a_dry_run_says_what_apply_would_and_changes_nothing(site: Site) -> None:
    async def put(query: str, text: str) -> Answer:
        path = f"/v1/projects/invoice-maker{query}"
        return await site.operator.call("PUT", path, body=text.encode(), headers=TOML)

    text = read_shipped("invoice-maker")
    would = (await put("?dry_run=true", text)).ok()
    assert would["id"] is None
    assert (await site.operator.get("/v1/projects")).ok()["items"] == []
    done = (await put("", text)).ok()
    assert would == {**done, "id": None}
    await site.account()
    await site.endpoint(event_types=["invoice.paid"])
    entries = len((await site.operator.get("/v1/audit-log")).ok()["items"])
    before = (await site.operator.get("/v1/projects/invoice-maker")).ok()
    fewer = text[: text.index("[event_types")] + '[event_types."invoice.created"]\n'
    refused = await put("?dry_run=true", fewer)
    assert refused.code == "event_types_in_use"
    would = (await put("?dry_run=true&remove_event_types=true", fewer)).ok()
    assert (await site.operator.get("/v1/projects/invoice-maker")).ok() == before
    assert len((await site.operator.get("/v1/audit-log")).ok()["items"]) == entries
    small = text.replace("[plans.basic]", "[plans.small]").replace('= "basic"', '= "small"')
    assert (await put("?dry_run=true", small)).code == "plan_in_use"
    assert (await put("?dry_run=true", text)).ok()["changes"] == []
    assert would == (await put("?remove_event_types=true", fewer)).ok()


TOML = {"content-type": "application/toml"}


def over_limits() -> Project:
    """A project that exceeds each limit of a project file, as stored by an older version."""
    envelope = {f"p{each}": "{payload}" for each in range(3)}
    envelope |= {f"m{each}": "{payload.id}" for each in range(51)}
    return Project(
        name="older",
        title="Older",
        dialect=Dialect(
            envelope=json.dumps(envelope),
            headers=tuple((f"X-Fixed-{each}", "1") for each in range(21)),
        ),
        event_types=tuple(EventType(name=f"a.n{each}", example='{"id":1}') for each in range(1001)),
        plans=tuple(Plan(name=f"plan-{each}") for each in range(101)),
        default_plan="plan-100",
    )


@pytest.mark.both_databases
async def test_a_project_has_so_many_event_types_however_they_are_added(site: Site) -> None:
    most = tuple(EventType(name=f"a.n{each}") for each in range(999))
    few = replace(over_limits(), dialect=Dialect(), event_types=most)
    await site.app.store.put_project(few, site.app.clock())
    path, body = "/v1/event-types/{}?project=older", {"description": "new"}
    (await site.operator.put(path.format("a.last"), body)).ok()
    refused = await site.operator.put(path.format("a.more"), body)
    assert (refused.status, refused.code) == (409, "too_many_event_types")
    assert "at most 1,000 event types" in refused.json["detail"]
    changed = (await site.operator.put(path.format("a.n7"), body)).ok()
    assert changed["description"] == "new"


@pytest.mark.both_databases
async def test_a_project_stored_over_a_limit_publishes_and_delivers(site: Site) -> None:
    async def answer(peer: Peer) -> None:
        await peer.request()
        await peer.send(NO_CONTENT)

    operator = site.operator
    await site.app.store.put_project(over_limits(), site.app.clock())
    given = {"project": "older", "reference": "acme"}
    assert (await operator.post("/v1/accounts", given)).ok(201)["plan"] == "plan-100"
    async with receiving(answer) as receiver:
        await site.endpoint(url=f"http://127.0.0.1:{receiver.port}/", event_types=["a.n1000"])
        event = {"account": "acme", "type": "a.n1000", "payload": {"id": 7}}
        (await operator.post("/v1/events", event)).ok(202)
        await until(lambda: receiver.requests)
    head, body = receiver.requests[0].split(b"\r\n\r\n")
    assert head.count(b"X-Fixed-") == 21
    sent = json.loads(body)
    assert (len(sent), sent["p2"], sent["m50"]) == (54, {"id": 7}, 7)
    (await operator.get("/v1/projects/older")).ok()
    assert (await operator.get("/v1/event-types/a.n1000?project=older")).ok()["name"] == "a.n1000"
    assert (await operator.get("/docs/older")).status == 200


@pytest.mark.both_databases
async def test_a_project_stored_over_a_limit_is_edited_elsewhere(site: Site) -> None:
    older = replace(over_limits(), plans=over_limits().plans[:3], default_plan="plan-1")
    await site.app.store.put_project(older, site.app.clock())
    projects = Projects(site.app.store, site.app.clock)
    by = (SERVER, Scope(), "older")
    done = await projects.put_plan(*by, replace(older.plans[2], retries=3), new=False)
    assert done.changes == ["plan plan-2: retries: 5 -> 3"]
    assert (await projects.put_plan(*by, Plan(name="more"), new=True)).changes == [
        "plan more added"
    ]
    assert (await projects.delete_plan(*by, "more")).changes == ["plan more removed"]
    with pytest.raises(ProjectFileError, match="retries"):
        await projects.put_plan(*by, replace(older.plans[2], retries=21), new=False)
    many = replace(over_limits(), dialect=Dialect(), event_types=())
    await site.app.store.put_project(many, site.app.clock())
    last = replace(many.plans[100], retries=3)
    assert (await projects.put_plan(*by, last, new=False)).changes
    for plan, new in ((replace(last, retries=21), False), (Plan(name="more"), True)):
        with pytest.raises(ProjectFileError):
            await projects.put_plan(*by, plan, new=new)
    assert (await projects.delete_plan(*by, "plan-7")).changes == ["plan plan-7 removed"]


@pytest.mark.both_databases
async def test_events_are_accepted_although_a_limit_came_after_what_is_stored(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """An unusable schema is reported once. An envelope over the limit works as before."""
    doubling = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 12)}
    schema = {"$defs": {"a0": {"type": "object"}, **doubling}, "$ref": "#/$defs/a11"}
    kinds = (
        EventType(name="a.costly", schema=json.dumps(schema)),
        EventType(name="a.strict", schema='{"required": ["other"]}'),
    )
    older = replace(over_limits(), event_types=kinds, schema_policy=SchemaPolicy.REJECT)
    await site.app.store.put_project(older, site.app.clock())
    await site.operator.post("/v1/accounts", {"project": "older", "reference": "acme"})
    event = {"account": "acme", "type": "a.costly", "payload": {"id": "x" * 20_000}}
    for _ in range(2):
        (await site.operator.post("/v1/events", event)).ok(202)
    warned = [each for each in caplog.messages if "a.costly in the project older" in each]
    assert len(warned) == 1
    assert "more than 1,000 times" in warned[0]
    refused = await site.operator.post("/v1/events", {**event, "type": "a.strict"})
    assert refused.code == "payload_breaks_schema"


async def test_the_file_of_a_project_over_a_limit_is_refused_for_each(operator: Client) -> None:
    answer = await operator.apply("older", write_project(over_limits()))
    assert answer.code == "invalid_project"
    assert {fault["key"] for fault in answer.json["errors"]} == {
        "dialect.headers",
        "event_types",
        "plans",
    }
    few = replace(over_limits(), event_types=(), plans=(Plan(name="plan-100"),))
    few = replace(few, dialect=replace(few.dialect, headers=()))
    [fault] = (await operator.apply("older", write_project(few))).json["errors"]
    assert fault["key"] == "dialect.envelope"
    assert "{payload} stands 3 times in the envelope; 2 at most" in fault["detail"]
