"""What filters match, compared with a second simple implementation; and what is rejected."""

import contextlib
import json
import random
import time
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import InvalidError
from hooktide.domain.filtering.filter import (
    MAX_CONDITIONS,
    MAX_FILTER_BYTES,
    MAX_FILTER_DEPTH,
    MAX_LOOKED,
    read_exactly,
    read_filter,
    reader_of,
    stored_filter,
)

GONE = object()
LOGICAL = ("$or", "$and", "$not")


class Plain:
    """The rules of ``docs/filters.md``, implemented simply and slowly."""

    def meets(self, written: Any, value: Any) -> bool:
        """Return whether a value meets a condition."""
        if isinstance(written, list):  # an array literal means equal as a whole
            return self.equal(written, value)
        if not isinstance(written, dict):
            return self.on_elements({"$eq": written}, value)
        whole: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for name, operand in written.items():
            of_whole = name == "$exist" or (name in ("$eq", "$neq") and isinstance(operand, list))
            (whole if of_whole else rest)[name] = operand
        if not all(self.compares(name, operand, value) for name, operand in whole.items()):
            return False
        if all(name in LOGICAL for name in rest):  # only these: they apply to the value itself
            return all(self.holds(name, operand, value) for name, operand in rest.items())
        return self.on_elements(rest, value)

    def on_elements(self, written: dict[str, Any], value: Any) -> bool:
        """An array meets a condition if one of its elements meets the entire condition."""
        if isinstance(value, list):
            return any([self.on_elements(written, element) for element in value])
        return all([self.holds(name, operand, value) for name, operand in written.items()])

    def holds(self, name: str, operand: Any, value: Any) -> bool:
        if name == "$or":
            return any([self.meets(each, value) for each in operand])
        if name == "$and":
            return all([self.meets(each, value) for each in operand])
        if name == "$not":
            return not self.meets(operand, value)
        if name.startswith("$"):
            return self.compares(name, operand, value)
        member = value[name] if isinstance(value, dict) and name in value else GONE
        return self.meets(operand, member)

    def compares(self, name: str, operand: Any, value: Any) -> bool:
        if name == "$exist":
            return bool((value is not GONE) == operand)
        if name == "$eq":
            return self.equal(operand, value)
        if name == "$neq":
            return not self.equal(operand, value)
        if name == "$in":
            return any([self.equal(each, value) for each in operand])
        if name == "$nin":
            return not any([self.equal(each, value) for each in operand])
        compared: dict[str, bool] = {}
        if isinstance(operand, str) and isinstance(value, str):
            found = value.find(operand)
            compared = {
                "$gt": value > operand,
                "$gte": value >= operand,
                "$lt": value < operand,
                "$lte": value <= operand,
                "$contains": found >= 0,
                "$startsWith": found == 0,
                "$endsWith": value[-len(operand) :] == operand,
            }
        if self.is_number(operand) and self.is_number(value):
            compared = {
                "$gt": Decimal(value) > Decimal(operand),
                "$gte": Decimal(value) >= Decimal(operand),
                "$lt": Decimal(value) < Decimal(operand),
                "$lte": Decimal(value) <= Decimal(operand),
            }
        return bool(compared.get(name))

    def is_number(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return False
        return value == 0 or -400 <= Decimal(value).adjusted() <= 400

    def equal(self, one: Any, other: Any) -> bool:
        if one is GONE or other is GONE:
            return False
        if self.is_number(one) or self.is_number(other):
            numbers = self.is_number(one) and self.is_number(other)
            return numbers and Decimal(one) == Decimal(other)
        if type(one) is not type(other) or (isinstance(one, int | Decimal) and one is not other):
            return False
        if isinstance(one, list):
            return len(one) == len(other) and all(
                [self.equal(*pair) for pair in zip(one, other, strict=True)]
            )
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(
                [self.equal(one[name], other[name]) for name in one]
            )
        return bool(one == other)


NUMBERS = ["0", "-0", "0.0", "1", "1.0", "1e0", "2", "-1", "1.00000000000000000001", "1.5"]
NUMBERS += ["15e-1", "12345678901234567890123", "1e300", "1e-400", "0e-999"]
BEYOND = "1e-401"
TEXTS = ['""', '"a"', '"b"', '"ab"', '"ba"', '"\U0001f600"', '"\uffff"']
OTHERS = ["true", "false", "null"]
MATCHES = ["$contains", "$startsWith", "$endsWith"]
ORDERS = ["$gt", "$gte", "$lt", "$lte"]


class Chance:
    """Generates filters and payloads with few names and values, so that they often match."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._one_of = self._random.choice

    def scalar(self, *beyond: str) -> str:
        return self._one_of([self._one_of([*NUMBERS, *beyond]), *TEXTS[:4], self._one_of(OTHERS)])

    def value(self, depth: int, *beyond: str) -> str:
        kind = self._random.random() if depth else 0
        if kind < 0.5:
            return self.scalar(*beyond)
        parts = [self.value(depth - 1, *beyond) for _ in range(self._random.randint(0, 3))]
        return self.array(parts) if kind < 0.75 else self.object(parts)

    def array(self, parts: list[str]) -> str:
        return "[" + ",".join(parts) + "]"

    def object(self, parts: list[str]) -> str:  # a name may be there twice
        return "{" + ",".join(f'"{self._one_of("ab")}":{part}' for part in parts) + "}"

    def condition(self, depth: int) -> str:
        kind = self._random.random()
        if kind < 0.2 or not depth:
            return self.scalar()
        if kind < 0.25:
            return self.array([self.value(1) for _ in range(2)])
        return self.filter(depth - 1)

    def filter(self, depth: int) -> str:
        part = self._one_of([self.operation, self.member])
        parts = [part(depth) for _ in range(self._random.randint(1, 2))]
        if self._random.random() < 0.4:
            parts.append(self.logical(depth))
        return "{" + ",".join(parts[self._random.randint(0, len(parts) - 1) :]) + "}"

    def member(self, depth: int) -> str:
        return f'"{self._one_of("ab")}":{self.condition(depth)}'

    def logical(self, depth: int) -> str:
        if self._random.random() < 0.4:
            return f'"$not":{self.condition(depth)}'
        parts = [self.condition(depth) for _ in range(self._random.randint(1, 2))]
        return f'"{self._one_of(["$or", "$and"])}":{self.array(parts)}'

    def operation(self, depth: int) -> str:
        scalars = self.array([self.scalar() for _ in range(self._random.randint(1, 3))])
        return self._one_of(
            [
                f'"{self._one_of(["$eq", "$neq"])}":{self.value(2)}',
                f'"{self._one_of(ORDERS)}":{self._one_of([*NUMBERS, *TEXTS])}',
                f'"{self._one_of(["$in", "$nin"])}":{scalars}',
                f'"{self._one_of(MATCHES)}":{self._one_of(TEXTS[1:])}',
                f'"$exist":{self._one_of(OTHERS[:2])}',
            ]
        )


@given(st.integers(0, 2**64))
def test_filters_match_what_a_plain_reading_of_the_rules_matches(seed: int) -> None:
    chance = Chance(seed)
    for _ in range(40):
        check_both_readings(chance.filter(3), chance.value(3, BEYOND))


@pytest.mark.parametrize(
    ("written", "payload"),
    [
        ('{"a":{"$neq":"x"}}', '{"a":["x","y"]}'),
        ('{"a":{"$not":"x"}}', '{"a":["x","y"]}'),
        ('{"a":{"$gte":5,"$lte":7}}', '{"a":[1,9]}'),
        ('{"a":{"$and":[{"$gte":5},{"$lte":7}]}}', '{"a":[1,9]}'),
        ('{"a":{"b":1,"c":2}}', '{"a":[{"b":1},{"c":2}]}'),
        ('{"a":[1]}', '{"a":[[1]]}'),
        ('{"a":1}', '{"a":true}'),
        ('{"a":{"$in":[1,0]}}', '{"a":false}'),
    ],
)
def test_a_filter_matches_what_a_plain_reading_of_the_rules_matches(
    written: str, payload: str
) -> None:
    check_both_readings(written, payload)


def check_both_readings(written: str, payload: str) -> None:
    read = read_filter(written)
    value = read_exactly(payload.encode())
    plain = json.loads(written, parse_float=Decimal)
    expected = Plain().meets(plain, json.loads(payload, parse_float=Decimal))
    assert read.matches(value) is expected
    assert read.matches(reader_of([read])(payload.encode())) is expected
    assert (read.mismatch(value) is None) is expected
    assert read_filter(read.text).matches(value) is expected


@pytest.mark.parametrize(
    ("written", "matching", "other"),
    [
        ('{"a":1}', ["1", "1.0", "1e0", "[0,1]", "[[1]]"], ["true", '"1"', "null", "[]", "2"]),
        ('{"a":null}', ["null", "[null]"], ["0", "false", "{}", "[]"]),
        ('{"a":[1,2]}', ["[1,2]", "[1.0,2]"], ["[2,1]", "[1,2,3]", "[[1,2]]", "1"]),
        ('{"a":{"$neq":1}}', ["2", "null", '"1"', "[1,2]"], ["1", "[1]", "[]"]),
        ('{"a":{"$not":1}}', ["2", "[]", "[2]", "null"], ["1", "[1,2]"]),
        (
            '{"a":{"$gt":0.1}}',
            ["0.10000000000000000000000001", "1"],
            ["0.1", '"x"', "null", "true"],
        ),
        ('{"a":{"$lt":"b"}}', ['"a"', '"B"', '""'], ['"b"', '"ba"', "1"]),
        ('{"a":{"$lte":1}}', ["1e-400", "-1"], ["1e-401", "2"]),
        ('{"a":{"$in":["x",1,null]}}', ['"x"', "1.0", "null", '["y","x"]'], ["true", '"1"', "{}"]),
        ('{"a":{"$nin":["x",1]}}', ["true", '["x","y"]', "{}"], ['"x"', "1", "[1]"]),
        ('{"a":{"$contains":"ab"}}', ['"xaby"', '["ab"]'], ['"ba"', "5", '{"ab":1}']),
        ('{"a":{"$startsWith":"ab"}}', ['"abc"'], ['"cab"', '"a"']),
        ('{"a":{"$endsWith":"ab"}}', ['"cab"'], ['"abc"', '"b"']),
        ('{"a":{"$exist":true}}', ["null", "[]", "0"], []),
        ('{"a":{"$gte":5,"$lte":7}}', ["5", "7", "[1,6]"], ["[1,9]", "8"]),
        ('{"a":{"b":1,"c":2}}', ['{"b":1,"c":2}', '[{"b":1,"c":2}]'], ['[{"b":1},{"c":2}]', "1"]),
        ('{"a":{"$or":[{"$lt":1},"x",null]}}', ["0", '"x"', "null"], ["1", '"y"']),
        ('{"a":{"b":{"$exist":false}}}', ["1", "{}", "null"], ['{"b":null}']),
        ('{"a":{"$eq":{"b":[1]}}}', ['{"b":[1]}', '[{"b":[1.0]}]'], ['{"b":[1],"c":1}']),
    ],
)
def test_what_a_condition_matches(written: str, matching: list[str], other: list[str]) -> None:
    read = read_filter(written)
    assert [
        text for text in matching if not read.matches(read_exactly(b'{"a":%b}' % text.encode()))
    ] == []
    assert [text for text in other if read.matches(read_exactly(b'{"a":%b}' % text.encode()))] == []


@pytest.mark.parametrize(
    ("written", "matches"),
    [
        ('{"a":1}', False),
        ('{"a":null}', False),
        ('{"a":{"$gte":0}}', False),
        ('{"a":{"$exist":true}}', False),
        ('{"a":{"$exist":false}}', True),
        ('{"a":{"$neq":1}}', True),
        ('{"a":{"$neq":[1]}}', True),
        ('{"a":{"$nin":[1]}}', True),
        ('{"a":{"$not":{"$gte":0}}}', True),
        ('{"$not":{"a":1}}', True),
        ('{"a":{"b":{"$neq":1}}}', True),
    ],
)
def test_what_a_missing_member_matches(written: str, matches: bool) -> None:
    for payload in (b"{}", b"5", b"null", b'"a"'):
        assert read_filter(written).matches(read_exactly(payload)) is matches


def test_a_payload_is_read_as_far_as_its_filters_look_at_it() -> None:
    payload = b'{"a":1,"b":{"c":[1e-99999999999999999999]},"d":2,"a":3}'
    some = [
        read_filter('{"a":1}'),
        read_filter('{"$or":[{"d":1},{"$not":{"d":{"$exist":false}}}]}'),
    ]
    assert reader_of(some)(payload) == {"a": 3, "d": 2}
    whole = reader_of([*some, read_filter('{"$or":[{"a":1},{"$exist":false}]}')])(payload)
    assert list(whole) == ["a", "b", "d"]
    assert list(reader_of([read_filter('{"b":1}')])(payload)) == ["a", "b", "d"]
    assert reader_of(some)(b"[1]") == [1]


def test_of_members_that_are_there_twice_the_last_counts() -> None:
    read = read_filter('{"a":1,"a":2}')
    assert read.text == '{"a":2}'
    assert read.matches(read_exactly(b'{"a":1,"a":2}'))
    assert not read.matches(read_exactly(b'{"a":2,"a":1}'))


def test_a_payload_that_is_an_array_matches_by_one_of_its_elements() -> None:
    assert read_filter('{"a":1}').matches(read_exactly(b'[{"a":2},{"a":1}]'))


@pytest.mark.parametrize(
    ("written", "pointer", "said"),
    [
        ("[1]", "/filter", '{"amount": {"$gte": 100}}'),
        ('"x"', "/filter", '{"amount": {"$gte": 100}}'),
        ("{}", "/filter", "at least one condition"),
        ("{", "/filter", "cannot be read as JSON"),
        ('{"a":1', "/filter", "cannot be read as JSON"),
        ('{"a":\ud800}', "/filter", "cannot be read as JSON"),
        ('{"a":NaN}', "/filter", "cannot be read as JSON"),
        ('{"a":{}}', "/filter/a", '{"$exist": true}'),
        ('{"x/y":{"~":{}}}', "/filter/x~1y/~0", "$exist"),
        ('{"a":{"$gtt":1}}', "/filter/a/$gtt", "did you mean '$gt'?"),
        ('{"a":{"$regex":"x"}}', "/filter/a/$regex", "no regular expressions; use $startsWith"),
        ('{"a":{"$gt":{"$ref":"b"}}}', "/filter/a/$gt", "a number or a string"),
        ('{"a":{"$ref":"b"}}', "/filter/a/$ref", "cannot be compared with another member"),
        ('{"a":{"$ne":1}}', "/filter/a/$ne", "write $neq"),
        ('{"a":{"$exists":true}}', "/filter/a/$exists", "write $exist"),
        ('{"a":{"$gt":null}}', "/filter/a/$gt", "a number or a string"),
        ('{"a":{"$gt":true}}', "/filter/a/$gt", "a number or a string"),
        ('{"a":{"$in":"NL"}}', "/filter/a/$in", '["NL", "DE"]'),
        ('{"a":{"$in":[]}}', "/filter/a/$in", '["NL", "DE"]'),
        ('{"a":{"$nin":[1,[2]]}}', "/filter/a/$nin/1", "a string, a number"),
        ('{"a":{"$contains":5}}', "/filter/a/$contains", "by the value itself"),
        ('{"a":{"$startsWith":""}}', "/filter/a/$startsWith", "not empty"),
        ('{"a":{"$exist":1}}', "/filter/a/$exist", "true or false"),
        ('{"$or":{"a":1}}', "/filter/$or", "a list of conditions"),
        ('{"$and":[]}', "/filter/$and", "a list of conditions"),
        ('{"$and":[{"a":1},{"b":{}}]}', "/filter/$and/1/b", "$exist"),
        ('{"a":{"b":1,"$gte":2}}', "/filter/a/$gte", "'b' beside it"),
        ('{"a":1e401}', "/filter/a", "exponent"),
        ('{"a":{"$in":[1e-401]}}', "/filter/a/$in", "exponent"),
        ('{"a":[{"b":1e-99999999999999999999}]}', "/filter/a", "exponent"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_member_and_what_is_right(
    written: str, pointer: str, said: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        read_filter(written)
    assert refused.value.code == "invalid_filter"
    assert refused.value.faults[0].pointer == pointer
    assert said in refused.value.detail


def test_a_filter_is_bounded() -> None:
    deep = '{"a":' * MAX_FILTER_DEPTH + "1" + "}" * MAX_FILTER_DEPTH
    assert read_filter(deep).conditions == 1
    many = ",".join(f'"a{n}":1' for n in range(MAX_CONDITIONS))
    assert read_filter("{" + many + "}").conditions == MAX_CONDITIONS
    long = '{"a":"' + "x" * (MAX_FILTER_BYTES - 8) + '"}'
    assert read_filter(long).matches({"a": "x" * (MAX_FILTER_BYTES - 8)})
    for text, said in [
        ('{"b":' + deep + "}", "deeper than 16"),
        ('{"a":' + "[" * 4000 + "]" * 4000 + "}", "deeper than 16"),
        ("[" * MAX_FILTER_BYTES, "deeper than 16"),
        ("{" + many + ',"b":1}', "50 conditions at most"),
        (long.replace('"a"', '"aa"'), f"{MAX_FILTER_BYTES:,} at most"),
        ('{"a":"' + "é" * (MAX_FILTER_BYTES // 2) + '"}', f"{MAX_FILTER_BYTES:,} at most"),
        ('{"a":' + "1" * 5000 + "}", "out of range"),
    ]:
        with pytest.raises(InvalidError, match=said):
            read_filter(text)
    with pytest.raises(InvalidError, match="2 conditions at most"):
        read_filter('{"a":1,"b":2,"c":{"$in":[3]}}', most=2)


HOSTILE = {
    "numbers": b"[" + b"1," * 131_000 + b"1]",
    "fractions": b"[" + b"1.5," * 65_000 + b"1.5]",
    "digits": b"0." + b"1" * 262_000,
    "small": b"[" + b"1e-999999999," * 20_000 + b"0]",
    "text": b'"' + b"a" * 262_000 + b'"',
    "arrays": b"[" + b"[]," * 87_000 + b"[]]",
    "deep": b"[" * 63 + b",".join([b"1"] * 130_000) + b"]" * 63,
    "objects": b"[" + b'{"b":1},' * 32_000 + b"{}]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_payloads_and_filters_take_bounded_time(name: str) -> None:
    payload = b'{"a":%b}' % HOSTILE[name]
    parts = ['{"a":0.11}', '{"a":{"b":{"$gt":2}}}', '{"a":{"$contains":"' + "a" * 1000 + 'b"}}']
    parts += ['{"a":{"$in":["x",1.25]}}', '{"a":{"$eq":[1,2,3]}}'] * 8
    read = read_filter('{"$or":[' + ",".join(parts) + "]}")
    began = time.process_time()
    read.matches(read_exactly(payload))
    assert time.process_time() - began < 1


def test_a_payload_with_too_many_elements_for_the_filter_is_not_withheld() -> None:
    elements = {"a": [0] * (MAX_LOOKED // 2)}
    twice = read_filter('{"a":1,"$or":[{"a":2},{"a":3}]}')
    assert not twice.matches(elements)
    assert read_filter('{"$or":[{"a":1},{"a":2},{"a":3}]}').matches(elements)


def test_a_mismatch_names_the_place_the_condition_and_the_value() -> None:
    read = read_filter('{"amount":{"$gte":100,"$lt":200},"c":{"country":{"$in":["NL","DE"]}}}')
    for payload, said in [
        ('{"amount":50}', '/amount is 50; the filter requires {"$gte":100}'),
        ('{"amount":200}', '/amount is 200; the filter requires {"$lt":200}'),
        ('{"amount":100}', '/c/country is missing; the filter requires {"$in":["NL","DE"]}'),
        ('{"amount":[50,300]}', '/amount is [50,300]; the filter requires {"$gte":100,"$lt":200}'),
        (
            '{"amount":150,"c":{"country":"FR"}}',
            '/c/country is "FR"; the filter requires {"$in":["NL","DE"]}',
        ),
    ]:
        assert str(read.mismatch(read_exactly(payload.encode()))) == said
    either = read_filter('{"$or":[{"a":1},{"b":2}]}')
    assert (
        str(either.mismatch({}))
        == 'the payload is {}; the filter requires {"$or":[{"a":1},{"b":2}]}'
    )
    long = read_filter('{"a":"x"}').mismatch({"a": "y" * 1000})
    assert long is not None
    assert len(long.value) == 100


@given(st.integers(0, 2**64))
def test_whatever_is_accepted_as_a_payload_is_read_for_filters(seed: int) -> None:
    payload = Chance(seed).value(5, BEYOND)
    read = read_exactly(payload.encode())
    assert orjson.loads(payload) == orjson.loads(json.dumps(read, default=float))


def test_random_bytes_are_a_filter_or_an_error_of_ours() -> None:
    chance = random.Random(7)
    seed = b'{"a":{"$gte":1,"$in":["x",null]},"$or":[{"b":[1.5]},{"$not":{"c":true}}]}'
    for _ in range(3000):
        text = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        with contextlib.suppress(InvalidError):
            read_filter(bytes(text)).matches({"a": 1, "b": [Decimal("1.5")]})


def test_a_stored_filter_that_this_version_cannot_read_is_none() -> None:
    assert stored_filter('{"a":{"$later":1}}') is None
    assert stored_filter('{"a":1}') is stored_filter('{"a":1}')
