"""Channels, tags and metadata: what may be attached."""

from typing import Any

import pytest

from hooktide.domain.errors import InvalidError
from hooktide.domain.labels import (
    MAX_METADATA_BYTES,
    check_channels,
    check_metadata,
    check_tags,
    is_addressed,
    read_metadata_filter,
)


def fault_of(check: Any, *given: Any) -> tuple[str, str, str]:
    with pytest.raises(InvalidError) as refused:
        check(*given)
    [fault] = refused.value.faults
    return fault.code, fault.pointer, fault.detail


def test_channels_and_tags_are_kept_in_order_and_each_once() -> None:
    assert check_channels(["b", "a", "b", "A-1_.x"]) == ("b", "a", "A-1_.x")
    assert check_tags(["order:42", "a/b#c", "order:42"]) == ("order:42", "a/b#c")
    assert check_channels(["x" * 128] * 11) == ("x" * 128,)


@pytest.mark.parametrize("wrong", ["", "a b", "é", "a:b", "x" * 129, "a\n"])
def test_a_malformed_channel_is_named(wrong: str) -> None:
    code, pointer, detail = fault_of(check_channels, ["good", wrong])
    assert (code, pointer) == ("invalid_channels", "/channels/1")
    assert detail == "a channel is 1 to 128 characters: letters, digits, and - _ ."


def test_too_many_are_counted() -> None:
    many = [str(number) for number in range(11)]
    assert fault_of(check_channels, many) == (
        "invalid_channels",
        "/channels",
        "10 at most; there are 11",
    )
    assert fault_of(check_channels, many[:6], 5)[2] == "5 at most; there are 6"
    assert fault_of(check_tags, many)[:2] == ("invalid_tags", "/tags")
    assert fault_of(check_tags, ["a b"])[1] == "/tags/0"


def test_an_endpoint_with_channels_gets_only_what_shares_one() -> None:
    assert is_addressed((), ())
    assert is_addressed((), ("a",))
    assert is_addressed(("a", "b"), ("c", "b"))
    assert not is_addressed(("a", "b"), ("c",))
    assert not is_addressed(("a", "b"), ())


def test_metadata_is_texts_with_names_up_to_its_size_as_json() -> None:
    assert check_metadata({"tier": "gold", "é": "two\nlines"}) == (
        ("tier", "gold"),
        ("é", "two\nlines"),
    )
    full = {"a": "é" * ((MAX_METADATA_BYTES - 8) // 2)}
    assert check_metadata(full) == tuple(full.items())
    code, pointer, detail = fault_of(check_metadata, {"a": full["a"] + "x"})
    assert (code, pointer) == ("invalid_metadata", "/metadata")
    assert detail == "4,096 bytes as JSON at most; it has 4,097"
    assert check_metadata({}, 0) == ()


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"": "x"}, "/metadata/"),
        ({"a:b": "x"}, "/metadata/a:b"),
        ({" a": "x"}, "/metadata/ a"),
        ({"a\u202eb": "x"}, "/metadata/a\u202eb"),
        ({"n" * 101: "x"}, "/metadata/" + "n" * 64),
        ({"a/b": "\0"}, "/metadata/a~1b"),
        ({"a": "\ud800"}, "/metadata/a"),
    ],
)
def test_malformed_metadata_is_named(wrong: dict[str, str], pointer: str) -> None:
    assert fault_of(check_metadata, wrong)[:2] == ("invalid_metadata", pointer)


def test_a_list_is_filtered_by_a_name_and_a_value() -> None:
    assert read_metadata_filter("tier:gold:24") == ("tier", "gold:24")
    assert fault_of(read_metadata_filter, "tier")[:2] == ("invalid_query", "/metadata")
