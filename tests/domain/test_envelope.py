"""What the envelope language can express and what it rejects. Payload bytes are never changed."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain import ids
from hooktide.domain.delivery.compose import check_event
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.dialect.envelope import Envelope
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.model import Event
from hooktide.domain.project.reading import parse_project

AT = 1_644_578_819_000_042


def event(
    kind: str = "Invoice.line.PAID",
    payload: bytes = b'{"id":7}',
    transition: str = "PAY",
    at: int = AT,
    number: int = 7,
) -> Event:
    return Event(
        id=number, account_id=1, type=kind, payload=payload, occurred_at=at, transition=transition
    )


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{event.id}", '"evt_0000000000000007"'),
        ("{event.type}", '"Invoice.line.PAID"'),
        ("{event.entity}", '"Invoice"'),
        ("{event.entity|lower}", '"invoice"'),
        ("{event.entity|upper}", '"INVOICE"'),
        ("{event.status}", '"line.PAID"'),
        ("{event.transition}", '"PAY"'),
        ("{event.transition|lower}", '"pay"'),
        ("{event.occurred_at}", '"2022-02-11T11:26:59.000042+00:00"'),
        ("{event.occurred_at|z}", '"2022-02-11T11:26:59.000042Z"'),
        ("{event.occurred_at|unix}", "1644578819"),
        ("{event.occurred_at|unix_ms}", "1644578819000"),
        ("at {event.occurred_at|unix}", '"at 1644578819"'),
        ("{payload}", '{"id":7}'),
        ("{payload.id}", "7"),
        ('{{event.id}} 100% "é"', '"{event.id} 100% \\"é\\""'),
        ("{event.entity}/{event.status}", '"Invoice/line.PAID"'),
    ],
)
def test_a_slot_is_filled(template: str, written: str) -> None:
    envelope = Envelope(json.dumps({"x": template}))
    assert envelope.body(event()).decode() == f'{{"x":{written}}}'


def test_constants_nested_tables_and_keys_with_slots_keep_the_files_order() -> None:
    text = 'name = "a"\n[dialect.envelope]\nz = 1\na = [true, 1.5, "{event.status}"]\n'
    text += '[dialect.envelope.data]\n"{event.entity|lower}_state" = "{payload}"\n'
    envelope = Envelope(parse_project(text).dialect.envelope)
    assert (
        envelope.body(event(payload=b" [1.10] "))
        == b'{"z":1,"a":[true,1.5,"line.PAID"],"data":{"invoice_state": [1.10] }}'
    )


def test_without_an_envelope_the_body_is_the_payload() -> None:
    assert Envelope("payload").body(event(payload=b"[1, 2]")) == b"[1, 2]"


def test_the_deliveries_of_a_fan_out_share_one_body_and_other_events_have_their_own() -> None:
    envelope = Envelope('{"id": "{event.id}", "data": "{payload}"}')
    first, second = event(payload=b"1"), event(payload=b"2")
    body = envelope.body(first)
    assert envelope.body(first) is body
    assert envelope.body(second) == b'{"id":"evt_0000000000000007","data":2}'
    assert envelope.body(first) == body == b'{"id":"evt_0000000000000007","data":1}'


def test_a_type_without_a_dot_has_no_status() -> None:
    assert Envelope('{"s":"{event.status}"}').body(event(kind="ping")) == b'{"s":""}'


def test_an_id_in_the_body_is_the_id_that_people_see() -> None:
    envelope = Envelope('{"id":"{event.id}"}')
    for number in (1, 2**63 - 1):
        shown = ids.show("evt", number)
        assert json.loads(envelope.body(event(number=number))) == {"id": shown}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{nothing}", "unknown slot {nothing}"),
        ("{event.id|lower}", "has no filter 'lower'"),
        ("{event.occurred_at|rfc822}", "has no filter 'rfc822'; it has z, unix, unix_ms"),
        ("a {payload}", "must be a whole value"),
        ("{payload.id}!", "must be a whole value"),
        ("{event.id", "a single {"),
        ("event.id}", "a single }"),
        ("{event.__class__}", "unknown slot"),
    ],
)
def test_what_is_no_slot_is_refused_with_its_reason(template: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        Envelope(json.dumps({"x": template}))


def test_the_payload_cannot_be_a_key() -> None:
    with pytest.raises(ConfigError, match="must be a whole value"):
        Envelope('{"{payload}": 1}')


FLAT = Dialect(envelope='{"how":"{event.transition}","id":"{payload.id}","all":"{payload}"}')


@pytest.mark.parametrize(
    ("transition", "payload", "code"),
    [
        ("", b'{"id":1}', "transition_missing"),
        ("PAY", b'{"number":1}', "payload_member_missing"),
        ("PAY", b'{"nested":{"id":1}}', "payload_member_missing"),
        ("PAY", b"[1]", "payload_not_an_object"),
        ("PAY", b'"id"', "payload_not_an_object"),
    ],
)
def test_an_event_without_what_the_envelope_takes_is_refused(
    transition: str, payload: bytes, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        check_event(FLAT, transition, payload)
    assert refused.value.code == code


def test_an_event_that_brings_it_all_is_taken_and_one_for_a_plain_envelope_needs_nothing() -> None:
    check_event(FLAT, "PAY", b' { "x" : [] , "id" : null } ')
    check_event(Dialect(), "", b"1")


@pytest.mark.parametrize("value", [b'"a\\u00e9\\/b"', b"1.10", b"1E2", b'{"x": [1,  2]}', b"null"])
def test_a_member_of_the_payload_is_spliced_as_it_came(value: bytes) -> None:
    payload = b'{"before": {"id": 0}, "id" : ' + value + b' , "after": "id"}'
    assert (
        Envelope('{"id":"{payload.id}"}').body(event(payload=payload)) == b'{"id":' + value + b"}"
    )


@pytest.mark.parametrize(
    ("name", "payload", "value"),
    [
        ("customer.name", b'{"customer":{"name": "A" }}', '"A"'),
        ("a.b.c", b'{"a":{"x":1,"b":{"c":1.10}}}', "1.10"),
        ("customer.name", b'{"customer.name":1,"customer":{"name":2}}', "1"),
        ("a.b.c", b'{"a":{"b.c":3}}', "3"),
        ("a.b", b'{"a":{"b":null}}', "null"),
    ],
)
def test_what_is_within_a_member_is_spliced_by_its_path(
    name: str, payload: bytes, value: str
) -> None:
    envelope = Envelope(json.dumps({"x": f"{{payload.{name}}}"}))
    envelope.check("", payload)
    assert envelope.body(event(payload=payload)).decode() == f'{{"x":{value}}}'


@pytest.mark.parametrize("payload", [b'{"a":1}', b'{"a":{"c":1}}', b'{"a":[{"b":1}]}', b'{"b":1}'])
def test_a_path_that_leads_nowhere_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidError, match=r"takes 'a\.b' from the payload, which has none"):
        Envelope('{"x":"{payload.a.b}"}').check("", payload)


def test_a_member_that_an_accepted_event_lacks_becomes_null() -> None:
    assert Envelope('{"id":"{payload.id}"}').body(event(payload=b"{}")) == b'{"id":null}'


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=ANY_JSON,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
    kind=st.from_regex(r"[A-Za-z_-]{1,9}(\.[A-Za-z_-]{1,9}){0,2}", fullmatch=True),
    transition=st.text(max_size=9),
    at=st.integers(0, 4_000_000_000_000_000),
)
def test_the_payload_is_found_untouched_in_a_body_that_is_valid_json(
    value: object, ascii_only: bool, indent: int | None, kind: str, transition: str, at: int
) -> None:
    transition = transition.encode("utf-8", "replace").decode()
    payload = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    envelope = Envelope(
        '{"1":"{event.type} %s {event.transition}","2":"{event.occurred_at}",'
        '"{event.entity|lower}":{"p":"{payload}"}}'
    )
    body = envelope.body(event(kind, payload, transition, at))
    assert b'{"p":' + payload + b"}" in body
    read = json.loads(body)
    assert read["1"] == f"{kind} %s {transition}"
    assert read[kind.partition(".")[0].lower()] == {"p": json.loads(payload)}


@pytest.mark.parametrize(
    ("slot", "most"), [("{payload}", 2), ("{payload.a}", 50)], ids=["payload", "members"]
)
def test_the_payload_is_taken_only_so_often(slot: str, most: int) -> None:
    Envelope(json.dumps({str(each): slot for each in range(most)})).check_limits()
    over = Envelope(json.dumps({str(each): slot for each in range(most + 1)}))
    with pytest.raises(ConfigError, match=f"stands {most + 1} times in the envelope; {most} at"):
        over.check_limits()


def test_members_that_are_too_large_together_are_refused() -> None:
    envelope = Envelope(json.dumps({str(each): "{payload.a}" for each in range(4)}))
    envelope.check("", b'{"a":"%b"}' % (b"x" * (131_072 - 2)))
    with pytest.raises(InvalidError) as refused:
        envelope.check("", b'{"a":"%b"}' % (b"x" * (131_072 - 1)))
    assert refused.value.code == "payload_too_large"
    assert "takes 524,292 bytes from the payload" in refused.value.detail
