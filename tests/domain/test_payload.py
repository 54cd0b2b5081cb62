"""Which payloads are accepted or refused, with which error, and the cost in the worst case."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.json.payload import MAX_BYTES, check_payload, check_schema, compile_schema
from hooktide.domain.project.project import EventType


def nested(depth: int, left: bytes = b"[", right: bytes = b"]") -> bytes:
    return left * depth + b"1" + right * depth


def code_of(raw: bytes) -> tuple[str, int]:
    with pytest.raises(InvalidError) as refused:
        check_payload(raw)
    assert refused.value.faults[0].pointer == "/payload"
    return refused.value.code, refused.value.status


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b'"text"',
        b" null ",
        b'{"a":1,"a":2}',
        b"9007199254740993",
        b"1.10",
        b"1E2",
        b"-0",
        b'"\\u0000"',
        '"é\u2028😀"'.encode(),
        b'"\\ud83d\\ude00"',
        nested(64),
        nested(64, b'{"a":', b"}"),
        b"[" + b"[],{}," * 1000 + b"0]",
        b'["' + b"[{" * 1000 + b'"]',
        b'["' + b'\\"[' * 1000 + b'\\\\",' + nested(63) + b"]",
        b'"' + b"x" * (MAX_BYTES - 2) + b'"',
    ],
)
def test_json_that_every_receiver_can_read_is_taken(raw: bytes) -> None:
    check_payload(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{} {}",
        b"{'a':1}",
        b"[1,]",
        b"[1] // why",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"1" * 5000,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'"a\nb"',
        b"[" + b'{"a":[1]},' * 100,
        b"]" * 100,
    ],
)
def test_what_a_receiver_could_stumble_over_is_invalid_json(raw: bytes) -> None:
    assert code_of(raw) == ("invalid_json", 400)


@pytest.mark.parametrize(
    "raw",
    [
        nested(65),
        nested(65, b'{"a":', b"}"),
        nested(1100),
        nested(100_000),
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b'["' + b'\\"' * 1000 + b'",' + nested(64) + b"]",
    ],
)
def test_more_than_64_levels_are_too_deep(raw: bytes) -> None:
    assert code_of(raw) == ("too_deep", 422)


def test_one_byte_more_than_256_kilobytes_is_too_large() -> None:
    assert code_of(b'"' + b"x" * (MAX_BYTES - 1) + b'"') == ("payload_too_large", 413)


@given(
    st.recursive(st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_the_depth_is_counted_exactly(value: object) -> None:
    raw, depth = json.dumps(value).encode(), depth_of(value)
    check_payload(raw, max_depth=depth)
    if depth:
        with pytest.raises(InvalidError, match="nested deeper"):
            check_payload(raw, max_depth=depth - 1)


def depth_of(value: object) -> int:
    match value:
        case list():
            return 1 + max(map(depth_of, value), default=0)
        case dict():
            return 1 + max(map(depth_of, value.values()), default=0)
        case _:
            return 0


@given(
    st.lists(
        st.sampled_from([b'"', b"\\", b"[", b"{", b"]", b"}", b",", b"1", b'[[["']), max_size=400
    )
)
def test_no_bytes_are_anything_but_taken_or_refused(pieces: list[bytes]) -> None:
    with contextlib.suppress(InvalidError):
        check_payload(b"".join(pieces), max_depth=5)


SCHEMA = """{
  "type": "object",
  "required": ["id"],
  "properties": {"id": {"type": "string"}, "a/b": {"type": "array", "items": {"type": "integer"}}}
}"""
KIND = EventType(name="invoice.paid", schema=SCHEMA)


def test_a_payload_that_keeps_to_its_schema_is_taken() -> None:
    check_schema(KIND, b'{"id":"x","a/b":[1,2],"more":1}')
    check_schema(EventType(name="invoice.paid"), b"anything")


def test_each_place_that_breaks_the_schema_is_pointed_at_without_its_value() -> None:
    with pytest.raises(InvalidError) as refused:
        check_schema(KIND, b'{"id":4242424242,"a/b":[1,"private"]}')
    assert refused.value.code == "payload_breaks_schema"
    assert {fault.pointer for fault in refused.value.faults} == {"/payload/id", "/payload/a~1b/1"}
    shown = refused.value.detail + "".join(fault.detail for fault in refused.value.faults)
    assert "4242424242" not in shown
    assert "private" not in shown


def test_only_the_first_errors_are_reported() -> None:
    with pytest.raises(InvalidError) as refused:
        check_schema(KIND, b'{"id":"x","a/b":[' + b'"a",' * 240 + b'"a"]}')
    assert len(refused.value.faults) == 20


def test_only_the_first_error_of_a_payload_of_many_values_is_reported() -> None:
    with pytest.raises(InvalidError) as refused:
        check_schema(KIND, b'{"id":"x","a/b":[' + b'"a",' * 250 + b'"a"]}')
    assert [fault.pointer for fault in refused.value.faults] == ["/payload/a~1b/0"]


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref": "http://127.0.0.1:1/schema.json"}',
        '{"$ref": "#/missing"}',
        '{"type": "objct"}',
        '{"pattern": "("}',
        "5",
        "{",
        '{"items":' * 900 + "{}" + "}" * 900,
    ],
)
def test_what_is_no_schema_is_refused(schema: str) -> None:
    with pytest.raises(ConfigError, match="not a JSON Schema"):
        compile_schema(schema)


def test_a_schema_elsewhere_is_never_fetched(tmp_path: Path) -> None:
    there = tmp_path / "schema.json"
    there.write_text("{}")
    with pytest.raises(ConfigError, match="never fetched"):
        compile_schema(json.dumps({"$ref": there.as_uri()}))


def doubled(levels: int) -> str:
    """Return a schema that applies its first definition 2 ** levels times."""
    definitions: dict[str, object] = {"a0": {"type": "integer"}}
    for level in range(1, levels + 1):
        definitions[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level - 1}"}] * 2}
    return json.dumps({"$defs": definitions, "$ref": f"#/$defs/a{levels}"})


def test_a_schema_that_checks_a_value_a_thousand_times_is_taken_and_more_is_refused() -> None:
    assert compile_schema(doubled(7)).checks <= 1000
    with pytest.raises(ConfigError, match="more than 1,000 times"):
        compile_schema(doubled(10))
    with pytest.raises(ConfigError, match="more than 1,000 times"):
        compile_schema(doubled(1000))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
        {"items": {"anyOf": [{"$ref": "#"}, {"items": {"$ref": "#"}}, {"$ref": "#"}]}},
        {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
        {"$defs": {"n": {"unevaluatedProperties": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"},
        {"$anchor": "n", "contains": {"$ref": "#n"}, "items": {"$ref": "#n"}},
    ],
)
def test_a_schema_that_doubles_with_each_level_of_a_payload_is_refused(schema: object) -> None:
    with pytest.raises(ConfigError, match="more than 1,000 times"):
        compile_schema(json.dumps(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
        {"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}]},
        {"oneOf": [{"properties": {"kind": {"const": f"k{each}"}}} for each in range(100)]},
        {"properties": {f"p{each}": {"type": "string"} for each in range(1000)}},
    ],
)
def test_trees_and_unions_are_no_costly_schemas(schema: object) -> None:
    assert compile_schema(json.dumps(schema)).checks < 500


def test_a_schema_that_leads_back_to_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="leads back to itself"):
        compile_schema('{"allOf": [{"$ref": "#"}]}')


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (
            '{"properties": {"a": {"type": "strng"}}}',
            "properties.a.type: .*strng.* is not a type; use",
        ),
        ('{"pattern": "(?=a)b"}', "at pattern: .* is not a usable pattern; avoid look-around"),
        ('{"minimum": "1"}', 'at minimum: "1" is not of type "number"'),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_with_its_place(schema: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        compile_schema(schema)


def test_a_payload_with_more_values_than_its_schema_may_check_is_refused() -> None:
    kind = EventType(name="a.b", schema=doubled(7))
    checks = compile_schema(doubled(7)).checks
    most = 2_000_000 // checks
    with pytest.raises(InvalidError, match="is not of type"):
        check_schema(kind, b"[" + b"0," * (most - 3) + b"0]")
    with pytest.raises(InvalidError, match="send fewer values, or make the schema simpler"):
        check_schema(kind, b"[" + b"0," * most + b"0]")


def test_only_the_first_error_of_a_large_payload_is_reported() -> None:
    kind = EventType(name="a.b", schema='{"items": {"type": "string"}}')
    with pytest.raises(InvalidError) as refused:
        check_schema(kind, b"[" + b"0," * 20_000 + b"0]")
    assert [fault.pointer for fault in refused.value.faults] == ["/payload/0"]
