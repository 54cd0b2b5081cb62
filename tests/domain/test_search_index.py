"""What search finds in payloads: the normal form, the terms of a value, and the paths to it."""

import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import ConfigError
from hooktide.domain.searching.index import (
    MAX_LENGTH,
    MAX_PATH_LENGTH,
    MAX_WORDS,
    Index,
    check_indexable,
    check_paths,
    normal_form,
    terms_of,
    title_of,
)

TEXTS = st.text(max_size=40)
PATHS = ("invoice.number", "customer.name")


def found(value: str, text: str) -> bool:
    """Whether a search for a text finds a value."""
    wanted = normal_form(text)
    return bool(wanted) and any(term.startswith(wanted) for term in terms_of(normal_form(value)))


def shown(payload: Any, *paths: str) -> list[tuple[int, str]]:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return [(each.place, each.shown) for each in Index(paths or PATHS).values(text)]


@given(TEXTS)
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    normal = normal_form(text)
    assert normal_form(normal) == normal


def test_the_normal_form_of_each_character_is_stable_and_has_nothing_invisible() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cn", "Co"):  # not assigned
            continue
        normal = normal_form(chr(code))
        assert normal_form(normal) == normal, hex(code)
        assert not {unicodedata.category(char) for char in normal} & {"Cc", "Cf", "Cs"}, hex(code)


@given(TEXTS)
def test_texts_that_differ_in_case_or_form_have_one_normal_form(text: str) -> None:
    normal = normal_form(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normal_form(unicodedata.normalize(form, text)) == normal
    assert normal_form(text.casefold()) == normal
    assert normal_form(f"  {text}\n") == normal


@given(TEXTS, st.integers(min_value=1))
def test_a_value_is_found_by_itself_and_by_any_beginning(text: str, length: int) -> None:
    normal = normal_form(text)
    if normal:
        assert found(text, text)
        assert found(text, normal[: 1 + length % len(normal)]) or normal.startswith(" ")


@given(TEXTS, TEXTS)
def test_a_value_is_found_by_each_of_its_first_words(first: str, second: str) -> None:
    words = [word for word in normal_form(second).split() if word[0].isalnum()]
    if words and len(list(terms_of(normal_form(f"{first} {second}")))) < MAX_WORDS:
        assert found(f"{first} {second}", words[0])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("INV-2026-024511", "inv-2026-024511"),
        ("INV-2026-024511", "024511"),
        ("INV-2026-024511", "2026-0245"),
        ("Northwind Traders B.V.", "northwind"),
        ("Northwind Traders B.V.", "TRADERS b.v."),
        ("Straße 5", "STRASSE"),
        ("ﬁnance", "finance"),
        ("İstanbul", "i̇stanbul"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("\uff11\uff12\uff13", "123"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth", "zerowidth"),
        ("two\u00a0words", "two words"),
        ("line\nbreak", "line break"),
        ("株式会社ノースウィンド", "株式会社"),
        ("हिन्दी समाचार", "समाचार"),
        ("ann@northwind.example", "northwind.example"),
        ("#4711", "4711"),
    ],
)
def test_what_is_found(value: str, text: str) -> None:
    assert found(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("INV-2026-024511", "24511"),
        ("Northwind", "wind"),
        ("INV024511", "024511"),
        ("हिन्दी", "न्दी"),
        ("Northwind", " "),
        ("Northwind", "\u200b"),
    ],
)
def test_what_is_not_found(value: str, text: str) -> None:
    assert not found(value, text)


def test_a_long_value_is_found_by_its_first_characters_and_words() -> None:
    value = "x" * 1_000_000
    assert [len(term) for term in terms_of(normal_form(value))] == [MAX_LENGTH]
    assert found(value, value)
    assert len(terms_of(normal_form("a b c d e f g h " * 10))) <= MAX_WORDS
    [only] = Index(("a",)).values(json.dumps({"a": value}).encode())
    assert len(only.shown) == MAX_LENGTH
    assert only.shown.endswith("…")


def test_an_event_is_named_after_its_values_in_the_order_of_the_paths() -> None:
    payload = {"customer": {"name": "Northwind\n\u202eTraders"}, "invoice": {"number": "INV-1"}}
    written = json.dumps(payload).encode()
    assert title_of(PATHS, written) == "INV-1 · Northwind Traders"
    assert title_of(("customer.name",), written) == "Northwind Traders"
    assert title_of(PATHS, b"{}") == ""
    assert title_of((), written) == ""


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        "text",
        5,
        None,
        {"invoice": None},
        {"invoice": "INV-1"},
        {"invoice": {"number": None}},
        {"invoice": {"number": ["INV-1"]}},
        {"invoice": {"number": {"inner": "INV-1"}}},
        {"invoice": [{"number": "INV-1"}]},
        {"invoice": {"number": ""}},
        {"invoice": {"number": " \u200b\t"}},
        {"invoice.number": "INV-1"},
    ],
)
def test_a_payload_without_a_scalar_at_the_path_has_no_value(payload: Any) -> None:
    assert shown(payload) == []


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"INV-1"', "INV-1"),
        ("1.10", "1.10"),
        ("1e5", "1e5"),
        ("-7", "-7"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("true", "true"),
        ("false", "false"),
        ("0", "0"),
        (r'"\u0000a\ud83d\ude00"', "a😀"),
    ],
)
def test_a_scalar_is_indexed_as_it_is_written(written: str, text: str) -> None:
    assert shown(f'{{"a":{{"b":{written}}}}}'.encode(), "a.b") == [(0, text)]


def test_an_integer_of_thousands_of_digits_is_cut_like_a_text() -> None:
    [(_, text)] = shown(b'{"a":%s}' % (b"9" * 5000), "a")
    assert len(text) == MAX_LENGTH


def test_of_a_member_that_is_given_twice_the_last_counts() -> None:
    assert shown(b'{"a":{"b":1,"b":2},"a":{"b":3,"b":4}}', "a.b") == [(0, "4")]
    assert shown(b'{"a":{"b":1},"a":5}', "a.b") == []


def test_a_step_that_looks_like_an_index_is_a_members_name() -> None:
    assert shown({"lines": {"0": "x"}}, "lines.0") == [(0, "x")]
    assert shown({"lines": ["x"]}, "lines.0") == []


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["a", "b", "c", "d"], "4 paths; 3 at most"),
        (["a", "a"], "'a' is named twice"),
        ([""], "is not a path; write one like 'invoice.number'"),
        (["a..b"], "is not a path"),
        ([".a"], "is not a path"),
        ([" a"], "is not a path"),
        (["a\n"], "is not a path"),
        (["$.a"], "leave out the '$.'"),
        (["/a/b"], "with dots between them"),
        (["a[0].b"], "elements of arrays are not indexed"),
        (["lines.*.sku"], "elements of arrays are not indexed"),
        (["x" * (MAX_PATH_LENGTH + 1)], "too long"),
        ([".".join("abcdefghijk")], "10 members at most"),
    ],
)
def test_a_path_that_cannot_be_used_is_explained(paths: list[str], reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_paths(paths)
    assert reason in refused.value.reason


def test_paths_that_can_be_used() -> None:
    check_paths([])
    check_paths(["invoice.number", "customer", "@type.größe-2.$id"])


def test_a_path_to_what_is_never_a_scalar_is_refused() -> None:
    examples = ['{"invoice":{"number":"1","lines":[{"sku":"a"}]}}', "{}"]
    with pytest.raises(ConfigError, match=r"name a member of it, like 'invoice\.number'"):
        check_indexable(["invoice"], examples)
    with pytest.raises(ConfigError, match="is an array in the examples"):
        check_indexable(["invoice.lines"], examples)
    check_indexable(["invoice"], [*examples, '{"invoice":"INV-1"}'])
    check_indexable(["missing.everywhere"], examples)
