"""Which headers an endpoint may add. None can forge framing or a signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import InvalidError
from hooktide.domain.http.headers import header_lines


def test_headers_become_lines_in_order() -> None:
    given_headers = (("Authorization", "Bearer a b"), ("x-empty", ""))
    assert header_lines(given_headers) == b"Authorization: Bearer a b\r\nx-empty: \r\n"
    assert header_lines(()) == b""


RESERVED = (
    "Host",
    "Content-Length",
    "transfer-encoding",
    "TE",
    "Trailer",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "Expect",
    "Proxy-Authorization",
    "proxy-anything",
    "Cookie",
    "Content-Type",
    "Content-Encoding",
    "webhook-id",
    "Webhook-Signature",
    "webhook-anything",
    "Hooktide-Id",
    "X-Hooktide-Test",
    "User-Agent",
    "Accept-Encoding",
)


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused_in_any_case(name: str) -> None:
    for form in (name, name.upper(), name.lower()):
        assert refusal((form, "x")).code == "reserved_header"


@pytest.mark.parametrize("name", ["", "X A", "X_A", "X:A", "Ä", "X\r\nY", "x" * 65, "X\0", "/~"])
def test_malformed_names_are_refused(name: str) -> None:
    assert refusal((name, "x")).code == "invalid_header_name"


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "é", "\t", " a", "a ", "\x7f", "\r\n"])
def test_malformed_values_are_refused(value: str) -> None:
    assert refusal(("X-A", value)).code == "invalid_header_value"


def test_a_header_is_given_once_and_never_beside_the_dialects() -> None:
    assert refusal(("X-A", "1"), ("x-a", "2")).code == "header_taken"
    with pytest.raises(InvalidError) as refused:
        header_lines([("X-IA-Signature", "0")], frozenset({"x-ia-signature"}))
    assert refused.value.code == "header_taken"


def test_twenty_headers_and_four_kilobytes_at_most() -> None:
    header_lines([(f"x-{n}", "") for n in range(20)])
    assert refusal(*((f"x-{n}", "") for n in range(21))).code == "too_many_headers"
    header_lines([("x", "a" * (4096 - 5))])
    assert refusal(("x", "a" * (4097 - 5))).code == "headers_too_large"
    assert refusal(("x", "a" * 100_000)).code == "headers_too_large"


def test_a_refusal_points_at_the_header() -> None:
    assert refusal(("X-Fine", "1"), ("a/b~c", "2")).faults[0].pointer == "/headers/a~1b~0c"


def refusal(*headers: tuple[str, str]) -> InvalidError:
    with pytest.raises(InvalidError) as refused:
        header_lines(headers)
    return refused.value


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_whatever_passes_is_one_line_a_header(headers: list[tuple[str, str]]) -> None:
    try:
        lines = header_lines(headers)
    except InvalidError:
        return
    wanted = [f"{name}: {value}".encode("ascii") for name, value in headers]
    assert lines.split(b"\r\n") == [*wanted, b""]
