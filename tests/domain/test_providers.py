"""The five providers' bodies match their guides byte for byte, and so does their verification."""

import hashlib
import hmac

import pytest

from hooktide.dialects import load, read_shipped, shipped
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import new_secret
from hooktide.domain.errors import ConfigError, InvalidError, RefusedError
from hooktide.domain.model import Event
from hooktide.domain.project.project import Project, check_patterns, plan_of, type_of, types_by_name

AT = 1_644_578_819_631_326  # 2022-02-11T11:26:59.631326+00:00
SECRET = new_secret(bytes(range(32)))
FIVE = ("invoice-ahoy", "offerte-adviseur", "house-check", "invoice-maker", "defacto")
OWN_SIGNATURE = {
    "invoice-ahoy": "x-ia-signature",
    "offerte-adviseur": "x-offerte-adviseur-signature",
    "house-check": "signature",
    "invoice-maker": "x-invoice-maker-signature",
}
PREFIX = b"POST /hook HTTP/1.1\r\nhost: customer.example\r\n"


def event(kind: str, payload: bytes, transition: str = "") -> Event:
    return Event(
        id=0x0C8F1E5A3B2D4800,
        account_id=1,
        type=kind,
        payload=payload,
        occurred_at=AT,
        transition=transition,
    )


GOLDEN = [
    (
        "invoice-ahoy",
        event("invoice.updated", b'{ "id": "WAz8eIbvDR60rouK" }'),
        b'{"id":"evt_0c8f1e5a3b2d4800","type":"invoice.updated",'
        b'"payload":{ "id": "WAz8eIbvDR60rouK" }}',
    ),
    (
        "offerte-adviseur",
        event("lead.created", b'{"lead_id": 12345, "subcategory_id": "1", "x": 1.10}'),
        b'{"id":"evt_0c8f1e5a3b2d4800","type":"lead.created",'
        b'"payload":{"lead_id": 12345, "subcategory_id": "1", "x": 1.10}}',
    ),
    (
        "house-check",
        event("order.updated", b'{"id": 9001,"status": "to schedule"}'),
        b'{"type":"order.updated","payload":{"id": 9001,"status": "to schedule"}}',
    ),
    (
        "invoice-maker",
        event("invoice.paid", b'{"id":"inv_1"}'),
        b'{"id":"evt_0c8f1e5a3b2d4800","type":"invoice.paid",'
        b'"created_at":"2022-02-11T11:26:59.631326+00:00","data":{"invoice":{"id":"inv_1"}}}',
    ),
    (
        "defacto",
        event(
            "Invoice.SUBMITTED",
            b'{"amount":1.50,"id":"a18d5057-0092-4555-b865-7ade03c3ac9b"}',
            "SUBMIT",
        ),
        b'{"entity_type":"invoice","transition_name":"SUBMIT","status":"SUBMITTED",'
        b'"timestamp":"2022-02-11T11:26:59.631326+00:00",'
        b'"id":"a18d5057-0092-4555-b865-7ade03c3ac9b","event_type":"Invoice.SUBMITTED",'
        b'"entity_state":{"amount":1.50,"id":"a18d5057-0092-4555-b865-7ade03c3ac9b"}}',
    ),
]


@pytest.mark.parametrize(("name", "happened", "body"), GOLDEN, ids=FIVE)
def test_the_body_is_the_guides_byte_for_byte(name: str, happened: Event, body: bytes) -> None:
    assert compile_dialect(load(name).dialect).body(happened) == body


@pytest.mark.parametrize(("name", "happened", "body"), GOLDEN[:4], ids=FIVE[:4])
def test_the_request_verifies_as_the_guide_tells_its_readers(
    name: str, happened: Event, body: bytes
) -> None:
    headers = head_of(load(name), happened, body)
    given = headers[OWN_SIGNATURE[name]]
    wanted = hmac.new(SECRET.text.encode(), body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(given, wanted)


def test_defacto_has_no_signature_but_the_standard_one() -> None:
    _, happened, body = GOLDEN[4]
    names = head_of(load("defacto"), happened, body)
    assert [name for name in names if "signature" in name] == ["webhook-signature"]


@pytest.mark.parametrize(("name", "happened", "body"), GOLDEN, ids=FIVE)
def test_every_provider_sends_the_standard_headers_and_a_true_length(
    name: str, happened: Event, body: bytes
) -> None:
    headers = head_of(load(name), happened, body)
    assert headers["webhook-id"] == "evt_0c8f1e5a3b2d4800"
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(body))


def head_of(project: Project, happened: Event, body: bytes) -> dict[str, str]:
    composer = compile_dialect(project.dialect)
    head = composer.compose(happened, PREFIX, (SECRET,), body, 1_700_000_000_999_999)
    assert head.startswith(PREFIX)
    assert head.endswith(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")[1:-2]
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("name", [*FIVE, "standard-webhooks"])
def test_a_shipped_project_can_send_each_of_its_own_examples(name: str) -> None:
    project = load(name)
    assert project.event_types
    for kind in project.event_types:
        assert kind.description
        assert len(kind.example) > 10, "an example shows what a payload looks like"
        happened = event(kind.name, kind.example.encode(), kind.transition)
        assert kind.example.encode() in compile_dialect(project.dialect).body(happened)


def test_the_five_providers_and_a_plain_standard_webhooks_project_ship() -> None:
    assert set(shipped()) == {*FIVE, "standard-webhooks"}


def test_the_event_types_are_the_guides() -> None:
    names = {name: [kind.name for kind in load(name).event_types] for name in FIVE}
    assert names == {
        "invoice-ahoy": ["invoice.created", "invoice.updated", "invoice.deleted"],
        "offerte-adviseur": [
            "lead.created",
            "lead.sold",
            "lead.invoiced",
            "lead.paid",
            "invoice.created",
            "invoice.paid",
        ],
        "house-check": ["order.updated", "inspection.updated", "files.created"],
        "invoice-maker": ["invoice.created", "invoice.paid", "quotation.accepted"],
        "defacto": ["Invoice.SUBMITTED", "Invoice.VERIFIED"],
    }


def test_invoice_maker_has_the_plans_of_its_guide() -> None:
    project = load("invoice-maker")
    basic, pro = plan_of(project, "basic"), plan_of(project, "pro")
    assert (basic.endpoints, basic.deliveries_per_hour, basic.retries) == (2, 100, 5)
    assert (pro.endpoints, pro.deliveries_per_hour, pro.retries) == (50, 5000, 5)
    assert basic.timeout == pro.timeout == 10_000_000
    assert plan_of(project, "one that was taken away") == basic
    assert (project.disable_after, project.rotation_overlap) == (100, 0)


def test_offerte_adviseur_is_a_closed_beta() -> None:
    project = load("offerte-adviseur")
    assert type_of(project, types_by_name(project), "lead.sold", "beta-1").name == "lead.sold"
    with pytest.raises(RefusedError, match="selected accounts only"):
        type_of(project, types_by_name(project), "lead.sold", "somebody else")
    with pytest.raises(InvalidError):
        check_patterns(project, ("*",), "somebody else")


def test_house_check_is_not_live() -> None:
    assert load("house-check").mode == "test"


def test_defacto_calls_the_url_to_url() -> None:
    assert load("defacto").fields.url == "to_url"
    assert load("invoice-ahoy").fields.url == "url"


def test_an_unknown_name_is_reported_with_the_shipped_projects() -> None:
    with pytest.raises(ConfigError, match="invoice-ahoy"):
        load("invoice-hello")
    with pytest.raises(ConfigError, match="invoice-ahoy"):
        read_shipped("../secrets")
