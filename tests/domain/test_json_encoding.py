"""The JSON encoder: how Python values are encoded, and which are rejected at which path."""

import dataclasses
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, field_serializer

from hooktide import RawJSON
from hooktide.domain.errors import InvalidError
from hooktide.domain.json.encoding import encode_payload


class Line(BaseModel):
    price: Decimal


class Invoice(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    total: Decimal
    lines: list[Line] = []
    seller_url: AnyUrl | None = Field(default=None, serialization_alias="sellerUrl")
    rounded: Decimal = Decimal("1.5")
    rate: float = 0.0

    @field_serializer("rounded", when_used="json")
    def _written(self, value: Decimal) -> str:
        return f"{value} EUR"


@dataclasses.dataclass
class Wrapped:
    invoice: Any


INVOICE = Invoice(total=Decimal("1.10"), lines=[Line(price=Decimal("2.50"))])
ENCODED = b'{"total":1.10,"lines":[{"price":2.50}],"sellerUrl":null,"rounded":"1.5 EUR","rate":0.0}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", b'"text"'),
        ('{"id": 1}', rb'"{\"id\": 1}"'),
        (None, b"null"),
        ({"total": Decimal("1.10"), "n": 2**53 + 1}, b'{"total":1.10,"n":9007199254740993}'),
        (INVOICE, ENCODED),
        (Wrapped(INVOICE), b'{"invoice":%b}' % ENCODED),
        ({"nan": "null", "of": [INVOICE]}, b'{"nan":"null","of":[%b]}' % ENCODED),
        (AnyUrl("https://x.example/"), None),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC), "on": date(2026, 1, 2)},
         b'{"at":"2026-01-02T00:00:00Z","on":"2026-01-02"}'),
        ({"id": uuid.UUID(int=1)}, b'{"id":"00000000-0000-0000-0000-000000000001"}'),
        ({"number": 1, 2: "key"}, b'{"number":1,"2":"key"}'),
        ({Decimal("1.10"): "key"}, b'{"1.10":"key"}'),
        ({"bytes": b"ab"}, b'{"bytes":"YWI="}'),
        (b'{ "a": 1e5, "a": 2 }', b'{ "a": 1e5, "a": 2 }'),
        (bytearray(b"1.10"), b"1.10"),
        (RawJSON('{ "a": "\u00e9" }'), '{ "a": "\u00e9" }'.encode()),
        ({"exact": RawJSON("1e5"), "none": None}, b'{"exact":1e5,"none":null}'),
    ],
)  # fmt: skip
def test_a_value_is_encoded_and_text_is_kept(value: Any, text: bytes | None) -> None:
    if text is None:
        with pytest.raises(InvalidError, match=r"cannot encode pydantic\.networks\.AnyUrl"):
            encode_payload(value)
    else:
        assert encode_payload(value) == text


def holding_itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (float("nan"), "/payload"),
        ({"t": float("nan")}, "/payload/t"),
        ({"lines": [{}, {"a/b": float("-inf")}]}, "/payload/lines/1/a~1b"),
        ({"t": Decimal("NaN")}, "/payload/t"),
        ({"t": (1, Decimal("-Infinity"))}, "/payload/t/1"),
        (Wrapped({"t": float("nan")}), "/payload/invoice/t"),
        (INVOICE.model_copy(update={"rate": float("inf")}), "/payload/rate"),
        (Decimal("1E400"), "/payload"),
        ({float("nan"): 1}, "/payload"),
        ({"a": [object()]}, "/payload/a/0"),
        ({"a": "\ud800"}, "/payload/a"),
        (holding_itself(), "/payload"),
        (b"{", "/payload"),
        (b"", "/payload"),
        (b"NaN", "/payload"),
        (b"\xff", "/payload"),
        (RawJSON("\ud800"), "/payload"),
        ({"a": [RawJSON('1,"b":2')]}, "/payload/a/0"),
    ],
)
def test_what_json_has_no_form_for_is_refused_and_the_place_named(value: Any, pointer: str) -> None:
    with pytest.raises(InvalidError) as refused:
        encode_payload(value)
    [fault] = refused.value.faults
    assert (fault.code, fault.pointer) == ("invalid_json", pointer)
    assert fault.detail.startswith(f"{pointer} ")


def test_the_place_is_named_from_where_the_value_stands() -> None:
    with pytest.raises(InvalidError, match=r"^/example/t is nan"):
        encode_payload({"t": float("nan")}, "/example")
