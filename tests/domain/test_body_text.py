"""Stored bodies as text: a body may be truncated within a character."""

import pytest

from hooktide.domain.delivery.body_text import body_text, text_or_base64

WHOLE = "é€𝄞"
"""Two, three and four bytes."""


@pytest.mark.parametrize("kept", range(len(WHOLE.encode()) + 1))
def test_wherever_text_was_cut_it_is_the_characters_that_are_whole(kept: int) -> None:
    body = WHOLE.encode()[:kept]
    whole = "".join(c for n, c in enumerate(WHOLE) if len(WHOLE[: n + 1].encode()) <= kept)
    assert text_or_base64(body, truncated=True) == (whole, "utf-8")
    assert body_text(body, truncated=True, errors="backslashreplace") == whole


@pytest.mark.parametrize(
    ("body", "encoded"),
    [(b"ok\xc3", "b2vD"), (b"\xe2\x82", "4oI="), (b"a\xf0\x9d\x84", "YfCdhA==")],
)
def test_a_whole_body_that_ends_inside_a_character_is_no_text(body: bytes, encoded: str) -> None:
    assert text_or_base64(body, truncated=False) == (encoded, "base64")
    assert text_or_base64(body, truncated=True)[1] == "utf-8"


@pytest.mark.parametrize(
    ("body", "encoded"), [(b"\xff\xfek", "//5r"), (b"\xc3(", "wyg="), (b"a\x80", "YYA=")]
)
def test_a_cut_body_that_is_no_text_before_the_cut_is_whole_in_base64(
    body: bytes, encoded: str
) -> None:
    assert text_or_base64(body, truncated=True) == (encoded, "base64")


def test_what_is_no_text_is_written_out() -> None:
    assert body_text(b"a\xff\xc3", truncated=False, errors="backslashreplace") == "a\\xff\\xc3"
    assert body_text(b"a\xff\xc3", truncated=True, errors="backslashreplace") == "a\\xff"
