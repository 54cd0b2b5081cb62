"""A filter: conditions on a payload, in JSON, that decide whether an endpoint gets an event.

``{"amount": {"$gte": 100}, "customer": {"country": {"$in": ["NL", "DE"]}}}``. ``docs/filters.md``
says what each operator means. A filter is read and checked once, into closures; matching takes time
linear in the payload for each condition, and is bounded (``MAX_LOOKED``).
"""

import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from hooktide.domain.errors import InvalidError
from hooktide.domain.json.members import reader_of_members
from hooktide.domain.json.payload import depth_of
from hooktide.domain.json.pointer import escaped
from hooktide.domain.phrase import phrase
from hooktide.domain.toml_table import nearest

MAX_FILTER_BYTES = 8192
MAX_CONDITIONS = 50
MAX_FILTER_DEPTH = 16
MAX_EXPONENT = 400
"""Numbers with a larger decimal exponent, or a smaller one than its negative, equal nothing."""
MAX_LOOKED = 200_000
"""Elements of arrays that a filter looks at in one payload; each takes about 100 ns."""
MAX_SHOWN = 100
"""Characters of a value or of a condition that a mismatch shows."""

Test: TypeAlias = Callable[[Any, list[int]], bool]
"""Whether a value meets a condition; the list holds how many elements may still be looked at."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


class _TooMuchError(Exception):
    """A payload's arrays have more elements than a filter looks at."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first condition that a payload did not meet.

    ``pointer`` is its place in the payload; ``condition`` is JSON text, and so is ``value`` (empty:
    the member is missing); both are cut after ``MAX_SHOWN`` characters.
    """

    pointer: str
    condition: str
    value: str

    def __str__(self) -> str:
        place = self.pointer or "the payload"
        found = f"is {self.value}" if self.value else "is missing"
        return f"{place} {found}; the filter requires {self.condition}"


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition as it was written, and its test.

    ``parts`` all have to hold: at the member ``name`` of a value, at the value itself or, with
    ``each``, at one element of it where it is an array.
    """

    holds: Test
    written: Any
    parts: tuple["_Condition", ...] = ()
    name: str | None = None
    each: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that can be used. ``text`` is its JSON, in one form for one meaning.

    ``members`` are those of the root that it looks at; None: it looks at the whole of it.
    """

    text: str
    conditions: int
    root: _Condition
    members: frozenset[str] | None

    def matches(self, payload: Any) -> bool:
        """Return whether a payload (``read_exactly``) meets all conditions.

        A payload with more elements in arrays than ``MAX_LOOKED`` counts as one that does: what may
        be wanted is not withheld.
        """
        try:
            return self.root.holds(payload, [MAX_LOOKED])
        except _TooMuchError:
            return True

    def mismatch(self, payload: Any) -> Mismatch | None:
        """Return the first condition that a payload does not meet; None: it matches."""
        return None if self.matches(payload) else _mismatch(self.root, payload, "")


def read_exactly(payload: bytes) -> Any:
    """Read a payload that was accepted, its numbers as ``int`` and ``Decimal``."""
    return _read(payload)


def _read(text: bytes) -> Any:
    try:
        return _read_quickly(text)
    except InvalidOperation:  # a number's exponent is beyond what a Decimal can hold
        return _read_any(text)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _OUT_OF_RANGE


_OUT_OF_RANGE = Decimal((0, (1,), MAX_EXPONENT + 1))
_read_quickly = msgspec.json.Decoder(float_hook=Decimal).decode
_read_any = msgspec.json.Decoder(float_hook=_number).decode
_write = msgspec.json.Encoder(decimal_format="number").encode


def read_filter(text: bytes | str, *, most: int = MAX_CONDITIONS) -> Filter:
    """Read a filter, and check it.

    Pointers in errors begin with ``/filter``. ``most``: how many conditions it may have.

    :raises InvalidError: ``invalid_filter``: names the member, and says what would be right.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > MAX_FILTER_BYTES:
            raise _wrong(
                "",
                phrase(
                    "it has {count} bytes; {most} at most",
                    count=len(raw),
                    most=MAX_FILTER_BYTES,
                ),
            )
        if depth_of(raw, MAX_FILTER_DEPTH) > MAX_FILTER_DEPTH:
            raise _wrong(
                "",
                phrase(
                    "nested deeper than {count} levels",
                    count=MAX_FILTER_DEPTH,
                ),
            )
        written = _read(raw)
        canonical = _write(written).decode()
    except ValueError as error:  # of the encoding, the JSON, or a number with thousands of digits
        raise _wrong("", phrase("this cannot be read as JSON: {error}", error=str(error))) from None
    if type(written) is not dict:
        raise _wrong(
            "", phrase('write an object of conditions, like {{"amount": {{"$gte": 100}}}}')
        )
    if not written:
        raise _wrong("", phrase("give at least one condition; for all events leave the filter out"))
    reader = _Reader(most)
    root = reader.condition(written, "")
    return Filter(canonical, reader.conditions, root, _members(written))


def _members(written: Any) -> frozenset[str] | None:
    found: set[str] = set()
    for name, value in written.items() if type(written) is dict else (("$eq", written),):
        if not name.startswith("$"):
            found.add(name)
            continue
        inner = value if name in ("$or", "$and") else [value]
        for each in inner if name in _LOGICAL else ():
            members = _members(each)
            if members is None:
                return None
            found |= members
        if name not in _LOGICAL:
            return None
    return frozenset(found)


def reader_of(filters: Collection[Filter]) -> Callable[[bytes], Any]:
    """Return what reads as much of an accepted payload as these filters look at.

    What is skipped costs a small part of what is read.
    """
    known = [each.members for each in filters if each.members is not None]
    if len(known) < len(filters):
        return read_exactly
    return reader_of_members(frozenset[str]().union(*known), Decimal, read_exactly)


@lru_cache(maxsize=4096)
def stored_filter(text: str) -> Filter | None:
    """Read a filter that was stored; None if this version cannot, and everything is to match.

    That is one which a newer version of Hooktide stored: an event too many does less harm than one
    that never comes.
    """
    try:
        return read_filter(text)
    except InvalidError:
        return None


def _wrong(at: str, detail: str) -> InvalidError:
    if at:
        detail = phrase("{name}: {detail}", name=at[:MAX_SHOWN], detail=detail)
    return InvalidError("invalid_filter", detail, pointer=f"/filter{at}")


class _Reader:
    """Reads what was written into conditions, and counts them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.conditions = 0

    def condition(self, written: Any, at: str) -> _Condition:
        """Read what stands at a member: conditions on its value, or the value that it must have."""
        if type(written) is dict:
            return self._all_of(written, at)
        test = self._comparison("$eq", written, at)
        return _Condition(test if type(written) is list else _each_test(test), written)

    def _all_of(self, written: dict[str, Any], at: str) -> _Condition:
        """Read an object: what it says of the value as a whole, and of each element of an array."""
        if not written:
            raise _wrong(
                at, phrase('name a member or an operator here, or write {{"$exist": true}}')
            )
        _check_not_mixed(written, at)
        whole: list[_Condition] = []
        single: list[_Condition] = []
        logical: list[_Condition] = []
        for name, value in written.items():
            place = f"{at}/{escaped(name)}"
            if name in _LOGICAL:
                logical.append(self._logical(name, value, place))
            elif not name.startswith("$"):
                single.append(self._member(name, value, place))
            else:
                test = self._comparison(name, value, place)
                of_whole = name == "$exist" or (type(value) is list and name in _EQUALITIES)
                (whole if of_whole else single).append(_Condition(test, {name: value}))
        if single:
            parts = (*single, *logical)
            whole.append(_Condition(_each_test(_all_test(parts)), _joined(parts), parts, each=True))
        else:
            whole += logical
        return whole[0] if len(whole) == 1 else _Condition(_all_test(whole), written, (*whole,))

    def _member(self, name: str, value: Any, at: str) -> _Condition:
        inner = self.condition(value, at)
        return _Condition(_member_test(name, inner.holds), {name: value}, (inner,), name)

    def _logical(self, name: str, value: Any, at: str) -> _Condition:
        if name == "$not":
            inner = self.condition(value, at)
            return _Condition(_not_test(inner.holds), {name: value})
        if type(value) is not list or not value:
            raise _wrong(
                at,
                phrase('{name} takes a list of conditions, like [{{"$lt": 10}}, null]', name=name),
            )
        parts = [self.condition(each, f"{at}/{i}") for i, each in enumerate(value)]
        if name == "$and":
            return _Condition(_all_test(parts), {name: value}, (*parts,))
        return _Condition(_any_test(parts), {name: value})

    def _comparison(self, name: str, value: Any, at: str) -> Test:
        make = _COMPARISONS.get(name)
        if make is None:
            raise _wrong(at, _why_unknown(name))
        self.conditions += 1
        if self.conditions > self._most:
            raise _wrong(at, phrase("{most} conditions at most; this is one more", most=self._most))
        if not all(map(_in_range, _numbers(value))):
            raise _wrong(
                at,
                phrase(
                    "a number's exponent is from -{most} to {most}",
                    most=MAX_EXPONENT,
                ),
            )
        return make(name, value, at)


def _check_not_mixed(written: dict[str, Any], at: str) -> None:
    members = [name for name in written if not name.startswith("$")]
    for name in written:
        if members and name in _COMPARISONS and name != "$exist":
            raise _wrong(
                f"{at}/{name}",
                phrase(
                    "{name} compares a value, and {member} beside it is a member of one; "
                    'write {{"{plain}": {{"{name}": ...}}}} if that was meant',
                    name=name,
                    member=repr(members[0][:100]),
                    plain=members[0][:100],
                ),
            )


def _why_unknown(name: str) -> str:
    if name in _NOT_OFFERED:
        return phrase("{name} is not offered: {instead}", name=name, instead=_NOT_OFFERED[name])
    known = (*_COMPARISONS, *_LOGICAL)
    hint = nearest(name[:100], known)
    return phrase("no such operator{hint}; use {known}", hint=hint, known=", ".join(known))


_LOGICAL = ("$or", "$and", "$not")
_EQUALITIES = ("$eq", "$neq")
_NO_REGEX = phrase("there are no regular expressions; use $startsWith, $endsWith or $contains")
_NOT_OFFERED = {
    "$ref": phrase("a value cannot be compared with another member; give the value itself"),
    "$regex": _NO_REGEX,
    "$regexp": _NO_REGEX,
    "$match": _NO_REGEX,
    "$exists": phrase("write {operator}", operator="$exist"),
    "$ne": phrase("write {operator}", operator="$neq"),
    "$nor": phrase("write {operator}", operator='{"$not": {"$or": [...]}}'),
    "$elemMatch": phrase("conditions in one object are met by one element already"),
}


def _joined(parts: tuple[_Condition, ...]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.written.items()}


def _member_test(name: str, holds: Test) -> Test:
    def test(value: Any, left: list[int]) -> bool:
        return holds(value.get(name, MISSING) if type(value) is dict else MISSING, left)

    return test


def _each_test(holds: Test) -> Test:
    """Apply a test to a value, or to the elements of an array, of which one has to meet it."""

    def test(value: Any, left: list[int]) -> bool:
        if type(value) is not list:
            return holds(value, left)
        left[0] -= len(value)
        if left[0] < 0:
            raise _TooMuchError
        for element in value:
            if test(element, left) if type(element) is list else holds(element, left):
                return True
        return False

    return test


def _all_test(parts: Sequence[_Condition]) -> Test:
    tests = tuple(part.holds for part in parts)
    if len(tests) == 1:
        return tests[0]

    def test(value: Any, left: list[int]) -> bool:
        for holds in tests:  # noqa: SIM110  # a generator would double what a condition costs
            if not holds(value, left):
                return False
        return True

    return test


def _any_test(parts: Sequence[_Condition]) -> Test:
    tests = tuple(part.holds for part in parts)
    return lambda value, left: any(holds(value, left) for holds in tests)


def _not_test(holds: Test) -> Test:
    return lambda value, left: not holds(value, left)


def _eq(name: str, operand: Any, at: str) -> Test:
    kind = type(operand)
    if kind is str:
        return lambda value, _: bool(value == operand)
    if kind in _NUMBERS:
        return lambda value, _: (
            value == operand and type(value) in _NUMBERS  # True is 1 to Python
        )
    if kind in (list, dict):
        return lambda value, _: _same(operand, value)
    return lambda value, _: value is operand


def _neq(name: str, operand: Any, at: str) -> Test:
    return _not_test(_eq(name, operand, at))


def _in(name: str, operand: Any, at: str) -> Test:
    if type(operand) is not list or not operand:
        raise _wrong(at, phrase('{name} takes a list of values, like ["NL", "DE"]', name=name))
    for index, each in enumerate(operand):
        if type(each) in (list, dict):
            raise _wrong(f"{at}/{index}", phrase("give a string, a number, true, false or null"))
    texts = frozenset(each for each in operand if type(each) is str)
    numbers = frozenset(each for each in operand if type(each) in _NUMBERS)
    rest = tuple(each for each in operand if each is None or type(each) is bool)

    def test(value: Any, left: list[int]) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts
        if kind in _NUMBERS:
            return value in numbers
        return any(value is each for each in rest)

    return test


def _nin(name: str, operand: Any, at: str) -> Test:
    return _not_test(_in(name, operand, at))


def _ordered(name: str, operand: Any, at: str) -> Test:
    compare = _ORDERS[name]
    if type(operand) is str:
        return lambda value, _: type(value) is str and compare(value, operand)
    if type(operand) in _NUMBERS:
        return lambda value, _: (
            type(value) in _NUMBERS and _in_range(value) and compare(value, operand)
        )
    raise _wrong(at, phrase("{name} compares with a number or a string, like 100", name=name))


def _text(name: str, operand: Any, at: str) -> Test:
    if type(operand) is not str or not operand:
        if name == "$contains":
            why = phrase(
                '{name} takes a string that is not empty, like "inv_" (an array has an element by '
                "the value itself)",
                name=name,
            )
        else:
            why = phrase('{name} takes a string that is not empty, like "inv_"', name=name)
        raise _wrong(at, why)
    method = _TEXTS[name]
    return lambda value, _: type(value) is str and method(value, operand)


def _exist(name: str, operand: Any, at: str) -> Test:
    if type(operand) is not bool:
        raise _wrong(at, phrase("$exist takes true or false"))
    return lambda value, _: (value is not MISSING) is operand


_NUMBERS = (int, Decimal)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "$contains": str.__contains__,
    "$startsWith": str.startswith,
    "$endsWith": str.endswith,
}
_COMPARISONS: dict[str, Callable[[str, Any, str], Test]] = {
    "$eq": _eq,
    "$neq": _neq,
    **dict.fromkeys(_ORDERS, _ordered),
    "$in": _in,
    "$nin": _nin,
    **dict.fromkeys(_TEXTS, _text),
    "$exist": _exist,
}


def _same(expected: Any, value: Any) -> bool:
    """Return whether a value equals a whole array or object, in time linear in the expected."""
    kind = type(expected)
    if kind in _NUMBERS:
        return type(value) in _NUMBERS and bool(value == expected)
    if kind is not type(value) or (kind in (list, dict) and len(expected) != len(value)):
        return False
    if kind is list:
        return all(map(_same, expected, value))
    if kind is dict:
        return all(name in value and _same(each, value[name]) for name, each in expected.items())
    return bool(expected == value)


def _numbers(value: Any) -> Iterator[int | Decimal]:
    if type(value) in _NUMBERS:
        yield value
    elif type(value) in (list, dict):
        for each in value.values() if type(value) is dict else value:
            yield from _numbers(each)


def _in_range(number: int | Decimal) -> bool:
    if type(number) is Decimal:
        return not number or -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT
    return bool(-_TOO_LARGE < number < _TOO_LARGE)


_TOO_LARGE = 10 ** (MAX_EXPONENT + 1)


def _mismatch(condition: _Condition, value: Any, pointer: str) -> Mismatch:
    """Return the first condition that a value does not meet, of those that all have to hold."""
    if condition.name is not None:
        value = value.get(condition.name, MISSING) if type(value) is dict else MISSING
        pointer = f"{pointer}/{escaped(condition.name)}"
    if not (condition.each and type(value) is list):
        for part in condition.parts:
            if not part.holds(value, [MAX_LOOKED]):
                return _mismatch(part, value, pointer)
    shown = "" if value is MISSING else _cut(value)
    return Mismatch(pointer, _cut(condition.written), shown)


def _cut(value: Any) -> str:
    text = str(_write(value), "utf-8")
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
